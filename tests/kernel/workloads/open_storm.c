/*
 * Processes that open and close as fast as they can: more than a small ring holds.
 * Usage: open_storm PROCESSES ROUNDS. Output: none; status 0.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static void storm(long rounds)
{
	for (long i = 0; i < rounds; i++) {
		int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

		if (fd < 0 || close(fd))
			_exit(1);
	}
	_exit(0);
}

int main(int argc, char **argv)
{
	long processes = argc == 3 ? atol(argv[1]) : 0;
	int failed = processes < 1, status;

	for (long i = 0; i < processes; i++) {
		pid_t child = fork();

		if (!child)
			storm(atol(argv[2]));
		failed |= child < 0;
	}
	while (wait(&status) > 0)
		failed |= status;
	return failed ? 1 : 0;
}
