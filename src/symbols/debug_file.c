/*
 * Separate debug files: where a stripped file's debug information is installed on this machine.
 * Inputs: build ids and names from files that anybody may have written, so what a name leads to is opened
 * only if it is a regular file and used only if it carries the build id or checksum asked for. Outputs: open
 * files. libdwfl would do the same and ask debuginfod servers: that is why it is not used.
 */
#include "symbols/debug_file.h"

#include <elfutils/libdwelf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#define DEBUG_ROOT "/usr/lib/debug"
/* The linker's build ids have 16 or 20 bytes; the note could say anything. */
#define DEBUG_BUILD_ID_MAX 64
/* Chosen by: the largest debug file of Debian 12 is about 3 GiB. */
#define DEBUG_FILE_BYTES_MAX ((off_t)8 << 30)
#define DEBUG_READ_BYTES     65536

struct build_id {
	const void *bytes;
	ssize_t length;
};

void debug_file_free(struct debug_file *file)
{
	if (!file)
		return;
	if (file->elf)
		elf_end(file->elf);
	if (file->fd >= 0)
		close(file->fd);
	free(file->path);
	free(file);
}

/* Opens a candidate. A FIFO or device must not hold us up. */
static int debug_file_open(const char *path, struct debug_file **ret_file)
{
	struct debug_file *file = calloc(1, sizeof(*file));
	struct stat status;

	if (!file)
		return -ENOMEM;
	file->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (file->fd < 0 || fstat(file->fd, &status) != 0 || !S_ISREG(status.st_mode) ||
	    status.st_size > DEBUG_FILE_BYTES_MAX) {
		debug_file_free(file);
		return -ENOENT;
	}
	file->path = strdup(path);
	if (!file->path) {
		debug_file_free(file);
		return -ENOMEM;
	}
	/* Read, not mapped: a mapped file that is cut meanwhile ends the process by SIGBUS. */
	file->elf = elf_begin(file->fd, ELF_C_READ, NULL);
	if (!file->elf || elf_kind(file->elf) != ELF_K_ELF) {
		debug_file_free(file);
		return -ENOENT;
	}
	*ret_file = file;
	return 0;
}

static int debug_file_open_with_id(const char *path, const struct build_id *id, struct debug_file **ret_file)
{
	struct debug_file *file = NULL;
	struct build_id found = {0};
	int error = debug_file_open(path, &file);

	if (error < 0)
		return error;
	found.length = dwelf_elf_gnu_build_id(file->elf, &found.bytes);
	if (found.length != id->length || memcmp(found.bytes, id->bytes, (size_t)id->length) != 0) {
		debug_file_free(file);
		return -ENOENT;
	}
	*ret_file = file;
	return 0;
}

static int debug_file_open_below_root(const struct build_id *id, struct debug_file **ret_file)
{
	char path[sizeof(DEBUG_ROOT "/.build-id/xx/.debug") + 2 * DEBUG_BUILD_ID_MAX];
	const uint8_t *bytes = id->bytes;
	int length = 0;

	if (id->length < 2 || id->length > DEBUG_BUILD_ID_MAX)
		return -ENOENT;
	length = snprintf(path, sizeof(path), DEBUG_ROOT "/.build-id/%02x/", bytes[0]);
	for (ssize_t i = 1; i < id->length; i++)
		length += snprintf(path + length, sizeof(path) - (size_t)length, "%02x", bytes[i]);
	(void)snprintf(path + length, sizeof(path) - (size_t)length, ".debug");
	return debug_file_open_with_id(path, id, ret_file);
}

/* The checksum of .gnu_debuglink is zlib's CRC-32 of the whole debug file. */
static int debug_file_check(const struct debug_file *file, GElf_Word expected)
{
	uint8_t buffer[DEBUG_READ_BYTES];
	uLong crc = crc32(0, NULL, 0);
	off_t offset = 0;

	for (;;) {
		ssize_t got = pread(file->fd, buffer, sizeof(buffer), offset);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -ENOENT;
		if (got == 0)
			return crc == expected ? 0 : -ENOENT;
		crc = crc32(crc, buffer, (uInt)got);
		offset += got;
	}
}

static int debug_file_open_with_crc(const char *path, GElf_Word crc, struct debug_file **ret_file)
{
	struct debug_file *file = NULL;
	int error = debug_file_open(path, &file);

	if (error < 0)
		return error;
	error = debug_file_check(file, crc);
	if (error < 0) {
		debug_file_free(file);
		return error;
	}
	*ret_file = file;
	return 0;
}

static int debug_file_open_link(Elf *elf, const char *path, struct debug_file **ret_file)
{
	GElf_Word crc = 0;
	const char *name = dwelf_elf_gnu_debuglink(elf, &crc);
	const char *slash = path ? strrchr(path, '/') : NULL;
	int folder_length = slash ? (int)(slash - path) : 0;
	const char *const before[] = {"", "", DEBUG_ROOT};
	const char *const between[] = {"/", "/.debug/", "/"};

	if (!name || !*name || strchr(name, '/') || !slash || slash - path >= PATH_MAX)
		return -ENOENT;
	for (size_t i = 0; i < sizeof(before) / sizeof(before[0]); i++) {
		char candidate[PATH_MAX];
		int length = snprintf(candidate, sizeof(candidate), "%s%.*s%s%s", before[i], folder_length,
		                      path, between[i], name);
		int error = 0;

		if (length < 0 || (size_t)length >= sizeof(candidate))
			continue;
		error = debug_file_open_with_crc(candidate, crc, ret_file);
		if (error != -ENOENT)
			return error;
	}
	return -ENOENT;
}

int debug_file_find(Elf *elf, const char *path, struct debug_file **ret_file)
{
	struct build_id id = {0};
	int error = 0;

	id.length = dwelf_elf_gnu_build_id(elf, &id.bytes);
	error = debug_file_open_below_root(&id, ret_file);
	return error == -ENOENT ? debug_file_open_link(elf, path, ret_file) : error;
}

int debug_file_find_alternate(Dwarf *dwarf, const char *path, struct debug_file **ret_file)
{
	const char *name = NULL;
	const char *slash = path ? strrchr(path, '/') : NULL;
	struct build_id id = {0};
	char candidate[PATH_MAX];
	int length = 0;
	int error = 0;

	id.length = dwelf_dwarf_gnu_debugaltlink(dwarf, &name, &id.bytes);
	if (id.length == 0)
		return -ENODATA;
	if (id.length < 0)
		return -ENOENT;
	error = debug_file_open_below_root(&id, ret_file);
	if (error != -ENOENT)
		return error;
	/* Elsewhere an absolute name is of its author's choosing and none that a package has installed. */
	if (name[0] == '/' && strncmp(name, DEBUG_ROOT "/", strlen(DEBUG_ROOT "/")) != 0)
		return -ENOENT;
	if (name[0] == '/')
		length = snprintf(candidate, sizeof(candidate), "%s", name);
	else if (slash && slash - path < PATH_MAX)
		length = snprintf(candidate, sizeof(candidate), "%.*s/%s", (int)(slash - path), path, name);
	if (length <= 0 || (size_t)length >= sizeof(candidate))
		return -ENOENT;
	return debug_file_open_with_id(candidate, &id, ret_file);
}
