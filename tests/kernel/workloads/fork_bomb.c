/*
 * A program that forks without end, and each child as well. Where it may make no more, a child ends, so that
 * others can go on. Usage: fork_bomb FILE. It waits for a byte on standard input before it begins, and is
 * ended by its cgroup. Output: FILE, of 8 bytes: how many processes were made so far. Each but the first
 * opens one descriptor that it leaves open.
 */
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>

#include "truth.h"

#include <sys/mman.h>
#include <sys/prctl.h>

int main(int argc, char **argv)
{
	int file = argc == 2 ? open(argv[1], O_RDWR | O_CREAT | O_CLOEXEC, 0666) : -1;
	atomic_long *made;
	bool first = true;
	char byte;

	MUST(file >= 0 && !ftruncate(file, sizeof(*made)));
	made = mmap(NULL, sizeof(*made), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	MUST(made != MAP_FAILED);
	/* Nobody waits for a child, or for one that has lost its parent: the kernel does. */
	MUST(!prctl(PR_SET_CHILD_SUBREAPER, 1));
	(void)signal(SIGCHLD, SIG_IGN);
	MUST(read(STDIN_FILENO, &byte, 1) == 1);
	for (;;) {
		pid_t child = fork();

		if (!child) {
			first = false;
			KERNEL_CALL4(SYS_openat, AT_FDCWD, "/dev/null", O_RDONLY, 0);
		} else if (child > 0) {
			(void)atomic_fetch_add(made, 1);
		} else if (!first) {
			_exit(0);
		} else {
			(void)sched_yield();
		}
	}
}
