/*
 * Starts the command of `leftopen run`: found as execvp(3) would, made early, held at a gate until it is
 * followed, and left with everything that it would have had without leftopen.
 */
#ifndef LEFTOPEN_CLI_LAUNCH_H
#define LEFTOPEN_CLI_LAUNCH_H

#include <signal.h>
#include <sys/types.h>

#include "cli/launch_identity.h"

/* Exit statuses of env(1), timeout(1) and POSIX' "Command Search and Execution". */
#define LAUNCH_STATUS_FAILED    125 /* leftopen itself */
#define LAUNCH_STATUS_CANNOT    126 /* CMD is there and cannot be run */
#define LAUNCH_STATUS_NOT_FOUND 127

/** How leftopen's own caller wants signals treated, as CMD must find it (nohup ignores SIGHUP, for example).
 */
struct launch_signals {
	sigset_t mask;
	sigset_t ignored;
};

/** CMD's process. Readable by all, made and freed here. */
struct launch {
	pid_t process_id; /* -1 once it has been reaped here: it never became CMD */
	int pid_fd;       /* readable when it has ended */
	int gate_fd;      /* private: the way to and from the waiting child; -1 once it is released */
};

/** Notes the calling thread's signal mask and what is ignored; call it before changing either. */
void launch_signals_save(struct launch_signals *ret_signals);

/**
 * Finds the file that runs, with the identity's rights.
 * @param command a path where it holds a slash, else a name looked for along path_env
 * @param path_env PATH; an empty part means the working directory; NULL: the system's default path
 * @param ret_path for free(); holds a slash
 * @return 0; -ENOENT: not found (exit status 127); -EACCES: found, but not executable for that user, or in a
 *folder that he cannot search; other -errno of finding it: it cannot be run (126); -ENOMEM
 */
int launch_resolve(const char *command, const char *path_env, const struct launch_identity *identity,
                   char **ret_path);

/** @return the exit status that env(1) gives for such a failure of launch_resolve() or launch_release() */
int launch_failure_status(int error);

/**
 * What to tell a user whose command was not found because sudo puts a PATH of its own in place of his.
 * @return a sentence, or NULL: sudo has nothing to do with it
 */
const char *launch_path_hint(const char *command);

/**
 * Makes CMD's process, which waits. It goes away quietly if leftopen ends before launch_release(); a child
 * that is forked between the two must not outlive leftopen, or it keeps the gate open. Standard streams,
 * working directory, terminal, process group, session and descriptors without close-on-exec are leftopen's
 * own. Under an identity that switches, HOME, USER and LOGNAME are that account's.
 * @param path what launch_resolve() found
 * @param arguments ended by NULL, arguments[0] as CMD is to see it
 * @param ret_launch for launch_free()
 * @return 0, -ENOMEM, or -errno of socketpair, fork, pidfd_open
 */
int launch_start(const char *path, char *const arguments[], const struct launch_identity *identity,
                 const struct launch_signals *signals, struct launch **ret_launch);

/**
 * Opens the gate and waits until the child has become CMD. A script without an interpreter line is run by
 * /bin/sh, as execvp(3) does.
 * @return 0: it runs, or was killed before, as its wait status will say; -errno of giving up root or of
 *execve(2): it never ran, and its process is gone
 */
int launch_release(struct launch *launch);

/** Frees; a child that was not released goes away and is waited for. Does not touch a CMD that runs.
 * NULL-safe. */
void launch_free(struct launch *launch);

/**
 * @param wait_status as waitpid(2) gives it, of a process that has ended
 * @return CMD's exit status, or 128 + the signal that killed it
 */
int launch_exit_status(int wait_status);

/**
 * Dies as CMD died, so that a shell sees the same; leaves no core file of its own. Returns where CMD exited,
 * or where the signal does not kill (pid 1 of a container): then launch_exit_status() has to serve.
 */
void launch_repeat_death(int wait_status);

#endif
