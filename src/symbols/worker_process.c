/*
 * A worker seen from whoever starts it. See worker_process.h.
 * It is started anew, not forked: so it has another address space, and nothing of what this process knows.
 */
#include "symbols/worker_process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "symbols/wire.h"

/* Chosen by: four gigabytes of memory are given back in less. */
#define END_WAIT_MS 1000

static int set_up(posix_spawn_file_actions_t *actions, posix_spawnattr_t *attributes, int socket_fd)
{
	sigset_t all;
	int error = posix_spawn_file_actions_adddup2(actions, socket_fd, STDIN_FILENO);

	if (!error)
		error = posix_spawn_file_actions_addopen(actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
	if (!error)
		error = posix_spawn_file_actions_adddup2(actions, STDOUT_FILENO, STDERR_FILENO);
	if (!error)
		error = posix_spawn_file_actions_addclosefrom_np(actions, STDERR_FILENO + 1);
	(void)sigfillset(&all);
	if (!error)
		error = posix_spawnattr_setsigmask(attributes, &all);
	if (!error)
		error = posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK);
	return -error;
}

static int spawn(const char *argument, int socket_fd, pid_t *ret_process_id)
{
	char *const arguments[] = {"leftopen", (char *)argument, NULL};
	char *const environment[] = {NULL};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	int error = -posix_spawn_file_actions_init(&actions);

	if (error)
		return error;
	error = -posix_spawnattr_init(&attributes);
	if (!error) {
		error = set_up(&actions, &attributes, socket_fd);
		if (!error)
			error = -posix_spawn(ret_process_id, "/proc/self/exe", &actions, &attributes,
			                     arguments, environment);
		(void)posix_spawnattr_destroy(&attributes);
	}
	(void)posix_spawn_file_actions_destroy(&actions);
	return error;
}

int worker_process_start(const char *argument, struct worker_process *ret_process)
{
	struct worker_process process = WORKER_PROCESS_NONE;
	int pair[2];
	int error;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return -errno;
	process.socket_fd = pair[0];
	process.owner_id = getpid();
	error = spawn(argument, pair[1], &process.process_id);
	fd_close(&pair[1]);
	if (error) {
		fd_close(&process.socket_fd);
		return error;
	}
	process.process_fd = pidfd_open(process.process_id, 0);
	if (process.process_fd < 0) {
		error = -errno;
		/* It ends when it finds nobody at its socket. */
		worker_process_leave(&process);
		return error;
	}
	*ret_process = process;
	return 0;
}

bool worker_process_is_own(const struct worker_process *process)
{
	return process->socket_fd >= 0 && process->owner_id == getpid();
}

pid_t worker_process_end(struct worker_process *process)
{
	struct pollfd ended = {.fd = process->process_fd, .events = POLLIN};
	pid_t left = 0;

	if (process->socket_fd < 0)
		return 0;
	/* It may have ended by itself. */
	(void)pidfd_send_signal(process->process_fd, SIGKILL, NULL, 0);
	while (poll(&ended, 1, END_WAIT_MS) < 0 && errno == EINTR)
		;
	if (!waitpid(process->process_id, NULL, WNOHANG))
		left = process->process_id;
	worker_process_leave(process);
	return left;
}

void worker_process_leave(struct worker_process *process)
{
	fd_close(&process->socket_fd);
	fd_close(&process->process_fd);
	*process = WORKER_PROCESS_NONE;
}

int worker_process_send(const struct worker_process *process, const struct wire_message *message)
{
	return wire_send(process->socket_fd, message, MSG_DONTWAIT);
}

int worker_process_receive(const struct worker_process *process, uint64_t until_ns,
                           struct wire_message *ret_message)
{
	for (;;) {
		struct pollfd polled = {.fd = process->socket_fd, .events = POLLIN};
		uint64_t now_ns = clock_ns(CLOCK_MONOTONIC);
		uint64_t left_ms = until_ns > now_ns ? (until_ns - now_ns + 999999) / 1000000 : 0;
		int error = wire_receive(process->socket_fd, ret_message, MSG_DONTWAIT);

		if (error != -EAGAIN)
			return error;
		if (!left_ms)
			return -ETIMEDOUT;
		/* Whatever it says, what has come is looked at first. */
		(void)poll(&polled, 1, left_ms < INT32_MAX ? (int)left_ms : INT32_MAX);
	}
}
