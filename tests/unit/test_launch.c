/*
 * Unit tests of src/cli/launch.c, with real processes. They run as root, as leftopen
 * does, and fail where they cannot. Criterion gives each test a process of its own.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/launch.h"
#include "nobody.h"
#include "scratch.h"

#define OUTPUT_BYTES 8192

static const struct launch_identity self;

TestSuite(launch, .fini = scratch_remove);

/* Runs a command with its output kept; returns what launch_release() says. */
static int run(const char *path, char *const arguments[], const struct launch_identity *identity,
               char output[static OUTPUT_BYTES], int *ret_status)
{
	struct launch_signals signals;
	struct launch *launch;
	FILE *kept = tmpfile();
	int stdout_fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 10);

	launch_signals_save(&signals);
	fflush(stdout);
	cr_assert(dup2(fileno(kept), STDOUT_FILENO) >= 0);
	cr_assert_eq(launch_start(path, arguments, identity, &signals, &launch), 0);
	int result = launch_release(launch);
	if (result == 0)
		cr_assert_eq(waitpid(launch->process_id, ret_status, 0), launch->process_id);
	launch_free(launch);
	cr_assert(dup2(stdout_fd, STDOUT_FILENO) >= 0);
	close(stdout_fd);
	rewind(kept);
	output[fread(output, 1, OUTPUT_BYTES - 1, kept)] = '\0';
	fclose(kept);
	return result;
}

static void run_shell(const char *script, const struct launch_identity *identity,
                      char output[static OUTPUT_BYTES])
{
	int status;

	cr_assert_eq(run("/bin/sh", (char *[]){"sh", "-c", (char *)script, NULL}, identity, output, &status),
	             0);
	cr_assert_eq(status, 0, "'%s' ended with %#x", script, status);
}

Test(launch, runs_as_the_identity_and_cannot_go_back)
{
	LAUNCH_IDENTITY_OWNED struct launch_identity nobody = {0};
	char output[OUTPUT_BYTES];

	nobody_join_group();
	nobody_find(&nobody);
	run_shell("grep -E '^(Uid|Gid|Groups|CapPrm|CapEff):' /proc/self/status", &nobody, output);
	cr_assert_not_null(strstr(output, "Uid:\t65534\t65534\t65534\t65534\n"), "%s", output);
	cr_assert_not_null(strstr(output, "Gid:\t65534\t65534\t65534\t65534\n"), "%s", output);
	cr_assert_not_null(strstr(output, "Groups:\t4242 65534 \n"), "%s", output);
	cr_assert_not_null(strstr(output, "CapPrm:\t0000000000000000\n"), "%s", output);
	cr_assert_not_null(strstr(output, "CapEff:\t0000000000000000\n"), "%s", output);
}

Test(launch, environment_is_the_accounts)
{
	LAUNCH_IDENTITY_OWNED struct launch_identity nobody = {0};
	char output[OUTPUT_BYTES];

	setenv("HOME", "/root", 1);
	setenv("USER", "root", 1);
	setenv("LOGNAME", "root", 1);
	setenv("HOMELY", "kept", 1);
	nobody_find(&nobody);
	run_shell("echo $HOME $USER $LOGNAME $HOMELY; env | grep -c ^HOME=", &nobody, output);
	cr_assert_str_eq(output, "/nonexistent nobody nobody kept\n1\n");
	run_shell("echo $HOME $USER $LOGNAME", &self, output);
	cr_assert_str_eq(output, "/root root root\n");
}

Test(launch, resolve_searches_as_execvp_does)
{
	char *first = scratch_folder(0755);
	char *second = scratch_folder(0755);
	char *plain = scratch_file(first, "tool", "", 0644);
	char *found = scratch_file(second, "tool", "", 0755);
	char *path = NULL;

	scratch_file(first, "data", "", 0644);
	char *path_env = scratch_string("/no/such/folder:%s:%s/tool:%s", first, first, second);
	cr_assert_eq(launch_resolve("tool", path_env, &self, &path), 0);
	cr_assert_str_eq(path, found, "what cannot be executed is passed over");
	free(path);
	path = NULL;
	cr_assert_eq(launch_resolve("data", path_env, &self, &path), -EACCES);
	cr_assert_eq(launch_resolve("nothing", path_env, &self, &path), -ENOENT);
	cr_assert_eq(launch_resolve("", path_env, &self, &path), -ENOENT);
	cr_assert_eq(launch_resolve(plain, path_env, &self, &path), -EACCES);
	cr_assert_eq(launch_resolve("/no/such/tool", path_env, &self, &path), -ENOENT);
	cr_assert_eq(launch_resolve("/tmp", path_env, &self, &path), -EACCES, "a folder");
	cr_assert_null(path);

	cr_assert_eq(chdir(second), 0);
	cr_assert_eq(launch_resolve("tool", "", &self, &path), 0, "an empty PATH is the working directory");
	cr_assert_str_eq(path, "./tool");
	free(path);
	cr_assert_eq(launch_resolve("tool", "/no/such/folder:", &self, &path), 0, "so is an empty part");
	free(path);
	cr_assert_eq(launch_resolve("./tool", path_env, &self, &path), 0);
	cr_assert_str_eq(path, "./tool");
	free(path);
	cr_assert_eq(launch_resolve("sh", NULL, &self, &path), 0, "no PATH is the system's");
	cr_assert_str_eq(path, "/bin/sh");
	free(path);
}

Test(launch, resolve_searches_with_the_users_rights)
{
	LAUNCH_IDENTITY_OWNED struct launch_identity nobody = {0};
	char *private = scratch_folder(0700);
	char *public = scratch_folder(0755);
	char *roots = scratch_file(private, "tool", "", 0755);
	char *everybodys = scratch_file(public, "tool", "", 0755);
	char *path;

	scratch_file(private, "other", "", 0755);
	nobody_find(&nobody);
	char *path_env = scratch_string("%s:%s", private, public);
	cr_assert_eq(launch_resolve("tool", path_env, &self, &path), 0);
	cr_assert_str_eq(path, roots);
	free(path);
	cr_assert_eq(launch_resolve("tool", path_env, &nobody, &path), 0);
	cr_assert_str_eq(path, everybodys);
	free(path);
	cr_assert_eq(launch_resolve("other", path_env, &nobody, &path), -EACCES);
	cr_assert_eq(launch_resolve(roots, path_env, &nobody, &path), -EACCES);
}

Test(launch, failures_have_the_usual_exit_statuses)
{
	cr_assert_eq(launch_failure_status(-ENOENT), 127);
	cr_assert_eq(launch_failure_status(-EACCES), 126);
	cr_assert_eq(launch_failure_status(-ENOEXEC), 126);
}

Test(launch, hint_is_for_sudo_and_names_only)
{
	unsetenv("SUDO_USER");
	cr_assert_null(launch_path_hint("pytest"));
	setenv("SUDO_USER", "me", 1);
	cr_assert_not_null(strstr(launch_path_hint("pytest"), "sudo env \"PATH=$PATH\" leftopen run"));
	cr_assert_null(launch_path_hint("./pytest"));
}

static void read_exe(pid_t process_id, char ret_target[static PATH_MAX])
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/exe", (int)process_id);
	ssize_t length = readlink(path, ret_target, PATH_MAX - 1);
	cr_assert(length > 0);
	ret_target[length] = '\0';
}

Test(launch, waits_at_the_gate_in_our_session)
{
	char before[PATH_MAX], after[PATH_MAX], own[PATH_MAX], cwd[64], byte = 'x';
	struct launch_signals signals;
	struct launch *launch;
	int input[2];

	cr_assert_eq(pipe2(input, O_CLOEXEC), 0);
	cr_assert(dup2(input[0], STDIN_FILENO) >= 0);
	close(input[0]);
	cr_assert(dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDOUT_FILENO) >= 0);
	launch_signals_save(&signals);
	cr_assert_eq(launch_start("/bin/cat", (char *[]){"cat", NULL}, &self, &signals, &launch), 0);
	read_exe(getpid(), own);
	read_exe(launch->process_id, before);
	cr_assert_str_eq(before, own, "not yet the command");
	cr_assert_eq(poll(&(struct pollfd){.fd = launch->pid_fd, .events = POLLIN}, 1, 0), 0);

	cr_assert_eq(launch_release(launch), 0);
	read_exe(launch->process_id, after);
	cr_assert_str_neq(after, own, "released means that it is the command");
	cr_assert_eq(getpgid(launch->process_id), getpgid(0));
	cr_assert_eq(getsid(launch->process_id), getsid(0));
	snprintf(cwd, sizeof(cwd), "/proc/%d/cwd", (int)launch->process_id);
	struct stat here, there;
	cr_assert_eq(stat(".", &here), 0);
	cr_assert_eq(stat(cwd, &there), 0);
	cr_assert_eq(here.st_ino, there.st_ino);

	cr_assert_eq(write(input[1], &byte, 1), 1);
	close(input[1]);
	cr_assert_eq(poll(&(struct pollfd){.fd = launch->pid_fd, .events = POLLIN}, 1, 10000), 1);
	cr_assert_eq(waitpid(launch->process_id, NULL, 0), launch->process_id);
	launch_free(launch);
}

Test(launch, goes_away_with_leftopen)
{
	char *folder = scratch_folder(0755);
	pid_t process_id = -1;
	int pids[2], status;

	char *marker = scratch_string("%s/ran", folder);
	cr_assert_eq(pipe(pids), 0);
	cr_assert_eq(prctl(PR_SET_CHILD_SUBREAPER, 1), 0, "so that the orphan is ours to wait for");
	pid_t parent = fork();
	if (parent == 0) {
		struct launch_signals signals;
		struct launch *launch;
		launch_signals_save(&signals);
		if (launch_start("/bin/touch", (char *[]){"touch", marker, NULL}, &self, &signals, &launch) ==
		    0)
			(void)!write(pids[1], &launch->process_id, sizeof(launch->process_id));
		raise(SIGKILL);
	}
	cr_assert_eq(read(pids[0], &process_id, sizeof(process_id)), sizeof(process_id));
	cr_assert_eq(waitpid(parent, NULL, 0), parent);
	cr_assert_eq(waitpid(process_id, &status, 0), process_id);
	cr_assert(WIFEXITED(status));
	cr_assert_neq(access(marker, F_OK), 0, "the command must not have run");
}

Test(launch, freed_unreleased_leaves_nothing)
{
	char *folder = scratch_folder(0755);
	struct launch_signals signals;
	struct launch *launch;

	char *marker = scratch_string("%s/ran", folder);
	launch_signals_save(&signals);
	cr_assert_eq(launch_start("/bin/touch", (char *[]){"touch", marker, NULL}, &self, &signals, &launch),
	             0);
	launch_free(launch);
	launch_free(NULL);
	cr_assert_eq(waitpid(-1, NULL, 0), -1);
	cr_assert_eq(errno, ECHILD);
	cr_assert_neq(access(marker, F_OK), 0);
}

Test(launch, killed_at_the_gate_is_a_death_like_another)
{
	struct launch_signals signals;
	struct launch *launch;
	int status;

	launch_signals_save(&signals);
	cr_assert_eq(launch_start("/bin/true", (char *[]){"true", NULL}, &self, &signals, &launch), 0);
	cr_assert_eq(kill(launch->process_id, SIGTERM), 0);
	cr_assert_eq(poll(&(struct pollfd){.fd = launch->pid_fd, .events = POLLIN}, 1, 10000), 1);
	cr_assert_eq(launch_release(launch), 0);
	cr_assert_eq(waitpid(launch->process_id, &status, 0), launch->process_id);
	cr_assert_eq(launch_exit_status(status), 128 + SIGTERM);
	launch_free(launch);
}

Test(launch, exec_errors_come_back)
{
	LAUNCH_IDENTITY_OWNED struct launch_identity nobody = {0};
	char *folder = scratch_folder(0755);
	char *plain = scratch_file(folder, "plain", "", 0644);
	char *lost = scratch_file(folder, "lost", "#!/no/such/interpreter\n", 0755);
	char *roots = scratch_file(folder, "roots", "#!/bin/sh\n", 0700);
	char output[OUTPUT_BYTES];
	int status;

	nobody_find(&nobody);
	cr_assert_eq(run("/no/such/file", (char *[]){"x", NULL}, &self, output, &status), -ENOENT);
	cr_assert_eq(run(plain, (char *[]){"x", NULL}, &self, output, &status), -EACCES);
	cr_assert_eq(run(lost, (char *[]){"x", NULL}, &self, output, &status), -ENOENT);
	cr_assert_eq(run(roots, (char *[]){"x", NULL}, &nobody, output, &status), -EACCES);
	cr_assert_eq(run(roots, (char *[]){"x", NULL}, &self, output, &status), 0);
	cr_assert_eq(waitpid(-1, NULL, WNOHANG), -1, "no child is left");
}

Test(launch, credentials_that_cannot_be_changed_come_back)
{
	LAUNCH_IDENTITY_OWNED struct launch_identity nobody = {0};
	char output[OUTPUT_BYTES];
	int status;

	nobody_find(&nobody);
	pid_t child = fork(); /* a leak checker cannot work in a process that has given up root */
	if (child == 0)
		_exit(setresuid(1, 1, 1) == 0 && run("/bin/true", (char *[]){"true", NULL}, &nobody, output,
		                                     &status) == -EPERM
		              ? 0
		              : 1);
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert_eq(status, 0);
}

Test(launch, script_without_interpreter_line_is_the_shells)
{
	char *script = scratch_file(scratch_folder(0755), "script", "echo \"$0|$1|$#\"\n", 0755);
	char output[OUTPUT_BYTES], expected[PATH_MAX];
	int status;

	cr_assert_eq(run(script, (char *[]){"script", "a b", "c", NULL}, &self, output, &status), 0);
	snprintf(expected, sizeof(expected), "%s|a b|2\n", script);
	cr_assert_str_eq(output, expected);
}

static void ignore_signal(int number)
{
	(void)number;
}

Test(launch, signals_are_as_leftopen_found_them)
{
	struct launch_signals signals;
	struct launch *launch;
	char path[64], line[256];
	sigset_t mask;
	unsigned long long blocked = ~0ULL, ignored = ~0ULL, caught = ~0ULL;
	int input[2], status;

	/* What the caller of leftopen set up: nohup, and a blocked signal. */
	for (int number = 1; number < SIGRTMIN; number++)
		signal(number, SIG_DFL);
	signal(SIGHUP, SIG_IGN);
	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR2);
	cr_assert_eq(sigprocmask(SIG_SETMASK, &mask, NULL), 0);
	launch_signals_save(&signals);

	/* What leftopen sets up for itself. */
	signal(SIGHUP, SIG_DFL);
	signal(SIGINT, SIG_IGN);
	signal(SIGQUIT, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGTERM, ignore_signal);
	sigaddset(&mask, SIGUSR1);
	sigaddset(&mask, SIGCHLD);
	sigdelset(&mask, SIGUSR2);
	cr_assert_eq(sigprocmask(SIG_SETMASK, &mask, NULL), 0);

	cr_assert_eq(pipe2(input, O_CLOEXEC), 0);
	cr_assert(dup2(input[0], STDIN_FILENO) >= 0);
	cr_assert_eq(launch_start("/bin/cat", (char *[]){"cat", NULL}, &self, &signals, &launch), 0);
	cr_assert_eq(launch_release(launch), 0);
	snprintf(path, sizeof(path), "/proc/%d/status", (int)launch->process_id);
	FILE *file = fopen(path, "r");
	cr_assert_not_null(file);
	while (fgets(line, sizeof(line), file)) {
		sscanf(line, "SigBlk: %llx", &blocked);
		sscanf(line, "SigIgn: %llx", &ignored);
		sscanf(line, "SigCgt: %llx", &caught);
	}
	fclose(file);
	/* Below make: glibc's posix_spawn leaves its own two, 32 and 33, ignored in what it starts. */
	ignored &= ~(3ULL << 31);
	cr_assert_eq(blocked, 1ULL << (SIGUSR2 - 1), "%llx", blocked);
	cr_assert_eq(ignored, 1ULL << (SIGHUP - 1), "%llx", ignored);
	cr_assert_eq(caught, 0, "%llx", caught);
	close(input[1]);
	cr_assert_eq(waitpid(launch->process_id, &status, 0), launch->process_id);
	launch_free(launch);
}

Test(launch, no_descriptor_of_ours_is_inherited)
{
	struct launch_signals signals;
	struct launch *launch;
	char path[64], byte = 'x';
	int input[2], output[2], status;
	struct rlimit limit = {.rlim_cur = 256, .rlim_max = 256};

	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	cr_assert_eq(pipe2(input, O_CLOEXEC), 0);
	cr_assert_eq(pipe2(output, O_CLOEXEC), 0);
	int inherited = fcntl(input[0], F_DUPFD, 200); /* as in `leftopen run -- CMD 200<file` */
	cr_assert_eq(inherited, 200);
	cr_assert(dup2(input[0], STDIN_FILENO) >= 0);
	cr_assert(dup2(output[1], STDOUT_FILENO) >= 0);
	launch_signals_save(&signals);
	cr_assert_eq(launch_start("/bin/cat", (char *[]){"cat", NULL}, &self, &signals, &launch), 0);
	cr_assert_eq(launch_release(launch), 0);
	/* What it copies back says that its loader is done with files of its own. */
	cr_assert_eq(write(input[1], &byte, 1), 1);
	cr_assert_eq(read(output[0], &byte, 1), 1);
	for (int fd = 0; fd < 256; fd++) {
		int flags = fcntl(fd, F_GETFD);
		bool expected = flags >= 0 && !(flags & FD_CLOEXEC);
		snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)launch->process_id, fd);
		bool there = faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
		cr_assert_eq(there, expected, "descriptor %d", fd);
	}
	close(input[1]);
	cr_assert_eq(kill(launch->process_id, SIGTERM),
	             0); /* it holds the pipe's other end by descriptor 200 too */
	cr_assert_eq(waitpid(launch->process_id, &status, 0), launch->process_id);
	launch_free(launch);
}

Test(launch, exit_status_is_passed_on)
{
	char output[OUTPUT_BYTES];
	int status;

	cr_assert_eq(run("/bin/sh", (char *[]){"sh", "-c", "exit 7", NULL}, &self, output, &status), 0);
	cr_assert_eq(launch_exit_status(status), 7);
	launch_repeat_death(status); /* returns */
	cr_assert_eq(run("/bin/sh", (char *[]){"sh", "-c", "kill -KILL $$", NULL}, &self, output, &status),
	             0);
	cr_assert_eq(launch_exit_status(status), 137);
}

static int repeat_in_child(const char *script)
{
	char output[OUTPUT_BYTES];
	int status;

	cr_assert_eq(run("/bin/sh", (char *[]){"sh", "-c", (char *)script, NULL}, &self, output, &status), 0);
	pid_t child = fork();
	if (child == 0) {
		sigset_t all;
		sigfillset(&all);
		sigprocmask(SIG_SETMASK, &all, NULL);
		signal(SIGTERM, SIG_IGN);
		signal(SIGINT, ignore_signal);
		launch_repeat_death(status);
		_exit(launch_exit_status(status));
	}
	cr_assert_eq(waitpid(child, &status, 0), child);
	return status;
}

Test(launch, death_by_signal_is_repeated)
{
	static const struct {
		const char *script;
		int signal;
	} deaths[] = {
	        {"kill -TERM $$", SIGTERM}, {"kill -INT $$", SIGINT},   {"kill -KILL $$", SIGKILL},
	        {"kill -SEGV $$", SIGSEGV}, {"kill -ABRT $$", SIGABRT},
	};

	for (size_t i = 0; i < sizeof(deaths) / sizeof(deaths[0]); i++) {
		int status = repeat_in_child(deaths[i].script);
		cr_assert(WIFSIGNALED(status), "%s", deaths[i].script);
		cr_assert_eq(WTERMSIG(status), deaths[i].signal, "%s", deaths[i].script);
		cr_assert_not(WCOREDUMP(status), "%s", deaths[i].script);
	}
}
