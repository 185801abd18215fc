/*
 * Opens /tmp/perf-PID.map. See perf_map_file.h.
 */
#include "symbols/perf_map_file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "symbols/process_folder.h"

/* By so much a clock may have been set, and a filesystem's be behind. */
#define CLOCK_SLACK_S 2

/* @return 0, or -errno: why that file is not read */
static int refusal(int fd, uint32_t user_id, int64_t started_s)
{
	struct stat status;

	if (fstat(fd, &status))
		return -errno;
	if (!S_ISREG(status.st_mode))
		return -EINVAL;
	/* A file of root's may have been given this name by anybody (link(2)). */
	if ((status.st_uid != user_id && status.st_uid != 0) || status.st_nlink > 1)
		return -EPERM;
	return status.st_mtim.tv_sec + CLOCK_SLACK_S < started_s ? -ESTALE : 0;
}

int perf_map_file_open(int root_fd, uint32_t own_process_id, uint32_t user_id, int64_t started_s)
{
	struct open_how how = {
	        .flags = O_PATH | O_NOFOLLOW | O_CLOEXEC,
	        .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};
	FD_OWNED int path_fd = -1;
	char path[48];
	int fd, error;

	(void)snprintf(path, sizeof(path), "tmp/perf-%u.map", own_process_id);
	path_fd = (int)syscall(SYS_openat2, root_fd, path, &how, sizeof(how));
	if (path_fd < 0)
		return -errno;
	error = refusal(path_fd, user_id, started_s);
	if (error)
		return error;
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", path_fd);
	fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int perf_map_file_open_root(uint32_t process_id, uint64_t start_ns)
{
	FD_OWNED int folder_fd = process_folder_open(process_id, start_ns);
	int fd;

	if (folder_fd < 0)
		return folder_fd;
	fd = openat(folder_fd, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
	/* One that has ended, and is waited for, has none any more (fs/proc/base.c, proc_root_link). */
	if (fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	return fd;
}
