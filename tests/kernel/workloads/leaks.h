/*
 * What workloads of processes do: leave a descriptor open, open and close in a storm, run the program again.
 */
#ifndef LEFTOPEN_WORKLOADS_LEAKS_H
#define LEFTOPEN_WORKLOADS_LEAKS_H

#include <pthread.h>
#include <stdatomic.h>

#include "scenario.h"

__attribute__((noinline)) static int leak(void)
{
	long fd = KERNEL_CALL4(SYS_openat, AT_FDCWD, "/dev/null", O_RDONLY | O_CLOEXEC, 0);

	MUST(fd >= 0);
	return (int)fd;
}

static void leak_many(int count)
{
	for (int i = 0; i < count; i++)
		(void)leak();
}

static atomic_bool storm_goes_on;
static int storm_left;

/* Opens and closes until it is told to stop; leaves what it was asked to. */
static inline void *storm(void *unused)
{
	int held[4];

	(void)unused;
	do {
		for (int i = 0; i < 4; i++)
			held[i] = leak();
		for (int i = 0; i < 4; i++)
			MUST(!close(held[i]));
	} while (atomic_load(&storm_goes_on));
	leak_many(storm_left);
	return NULL;
}

static inline void storm_begin(pthread_t *threads, int count, int left)
{
	atomic_store(&storm_goes_on, true);
	storm_left = left;
	for (int i = 0; i < count; i++)
		MUST(!pthread_create(&threads[i], NULL, storm, NULL));
}

static inline void storm_end(const pthread_t *threads, int count)
{
	atomic_store(&storm_goes_on, false);
	for (int i = 0; i < count; i++)
		MUST(!pthread_join(threads[i], NULL));
}

static inline void run_self(const char *label)
{
	(void)execl("/proc/self/exe", "again", "--after-exec", label, NULL);
	MUST(false);
}

static inline void wait_for_the_parent_to_end(pid_t parent)
{
	SCENARIO_WAIT_UNTIL(getppid() != parent);
}

static pid_t waited_for;

/* After exec: 0, 1 and 2 are all that the process began with, and what else is there it made before. */
static inline void tell_after_exec(const char *label)
{
	truth_inherited = (struct truth_numbers){.count = 3, .items = {0, 1, 2}};
	truth_tell(label);
}

#endif
