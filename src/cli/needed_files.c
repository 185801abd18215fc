/*
 * Which files the loader maps for a program. See needed_files.h.
 */
#include "cli/needed_files.h"

#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"

/* Chosen by: what distributions' loaders look in by themselves. */
static const char *const default_folders[] = {
        "/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib64", "/usr/lib64", "/lib", "/usr/lib",
        "/usr/local/lib",
};

/* glibc's sysdeps/generic/dl-cache.h, of ldconfig(8)'s cache: what its newer format begins with. */
#define CACHE_PATH      "/etc/ld.so.cache"
#define CACHE_MAGIC     "glibc-ld.so.cache1.1"
#define CACHE_BYTES_MAX (16U << 20)
struct cache_header {
	char magic[20];
	uint32_t count;
	uint32_t string_bytes;
	uint8_t flags[4];
	uint32_t extension_at;
	uint32_t unused[3];
};
struct cache_entry {
	int32_t flags;
	uint32_t name_at, path_at;
	uint32_t os_version;
	uint64_t capabilities;
};
/* FLAG_ELF_LIBC6 | FLAG_X8664_LIB64 */
#define CACHE_FLAGS_X86_64 0x0303

struct needed_files {
	struct file_set *set;
	const char *library_path;
	char *cache; /* NULL: there is none */
	size_t cache_bytes;
};

/* What one file says of those that it needs. */
struct dynamic {
	const char *folders; /* DT_RUNPATH, or DT_RPATH; NULL: none */
	const char *file_path;
};

static void read_cache(struct needed_files *files)
{
	FD_OWNED int fd = open(CACHE_PATH, O_RDONLY | O_CLOEXEC);
	struct stat status;

	if (fd < 0 || fstat(fd, &status) || status.st_size < (off_t)sizeof(struct cache_header) ||
	    status.st_size > CACHE_BYTES_MAX)
		return;
	files->cache = malloc((size_t)status.st_size);
	if (!files->cache)
		return;
	if (read(fd, files->cache, (size_t)status.st_size) == status.st_size &&
	    !memcmp(files->cache, CACHE_MAGIC, strlen(CACHE_MAGIC))) {
		files->cache_bytes = (size_t)status.st_size;
		return;
	}
	free(files->cache);
	files->cache = NULL;
}

static const char *cache_string(const struct needed_files *files, uint32_t at)
{
	return at < files->cache_bytes && memchr(files->cache + at, '\0', files->cache_bytes - at)
	               ? files->cache + at
	               : NULL;
}

/* @return the path that ldconfig found for a library, or NULL */
static const char *find_in_cache(const struct needed_files *files, const char *name)
{
	struct cache_header header;
	struct cache_entry entry;

	if (!files->cache)
		return NULL;
	memcpy(&header, files->cache, sizeof(header));
	for (size_t i = 0; i < header.count; i++) {
		size_t at = sizeof(header) + i * sizeof(entry);
		const char *found;

		if (at + sizeof(entry) > files->cache_bytes)
			return NULL;
		memcpy(&entry, files->cache + at, sizeof(entry));
		found = cache_string(files, entry.name_at);
		/* Those for newer processors come first, and may not be for this one. */
		if (found && entry.flags == CACHE_FLAGS_X86_64 && !entry.capabilities && !strcmp(found, name))
			return cache_string(files, entry.path_at);
	}
	return NULL;
}

/* Writes a folder with $ORIGIN for the file's own. @return whether it fits */
static bool expand(const char *folder, size_t length, const char *file_path, char *text, size_t bytes)
{
	static const char *const origins[] = {"$ORIGIN", "${ORIGIN}"};
	const char *slash = strrchr(file_path, '/');
	int written = -1;

	for (size_t i = 0; i < 2 && written < 0; i++) {
		size_t origin = strlen(origins[i]);

		if (length >= origin && !strncmp(folder, origins[i], origin))
			written = snprintf(text, bytes, "%.*s%.*s", (int)(slash ? slash - file_path : 0),
			                   file_path, (int)(length - origin), folder + origin);
	}
	if (written < 0)
		written = snprintf(text, bytes, "%.*s", (int)length, folder);
	return (size_t)written < bytes;
}

/* Looks for a library in folders with colons between. @return as file_set_add(), or -ENOENT */
static int find_in_folders(struct needed_files *files, const char *folders, const char *file_path,
                           const char *name)
{
	char folder[PATH_MAX], path[2 * PATH_MAX];

	while (folders && *folders) {
		size_t length = strcspn(folders, ":");

		if (length && expand(folders, length, file_path, folder, sizeof(folder))) {
			(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
			if (!access(path, R_OK))
				return file_set_add(files->set, path);
		}
		folders += length + (folders[length] == ':');
	}
	return -ENOENT;
}

/* @return as file_set_add() */
static int find_library(struct needed_files *files, const struct dynamic *dynamic, const char *name)
{
	char path[PATH_MAX];
	const char *cached;
	int found;

	if (strchr(name, '/'))
		return file_set_add(files->set, name);
	found = find_in_folders(files, files->library_path, dynamic->file_path, name);
	if (found == -ENOENT)
		found = find_in_folders(files, dynamic->folders, dynamic->file_path, name);
	if (found != -ENOENT)
		return found;
	cached = find_in_cache(files, name);
	if (cached)
		return file_set_add(files->set, cached);
	for (size_t i = 0; i < sizeof(default_folders) / sizeof(default_folders[0]); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", default_folders[i], name);
		if (!access(path, R_OK))
			return file_set_add(files->set, path);
	}
	return 0;
}

static int add_interpreter(struct needed_files *files, Elf *elf)
{
	size_t headers = 0;

	if (elf_getphdrnum(elf, &headers))
		return 0;
	for (size_t i = 0; i < headers; i++) {
		GElf_Phdr header;
		const Elf_Data *data;

		if (!gelf_getphdr(elf, (int)i, &header))
			return 0;
		if (header.p_type != PT_INTERP || !header.p_filesz || header.p_filesz > PATH_MAX)
			continue;
		data = elf_getdata_rawchunk(elf, (int64_t)header.p_offset, header.p_filesz, ELF_T_BYTE);
		if (data && data->d_buf && !((const char *)data->d_buf)[data->d_size - 1])
			return file_set_add(files->set, data->d_buf);
	}
	return 0;
}

/* @return the folders that a file names for what it needs, or NULL */
static const char *find_folders(Elf *elf, Elf_Data *entries, size_t strings)
{
	const char *folders = NULL;
	GElf_Dyn entry;

	for (int i = 0; gelf_getdyn(entries, i, &entry); i++) {
		/* DT_RPATH does not count where there is the other one (ld.so(8)). */
		if (entry.d_tag == DT_RUNPATH || (entry.d_tag == DT_RPATH && !folders))
			folders = elf_strptr(elf, strings, entry.d_un.d_val);
	}
	return folders;
}

static int add_libraries(struct needed_files *files, Elf *elf, const char *path)
{
	Elf_Scn *section = NULL;
	GElf_Shdr header;
	GElf_Dyn entry;
	int error = 0;

	while ((section = elf_nextscn(elf, section))) {
		struct dynamic dynamic = {.file_path = path};
		Elf_Data *entries;

		if (!gelf_getshdr(section, &header) || header.sh_type != SHT_DYNAMIC)
			continue;
		entries = elf_getdata(section, NULL);
		if (!entries)
			return 0;
		dynamic.folders = find_folders(elf, entries, header.sh_link);
		for (int i = 0; !error && gelf_getdyn(entries, i, &entry); i++) {
			const char *name = entry.d_tag == DT_NEEDED
			                           ? elf_strptr(elf, header.sh_link, entry.d_un.d_val)
			                           : NULL;

			if (name)
				error = find_library(files, &dynamic, name);
		}
		return error;
	}
	return 0;
}

static int add_needed_by(struct needed_files *files, const char *path)
{
	FD_OWNED int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	Elf *elf;
	int error;

	if (fd < 0 || elf_version(EV_CURRENT) == EV_NONE)
		return 0;
	elf = elf_begin(fd, ELF_C_READ, NULL);
	if (!elf)
		return 0;
	error = add_interpreter(files, elf);
	if (!error)
		error = add_libraries(files, elf, path);
	(void)elf_end(elf);
	return error;
}

int needed_files_add(struct file_set *set, const char *path, const char *library_path)
{
	struct needed_files files = {.set = set, .library_path = library_path};
	size_t next = set->count;
	int error;

	read_cache(&files);
	error = file_set_add(set, path);
	for (; next < set->count && !error; next++)
		error = add_needed_by(&files, set->paths[next]);
	free(files.cache);
	return error;
}
