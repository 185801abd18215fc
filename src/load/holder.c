/*
 * The child that holds what is attached. See holder.h.
 */
#include "load/holder.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"

struct holder {
	int socket_fd;
	pid_t process_id;
};

static int compare_fds(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

/* A pipe's reader would wait for a descriptor that the child kept open: close all but those to hold. */
static void close_others(const int *fds, size_t count, int socket_fd)
{
	int keep[count + 1];
	unsigned int next = 0;

	for (size_t i = 0; i < count; i++)
		keep[i] = fds[i];
	keep[count] = socket_fd;
	qsort(keep, count + 1, sizeof(keep[0]), compare_fds);
	for (size_t i = 0; i <= count; i++) {
		if ((unsigned int)keep[i] > next)
			(void)close_range(next, (unsigned int)keep[i] - 1, 0);
		next = (unsigned int)keep[i] + 1;
	}
	(void)close_range(next, ~0U, 0);
}

static __attribute__((noreturn)) void hold(const int *fds, size_t count, int socket_fd)
{
	sigset_t all;

	(void)setsid();
	(void)chdir("/");
	(void)prctl(PR_SET_NAME, "leftopen-detach");
	(void)sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, NULL);
	close_others(fds, count, socket_fd);
	for (;;) {
		int received[FD_PASS_MAX];
		size_t received_count;
		int error = fd_receive(socket_fd, received, &received_count);

		if (error == -EINTR || error == 0)
			continue;
		/* Breakpoints first: until they are gone, a program that runs under valgrind meets them. */
		close_others(fds, count, socket_fd);
		_exit(0);
	}
}

int holder_start(const int *fds, size_t count, struct holder **ret_holder)
{
	struct holder *holder = calloc(1, sizeof(*holder));
	int pair[2];
	pid_t child;
	int error;

	if (!holder)
		return -ENOMEM;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair)) {
		error = -errno;
		free(holder);
		return error;
	}
	child = fork();
	if (!child)
		hold(fds, count, pair[1]);
	error = child < 0 ? -errno : 0;
	fd_close(&pair[1]);
	if (error) {
		fd_close(&pair[0]);
		free(holder);
		return error;
	}
	holder->socket_fd = pair[0];
	holder->process_id = child;
	*ret_holder = holder;
	return 0;
}

pid_t holder_process_id(const struct holder *holder)
{
	return holder->process_id;
}

int holder_add(struct holder *holder, int fd)
{
	return fd_send(holder->socket_fd, &fd, 1);
}

void holder_free(struct holder *holder)
{
	if (!holder)
		return;
	fd_close(&holder->socket_fd);
	free(holder);
}
