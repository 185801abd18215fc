/*
 * A process's folder in /proc. See process_folder.h.
 */
#include "symbols/process_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"

#define STAT_BYTES 1024

/* @return whether the process of that folder had started by then */
static bool had_started(int folder_fd, uint64_t start_ns)
{
	uint64_t tick_ns = 1000000000ULL / (uint64_t)sysconf(_SC_CLK_TCK);
	FD_OWNED int fd = openat(folder_fd, "stat", O_RDONLY | O_CLOEXEC);
	unsigned long long ticks;
	char text[STAT_BYTES];
	const char *rest;
	ssize_t length;

	if (fd < 0)
		return false;
	length = read(fd, text, sizeof(text) - 1);
	if (length <= 0)
		return false;
	text[length] = '\0';
	/* The name may have brackets of its own. */
	rest = strrchr(text, ')');
	/* Fields 3 to 22 (proc(5)). */
	if (!rest ||
	    sscanf(rest + 1,
	           " %*c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu",
	           &ticks) != 1)
		return false;
	return ticks <= start_ns / tick_ns;
}

int process_folder_open(uint32_t process_id, uint64_t start_ns)
{
	FD_OWNED int fd = -1;
	char path[32];

	(void)snprintf(path, sizeof(path), "/proc/%u", process_id);
	fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	return had_started(fd, start_ns) ? fd_take(&fd) : -ESRCH;
}
