/*
 * A session of following: the programs, the model, the names, and how events get from one to the other. The
 * one place that knows all rooms at work.
 */
#ifndef LEFTOPEN_CLI_SESSION_H
#define LEFTOPEN_CLI_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "load/loader.h"

struct session;
struct snapshot;

struct session_options {
	struct loader_options loader;
	const char *const *application_globs; /* --app */
	size_t glob_count;
	uint64_t min_count;
	size_t samples;        /* 0: all */
	bool inherited;        /* --inherited */
	bool children_are_own; /* they do its work: what they cost is its own cost */
	bool forgets_gone;     /* processes that have ended are in no snapshot, and take no room */
	void (*progress)(void *context, size_t done, size_t total); /* of naming stacks; NULL: nobody asks */
	void *progress_context;
	const char *const *command;
	size_t command_count;
};

/**
 * Loads and attaches; nothing is followed yet.
 * @param options stays the caller's and must outlive the session, with all that it points to
 * @param ret_error what failed, for the user
 * @return 0, or -errno of loading and attaching
 */
int session_new(const struct session_options *options, struct session **ret_session,
                struct loader_error *ret_error);

/**
 * Looks at files that the command or its descendants may map, before they do, so that runtimes are known in
 *time. A file that cannot be opened is left out, and learnt when it is mapped.
 * @param likely of the first so many marks are attached now; of the others when one of them is mapped, as
 *attaching takes milliseconds each
 * @return 0, or -errno of the ring's consumption
 */
int session_learn_files(struct session *session, char *const *paths, size_t count, size_t likely);

/** Follows a process that has not run its program yet. @return 0, or -errno */
int session_follow(struct session *session, uint32_t process_id);

/**
 * Follows processes that run already, and all that descends from them; what they hold by now is nobody's to
 * blame.
 * @param process_ids NULL: all processes of the machine, and all that come
 * @return 0, or -errno
 */
int session_follow_running(struct session *session, const uint32_t *process_ids, size_t count);

/** @return whether the process is followed now */
bool session_follows(const struct session *session, uint32_t process_id);

/** Asks the kernel which runs of programs it left out; session_consume() does so once a second. */
void session_count_left_out(struct session *session);

/** Never follows a child of leftopen's own, and that one's children. @param process_id 0: there is none */
void session_leave_out(struct session *session, uint32_t process_id);

/** @return events and the like that were lost so far, of all causes */
uint64_t session_losses(const struct session *session);

/**
 * Holds what is known against the kernel's own tables. A difference is made good by the second survey that
 * sees it.
 * @return 0, or -errno
 */
int session_survey(struct session *session);

/** @return the descriptor that is readable when events wait in number; session_consume() is due every 20 ms
 * anyway */
int session_ring_fd(const struct session *session);

/** Takes in the events that wait. @return 0, or -errno: following cannot go on */
int session_consume(struct session *session);

/** Ends following: takes in what waits, and switches the programs off. @return 0, or -errno */
int session_end(struct session *session);

/** Notes that the command runs from here on, for the report's time to armed. */
void session_armed(struct session *session);

/** What a snapshot has of handles: a table shows none of them by itself. */
enum session_detail { SESSION_DETAIL_TABLE, SESSION_DETAIL_ALL };

/** Takes a snapshot, with names. @return 0, or -ENOMEM */
int session_snapshot(struct session *session, enum session_detail detail, struct snapshot **ret_snapshot);

/** NULL-safe. */
void session_free(struct session *session);

#endif
