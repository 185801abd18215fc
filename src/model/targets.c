/*
 * What a descriptor refers to, in words. See targets.h.
 */
#include "model/targets.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "consume/decode.h"
#include "model/kinds.h"

/* include/net/tcp_states.h */
#define TCP_STATE_LISTEN 10

struct family_name {
	uint16_t family;
	const char *name;
};

static const struct family_name family_names[] = {
        {AF_UNIX, "unix"},   {AF_NETLINK, "netlink"}, {AF_PACKET, "packet"},
        {AF_VSOCK, "vsock"}, {AF_ALG, "alg"},         {AF_BLUETOOTH, "bluetooth"},
};

static void format_address(const struct event_socket *socket, const uint8_t *address, uint16_t port, char *to,
                           size_t bytes)
{
	char text[INET6_ADDRSTRLEN] = "?";
	bool v6 = socket->family == AF_INET6;

	(void)inet_ntop(socket->family, address, text, sizeof(text));
	(void)snprintf(to, bytes, v6 ? "[%s]:%u" : "%s:%u", text, port);
}

static char *describe_inet(const struct event_socket *socket)
{
	const char *protocol = socket->protocol == IPPROTO_TCP   ? "tcp"
	                       : socket->protocol == IPPROTO_UDP ? "udp"
	                                                         : "ip";
	char local[64], remote[64], *text = NULL;
	int length;

	format_address(socket, socket->local_address, socket->local_port, local, sizeof(local));
	format_address(socket, socket->remote_address, socket->remote_port, remote, sizeof(remote));
	if (socket->protocol == IPPROTO_TCP && socket->state == TCP_STATE_LISTEN)
		length = asprintf(&text, "%s listening on %s", protocol, local);
	else if (socket->remote_port)
		length = asprintf(&text, "%s %s -> %s", protocol, local, remote);
	else
		length = asprintf(&text, "%s %s", protocol, local);
	return length < 0 ? NULL : text;
}

static char *describe_socket(const struct event_socket *socket)
{
	if (socket->family == AF_INET || socket->family == AF_INET6)
		return describe_inet(socket);
	for (size_t i = 0; i < sizeof(family_names) / sizeof(family_names[0]); i++)
		if (family_names[i].family == socket->family)
			return strdup(family_names[i].name);
	return strdup("socket");
}

static __attribute__((format(printf, 1, 2))) char *print(const char *format, ...)
{
	va_list arguments;
	char *text = NULL;
	int length;

	va_start(arguments, format);
	length = vasprintf(&text, format, arguments);
	va_end(arguments);
	return length < 0 ? NULL : text;
}

char *targets_describe(const struct event_fd_target *event)
{
	char *text;

	/* A pipe, a socket or a namespace that is opened by its name is what it is by its path. */
	bool bare = event->path.state == PATH_BARE;

	if (event->pidfd_process_id)
		return print("pidfd of %u", event->pidfd_process_id);
	if (bare && S_ISSOCK(event->mode))
		return describe_socket(&event->socket);
	if (bare && S_ISFIFO(event->mode))
		return strdup("pipe");
	if (bare && event->filesystem == FILESYSTEM_PIDFS)
		return strdup("[pidfd]");
	text = decode_path(&event->path, event->names);
	if (text && bare && event->filesystem == FILESYSTEM_NSFS) {
		char *name = text;

		text = print("%s namespace", name);
		free(name);
	}
	return text;
}

enum handle_type targets_type(const struct event_fd_target *event)
{
	if (event->pidfd_process_id || event->filesystem == FILESYSTEM_PIDFS)
		return HANDLE_TYPE_PIDFD;
	if (event->filesystem == FILESYSTEM_MQUEUE && S_ISREG(event->mode))
		return HANDLE_TYPE_MQUEUE;
	/* One name, ended by its NUL. */
	return event->path.state == PATH_BARE && event->path.bytes ? kinds_type_of_bare_name(event->names)
	                                                           : HANDLE_TYPE_OTHER_FD;
}
