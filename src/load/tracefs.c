/*
 * Event ids from tracefs.
 * Inputs: the kernel's file system. Outputs: a folder's descriptor, numbers. What is mounted where tracefs is
 * expected is not trusted to be tracefs: its magic number is asked for.
 */
#include "load/tracefs.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"

#define EVENT_PATH_BYTES 256
#define EVENT_ID_BYTES   32
/* Where the child mounts: any folder that every Linux has, as nobody else sees it. */
#define PRIVATE_PLACE "/sys/kernel"

static int open_mounted(const char *path, int *ret_dir_fd)
{
	struct statfs status;
	FD_OWNED int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (fstatfs(fd, &status) < 0)
		return -errno;
	if (status.f_type != TRACEFS_MAGIC)
		return -ENOENT;
	*ret_dir_fd = fd_take(&fd);
	return 0;
}

static int open_detached(int *ret_dir_fd)
{
	FD_OWNED int context = fsopen("tracefs", FSOPEN_CLOEXEC);

	if (context < 0)
		return -errno;
	if (fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -errno;
	int mount_fd =
	        fsmount(context, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
	if (mount_fd < 0)
		return -errno;
	*ret_dir_fd = mount_fd;
	return 0;
}

/* In the child: only system calls, as the parent may have threads. */
static int mount_and_send(int socket_fd)
{
	int fd;

	if (unshare(CLONE_NEWNS) < 0)
		return -errno;
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return -errno;
	if (mount("tracefs", PRIVATE_PLACE, "tracefs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
		return -errno;
	int result = open_mounted(PRIVATE_PLACE, &fd);
	return result < 0 ? result : fd_send(socket_fd, &fd, 1);
}

int tracefs_open_by_child(int *ret_dir_fd)
{
	int ends[2];
	int fds[FD_PASS_MAX];
	int error = -EIO;
	size_t count;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return -errno;
	FD_OWNED int near_end = ends[0];
	FD_OWNED int far_end = ends[1];

	pid_t child = fork();
	if (child < 0)
		return -errno;
	if (child == 0) {
		error = mount_and_send(far_end);
		if (error < 0)
			(void)send(far_end, &error, sizeof(error),
			           MSG_NOSIGNAL); /* the parent's -EIO says it then */
		_exit(0);
	}
	fd_close(&far_end);
	/* A message with a descriptor is one byte long, one with an error four: a look tells which it is. */
	ssize_t length;
	do {
		length = recv(near_end, &error, sizeof(error), MSG_PEEK);
	} while (length < 0 && errno == EINTR);
	int result = length == sizeof(error) ? error : -EIO;
	if (length == 1) {
		result = fd_receive(near_end, fds, &count);
		if (result == 0)
			*ret_dir_fd = fds[0];
	}
	/* ECHILD where SIGCHLD is ignored: then the kernel has reaped the child. */
	while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
		;
	return result;
}

int tracefs_open(int *ret_dir_fd)
{
	static const char *const places[] = {"/sys/kernel/tracing", "/sys/kernel/debug/tracing"};
	int result;

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		result = open_mounted(places[i], ret_dir_fd);
		if (result != -ENOENT &&
		    !(i > 0 && result == -EACCES)) /* users cannot look into debugfs at all */
			return result;
	}
	result = open_detached(ret_dir_fd);
	if (result == -ENOSYS || result == -EPERM)
		result = tracefs_open_by_child(ret_dir_fd);
	return result;
}

int tracefs_event_id(int dir_fd, const char *group, const char *name, uint64_t *ret_id)
{
	char path[EVENT_PATH_BYTES];
	char text[EVENT_ID_BYTES];
	char *end;
	int length = snprintf(path, sizeof(path), "events/%s/%s/id", group, name);

	if (length < 0 || (size_t)length >= sizeof(path))
		return -ENAMETOOLONG;
	FD_OWNED int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ssize_t bytes = read(fd, text, sizeof(text) - 1);
	if (bytes < 0)
		return -errno;
	text[bytes] = '\0';
	errno = 0;
	unsigned long long id = strtoull(text, &end, 10);
	if (end == text || errno != 0 || (*end != '\n' && *end != '\0'))
		return -EBADMSG;
	*ret_id = id;
	return 0;
}
