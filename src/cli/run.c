/*
 * `leftopen run`. See run.h.
 */
#include "cli/run.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "cli/command_files.h"
#include "cli/following.h"
#include "cli/launch.h"
#include "cli/message.h"
#include "cli/options.h"
#include "cli/output_file.h"
#include "cli/progress.h"
#include "cli/run_reports.h"
#include "cli/session.h"
#include "model/snapshot.h"

struct run {
	struct options options;
	struct launch_signals signals;
	struct launch_identity identity;
	char *path; /* of the command */
	struct launch *launch;
	struct session_options session_options;
	struct progress progress;
	struct session *session;
	struct following following;
	struct run_reports *reports;
	int signal_fd;
	int wait_status;
};

/* SIGINT and SIGQUIT come to CMD from the terminal too: it decides. SIGPIPE and SIGXFSZ (ulimit -f) would cut
 * the report short. */
static int take_signals(struct run *run)
{
	static const int handled[] = {SIGTERM, SIGHUP, SIGUSR1};
	static const int ignored[] = {SIGINT, SIGQUIT, SIGPIPE, SIGXFSZ};

	launch_signals_save(&run->signals);
	return following_take_signals(handled, sizeof(handled) / sizeof(handled[0]), ignored,
	                              sizeof(ignored) / sizeof(ignored[0]), &run->signal_fd);
}

/* @param is_found whether the command is there, so that it is the kernel that refuses it */
static const char *explain_refusal(int error, bool is_found)
{
	switch (-error) {
	case ENOENT:
		/* Then it is about what the first line or the ELF header names. */
		return is_found ? "the interpreter that it names does not exist" : "command not found";
	case ENOEXEC:
		return "it is neither a program for this machine nor a script";
	case EACCES:
		return "permission denied: it, or its interpreter, is no file that may be executed, or "
		       "lies in a folder that may not be searched";
	default:
		return strerror(-error);
	}
}

static int cannot_run(const struct run *run, int error)
{
	bool is_found = run->path;
	const char *hint = is_found ? NULL : launch_path_hint(run->options.command[0]);

	message_error("\"%s\": %s%s%s", run->options.command[0], explain_refusal(error, is_found),
	              hint ? ". " : "", hint ? hint : "");
	return launch_failure_status(error);
}

/* Reports are files of whoever called leftopen, whatever user the command is to run as. @return 0, or the
 * exit status */
static int open_reports(struct run *run)
{
	LAUNCH_IDENTITY_OWNED struct launch_identity caller = {0};
	struct launch_error why;

	if (launch_identity_find(false, NULL, &caller, &why)) {
		message_error("%s", why.text);
		return LAUNCH_STATUS_FAILED;
	}
	if (run_reports_open(&run->options, &caller, run->launch->process_id, &run->reports))
		return LAUNCH_STATUS_FAILED;
	return 0;
}

/* Everything that can fail for reasons of the user's own is tried before anything of the kernel's is touched.
 * @return 0, or the exit status */
static int prepare(struct run *run)
{
	struct launch_error why;
	int error = take_signals(run);

	if (error) {
		message_error("cannot take over signals: %s", strerror(-error));
		return LAUNCH_STATUS_FAILED;
	}
	if (following_check_proc())
		return LAUNCH_STATUS_FAILED;
	if (launch_identity_find(run->options.as_root, run->options.user, &run->identity, &why)) {
		message_error("%s", why.text);
		return LAUNCH_STATUS_FAILED;
	}
	error = launch_resolve(run->options.command[0], getenv("PATH"), &run->identity, &run->path);
	if (error)
		return cannot_run(run, error);
	error = launch_start(run->path, run->options.command, &run->identity, &run->signals, &run->launch);
	if (error) {
		message_error("cannot make a process for %s: %s", run->options.command[0], strerror(-error));
		return LAUNCH_STATUS_FAILED;
	}
	return open_reports(run);
}

static int learn_files(struct run *run)
{
	const struct command_search search = {
	        .path = getenv("PATH"),
	        .library_path = getenv("LD_LIBRARY_PATH"),
	        .home = run->identity.home ? run->identity.home : getenv("HOME"),
	};
	struct file_set files;
	size_t likely;
	int error = command_files_list(run->path, &search, &files, &likely);

	if (error)
		return error;
	error = session_learn_files(run->session, files.paths, files.count, likely);
	file_set_clear(&files);
	return error;
}

/* @return 0, or the exit status */
static int begin_following(struct run *run)
{
	struct loader_error detail = {""};
	int error;

	run->session_options = (struct session_options){
	        .loader = run->options.loader,
	        .application_globs = run->options.app,
	        .glob_count = run->options.app_count,
	        .min_count = run->options.min_count,
	        .samples = run->options.samples,
	        .inherited = run->options.inherited,
	        .progress = !run->options.quiet && isatty(STDERR_FILENO) ? progress_show_naming : NULL,
	        .progress_context = &run->progress,
	        .command = (const char *const *)run->options.command,
	        .command_count = run->options.command_count,
	};
	error = session_new(&run->session_options, &run->session, &detail);
	if (!error)
		error = learn_files(run);
	if (!error)
		error = session_follow(run->session, (uint32_t)run->launch->process_id);
	if (error)
		return following_cannot_begin(error, &detail, FEATURE_USER_RUN);
	session_armed(run->session);
	following_begin(&run->following, run->session, false);
	error = launch_release(run->launch);
	return error ? cannot_run(run, error) : 0;
}

static int report_now(struct run *run, bool final, bool *ret_found)
{
	struct snapshot *snapshot = NULL;
	int error = session_snapshot(run->session, SESSION_DETAIL_ALL, &snapshot);

	if (error) {
		message_error("no report: %s", strerror(-error));
		return LAUNCH_STATUS_FAILED;
	}
	if (ret_found)
		*ret_found = run_reports_found(run->reports, snapshot);
	error = final ? run_reports_write(run->reports, snapshot) : run_reports_show(run->reports, snapshot);
	snapshot_free(snapshot);
	return error ? LAUNCH_STATUS_FAILED : 0;
}

static void take_signal(struct run *run)
{
	struct signalfd_siginfo info;

	while (read(run->signal_fd, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGUSR1)
			(void)report_now(run, false, NULL);
		else
			(void)kill(run->launch->process_id, (int)info.ssi_signo);
	}
}

static int cannot_wait(void)
{
	message_error("the command cannot be waited for: %m; it goes on");
	return LAUNCH_STATUS_FAILED;
}

/* What goes wrong here is leftopen's: the command goes on, and is waited for. */
static void say_once(const struct following *following, bool *said)
{
	if (following->error && !*said)
		message_error("following stopped: %s; the command goes on", strerror(-following->error));
	*said = following->error;
}

/* @return 0, or the exit status */
static int follow(struct run *run)
{
	enum { COMMAND = FOLLOWING_RING + 1, SIGNALS, COUNT };
	struct pollfd polled[COUNT] = {
	        [COMMAND] = {.fd = run->launch->pid_fd, .events = POLLIN},
	        [SIGNALS] = {.fd = run->signal_fd, .events = POLLIN},
	};
	bool said = false;

	while (!(polled[COMMAND].revents & POLLIN)) {
		if (following_step(&run->following, polled, COUNT, INT_MAX))
			return cannot_wait();
		say_once(&run->following, &said);
		/* Last, as a report tells of all that was before the signal. */
		if (polled[SIGNALS].revents & POLLIN)
			take_signal(run);
	}
	while (waitpid(run->launch->process_id, &run->wait_status, 0) < 0)
		if (errno != EINTR)
			return cannot_wait();
	/* Survivors are compared with the kernel while they are followed. */
	following_settle(&run->following);
	say_once(&run->following, &said);
	return run->following.error ? LAUNCH_STATUS_FAILED : 0;
}

static int finish(struct run *run)
{
	bool found = false;
	int error = session_end(run->session), status;

	if (error)
		message_error("the last events could not be read: %s", strerror(-error));
	status = report_now(run, true, &found);
	if (status || error)
		return LAUNCH_STATUS_FAILED;
	if (run->options.error_exitcode && found && WIFEXITED(run->wait_status) &&
	    !WEXITSTATUS(run->wait_status))
		return run->options.error_exitcode;
	return launch_exit_status(run->wait_status);
}

static void clear(struct run *run)
{
	session_free(run->session);
	run_reports_free(run->reports);
	launch_free(run->launch);
	launch_identity_clear(&run->identity);
	free(run->path);
	options_clear(&run->options);
	fd_close(&run->signal_fd);
}

int run_main(int argc, char **argv)
{
	struct run run = {.signal_fd = -1};
	int status, wait_status;

	switch (options_parse(OPTIONS_OF_RUN, argc, argv, &run.options)) {
	case OPTIONS_DONE:
		return 0;
	case OPTIONS_USAGE:
		return LAUNCH_STATUS_FAILED;
	case OPTIONS_GO_ON:
		break;
	}
	status = prepare(&run);
	if (!status) {
		/* CMD has its process by now, and its caller's limit. */
		following_raise_descriptor_limit();
		status = begin_following(&run);
	}
	if (!status)
		status = follow(&run);
	if (!status) {
		status = finish(&run);
		wait_status = run.wait_status;
		clear(&run);
		if (WIFSIGNALED(wait_status) && status == launch_exit_status(wait_status))
			launch_repeat_death(wait_status);
		return status;
	}
	clear(&run);
	return status;
}
