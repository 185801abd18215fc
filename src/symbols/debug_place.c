/*
 * Where separate debug files are installed. See debug_place.h.
 */
#include "symbols/debug_place.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"

#define DEBUG_ROOT "/usr/lib/debug"
/* Chosen by: the largest debug file of Debian 12 is about 3 GiB. */
#define DEBUG_FILE_BYTES_MAX ((off_t)8 << 30)
/* The linker's build ids have 16 or 20 bytes; the note could say anything. */
#define BUILD_ID_DIGITS_MIN 4
#define BUILD_ID_DIGITS_MAX 128

static const struct {
	const char *before, *after; /* the file's folder, where it has a part */
	bool in_folder;
} places[DEBUG_PLACE_COUNT] = {
        [DEBUG_PLACE_BESIDE] = {"", "/", true},
        [DEBUG_PLACE_HIDDEN] = {"", "/.debug/", true},
        [DEBUG_PLACE_INSTALLED] = {DEBUG_ROOT, "/", true},
        [DEBUG_PLACE_SHARED] = {DEBUG_ROOT "/.dwz/", "", false},
        [DEBUG_PLACE_SHARED_MACHINE] = {DEBUG_ROOT "/.dwz/x86_64-linux-gnu/", "", false},
};

static bool is_build_id(const char *name)
{
	size_t digits = strspn(name, "0123456789abcdef");

	return !name[digits] && digits % 2 == 0 && digits >= BUILD_ID_DIGITS_MIN &&
	       digits <= BUILD_ID_DIGITS_MAX;
}

static bool is_file_name(const char *name)
{
	return *name && strlen(name) <= DEBUG_NAME_MAX && !strchr(name, '/') && strcmp(name, ".") != 0 &&
	       strcmp(name, "..") != 0;
}

/* @return whether there is such a path */
static bool make_path(const char *path, enum debug_place place, const char *name, char ret_path[PATH_MAX])
{
	const char *slash = path ? strrchr(path, '/') : NULL;
	int folder_length = 0;
	int length;

	if (place == DEBUG_PLACE_BUILD_ID) {
		if (!is_build_id(name))
			return false;
		length = snprintf(ret_path, PATH_MAX, DEBUG_ROOT "/.build-id/%.2s/%s.debug", name, name + 2);
		return length > 0 && length < PATH_MAX;
	}
	if (!is_file_name(name))
		return false;
	if (places[place].in_folder) {
		if (!slash || slash - path >= PATH_MAX)
			return false;
		folder_length = (int)(slash - path);
	}
	length = snprintf(ret_path, PATH_MAX, "%s%.*s%s%s", places[place].before, folder_length,
	                  folder_length ? path : "", places[place].after, name);
	return length > 0 && length < PATH_MAX;
}

/* What is no ELF file is nothing that a debug link means. */
static bool is_readable(int fd)
{
	char magic[SELFMAG];
	struct stat status;

	return fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_size <= DEBUG_FILE_BYTES_MAX &&
	       fd_read_at(fd, magic, sizeof(magic), 0) == SELFMAG && memcmp(magic, ELFMAG, SELFMAG) == 0;
}

int debug_place_open(const char *path, enum debug_place place, const char *name, int *ret_fd)
{
	char candidate[PATH_MAX];
	FD_OWNED int fd = -1;

	if (!make_path(path, place, name, candidate))
		return -ENOENT;
	/* A FIFO or device must not hold us up. */
	fd = open(candidate, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 || !is_readable(fd))
		return -ENOENT;
	*ret_fd = fd_take(&fd);
	return 0;
}

static int open_here(void *context, enum debug_place place, const char *name, int *ret_fd)
{
	return debug_place_open(context, place, name, ret_fd);
}

struct debug_opener debug_place_opener(const char *path)
{
	return (struct debug_opener){.open = open_here, .context = (void *)path};
}
