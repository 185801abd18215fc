/*
 * `leftopen watch`. See watch.h.
 */
#include "cli/watch.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/pid_namespace.h"
#include "cli/following.h"
#include "cli/launch.h"
#include "cli/message.h"
#include "cli/options.h"
#include "cli/progress.h"
#include "cli/report_file.h"
#include "cli/running_files.h"
#include "cli/selection.h"
#include "cli/session.h"
#include "cli/watch_reports.h"
#include "model/snapshot.h"

/* Chosen by: a report takes longer to write. */
#define ANSWER_WAIT_MS 5

struct watch {
	struct options options;
	struct selected selected; /* processes that are to be followed from now on */
	struct session_options session_options;
	struct progress progress;
	struct session *session;
	struct following following;
	struct watch_reports *reports;
	uint32_t *gone; /* processes of -p; as many places as these are */
	size_t gone_count;
	int signal_fd;
	uint64_t shown;     /* tables */
	uint64_t next_ns;   /* the next one is due; CLOCK_MONOTONIC */
	bool asked;         /* one was asked for that has not come yet */
	bool ended;         /* the next one is the last */
	bool unread;        /* nobody reads it any more */
	int failed;         /* exit status of the first report that could not be written */
	bool group_is_gone; /* was said of the cgroup */
};

/* SIGPIPE and SIGXFSZ (ulimit -f) would end it without its last words. */
static int take_signals(struct watch *watch)
{
	static const int handled[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1};
	static const int ignored[] = {SIGPIPE, SIGXFSZ};

	return following_take_signals(handled, sizeof(handled) / sizeof(handled[0]), ignored,
	                              sizeof(ignored) / sizeof(ignored[0]), &watch->signal_fd);
}

static void say_none(const struct selection *selection)
{
	if (selection->kind == SELECTION_PROCESSES && selection->process_count == 1)
		message_error("there is no process %u: it is gone, or a kernel thread, or leftopen itself",
		              selection->process_ids[0]);
	else
		message_error("there is none of these %zu processes: they are gone, or kernel threads",
		              selection->process_count);
}

/* @return 0, or the exit status */
static int select_processes(struct watch *watch)
{
	const struct selection *selection = &watch->options.selection;
	int error = selection_find(selection, &watch->selected);
	if (error == -ENOENT && selection->kind == SELECTION_CGROUP) {
		message_error("there is no control group \"%s\": give the path that /proc/PID/cgroup shows",
		              selection->pattern);
		return LAUNCH_STATUS_FAILED;
	}
	if (error) {
		message_error("processes cannot be looked up: %s", strerror(-error));
		return LAUNCH_STATUS_FAILED;
	}
	if (selection->kind == SELECTION_PROCESSES && !watch->selected.count) {
		say_none(selection);
		return LAUNCH_STATUS_FAILED;
	}
	watch->gone = calloc(selection->process_count + 1, sizeof(*watch->gone));
	if (!watch->gone) {
		message_error("out of memory");
		return LAUNCH_STATUS_FAILED;
	}
	return 0;
}

/* Everything that can fail for reasons of the user's own is tried before anything of the kernel's is touched.
 * @return 0, or the exit status */
static int prepare(struct watch *watch)
{
	int error = take_signals(watch), status;

	if (error) {
		message_error("cannot take over signals: %s", strerror(-error));
		return LAUNCH_STATUS_FAILED;
	}
	status = following_check_proc();
	if (!status)
		status = select_processes(watch);
	if (!status && watch_reports_open(&watch->options, &watch->reports))
		status = LAUNCH_STATUS_FAILED;
	return status;
}

static int learn_files(struct watch *watch)
{
	size_t count;
	char **paths;
	int error = running_files_list(watch->selected.process_ids, watch->selected.count, &paths, &count);

	if (error)
		return error;
	error = session_learn_files(watch->session, paths, count, count);
	running_files_free(paths, count);
	return error;
}

/* @return 0, or the exit status */
static int begin_following(struct watch *watch)
{
	const struct options *options = &watch->options;
	bool all = options->selection.kind == SELECTION_ALL;
	struct loader_error detail = {""};
	int error;

	watch->session_options = (struct session_options){
	        .loader = options->loader,
	        .application_globs = options->app,
	        .glob_count = options->app_count,
	        .min_count = options->min_count,
	        .samples = options->samples,
	        .inherited = options->inherited,
	        .forgets_gone = true,
	        .children_are_own = true,
	        .progress = !options->quiet && isatty(STDERR_FILENO) ? progress_show_naming : NULL,
	        .progress_context = &watch->progress,
	};
	if (all && !options->quiet && !pid_namespace_is_initial())
		message_error(
		        "in a container's pid namespace: -a follows the processes in it, and no others of "
		        "the machine");
	error = session_new(&watch->session_options, &watch->session, &detail);
	if (!error)
		error = learn_files(watch);
	if (!error) {
		session_armed(watch->session);
		error = session_follow_running(watch->session, all ? NULL : watch->selected.process_ids,
		                               all ? 0 : watch->selected.count);
	}
	if (error)
		return following_cannot_begin(error, &detail, FEATURE_USER_WATCH);
	following_begin(&watch->following, watch->session, true);
	return 0;
}

/* Those that came and descend from none that is followed. */
static void follow_new(struct watch *watch)
{
	const struct selection *selection = &watch->options.selection;
	struct selected *selected = &watch->selected;
	size_t kept = 0;
	int error;

	if (selection->kind != SELECTION_CGROUP && selection->kind != SELECTION_COMM)
		return;
	error = selection_find(selection, selected);
	if (error == -ENOENT && !watch->group_is_gone)
		message_error(
		        "the control group \"%s\" is gone; those of its processes that live are followed on",
		        selection->pattern);
	watch->group_is_gone = error == -ENOENT;
	for (size_t i = 0; i < selected->count && !error; i++)
		if (!session_follows(watch->session, selected->process_ids[i]))
			selected->process_ids[kept++] = selected->process_ids[i];
	if (!error && kept)
		error = session_follow_running(watch->session, selected->process_ids, kept);
	if (error && error != -ENOENT)
		message_error("new processes cannot be followed: %s", strerror(-error));
}

static void look_for_gone(struct watch *watch)
{
	const struct selection *selection = &watch->options.selection;

	watch->gone_count = 0;
	for (size_t i = 0; i < selection->process_count; i++)
		if (!session_follows(watch->session, selection->process_ids[i]))
			watch->gone[watch->gone_count++] = selection->process_ids[i];
}

/* A disk that is full may have room again: it goes on, and says so in the end. */
static void note_report(struct watch *watch, int error)
{
	if (error && !watch->failed)
		watch->failed = LAUNCH_STATUS_FAILED;
	if (error == -EPIPE)
		watch->ended = watch->unread = true;
}

static void look_at_reports(struct watch *watch)
{
	note_report(watch, watch_reports_look(watch->reports));
	session_leave_out(watch->session, (uint32_t)watch_reports_child(watch->reports));
}

static int take_all(void *context, struct snapshot **ret_snapshot)
{
	return session_snapshot(context, SESSION_DETAIL_ALL, ret_snapshot);
}

static void report_now(struct watch *watch)
{
	struct snapshot *snapshot = NULL;
	const struct report_source whole = {.take = take_all, .context = watch->session};
	struct watch_notes notes;
	int error;

	look_for_gone(watch);
	notes = (struct watch_notes){.gone = watch->gone, .gone_count = watch->gone_count};
	/* This one has named every stack that the whole one needs, too. */
	error = session_snapshot(watch->session, SESSION_DETAIL_TABLE, &snapshot);
	if (error) {
		message_error("no table: %s", strerror(-error));
		note_report(watch, error);
		return;
	}
	/* Nothing can come any more: what is followed descends from these. */
	if (watch->options.selection.kind == SELECTION_PROCESSES && !snapshot->live.processes)
		watch->ended = true;
	note_report(watch, watch_reports_write(watch->reports, snapshot, &notes, &whole, watch->ended));
	session_leave_out(watch->session, (uint32_t)watch_reports_child(watch->reports));
	snapshot_free(snapshot);
}

static void take_signal(struct watch *watch)
{
	struct signalfd_siginfo info;

	while (read(watch->signal_fd, &info, sizeof(info)) == sizeof(info)) {
		watch->asked = true;
		watch->ended |= info.ssi_signo != SIGUSR1;
	}
}

/* @return whether a table that was asked for can be made: its file, too, which the one before may have */
static bool can_answer(const struct watch *watch)
{
	return watch->asked && (watch->ended || !watch_reports_child(watch->reports));
}

static int milliseconds_left(uint64_t until_ns)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC);

	return until_ns > now ? (int)((until_ns - now + 999999) / 1000000 % INT32_MAX) : 0;
}

/* Nothing tells of the end of the child that writes a report. */
static int wait_ms(const struct watch *watch)
{
	int left = milliseconds_left(watch->next_ns);

	return watch->asked && left > ANSWER_WAIT_MS ? ANSWER_WAIT_MS : left;
}

/* Waits for the next table's time, or for a signal. @return 0, or the exit status */
static int follow_until_due(struct watch *watch)
{
	enum { SIGNALS = FOLLOWING_RING + 1, COUNT };
	struct pollfd polled[COUNT] = {[SIGNALS] = {.fd = watch->signal_fd, .events = POLLIN}};
	int error;

	/* Where a table took longer than the interval, those between are left out, and not the events. */
	while (watch->next_ns <= clock_ns(CLOCK_MONOTONIC))
		watch->next_ns += watch->options.interval_ns;
	while (clock_ns(CLOCK_MONOTONIC) < watch->next_ns && !watch->ended) {
		look_at_reports(watch);
		error = following_step(&watch->following, polled, COUNT, wait_ms(watch));
		if (error) {
			message_error("events cannot be waited for: %s", strerror(-error));
			return LAUNCH_STATUS_FAILED;
		}
		if (watch->following.error) {
			message_error("following stopped: %s", strerror(-watch->following.error));
			return LAUNCH_STATUS_FAILED;
		}
		/* Last, as a table tells of all that was before the signal. */
		if (polled[SIGNALS].revents & POLLIN)
			take_signal(watch);
		if (can_answer(watch))
			return 0;
	}
	watch->next_ns += watch->options.interval_ns;
	return 0;
}

/* Nothing comes while the last report is written. */
static void end_following(struct watch *watch)
{
	int error;

	following_settle(&watch->following);
	error = session_end(watch->session);
	if (error)
		message_error("the last events could not be read: %s", strerror(-error));
	note_report(watch, error);
}

/* @return the exit status */
static int follow(struct watch *watch)
{
	const struct options *options = &watch->options;
	int status = 0;

	watch->next_ns = clock_ns(CLOCK_MONOTONIC) + options->interval_ns;
	while (!watch->ended) {
		status = follow_until_due(watch);
		if (status)
			return status;
		if (watch->unread)
			break;
		follow_new(watch);
		watch->ended |= options->count && watch->shown + 1 >= options->count;
		if (watch->ended)
			end_following(watch);
		if (can_answer(watch))
			watch->asked = false;
		report_now(watch);
		watch->shown++;
	}
	return watch->failed;
}

static void clear(struct watch *watch)
{
	session_free(watch->session);
	watch_reports_free(watch->reports);
	selected_free(&watch->selected);
	free(watch->gone);
	options_clear(&watch->options);
	fd_close(&watch->signal_fd);
}

int watch_main(int argc, char **argv)
{
	struct watch watch = {.signal_fd = -1};
	int status;

	switch (options_parse(OPTIONS_OF_WATCH, argc, argv, &watch.options)) {
	case OPTIONS_DONE:
		return 0;
	case OPTIONS_USAGE:
		return LAUNCH_STATUS_FAILED;
	case OPTIONS_GO_ON:
		break;
	}
	status = prepare(&watch);
	if (!status) {
		following_raise_descriptor_limit();
		status = begin_following(&watch);
	}
	if (!status)
		status = follow(&watch);
	clear(&watch);
	return status;
}
