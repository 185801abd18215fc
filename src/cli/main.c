/*
 * leftopen: names the line of code that left a file descriptor or a memory mapping open.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/version.h"
#include "cli/doctor.h"
#include "cli/launch.h"
#include "cli/mark.h"
#include "cli/message.h"
#include "cli/run.h"
#include "cli/watch.h"
#include "symbols/worker.h"

struct command {
	const char *name;
	const char *help;
	int (*main)(int argc, char **argv);
};

static const struct command commands[] = {
        {"run", "run a command, follow it and all its descendants, say what was left open", run_main},
        {"watch", "follow what runs already, and print again and again which places hold most", watch_main},
        {"mark", "say which test begins, from a script that is followed", mark_main},
        {"doctor", "say what this kernel and this user can do, and what to do about the rest", doctor_main},
};
#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

static void print_help(void)
{
	(void)puts("leftopen names the line of code that left a file descriptor or a memory mapping open.\n"
	           "\n"
	           "usage: leftopen COMMAND [ARGUMENT...]\n");
	for (size_t i = 0; i < COMMAND_COUNT; i++)
		(void)printf("  %-8s %s\n", commands[i].name, commands[i].help);
	(void)puts("\n"
	           "  -V, --version  print the version\n"
	           "  -h, --help     print this; leftopen COMMAND --help tells of a command\n"
	           "\n"
	           "examples:\n"
	           "  sudo leftopen run -- pytest tests/integration\n"
	           "  sudo leftopen watch -p 4711");
}

/* A standard stream that the caller closed must not become the number of something else, a report's or the
 * kernel's, and be written to. As glibc does for set-user-ID programs, it is opened the other way round, so
 * that writing fails; CMD finds it closed. */
static void reserve_standard_streams(void)
{
	for (int stream = STDIN_FILENO; stream <= STDERR_FILENO; stream++)
		if (fcntl(stream, F_GETFD) < 0 && errno == EBADF)
			/* Takes the lowest number that is free, which is this one. */
			(void)open("/dev/null", (stream == STDIN_FILENO ? O_WRONLY : O_RDONLY) | O_CLOEXEC);
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "";

	/* How leftopen starts itself; nothing for users. */
	if (!strcmp(name, WORKER_ARGUMENT))
		return worker_main();
	reserve_standard_streams();
	if (!strcmp(name, "--help") || !strcmp(name, "-h")) {
		print_help();
		return message_is_written() ? 0 : LAUNCH_STATUS_FAILED;
	}
	if (!strcmp(name, "--version") || !strcmp(name, "-V")) {
		(void)puts("leftopen " LEFTOPEN_VERSION);
		return message_is_written() ? 0 : LAUNCH_STATUS_FAILED;
	}
	for (size_t i = 0; i < COMMAND_COUNT; i++)
		if (!strcmp(name, commands[i].name))
			return commands[i].main(argc - 1, argv + 1);
	if (!name[0])
		message_error("no command given; see leftopen --help");
	else
		message_error("there is no command \"%s\"; see leftopen --help", name);
	return LAUNCH_STATUS_FAILED;
}
