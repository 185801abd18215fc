/*
 * Going on following. See following.h.
 */
#include "cli/following.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <time.h>

#include "base/clock.h"
#include "base/pid_namespace.h"
#include "cli/launch.h"
#include "cli/message.h"
#include "cli/session.h"
#include "load/loader.h"

/* How long an event waits in a ring that is nearly empty. */
#define CONSUME_INTERVAL_MS 20
#define SURVEY_INTERVAL_NS  5000000000ULL
/* Between two surveys that are to agree: what is added was seen by two a second apart (model/reconcile.h). */
#define SURVEY_AGAIN_NS 1100000000ULL
/* A difference is made good by the second survey that sees it. */
#define SURVEYS_TO_AGREE 2
/* Where losses go on, at most a fifth of the time goes into surveys. */
#define SURVEY_SHARE 4

void following_begin(struct following *following, struct session *session, bool surveys_always)
{
	*following = (struct following){
	        .session = session,
	        .surveys_always = surveys_always,
	        .losses = session_losses(session),
	        /* What the first survey took for there, while it was being closed. */
	        .owed = surveys_always ? SURVEYS_TO_AGREE : 0,
	        .survey_due_ns = surveys_always ? clock_ns(CLOCK_MONOTONIC) + SURVEY_AGAIN_NS : UINT64_MAX,
	};
}

static void note_losses(struct following *following)
{
	uint64_t losses = session_losses(following->session);

	if (losses == following->losses || following->surveys_fail)
		return;
	following->losses = losses;
	/* The one that is due soon enough comes at its time. */
	if (!following->owed)
		following->survey_due_ns = 0;
	following->owed = SURVEYS_TO_AGREE;
}

static int survey(struct following *following)
{
	uint64_t begun = clock_ns(CLOCK_MONOTONIC), ended, pause;
	int error = session_survey(following->session);

	ended = clock_ns(CLOCK_MONOTONIC);
	if (following->owed)
		following->owed--;
	note_losses(following);
	pause = (ended - begun) * SURVEY_SHARE;
	if (pause < SURVEY_AGAIN_NS)
		pause = SURVEY_AGAIN_NS;
	if (following->owed)
		following->survey_due_ns = ended + pause;
	else
		following->survey_due_ns =
		        following->surveys_always ? ended + SURVEY_INTERVAL_NS : UINT64_MAX;
	if (!error || following->surveys_always)
		return error;
	/* A kernel that does not iterate: the loss, which the report tells of, is not made good. */
	following->owed = 0;
	following->survey_due_ns = UINT64_MAX;
	following->surveys_fail = true;
	return 0;
}

int following_step(struct following *following, struct pollfd *polled, size_t count, int timeout_ms)
{
	polled[FOLLOWING_RING] = (struct pollfd){
	        .fd = following->error ? -1 : session_ring_fd(following->session),
	        .events = POLLIN,
	};
	if (poll(polled, count, timeout_ms < CONSUME_INTERVAL_MS ? timeout_ms : CONSUME_INTERVAL_MS) < 0) {
		if (errno != EINTR)
			return -errno;
		for (size_t i = 0; i < count; i++)
			polled[i].revents = 0;
	}
	if (following->error)
		return 0;
	following->error = session_consume(following->session);
	if (following->error)
		return 0;
	note_losses(following);
	if (clock_ns(CLOCK_MONOTONIC) >= following->survey_due_ns)
		following->error = survey(following);
	return 0;
}

/* Until the next survey can agree with the last one. */
static void wait_for_agreement(const struct following *following)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC);
	uint64_t left = following->survey_due_ns > now ? following->survey_due_ns - now : 0;
	struct timespec wait;

	if (left > SURVEY_AGAIN_NS)
		left = SURVEY_AGAIN_NS;
	wait.tv_sec = (time_t)(left / 1000000000ULL);
	wait.tv_nsec = (long)(left % 1000000000ULL);
	(void)nanosleep(&wait, NULL);
}

void following_settle(struct following *following)
{
	if (following->error)
		return;
	following->error = session_consume(following->session);
	session_count_left_out(following->session);
	if (!following->error)
		note_losses(following);
	/* No more than these, as losses may go on. */
	for (unsigned int i = 0; i < SURVEYS_TO_AGREE && following->owed && !following->error; i++) {
		if (following->owed < SURVEYS_TO_AGREE)
			wait_for_agreement(following);
		following->error = survey(following);
	}
}

int following_take_signals(const int *handled, size_t handled_count, const int *ignored, size_t ignored_count,
                           int *ret_signal_fd)
{
	sigset_t mask;
	int fd;

	(void)sigemptyset(&mask);
	for (size_t i = 0; i < handled_count; i++)
		(void)sigaddset(&mask, handled[i]);
	for (size_t i = 0; i < ignored_count; i++)
		(void)signal(ignored[i], SIG_IGN);
	/* Where the caller ignores it, the kernel would reap children, and their status with them (wait(2)).
	 */
	(void)signal(SIGCHLD, SIG_DFL);
	if (sigprocmask(SIG_BLOCK, &mask, NULL))
		return -errno;
	fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return -errno;
	*ret_signal_fd = fd;
	return 0;
}

int following_check_proc(void)
{
	const struct feature *proc = features_find(FEATURE_PROC);

	if (pid_namespace_is_in_proc())
		return 0;
	message_error("cannot follow processes on this machine: there is no %s, needed %s. What to do: %s",
	              proc->name, proc->purpose, proc->remedy);
	return LAUNCH_STATUS_FAILED;
}

void following_raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (!getrlimit(RLIMIT_NOFILE, &limit)) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
}

/* @return the first feature that it needs and that is not there, or NULL */
static const struct feature *find_missing(enum feature_user user)
{
	struct feature_tracepoint tracepoint = {.name = "sys_exit_openat", .required = true};
	struct feature_results results;

	features_probe(&tracepoint, 1, &results);
	for (int id = 0; id < FEATURE_COUNT; id++)
		if (features_is_needed((enum feature_id)id, user) && results.of[id].state != FEATURE_OK)
			return features_find(id);
	return NULL;
}

/* What the kernel says of a program that it refuses tells a user little: the table of features has the reason
 * and the remedy. */
int following_cannot_begin(int error, const struct loader_error *detail, enum feature_user user)
{
	const struct feature *missing = find_missing(user);
	const char *text = detail->text[0] ? detail->text : strerror(-error);

	if (missing)
		message_error("cannot follow processes on this machine: there is no %s, needed %s (%s). What "
		              "to do: %s; `leftopen doctor` says more",
		              missing->name, missing->purpose, text, missing->remedy);
	else
		message_error("cannot follow processes on this machine: %s. What to do: see what `leftopen "
		              "doctor` says",
		              text);
	return LAUNCH_STATUS_FAILED;
}
