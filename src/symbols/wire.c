/*
 * Messages between leftopen and its worker. See wire.h.
 */
#include "symbols/wire.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/fd.h"

struct wire_header {
	uint32_t type;
	uint32_t bytes;
};

union wire_control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(FD_PASS_MAX * sizeof(int))];
};

void wire_begin(struct wire_message *message, enum wire_type type, int fd)
{
	message->type = type;
	message->fd = fd;
	message->bytes = 0;
	message->taken = 0;
}

int wire_put(struct wire_message *message, const void *data, size_t bytes)
{
	if (bytes > sizeof(message->content) - message->bytes)
		return -EMSGSIZE;
	memcpy(message->content + message->bytes, data, bytes);
	message->bytes += (uint32_t)bytes;
	return 0;
}

int wire_take(struct wire_message *message, void *ret_data, size_t bytes)
{
	if (bytes > message->bytes - message->taken)
		return -EBADMSG;
	memcpy(ret_data, message->content + message->taken, bytes);
	message->taken += (uint32_t)bytes;
	return 0;
}

int wire_take_text(struct wire_message *message, size_t bytes, size_t most, char **ret_text)
{
	const uint8_t *from = message->content + message->taken;
	char *text;

	if (bytes > most || bytes > message->bytes - message->taken || memchr(from, '\0', bytes))
		return -EBADMSG;
	text = strndup((const char *)from, bytes);
	if (!text)
		return -ENOMEM;
	message->taken += (uint32_t)bytes;
	*ret_text = text;
	return 0;
}

int wire_end(const struct wire_message *message)
{
	return message->taken == message->bytes ? 0 : -EBADMSG;
}

int wire_send(int socket_fd, const struct wire_message *message, int flags)
{
	struct wire_header header = {.type = message->type, .bytes = message->bytes};
	union wire_control control = {0};
	struct iovec vectors[] = {
	        {.iov_base = &header, .iov_len = sizeof(header)},
	        {.iov_base = (void *)message->content, .iov_len = message->bytes},
	};
	struct msghdr parts = {.msg_iov = vectors, .msg_iovlen = 2};
	ssize_t sent;

	if (message->fd >= 0) {
		struct cmsghdr *rights;

		parts.msg_control = control.bytes;
		parts.msg_controllen = CMSG_SPACE(sizeof(int));
		rights = CMSG_FIRSTHDR(&parts);
		rights->cmsg_level = SOL_SOCKET;
		rights->cmsg_type = SCM_RIGHTS;
		rights->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(rights), &message->fd, sizeof(int));
	}
	do {
		sent = sendmsg(socket_fd, &parts, flags | MSG_NOSIGNAL);
	} while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : 0;
}

/* Takes out what descriptors came. @return how many */
static size_t take_descriptors(struct msghdr *parts, int fds[static FD_PASS_MAX])
{
	struct cmsghdr *rights = CMSG_FIRSTHDR(parts);
	size_t count;

	if (!rights || rights->cmsg_level != SOL_SOCKET || rights->cmsg_type != SCM_RIGHTS)
		return 0;
	count = (rights->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	memcpy(fds, CMSG_DATA(rights), count * sizeof(int));
	return count;
}

int wire_receive(int socket_fd, struct wire_message *ret_message, int flags)
{
	struct wire_header header = {0};
	union wire_control control = {0};
	struct iovec vectors[] = {
	        {.iov_base = &header, .iov_len = sizeof(header)},
	        {.iov_base = ret_message->content, .iov_len = sizeof(ret_message->content)},
	};
	struct msghdr parts = {.msg_iov = vectors, .msg_iovlen = 2, .msg_control = control.bytes};
	int fds[FD_PASS_MAX];
	size_t count;
	ssize_t received;

	ret_message->fd = -1;
	/* Without CMSG_SPACE's padding, which may have room for one more. */
	parts.msg_controllen = CMSG_LEN(FD_PASS_MAX * sizeof(int));
	do {
		received = recvmsg(socket_fd, &parts, flags | MSG_CMSG_CLOEXEC);
	} while (received < 0 && errno == EINTR);
	if (received < 0)
		return -errno;
	if (received == 0)
		return -EPIPE;
	count = take_descriptors(&parts, fds);
	if ((size_t)received < sizeof(header) || parts.msg_flags & (MSG_TRUNC | MSG_CTRUNC) ||
	    header.type < WIRE_READY || header.type >= WIRE_TYPE_END || count > 1 ||
	    header.bytes != (size_t)received - sizeof(header)) {
		for (size_t i = 0; i < count; i++)
			fd_close(&fds[i]);
		return -EBADMSG;
	}
	wire_begin(ret_message, header.type, count ? fds[0] : -1);
	ret_message->bytes = header.bytes;
	return 0;
}
