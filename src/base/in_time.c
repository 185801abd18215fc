/*
 * Calls that may never return. See in_time.h.
 * A thread that waits in the kernel for a filesystem's daemon (FUSE) ends when leftopen does: such a wait is
 * over once the process is killed, or exits (fs/fuse/dev.c, request_wait_answer).
 */
#include "base/in_time.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"

struct call {
	void (*function)(void *context);
	void (*release)(void *context);
	void *context;
	atomic_bool left; /* by one of the two: the other one frees */
};

static void *make_call(void *argument)
{
	struct call *call = argument;

	call->function(call->context);
	if (atomic_exchange(&call->left, true)) {
		call->release(call->context);
		free(call);
	}
	return NULL;
}

int in_time_call(void (*function)(void *context), void (*release)(void *context), void *context,
                 uint64_t timeout_ns)
{
	struct call *call = malloc(sizeof(*call));
	uint64_t until_ns = clock_ns(CLOCK_MONOTONIC) + timeout_ns;
	struct timespec until = {
	        .tv_sec = (time_t)(until_ns / 1000000000ULL),
	        .tv_nsec = (long)(until_ns % 1000000000ULL),
	};
	pthread_t thread;
	int error;

	if (!call)
		return -ENOMEM;
	*call = (struct call){.function = function, .release = release, .context = context};
	error = pthread_create(&thread, NULL, make_call, call);
	if (error) {
		free(call);
		return -error;
	}
	error = pthread_clockjoin_np(thread, NULL, CLOCK_MONOTONIC, &until);
	if (error && !atomic_exchange(&call->left, true)) {
		(void)pthread_detach(thread); /* it is there until it is joined or detached */
		return -ETIMEDOUT;
	}
	/* It returned as its time ran out: its end is near. */
	if (error)
		(void)pthread_join(thread, NULL);
	free(call);
	return 0;
}
