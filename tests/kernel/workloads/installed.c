/*
 * Descriptors that no call's result tells of, or of a call that is not followed: each way in a function named
 * for it that leaves one open; and what leaves none. Usage: installed FOLDER. Outputs: for each maker a line
 * of its numbers, beside the truth.
 */
#include <linux/filter.h>
#include <linux/io_uring.h>
#include <linux/nsfs.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>
#include <linux/userfaultfd.h>
#include <stddef.h>
#include <sys/fanotify.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "makers.h"

/* include/uapi/linux/userfaultfd.h, since 6.1; include/uapi/linux/pidfd.h, since 6.11 */
#ifndef USERFAULTFD_IOC_NEW
#define USERFAULTFD_IOC_NEW 0xAA00
#endif
#define PIDFD_GET_NET_NAMESPACE_NUMBER 0xFF04

static int opened(const char *name, int flags)
{
	long fd = KERNEL_CALL4(SYS_openat, AT_FDCWD, name, flags, 0);

	MUST(fd >= 0);
	return (int)fd;
}

static void closed(int fd)
{
	MUST(!KERNEL_CALL4(SYS_close, fd, 0, 0, 0));
}

LEAVES leave_terminal_peer(void)
{
	int unlock = 0, master = opened("/dev/ptmx", O_RDWR | O_NOCTTY);
	long fd;

	MUST(!KERNEL_CALL4(SYS_ioctl, master, TIOCSPTLCK, &unlock, 0));
	fd = KERNEL_CALL4(SYS_ioctl, master, TIOCGPTPEER, O_RDWR | O_NOCTTY, 0);
	made_one(__func__, "ioctl", "file", fd);
	KEEP_FRAME();
}

LEAVES leave_owner_of_a_namespace(void)
{
	int namespace = opened("/proc/self/ns/uts", O_RDONLY | O_CLOEXEC);
	long fd = KERNEL_CALL4(SYS_ioctl, namespace, NS_GET_USERNS, 0, 0);

	closed(namespace);
	made_one(__func__, "ioctl", "file", fd);
	KEEP_FRAME();
}

LEAVES leave_namespace_of_a_socket(void)
{
	long line = KERNEL_CALL4(SYS_socket, AF_UNIX, SOCK_STREAM, 0, 0);
	long fd = KERNEL_CALL4(SYS_ioctl, line, SIOCGSKNS, 0, 0);

	closed((int)line);
	made_one(__func__, "ioctl", "file", fd);
	KEEP_FRAME();
}

LEAVES leave_namespace_of_a_pidfd(void)
{
	long process = KERNEL_CALL4(SYS_pidfd_open, getpid(), 0, 0, 0);
	long fd = KERNEL_CALL4(SYS_ioctl, process, PIDFD_GET_NET_NAMESPACE_NUMBER, 0, 0);

	closed((int)process);
	/* What a kernel without these says of all its ioctls. */
	made_if_there(__func__, "ioctl", "file", fd == -ENOTTY || fd == -EINVAL ? -ENOSYS : fd);
	KEEP_FRAME();
}

LEAVES leave_userfaultfd_of_a_device(void)
{
	int device = opened("/dev/userfaultfd", O_RDWR | O_CLOEXEC);
	long fd = KERNEL_CALL4(SYS_ioctl, device, USERFAULTFD_IOC_NEW, O_CLOEXEC, 0);

	closed(device);
	made_one(__func__, "ioctl", "userfaultfd", fd);
	KEEP_FRAME();
}

LEAVES leave_file_of_an_event(void)
{
	struct fanotify_event_metadata event;
	long group = KERNEL_CALL4(SYS_fanotify_init, FAN_CLASS_NOTIF | FAN_NONBLOCK, O_RDONLY, 0, 0);

	closed((int)KERNEL_CALL4(SYS_openat, AT_FDCWD, path("of_an_event"), O_CREAT | O_WRONLY, 0600));
	MUST(!KERNEL_CALL(SYS_fanotify_mark, group, FAN_MARK_ADD, FAN_OPEN, AT_FDCWD, path("of_an_event"),
	                  0));
	closed(opened(path("of_an_event"), O_RDONLY));
	MUST(KERNEL_CALL4(SYS_read, group, &event, sizeof(event), 0) == sizeof(event));
	closed((int)group);
	made_one(__func__, "read", "file", event.fd);
	KEEP_FRAME();
}

/* From here on what the thread gets may be io_uring's, too. */
LEAVES leave_owner_of_a_namespace_beside_a_ring(void)
{
	struct io_uring_params parameters = {0};
	long fd, ring = KERNEL_CALL4(SYS_io_uring_setup, 2, &parameters, 0, 0);
	int namespace = opened("/proc/self/ns/uts", O_RDONLY | O_CLOEXEC);

	MUST(ring >= 0);
	fd = KERNEL_CALL4(SYS_ioctl, namespace, NS_GET_USERNS, 0, 0);
	closed(namespace);
	closed((int)ring);
	made_one(__func__, "ioctl", "file", fd);
	KEEP_FRAME();
}

static int supervisor_line[2];

/* Answers the only call that the filter holds back with a descriptor of its own. */
static void supervise(int listener)
{
	struct seccomp_notif asked = {0};
	struct seccomp_notif_addfd answer = {.flags = SECCOMP_ADDFD_FLAG_SEND};
	int given = opened(path("of_an_event"), O_RDONLY);

	MUST(!ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &asked));
	answer.id = asked.id;
	answer.srcfd = (uint32_t)given;
	MUST(ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &answer) >= 0);
	closed(given);
	_exit(0);
}

/* A child that shares the table puts a descriptor into the answer of this thread's call. */
LEAVES leave_file_of_a_supervisor(void)
{
	struct sock_filter code[] = {
	        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getpgid, 0, 1),
	        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
	        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog filter = {.len = sizeof(code) / sizeof(code[0]), .filter = code};
	int status;
	long listener, fd;
	pid_t child;
	char ready = 0;

	MUST(!pipe2(supervisor_line, O_CLOEXEC));
	MUST(!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	listener = KERNEL_CALL4(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER,
	                        &filter, 0);
	MUST(listener >= 0);
	child = fork();
	MUST(child >= 0);
	if (!child) {
		MUST(write(supervisor_line[1], &ready, 1) == 1);
		supervise((int)listener);
	}
	MUST(read(supervisor_line[0], &ready, 1) == 1);
	fd = KERNEL_CALL4(SYS_getpgid, 0, 0, 0, 0);
	MUST(waitpid(child, &status, 0) == child && !status);
	closed((int)listener);
	closed(supervisor_line[0]);
	closed(supervisor_line[1]);
	made_one(__func__, "fd_install", "file", fd);
	KEEP_FRAME();
}

/* The same calls, and each descriptor closed. */
static void none(void)
{
	for (int i = 0; i < 3; i++) {
		int namespace = opened("/proc/self/ns/uts", O_RDONLY | O_CLOEXEC);
		long fd = KERNEL_CALL4(SYS_ioctl, namespace, NS_GET_USERNS, 0, 0);

		MUST(fd >= 0);
		closed((int)fd);
		closed(namespace);
	}
}

static void makers(void)
{
	leave_terminal_peer();
	leave_owner_of_a_namespace();
	leave_namespace_of_a_socket();
	leave_namespace_of_a_pidfd();
	leave_userfaultfd_of_a_device();
	leave_file_of_an_event();
	leave_file_of_a_supervisor();
	leave_owner_of_a_namespace_beside_a_ring();
}

int main(int argc, char **argv)
{
	pid_t child;

	MUST(argc == 2);
	folder = argv[1];
	truth_begin_alone();
	child = fork();
	MUST(child >= 0);
	if (!child) {
		none();
		truth_tell("none");
		_exit(0);
	}
	MUST(waitpid(child, NULL, 0) == child);
	makers();
	truth_tell("makers");
	return 0;
}
