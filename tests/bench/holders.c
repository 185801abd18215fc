/*
 * Processes that hold many handles each, made after they are followed.
 * Usage: holders fd|map. Input: lines of two numbers, processes and handles each; these are made one process
 * after the other, with a pause between two, so that the ring is not what is measured. Output: "bench:
 * holders" once all of a line are there. All end as standard input does.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAUSE_NS 50000000

static int make_descriptors(long count)
{
	int source = open("/dev/null", O_RDONLY | O_CLOEXEC);
	long made = 1;

	while (source >= 0 && made < count && dup(source) >= 0)
		made++;
	return made < count ? -1 : 0;
}

/* The kernel joins them to one; each call is a mapping of its own all the same. */
static int make_mappings(long count)
{
	long made = 0;

	while (made < count && mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED)
		made++;
	return made < count ? -1 : 0;
}

static void hold(int (*make)(long), long count, int told)
{
	char done = 1;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (make(count)) {
		perror("holders");
		_exit(1);
	}
	if (write(told, &done, 1) != 1)
		_exit(1);
	for (;;)
		(void)pause();
}

static int make_holders(int (*make)(long), long processes, long each)
{
	const struct timespec pause_time = {.tv_nsec = PAUSE_NS};
	int ends[2];
	char done;

	for (long i = 0; i < processes; i++) {
		pid_t child;

		if (pipe(ends))
			return -1;
		child = fork();
		if (child < 0)
			return -1;
		if (!child)
			hold(make, each, ends[1]);
		(void)close(ends[1]);
		if (read(ends[0], &done, 1) != 1)
			return -1;
		(void)close(ends[0]);
		(void)nanosleep(&pause_time, NULL);
	}
	return 0;
}

int main(int argc, char **argv)
{
	int (*make)(long) = argc == 2 && !strcmp(argv[1], "map") ? make_mappings : make_descriptors;
	struct rlimit limit;
	long processes, each;
	char line[64];

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return 1;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit))
		return 1;
	while (fgets(line, sizeof(line), stdin)) {
		if (sscanf(line, "%ld %ld", &processes, &each) != 2 || make_holders(make, processes, each)) {
			(void)fprintf(stderr, "holders: %s: not made\n", line);
			return 1;
		}
		(void)printf("bench: holders\n");
		(void)fflush(stdout);
	}
	return 0;
}
