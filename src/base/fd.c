/*
 * Owned and passed descriptors.
 * Inputs: Unix sockets whose other end is a process of ours. Outputs: descriptors. The number of descriptors
 * in a message is checked; what they refer to is the caller's business.
 */
#include "base/fd.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

union fd_control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(FD_PASS_MAX * sizeof(int))];
};

void fd_close(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		(void)close(*fd); /* Linux frees the number whatever close() says, and nobody waits for the
		                     answer */
	*fd = -1;
	errno = saved;
}

int fd_take(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

ssize_t fd_read_at(int fd, void *buffer, size_t bytes, uint64_t offset)
{
	size_t got = 0;

	while (got < bytes) {
		ssize_t part = pread(fd, (char *)buffer + got, bytes - got, (off_t)(offset + got));

		if (part < 0 && errno == EINTR)
			continue;
		if (part < 0)
			return -errno;
		if (part == 0)
			break;
		got += (size_t)part;
	}
	return (ssize_t)got;
}

int fd_send(int socket_fd, const int *fds, size_t count)
{
	char byte = 0;
	union fd_control control = {0};
	struct iovec vector = {.iov_base = &byte, .iov_len = 1};
	struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};

	if (count == 0 || count > FD_PASS_MAX)
		return -EINVAL;
	message.msg_control = control.bytes;
	message.msg_controllen = CMSG_SPACE(count * sizeof(int));

	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(count * sizeof(int));
	memcpy(CMSG_DATA(header), fds, count * sizeof(int));

	ssize_t sent;
	do {
		sent = sendmsg(socket_fd, &message, MSG_NOSIGNAL);
	} while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : 0;
}

int fd_receive(int socket_fd, int *ret_fds, size_t *ret_count)
{
	char byte;
	union fd_control control = {0};
	struct iovec vector = {.iov_base = &byte, .iov_len = 1};
	struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = control.bytes};
	int fds[FD_PASS_MAX];
	size_t count = 0;

	/* Without CMSG_SPACE's padding, which may have room for one more. */
	message.msg_controllen = CMSG_LEN(FD_PASS_MAX * sizeof(int));

	ssize_t received;
	do {
		received = recvmsg(socket_fd, &message, MSG_CMSG_CLOEXEC);
	} while (received < 0 && errno == EINTR);
	if (received < 0)
		return -errno;
	if (received == 0)
		return -EPIPE;

	/* One header only: the buffer has no room for a second that holds anything. */
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS) {
		count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(fds, CMSG_DATA(header), count * sizeof(int));
	}
	if (count == 0 || message.msg_flags & MSG_CTRUNC) {
		for (size_t i = 0; i < count; i++)
			fd_close(&fds[i]);
		return -EBADMSG;
	}
	memcpy(ret_fds, fds, count * sizeof(int));
	*ret_count = count;
	return 0;
}
