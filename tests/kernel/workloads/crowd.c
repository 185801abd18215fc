/*
 * So many processes that do nothing. Usage: crowd COUNT. Output: their pids in one line; they end as standard
 * input does.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	long count = argc == 2 ? atol(argv[1]) : 0;
	pid_t *children = calloc((size_t)(count > 0 ? count : 1), sizeof(*children));
	char byte;

	if (!children)
		return 1;
	for (long i = 0; i < count; i++) {
		children[i] = fork();
		if (children[i] < 0) {
			perror("fork");
			break;
		}
		if (!children[i]) {
			(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
			for (;;)
				pause();
		}
		printf("%d%c", (int)children[i], i + 1 < count ? ' ' : '\n');
	}
	fflush(stdout);
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
	for (long i = 0; i < count && children[i] > 0; i++)
		kill(children[i], SIGKILL);
	while (wait(NULL) > 0)
		;
	return 0;
}
