/*
 * CMD's process.
 * Inputs: a command line, PATH, an identity. Outputs: a process at a gate, its exit status.
 * Trusts the command line as its user's own; between fork and exec only async-signal-safe calls are made.
 */
#include "cli/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"

/* What execvp(3) of glibc searches where PATH is unset: confstr(_CS_PATH). */
#define DEFAULT_PATH "/bin:/usr/bin"
#define SHELL        "/bin/sh"
/* As bash looks at. */
#define BINARY_LOOK_BYTES 128

struct search {
	const char *command;
	const char *path;
};

/* Everything that the child needs, made before the fork. */
struct child_plan {
	const char *path;
	char *const *arguments;
	const char **shell_arguments;
	const char **environment; /* NULL: leftopen's own */
	const struct launch_identity *identity;
	const struct launch_signals *signals;
};

void launch_signals_save(struct launch_signals *ret_signals)
{
	struct sigaction action;

	(void)pthread_sigmask(SIG_SETMASK, NULL, &ret_signals->mask); /* cannot fail with these arguments */
	sigemptyset(&ret_signals->ignored);
	for (int number = 1; number <= SIGRTMAX; number++)
		/* Fails for the two that glibc keeps to itself. */
		if (sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_IGN)
			sigaddset(&ret_signals->ignored, number);
}

static int check_executable(const char *path)
{
	struct stat status;

	if (stat(path, &status) < 0)
		return -errno;
	if (!S_ISREG(status.st_mode)) /* as execve(2) says of a folder */
		return -EACCES;
	return faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) < 0 ? -errno : 0;
}

/* Writes the candidate in the part of PATH that begins at `part`; false: too long to be a path. */
static bool candidate(const char *part, const char *command, char *ret_path)
{
	int length = (int)strcspn(part, ":");
	/* "./" for an empty part keeps a script called "-x" from being an option of the shell that runs it.
	 */
	int written = length > 0 ? snprintf(ret_path, PATH_MAX, "%.*s/%s", length, part, command)
	                         : snprintf(ret_path, PATH_MAX, "./%s", command);

	return written >= 0 && written < PATH_MAX;
}

/* The position in PATH of the part that holds the command, or -errno; what is passed over is what execvp(3)
 * passes. */
static int search_path(void *data)
{
	const struct search *search = data;
	char path[PATH_MAX];
	bool denied = false;

	for (const char *part = search->path;; part++) {
		int error = candidate(part, search->command, path) ? check_executable(path) : -ENOENT;
		if (error == 0)
			return (int)(part - search->path);
		if (error == -EACCES)
			denied = true;
		else if (error != -ENOENT && error != -ENOTDIR && error != -ESTALE && error != -ENODEV &&
		         error != -ETIMEDOUT)
			return error;
		part += strcspn(part, ":");
		if (*part == '\0')
			return denied ? -EACCES : -ENOENT;
	}
}

static int check_path(void *data)
{
	const struct search *search = data;

	return check_executable(search->command);
}

int launch_resolve(const char *command, const char *path_env, const struct launch_identity *identity,
                   char **ret_path)
{
	struct search search = {.command = command, .path = path_env ? path_env : DEFAULT_PATH};
	char path[PATH_MAX];
	int found;

	if (*command == '\0')
		return -ENOENT;
	if (strchr(command, '/')) {
		found = launch_identity_run(identity, check_path, &search);
	} else {
		found = launch_identity_run(identity, search_path, &search);
		if (found >= 0 && candidate(search.path + found, command, path))
			command = path;
	}
	if (found < 0)
		return found;
	char *copy = strdup(command);
	if (!copy)
		return -ENOMEM;
	*ret_path = copy;
	return 0;
}

int launch_failure_status(int error)
{
	return error == -ENOENT ? LAUNCH_STATUS_NOT_FOUND : LAUNCH_STATUS_CANNOT;
}

const char *launch_path_hint(const char *command)
{
	if (!getenv("SUDO_USER") || strchr(command, '/'))
		return NULL;
	return "sudo searches its own PATH, not yours: keep yours with"
	       " sudo env \"PATH=$PATH\" leftopen run -- CMD, or give CMD's absolute path";
}

static bool is_variable(const char *entry, const char *name)
{
	size_t length = strlen(name);

	return strncmp(entry, name, length) == 0 && entry[length] == '=';
}

/* environ with the account's HOME, USER and LOGNAME; the three new strings come first. */
static int make_environment(const struct launch_identity *identity, const char ***ret_environment)
{
	static const char *const names[] = {"HOME", "USER", "LOGNAME"};
	const char *const values[] = {identity->home, identity->name, identity->name};
	size_t count = 0;

	while (environ[count])
		count++;
	const char **made = calloc(count + 4, sizeof(*made));
	if (!made)
		return -ENOMEM;

	size_t used = 0;
	for (; used < 3; used++) {
		char *entry;
		if (asprintf(&entry, "%s=%s", names[used], values[used]) < 0) {
			while (used > 0)
				free((char *)made[--used]);
			free(made);
			return -ENOMEM;
		}
		made[used] = entry;
	}
	for (char **entry = environ; *entry; entry++)
		if (!is_variable(*entry, "HOME") && !is_variable(*entry, "USER") &&
		    !is_variable(*entry, "LOGNAME"))
			made[used++] = *entry;
	*ret_environment = made;
	return 0;
}

static void free_environment(const char ***environment)
{
	for (int i = 0; *environment && i < 3; i++)
		free((char *)(*environment)[i]);
	free(*environment);
}

/* As in maybe_script_execute() of glibc's execvpe.c. */
static const char **make_shell_arguments(const char *path, char *const arguments[])
{
	size_t count = 0;

	while (arguments[count])
		count++;
	const char **made = calloc(count + 3, sizeof(*made));
	if (!made)
		return NULL;
	made[0] = SHELL;
	made[1] = path;
	for (size_t i = 1; i < count; i++)
		made[i + 1] = arguments[i];
	return made;
}

static void free_pointers(const char ***pointers)
{
	free(*pointers);
}

/* Handlers go by themselves at exec; what leftopen ignores would stay ignored. */
static void restore_signals(const struct launch_signals *signals)
{
	for (int number = 1; number <= SIGRTMAX; number++) {
		struct sigaction action = {
		        .sa_handler = sigismember(&signals->ignored, number) == 1 ? SIG_IGN : SIG_DFL};
		/* Fails for SIGKILL, SIGSTOP and glibc's own two, which nobody can have changed. */
		(void)sigaction(number, &action, NULL);
	}
	(void)pthread_sigmask(SIG_SETMASK, &signals->mask, NULL);
}

/* What execvp(3) would hand to the shell all the same: as bash's check_binary_file(), a NUL in the first line
 * says that a file is no script. Only async-signal-safe calls. */
static bool is_binary(const char *path)
{
	char start[BINARY_LOOK_BYTES];
	FD_OWNED int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	ssize_t count = fd < 0 ? -1 : read(fd, start, sizeof(start));

	for (ssize_t i = 0; i < count && start[i] != '\n'; i++)
		if (start[i] == '\0')
			return true;
	return false;
}

static _Noreturn void become_command(const struct child_plan *plan, int gate_fd)
{
	char byte;
	ssize_t count;

	do {
		count = recv(gate_fd, &byte, sizeof(byte), 0);
	} while (count < 0 && errno == EINTR);
	if (count != sizeof(byte)) /* leftopen is gone: nobody is there to be told */
		_exit(LAUNCH_STATUS_FAILED);

	char *const *environment = plan->environment ? (char *const *)plan->environment : environ;
	int error = launch_identity_assume(plan->identity);
	if (error == 0) {
		restore_signals(plan->signals);
		execve(plan->path, plan->arguments, environment);
		error = -errno;
	}
	if (error == -ENOEXEC && !is_binary(plan->path)) {
		execve(SHELL, (char *const *)plan->shell_arguments, environment);
		error = -errno;
	}
	(void)send(gate_fd, &error, sizeof(error), MSG_NOSIGNAL);
	_exit(launch_failure_status(error));
}

static void free_launch(struct launch **launch)
{
	launch_free(*launch);
}

int launch_start(const char *path, char *const arguments[], const struct launch_identity *identity,
                 const struct launch_signals *signals, struct launch **ret_launch)
{
	__attribute__((cleanup(free_environment))) const char **environment = NULL;
	__attribute__((cleanup(free_pointers))) const char **shell_arguments = NULL;
	__attribute__((cleanup(free_launch))) struct launch *launch = NULL;
	int ends[2];

	shell_arguments = make_shell_arguments(path, arguments);
	if (!shell_arguments || (identity->switches && make_environment(identity, &environment) < 0))
		return -ENOMEM;
	launch = malloc(sizeof(*launch));
	if (!launch)
		return -ENOMEM;
	*launch = (struct launch){.process_id = -1, .pid_fd = -1, .gate_fd = -1};

	/* Both ways in one: a byte opens the gate; close-on-exec closes the child's end, or an errno comes
	 * back. */
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return -errno;
	FD_OWNED int child_end = ends[1];
	launch->gate_fd = ends[0];

	const struct child_plan plan = {.path = path,
	                                .arguments = arguments,
	                                .shell_arguments = shell_arguments,
	                                .environment = environment,
	                                .identity = identity,
	                                .signals = signals};
	pid_t child = fork();
	if (child < 0)
		return -errno;
	if (child == 0) {
		fd_close(&launch->gate_fd); /* or the child would keep its own gate open */
		become_command(&plan, child_end);
	}
	launch->process_id = child;
	launch->pid_fd = pidfd_open(child, 0);
	if (launch->pid_fd < 0)
		return -errno;
	*ret_launch = launch;
	launch = NULL;
	return 0;
}

static void reap(struct launch *launch)
{
	while (waitpid(launch->process_id, NULL, 0) < 0 && errno == EINTR)
		;
	launch->process_id = -1;
}

int launch_release(struct launch *launch)
{
	char byte = 0;
	int error;
	ssize_t count;

	/* Fails only where the child was killed while it waited, which its wait status says. */
	(void)send(launch->gate_fd, &byte, sizeof(byte), MSG_NOSIGNAL);
	do {
		count = recv(launch->gate_fd, &error, sizeof(error), 0);
	} while (count < 0 && errno == EINTR);
	fd_close(&launch->gate_fd);
	if (count != sizeof(error))
		return 0;
	reap(launch);
	return error;
}

void launch_free(struct launch *launch)
{
	if (!launch)
		return;
	if (launch->gate_fd >= 0) {
		fd_close(&launch->gate_fd);
		if (launch->process_id > 0)
			reap(launch);
	}
	fd_close(&launch->pid_fd);
	free(launch);
}

int launch_exit_status(int wait_status)
{
	return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}

void launch_repeat_death(int wait_status)
{
	struct sigaction action = {.sa_handler = SIG_DFL};
	struct rlimit none = {0};
	sigset_t signals;

	if (!WIFSIGNALED(wait_status))
		return;
	/* A core_pattern that is a pipe runs for a limit of 0 too; one that cannot be dumped gives none
	 * (core(5)). */
	(void)setrlimit(RLIMIT_CORE, &none);
	(void)prctl(PR_SET_DUMPABLE, 0);
	(void)sigaction(WTERMSIG(wait_status), &action, NULL); /* SIGKILL refuses, and needs none of it */
	sigemptyset(&signals);
	sigaddset(&signals, WTERMSIG(wait_status));
	(void)kill(getpid(), WTERMSIG(wait_status));
	(void)pthread_sigmask(SIG_UNBLOCK, &signals, NULL);
}
