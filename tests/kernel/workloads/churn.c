/*
 * Makes processes that are soon gone, at a given rate at most: each opens and maps something, releases most
 * of it, and leaves a memfd open; every eighth runs a program. One memfd is its own, from the first line on.
 * Usage: churn RATE. Input: lines with how many to make. Output: the same number once all of them are gone,
 * with the milliseconds that it took.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE      4096
#define RUNS_EACH 8
/* How many may live at once: as many as wait for a CPU of a small machine. */
#define LIVING_MAX 64

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000ULL + (uint64_t)now.tv_nsec;
}

static void live(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	void *mapped = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (fd < 0 || close(fd) || mapped == MAP_FAILED || munmap(mapped, PAGE))
		_exit(1);
	if (memfd_create("left", MFD_CLOEXEC) < 0)
		_exit(1);
	_exit(0);
}

static void wait_until(uint64_t due_ns)
{
	struct timespec due = {.tv_sec = (time_t)(due_ns / 1000000000ULL),
	                       .tv_nsec = (long)(due_ns % 1000000000ULL)};

	if (now_ns() < due_ns)
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
}

static int wait_for_one(void)
{
	int status;

	return wait(&status) < 0 || status;
}

static int make(const char *self, uint64_t count, uint64_t rate)
{
	uint64_t start = now_ns(), living = 0;
	int failed = 0;

	for (uint64_t i = 0; i < count && !failed; i++) {
		pid_t child;

		wait_until(start + i * 1000000000ULL / rate);
		child = fork();
		if (child < 0)
			return 1;
		if (!child && !(i % RUNS_EACH)) {
			execl(self, self, "live", NULL);
			_exit(1);
		}
		if (!child)
			live();
		if (++living < LIVING_MAX)
			continue;
		failed = wait_for_one();
		living--;
	}
	while (living--)
		failed |= wait_for_one();
	return failed;
}

int main(int argc, char **argv)
{
	char line[32];
	int own = -1;

	if (argc == 2 && !strcmp(argv[1], "live"))
		live();
	while (argc == 2 && fgets(line, sizeof(line), stdin)) {
		uint64_t count = strtoull(line, NULL, 10), start = now_ns();

		if (own < 0)
			own = memfd_create("own", MFD_CLOEXEC);
		if (own < 0 || make("/proc/self/exe", count, strtoull(argv[1], NULL, 10)))
			return 1;
		printf("%llu %llu\n", (unsigned long long)count,
		       (unsigned long long)(now_ns() - start) / 1000000);
		fflush(stdout);
	}
	return 0;
}
