/*
 * As whom CMD runs, and as whom report files are written: an account with its groups and home.
 * Under sudo that is whoever called sudo, so that a test suite neither runs as root nor leaves files of
 * root's.
 */
#ifndef LEFTOPEN_CLI_LAUNCH_IDENTITY_H
#define LEFTOPEN_CLI_LAUNCH_IDENTITY_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define LAUNCH_ERROR_BYTES 256

struct launch_identity {
	bool switches; /* false: leftopen's own credentials and environment, and nothing below means anything
	                */
	uid_t user_id;
	gid_t group_id;
	gid_t *groups; /* supplementary, group_id among them */
	size_t group_count;
	char *name;
	char *home;
};

/** A sentence for the user, without "leftopen:" and newline; holds argv's bytes, so it is escaped as it is
 * printed. */
struct launch_error {
	char text[LAUNCH_ERROR_BYTES];
};

/** A local that frees what its identity owns as its scope ends; needs an initial value ({0}: none). */
#define LAUNCH_IDENTITY_OWNED __attribute__((cleanup(launch_identity_clear)))

/**
 * Finds whom to be. `user_name` wins; else, where leftopen is root and SUDO_UID, SUDO_GID and SUDO_USER are
 *set, whoever called sudo; else leftopen's own credentials. Asks the account database, so call it before
 *forking.
 * @param as_root --as-root: stay what leftopen is
 * @param user_name --user: an account's name or number; NULL: not given
 * @param ret_identity for launch_identity_clear()
 * @param ret_error set on failure only
 * @return 0; -EINVAL: as_root with user_name, or an environment variable of sudo's that is no number;
 *-ENOENT: no such account; -EPERM: another user is asked for and leftopen is not root; -ENOMEM; -errno of the
 *account database
 */
int launch_identity_find(bool as_root, const char *user_name, struct launch_identity *ret_identity,
                         struct launch_error *ret_error);

/**
 * Copies an identity.
 * @param ret_copy for launch_identity_clear()
 * @return 0, or -ENOMEM
 */
int launch_identity_copy(const struct launch_identity *identity, struct launch_identity *ret_copy);

/** Frees what the identity owns and makes it one that does not switch. NULL-safe. */
void launch_identity_clear(struct launch_identity *identity);

/**
 * Gives up root for good: groups, group id and user id, each checked. For a forked child; async-signal-safe.
 * Does nothing where the identity does not switch.
 * @return 0, or -errno of the call that failed; -EPERM also where root could be taken back
 */
int launch_identity_assume(const struct launch_identity *identity);

/**
 * Runs a function with the identity's rights, and no more than those: in a forked child that has given up
 * root, or right here where the identity does not switch. A child, and not setfsuid(2), because the latter
 * leaves every capability that is not about files (CAP_SYS_PTRACE opens /proc/PID/mem), and because a library
 * call that takes a filesystem's time can be interrupted in a child. What the function finds leaves it by its
 * return value and by descriptors that it shares with the caller: memory that it changes may be the child's.
 * @param function returns what it likes; in a multi-threaded process it must be async-signal-safe
 * @return the function's value; -errno of pipe, fork or of launch_identity_assume(); -EIO: the child was
 * killed
 */
int launch_identity_run(const struct launch_identity *identity, int (*function)(void *data), void *data);

#endif
