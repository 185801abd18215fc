/*
 * Makes descriptors and closes them at a given rate: two events a pair, for a time. One thread, so that a
 * machine of two CPUs has the other one for whoever follows. Inputs: the call that makes them, events a
 * second (0: as many as come), seconds. Output on stdout: "bench: storm EVENTS NS CPU_NS": how many events
 * there were, in how much elapsed time, and the thread's CPU time.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Paces by sleeping after so many pairs: some 50 us of work, far less than what the ring holds. */
#define PAIRS_AT_ONCE 50

static uint64_t now_ns(clockid_t clock)
{
	struct timespec now;

	(void)clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000ULL + (uint64_t)now.tv_nsec;
}

static int call_open(void)
{
	return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* What costs the kernel least: more of them come in a second. */
static int call_dup(void)
{
	return dup(STDIN_FILENO);
}

static int make_and_close(int (*make)(void))
{
	for (int i = 0; i < PAIRS_AT_ONCE; i++) {
		int fd = make();

		if (fd < 0 || close(fd))
			return -errno;
	}
	return 0;
}

/* Waits until the events so far are due. One that is late works on without a pause, so that the rate is kept.
 */
static void keep_pace(uint64_t start_ns, uint64_t events, uint64_t rate)
{
	uint64_t due_ns = start_ns + events * 1000000000ULL / rate;
	struct timespec due = {.tv_sec = (time_t)(due_ns / 1000000000ULL),
	                       .tv_nsec = (long)(due_ns % 1000000000ULL)};

	while (now_ns(CLOCK_MONOTONIC) < due_ns)
		if (due_ns > now_ns(CLOCK_MONOTONIC) + 100000)
			(void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
}

int main(int argc, char **argv)
{
	uint64_t rate = argc == 4 ? strtoull(argv[2], NULL, 10) : 0, events = 0;
	uint64_t seconds = argc == 4 ? strtoull(argv[3], NULL, 10) : 0, start, cpu;
	bool dups = argc == 4 && !strcmp(argv[1], "dup");
	int error = 0;

	if (!seconds || (!dups && strcmp(argv[1], "open"))) {
		(void)fprintf(stderr, "usage: storm open|dup EVENTS_A_SECOND SECONDS\n");
		return 2;
	}
	start = now_ns(CLOCK_MONOTONIC);
	cpu = now_ns(CLOCK_THREAD_CPUTIME_ID);
	while (!error && now_ns(CLOCK_MONOTONIC) < start + seconds * 1000000000ULL) {
		error = make_and_close(dups ? call_dup : call_open);
		events += 2 * PAIRS_AT_ONCE;
		if (rate)
			keep_pace(start, events, rate);
	}
	if (error) {
		(void)fprintf(stderr, "storm: %s\n", strerror(-error));
		return 1;
	}
	(void)printf("bench: storm %llu %llu %llu\n", (unsigned long long)events,
	             (unsigned long long)(now_ns(CLOCK_MONOTONIC) - start),
	             (unsigned long long)(now_ns(CLOCK_THREAD_CPUTIME_ID) - cpu));
	return 0;
}
