/*
 * in_time.c: calls that return, and calls that do not in time.
 */
#include "base/in_time.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

TestSuite(in_time, .timeout = 60);

struct waiting {
	int pipe[2];
	int released[2];
	bool called;
};

static void wait_for_byte(void *context)
{
	struct waiting *waiting = context;
	char byte;

	waiting->called = read(waiting->pipe[0], &byte, 1) == 1;
}

static void release(void *context)
{
	struct waiting *waiting = context;
	int fd = waiting->released[1];

	close(waiting->pipe[0]);
	free(waiting);
	cr_assert_eq(write(fd, "r", 1), 1);
}

static struct waiting *waiting_new(void)
{
	struct waiting *waiting = calloc(1, sizeof(*waiting));

	cr_assert_eq(pipe(waiting->pipe), 0);
	cr_assert_eq(pipe(waiting->released), 0);
	return waiting;
}

Test(in_time, call_that_returns)
{
	struct waiting *waiting = waiting_new();

	cr_assert_eq(write(waiting->pipe[1], "w", 1), 1);
	cr_assert_eq(in_time_call(wait_for_byte, release, waiting, 60000000000ULL), 0);
	cr_assert(waiting->called);
	free(waiting);
}

Test(in_time, call_that_returns_later)
{
	struct waiting *waiting = waiting_new();
	int writer = waiting->pipe[1], released = waiting->released[0];
	uint64_t begun_ns = clock_ns(CLOCK_MONOTONIC);
	char byte;

	cr_assert_eq(in_time_call(wait_for_byte, release, waiting, 50000000), -ETIMEDOUT);
	cr_assert_geq(clock_ns(CLOCK_MONOTONIC) - begun_ns, 50000000);
	/* It is the thread's now, which hands it over as it returns. */
	cr_assert_eq(write(writer, "w", 1), 1);
	cr_assert_eq(read(released, &byte, 1), 1);
}
