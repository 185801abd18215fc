/*
 * Runs commands one after the other and says what each took: what a measurement starts, with nothing around
 * it or as the command of leftopen. In C, so that its first instruction is soon after its exec.
 * Inputs: LABEL COMMAND [ARG...] [:: LABEL COMMAND [ARG...]]... Output on stdout, times in ns:
 *   bench: start MONOTONIC
 *   bench: step LABEL WALL CPU PARENT STATUS
 *   bench: end MONOTONIC
 * CPU is the command's and its children's, PARENT that of the process that started this one (leftopen, where
 * this is its command) meanwhile, STATUS the exit status, -1 for a death by signal.
 */
#include <errno.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static uint64_t now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000ULL + (uint64_t)now.tv_nsec;
}

static uint64_t time_ns(const struct timeval *time)
{
	return (uint64_t)time->tv_sec * 1000000000ULL + (uint64_t)time->tv_usec * 1000ULL;
}

static uint64_t children_cpu_ns(void)
{
	struct rusage usage;

	(void)getrusage(RUSAGE_CHILDREN, &usage);
	return time_ns(&usage.ru_utime) + time_ns(&usage.ru_stime);
}

/* The first figure of schedstat is the time on a CPU in ns (Documentation/scheduler/sched-stats.rst). */
static int parent_cpu_ns(uint64_t *ret_ns)
{
	char path[64];
	unsigned long long ns;
	FILE *file;
	int read;

	(void)snprintf(path, sizeof(path), "/proc/%d/schedstat", (int)getppid());
	file = fopen(path, "re");
	if (!file)
		return -errno;
	read = fscanf(file, "%llu", &ns);
	(void)fclose(file);
	if (read != 1)
		return -EBADMSG;
	*ret_ns = ns;
	return 0;
}

/* @return 0, or -errno: it could not be run or measured */
static int run_step(char **arguments)
{
	uint64_t parent_before, parent_after, cpu, start, wall;
	pid_t child;
	int status, error = parent_cpu_ns(&parent_before);

	if (error)
		return error;
	cpu = children_cpu_ns();
	start = now_ns();
	error = -posix_spawnp(&child, arguments[1], NULL, NULL, arguments + 1, environ);
	if (error)
		return error;
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	wall = now_ns() - start;
	cpu = children_cpu_ns() - cpu;
	error = parent_cpu_ns(&parent_after);
	if (error)
		return error;
	(void)printf("bench: step %s %llu %llu %llu %d\n", arguments[0], (unsigned long long)wall,
	             (unsigned long long)cpu, (unsigned long long)(parent_after - parent_before),
	             WIFEXITED(status) ? WEXITSTATUS(status) : -1);
	(void)fflush(stdout);
	return 0;
}

int main(int argc, char **argv)
{
	int next = 1;

	(void)printf("bench: start %llu\n", (unsigned long long)now_ns());
	(void)fflush(stdout);
	while (next < argc) {
		char **step = argv + next;
		int error;

		while (next < argc && strcmp(argv[next], "::"))
			next++;
		argv[next++] = NULL;
		error = step[0] && step[1] ? run_step(step) : -EINVAL;
		if (error) {
			(void)fprintf(stderr, "steps: %s: %s\n", step[0] ? step[0] : "?", strerror(-error));
			return 1;
		}
	}
	(void)printf("bench: end %llu\n", (unsigned long long)now_ns());
	return 0;
}
