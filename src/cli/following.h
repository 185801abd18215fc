/*
 * Going on following: events are taken in as they come, and the model is held against the kernel's own tables
 * where some were lost, or from time to time. What every command that follows shares.
 */
#ifndef LEFTOPEN_CLI_FOLLOWING_H
#define LEFTOPEN_CLI_FOLLOWING_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "load/features.h"

struct loader_error;
struct session;

/** Made by following_begin(). */
struct following {
	struct session *session;
	bool surveys_always;    /* not only after losses */
	bool surveys_fail;      /* and none is made any more */
	int error;              /* why following stopped, 0: it goes on */
	uint64_t losses;        /* that surveys were begun for */
	unsigned int owed;      /* surveys until a difference is made good */
	uint64_t survey_due_ns; /* CLOCK_MONOTONIC; UINT64_MAX: none */
};

/** Whoever polls with following_step() leaves this place to it. */
#define FOLLOWING_RING 0

/**
 * Begins.
 * @param surveys_always whether the kernel's tables are looked at every few seconds: of processes that run
 *	long, and kernels that do not tell of all losses
 */
void following_begin(struct following *following, struct session *session, bool surveys_always);

/**
 * Waits for at most 20 ms, and takes in what came.
 * @param polled [FOLLOWING_RING] is filled in; the others are the caller's, whose revents are set
 * @param timeout_ms to wait less
 * @return 0; -errno of poll(2). following->error: events are not taken in any more
 */
int following_step(struct following *following, struct pollfd *polled, size_t count, int timeout_ms);

/** Before a last look: makes good at once what differs from the kernel's tables where events were lost. */
void following_settle(struct following *following);

/**
 * Takes signals over, for the whole process.
 * @param handled are blocked, and come as a signalfd(2)
 * @param ignored do nothing
 * @param ret_signal_fd of the caller's, not blocking; unchanged on failure
 * @return 0, or -errno of sigprocmask(2) or signalfd(2)
 */
int following_take_signals(const int *handled, size_t handled_count, const int *ignored, size_t ignored_count,
                           int *ret_signal_fd);

/**
 * Says so where /proc shows the processes of another pid namespace: then a number there is another process.
 * @return 0, or the exit status
 */
int following_check_proc(void);

/** Lets leftopen keep as many files open as it may: those that are mapped are kept for naming. */
void following_raise_descriptor_limit(void);

/**
 * Says why following cannot begin, by the table of features where that knows.
 * @param detail what failed, "" where that is not known
 * @return exit status
 */
int following_cannot_begin(int error, const struct loader_error *detail, enum feature_user user);

#endif
