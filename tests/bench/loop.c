/*
 * One system call, or two that belong together, in a loop: prints what one turn takes.
 * Inputs: the name of a loop, turns a slice, slices. Output on stdout: "bench: loop NAME NS", the best slice.
 * Thread CPU time where the caller does the work itself, elapsed time where children or a tracer do it.
 */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static char *const true_command[] = {"/bin/true", NULL};

static int open_close(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -1 : close(fd);
}

/* Not a tail call, and not folded: a frame each. */
__attribute__((noinline)) static int open_close_below(volatile int frames)
{
	int error = frames > 1 ? open_close_below(frames - 1) : open_close();

	__asm__ volatile("");
	return error;
}

/* With open, main and the three around it that is 22 frames. */
static int open_close_deep(void)
{
	return open_close_below(15);
}

static int mmap_munmap(void)
{
	void *mapped = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return mapped == MAP_FAILED ? -1 : munmap(mapped, 65536);
}

/* libc's getppid might one day remember; the system call does not. */
static int get_ppid(void)
{
	return syscall(SYS_getppid) < 0 ? -1 : 0;
}

static int wait_for(pid_t child)
{
	int status;

	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return status ? -1 : 0;
}

static int spawn_true(void)
{
	pid_t child;

	errno = posix_spawn(&child, true_command[0], NULL, NULL, true_command, environ);
	return errno ? -1 : wait_for(child);
}

static int fork_true(void)
{
	pid_t child = fork();

	if (child < 0)
		return -1;
	if (!child) {
		(void)execve(true_command[0], true_command, environ);
		_exit(127);
	}
	return wait_for(child);
}

static const struct loop {
	const char *name;
	int (*turn)(void);
	clockid_t clock;
} loops[] = {
        {"open_close", open_close, CLOCK_THREAD_CPUTIME_ID},
        {"open_close_deep", open_close_deep, CLOCK_THREAD_CPUTIME_ID},
        {"open_close_elapsed", open_close, CLOCK_MONOTONIC},
        {"mmap_munmap", mmap_munmap, CLOCK_THREAD_CPUTIME_ID},
        {"getppid", get_ppid, CLOCK_THREAD_CPUTIME_ID},
        {"spawn_true", spawn_true, CLOCK_MONOTONIC},
        {"fork_true", fork_true, CLOCK_MONOTONIC},
};

static const struct loop *find_loop(const char *name)
{
	for (size_t i = 0; i < sizeof(loops) / sizeof(loops[0]); i++)
		if (!strcmp(loops[i].name, name))
			return &loops[i];
	return NULL;
}

static uint64_t now_ns(clockid_t clock)
{
	struct timespec now;

	(void)clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000ULL + (uint64_t)now.tv_nsec;
}

/* @return nanoseconds a turn, or a negative number: a call failed, errno says why */
static double run_slice(const struct loop *loop, unsigned long turns)
{
	uint64_t start = now_ns(loop->clock);

	for (unsigned long i = 0; i < turns; i++)
		if (loop->turn())
			return -1;
	return (double)(now_ns(loop->clock) - start) / (double)turns;
}

int main(int argc, char **argv)
{
	const struct loop *loop = argc == 4 ? find_loop(argv[1]) : NULL;
	unsigned long turns = loop ? strtoul(argv[2], NULL, 10) : 0;
	unsigned long slices = loop ? strtoul(argv[3], NULL, 10) : 0;
	double best = 0;

	if (!turns || !slices) {
		(void)fprintf(stderr, "usage: loop NAME TURNS SLICES\n");
		return 2;
	}
	for (unsigned long i = 0; i < slices; i++) {
		double slice = run_slice(loop, turns);

		if (slice < 0) {
			(void)fprintf(stderr, "loop %s: %s\n", loop->name, strerror(errno));
			return 1;
		}
		if (!i || slice < best)
			best = slice;
	}
	(void)printf("bench: loop %s %.1f\n", loop->name, best);
	return 0;
}
