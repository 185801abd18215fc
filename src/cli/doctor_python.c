/*
 * The user's CPythons.
 * Inputs: PATH, a home folder, ELF files of anybody's. Outputs: lines on a stream.
 * Names are escaped as they are printed; files are opened without waiting (a FIFO on PATH) and read in a
 * process that has no more rights than their user.
 */
#include "cli/doctor_python.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/escape.h"
#include "base/fd.h"
#include "cli/launch_identity.h"
#include "unwind/python_layout.h"

/* Chosen by: a pyenv with every version of CPython that can be walked, several times over. */
#define PYTHONS_MAX 64
/* Newest CPython whose name is looked for on PATH; "python3" finds one that is newer still. */
#define MINOR_MAX 20

struct search {
	const char *path_env;
	const char *home;
	FILE *stream;
	struct {
		dev_t device;
		ino_t inode;
	} seen[PYTHONS_MAX];
	size_t seen_count;
};

/* Where distributions and pyenv put libpython, from the interpreter's folder. */
static const char *const library_folders[] = {"../lib", "../lib64", "../lib/x86_64-linux-gnu"};

static int open_regular(const char *path, struct stat *ret_status)
{
	FD_OWNED int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (fstat(fd, ret_status) < 0)
		return -errno;
	return S_ISREG(ret_status->st_mode) ? fd_take(&fd) : -ENOENT;
}

/* False for one that was seen already by another name; also where there is no room to remember more. */
static bool is_new(struct search *search, const struct stat *status)
{
	for (size_t i = 0; i < search->seen_count; i++)
		if (search->seen[i].device == status->st_dev && search->seen[i].inode == status->st_ino)
			return false;
	if (search->seen_count == PYTHONS_MAX)
		return false;
	search->seen[search->seen_count].device = status->st_dev;
	search->seen[search->seen_count++].inode = status->st_ino;
	return true;
}

static void print_line(const struct search *search, const char *path, uint32_t minor, const char *verdict)
{
	char *shown = escape_for_terminal(path, strlen(path));

	if (minor > 0)
		fprintf(search->stream, "  %-40s 3.%-4u %s\n", shown ? shown : "?", minor, verdict);
	else
		fprintf(search->stream, "  %-40s %-6s %s\n", shown ? shown : "?", "", verdict);
	free(shown);
}

static void print_probed(const struct search *search, const char *path, int result, uint32_t minor)
{
	if (result == 0)
		print_line(search, path, minor, "frames can be walked");
	else if (result == -ENOTSUP && minor == 0)
		print_line(search, path, 0,
		           "frames cannot be walked: its version is not known; native frames are shown");
	else if (result == -ENOTSUP)
		print_line(search, path, minor,
		           "frames cannot be walked: a newer leftopen may know this version; native frames "
		           "are shown");
	else if (result == -ENOENT)
		print_line(search, path, 0, "no CPython found in it or beside it; native frames are shown");
	else
		print_line(search, path, 0, strerror(-result));
}

/* An interpreter that is a small program around libpython, as in Fedora and with --enable-shared. */
static int probe_library(const char *interpreter, uint32_t *ret_minor)
{
	const char *slash = strrchr(interpreter, '/');
	struct known_file file;
	struct stat status;
	char path[PATH_MAX];

	for (size_t i = 0; i < 2 * sizeof(library_folders) / sizeof(library_folders[0]); i++) {
		/* Up to 3.7 the default build's library is called libpython3.7m. */
		int length =
		        snprintf(path, sizeof(path), "%.*s/%s/lib%s%s.so.1.0", (int)(slash - interpreter),
		                 interpreter, library_folders[i / 2], slash + 1, i % 2 ? "m" : "");
		if (length < 0 || (size_t)length >= sizeof(path))
			continue;
		FD_OWNED int fd = open_regular(path, &status);
		if (fd < 0)
			continue;
		int result = python_layout_probe(fd, &file, ret_minor);
		if (result == 0)
			*ret_minor = file.python_minor;
		return result;
	}
	return -ENOENT;
}

static void try_interpreter(struct search *search, const char *path)
{
	char real_path[PATH_MAX];
	struct known_file file = {0};
	struct stat status;
	uint32_t minor = 0;
	char magic[2] = "";

	if (!realpath(path, real_path))
		return;
	FD_OWNED int fd = open_regular(real_path, &status);
	if (fd < 0 || !is_new(search, &status))
		return;
	/* pyenv's shims are scripts, which say nothing about what they run. */
	if (pread(fd, magic, sizeof(magic), 0) == sizeof(magic) && memcmp(magic, "#!", sizeof(magic)) == 0)
		return;
	int result = python_layout_probe(fd, &file, &minor);
	if (result == 0)
		minor = file.python_minor;
	else if (result == -ENOENT)
		result = probe_library(real_path, &minor);
	print_probed(search, path, result, minor);
}

static void try_folder(struct search *search, const char *folder, int folder_length)
{
	char path[PATH_MAX];

	/* -1 and 0 stand for the names without a version and without a minor version. */
	for (int minor = -1; minor <= MINOR_MAX; minor++) {
		int length = minor < 0 ? snprintf(path, sizeof(path), "%.*s/python", folder_length, folder)
		             : minor == 0
		                     ? snprintf(path, sizeof(path), "%.*s/python3", folder_length, folder)
		                     : snprintf(path, sizeof(path), "%.*s/python3.%d", folder_length, folder,
		                                minor);
		if (length > 0 && (size_t)length < sizeof(path))
			try_interpreter(search, path);
	}
}

static void try_pyenv(struct search *search)
{
	char path[PATH_MAX];
	struct dirent **versions;
	int length = snprintf(path, sizeof(path), "%s/.pyenv/versions", search->home);

	if (length < 0 || (size_t)length >= sizeof(path))
		return;
	int count = scandir(path, &versions, NULL, versionsort);
	for (int i = 0; i < count; i++) {
		char folder[PATH_MAX];
		int written = snprintf(folder, sizeof(folder), "%s/%s/bin", path, versions[i]->d_name);
		if (versions[i]->d_name[0] != '.' && written > 0 && (size_t)written < sizeof(folder))
			try_folder(search, folder, written);
		free(versions[i]);
	}
	if (count >= 0)
		free(versions);
}

static int search_all(void *data)
{
	struct search *search = data;

	for (const char *part = search->path_env; part && *part;) {
		int length = (int)strcspn(part, ":");
		if (length > 0)
			try_folder(search, part, length);
		part += length + (part[length] == ':');
	}
	if (search->home && *search->home)
		try_pyenv(search);
	if (search->seen_count == 0)
		fputs("  none found\n", search->stream);
	return fflush(search->stream) != 0 ? -errno : 0;
}

int doctor_python_print(const struct launch_identity *identity, const char *path_env, const char *home,
                        FILE *stream)
{
	struct search search = {.path_env = path_env, .home = home, .stream = stream};

	/* Or a forked child would write out the same buffer once more. */
	if (fflush(stream) != 0)
		return -errno;
	return launch_identity_run(identity, search_all, &search);
}
