/*
 * Many small cases in one program: each runs in a forked process of its own, one after the other, and tells
 * the truth of itself at its end.
 */
#ifndef LEFTOPEN_WORKLOADS_SCENARIO_H
#define LEFTOPEN_WORKLOADS_SCENARIO_H

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

#include "truth.h"

struct scenario {
	const char *name;
	void (*run)(void);
};

/* The case that this process is. */
static const char *scenario_name;

/* 99: MUST failed in there. */
static inline bool scenario_as_meant(int status)
{
	return WIFEXITED(status) ? WEXITSTATUS(status) != 99 : WTERMSIG(status) == SIGKILL;
}

static inline void scenario_wait_for(pid_t child)
{
	int status;

	while (waitpid(child, &status, 0) < 0)
		MUST(errno == EINTR);
	MUST(scenario_as_meant(status));
}

/* Waits until nothing descends from this process: it must be a subreaper. */
static inline void scenario_wait_for_all(void)
{
	int status;

	while (wait(&status) > 0)
		MUST(scenario_as_meant(status));
	MUST(errno == ECHILD);
}

/* @return a child's process id; the child runs the function, tells its truth and ends */
static inline pid_t scenario_fork(const char *label, void (*run)(void))
{
	pid_t child = fork();

	MUST(child >= 0);
	if (child)
		return child;
	scenario_name = label;
	truth_begin();
	run();
	truth_tell(label);
	exit(0);
}

static inline void scenario_run_all(const struct scenario *scenarios, size_t count)
{
	/* Those whose parent has ended come back here. */
	MUST(!prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
	for (size_t i = 0; i < count; i++) {
		scenario_wait_for(scenario_fork(scenarios[i].name, scenarios[i].run));
		scenario_wait_for_all();
	}
}

/* @return whether the condition came true before a minute was over */
#define SCENARIO_WAIT_UNTIL(condition)                                          \
	do {                                                                    \
		time_t deadline_ = time(NULL) + 60;                             \
		while (!(condition)) {                                          \
			MUST(time(NULL) < deadline_);                           \
			nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL); \
		}                                                               \
	} while (0)

#endif
