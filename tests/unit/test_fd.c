/*
 * Unit tests of src/base/fd.c, over real sockets.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"

static void make_pair(int ends[2])
{
	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
}

Test(fd, close_is_safe_and_keeps_errno)
{
	int none = -1;
	int fd = dup(STDERR_FILENO);
	int number = fd;

	errno = EXDEV;
	fd_close(&none);
	fd_close(&fd);
	cr_assert_eq(errno, EXDEV);
	cr_assert_eq(fd, -1);
	cr_assert_eq(fcntl(number, F_GETFD), -1);
}

Test(fd, an_owner_closes_what_was_not_taken)
{
	int taken, closed;

	{
		FD_OWNED int first = dup(STDERR_FILENO);
		FD_OWNED int second = dup(STDERR_FILENO);
		closed = second;
		taken = fd_take(&first);
	}
	cr_assert_neq(fcntl(taken, F_GETFD), -1);
	cr_assert_eq(fcntl(closed, F_GETFD), -1);
	close(taken);
}

Test(fd, descriptors_pass_close_on_exec)
{
	int ends[2], pipes[2], received[FD_PASS_MAX];
	size_t count = 0;
	char text[4] = "";

	make_pair(ends);
	cr_assert_eq(pipe(pipes), 0);
	cr_assert_eq(fd_send(ends[0], pipes, 2), 0);
	cr_assert_eq(fd_receive(ends[1], received, &count), 0);
	cr_assert_eq(count, 2);
	cr_assert(fcntl(received[0], F_GETFD) & FD_CLOEXEC);
	cr_assert_eq(write(received[1], "abc", 3), 3);
	cr_assert_eq(read(pipes[0], text, 3), 3);
	cr_assert_str_eq(text, "abc");
}

Test(fd, send_refuses_none_and_too_many)
{
	int ends[2];
	int fds[FD_PASS_MAX + 1] = {0};

	make_pair(ends);
	cr_assert_eq(fd_send(ends[0], fds, 0), -EINVAL);
	cr_assert_eq(fd_send(ends[0], fds, FD_PASS_MAX + 1), -EINVAL);
	close(ends[1]);
	cr_assert_eq(fd_send(ends[0], fds, 1), -EPIPE);
}

Test(fd, receive_tells_an_end_from_a_bad_message)
{
	int ends[2], received[FD_PASS_MAX];
	size_t count = 7;

	make_pair(ends);
	cr_assert_eq(send(ends[0], "x", 1, 0), 1);
	cr_assert_eq(fd_receive(ends[1], received, &count), -EBADMSG);
	close(ends[0]);
	cr_assert_eq(fd_receive(ends[1], received, &count), -EPIPE);
	cr_assert_eq(count, 7);
}

Test(fd, too_many_descriptors_are_refused_and_closed)
{
	enum { COUNT = FD_PASS_MAX * 4 };
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(COUNT * sizeof(int))];
	} control = {0};
	struct iovec vector = {.iov_base = "x", .iov_len = 1};
	struct msghdr message = {.msg_iov = &vector,
	                         .msg_iovlen = 1,
	                         .msg_control = control.bytes,
	                         .msg_controllen = sizeof(control.bytes)};
	int ends[2], fds[COUNT], received[FD_PASS_MAX];
	size_t count;

	make_pair(ends);
	int next = dup(STDERR_FILENO);
	close(next);
	for (int i = 0; i < COUNT; i++)
		fds[i] = STDERR_FILENO;
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(COUNT * sizeof(int));
	memcpy(CMSG_DATA(header), fds, sizeof(fds));
	cr_assert_eq(sendmsg(ends[0], &message, 0), 1);
	cr_assert_eq(fd_receive(ends[1], received, &count), -EBADMSG);
	int after = dup(STDERR_FILENO);
	cr_assert_eq(after, next, "none is left open");
	close(after);
}
