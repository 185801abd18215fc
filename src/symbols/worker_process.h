/*
 * A worker seen from whoever starts it: this program once more, with nothing of this process's but a socket.
 * It is answered by a time, or ended. What comes from it is not trusted.
 */
#ifndef LEFTOPEN_SYMBOLS_WORKER_PROCESS_H
#define LEFTOPEN_SYMBOLS_WORKER_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct wire_message;

/* All -1: there is none. */
struct worker_process {
	pid_t owner_id; /* who started it */
	pid_t process_id;
	int process_fd;
	int socket_fd;
};

#define WORKER_PROCESS_NONE                                                         \
	(struct worker_process)                                                     \
	{                                                                           \
		.owner_id = -1, .process_id = -1, .process_fd = -1, .socket_fd = -1 \
	}

/**
 * Starts a worker: /proc/self/exe with an argument, no environment, no descriptor but the socket, a session
 * of its own and all signals blocked. It ends with the thread that called this.
 * @param argument the program's first one
 * @return 0; -errno of socketpair(2), posix_spawn(3), pidfd_open(2)
 */
int worker_process_start(const char *argument, struct worker_process *ret_process);

/** @return whether there is one, and this process has started it, not one that it was forked from */
bool worker_process_is_own(const struct worker_process *process);

/**
 * Ends the worker, at once. A worker that waits for a filesystem cannot be ended until that answers.
 * @param process none from now on
 * @return 0; the process id of one that is still there and is to be waited for
 */
pid_t worker_process_end(struct worker_process *process);

/** Closes what is another process's, and lets it be. @param process none from now on */
void worker_process_leave(struct worker_process *process);

/** Sends, without waiting. @return 0; -errno: it has ended, or does not read */
int worker_process_send(const struct worker_process *process, const struct wire_message *message);

/**
 * Waits for a message.
 * @param until_ns CLOCK_MONOTONIC
 * @return 0; -ETIMEDOUT: none has come by then; -EPIPE: it has ended; -errno as wire_receive()
 */
int worker_process_receive(const struct worker_process *process, uint64_t until_ns,
                           struct wire_message *ret_message);

#endif
