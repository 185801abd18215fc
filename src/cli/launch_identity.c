/*
 * Whom to be.
 * Inputs: --as-root, --user, sudo's environment variables, the account database. Outputs: credentials.
 * The environment is trusted as far as root's shell is: whoever can set SUDO_UID for a root process is root.
 */
#include "cli/launch_identity.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"

/* Linux' own maximum (NGROUPS_MAX), and so the maximum of the buffer below. */
#define GROUPS_MAX   NGROUPS_MAX
#define GROUPS_FIRST 32

__attribute__((format(printf, 3, 4))) static int explain(struct launch_error *ret_error, int error,
                                                         const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(ret_error->text, sizeof(ret_error->text), format, arguments);
	va_end(arguments);
	return error;
}

/* User and group ids: decimal digits only; 2^32 - 1 means "unchanged" to setresuid(2), so it is not one. */
static bool parse_id(const char *text, uint32_t *ret_id)
{
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	unsigned long long value = strtoull(text, &end, 10);
	if (errno != 0 || *end != '\0' || value >= UINT32_MAX)
		return false;
	*ret_id = (uint32_t)value;
	return true;
}

static int find_groups(const char *name, gid_t group_id, gid_t **ret_groups, size_t *ret_count)
{
	for (int room = GROUPS_FIRST;;) {
		int count = room;
		gid_t *groups = calloc((size_t)room, sizeof(*groups));
		if (!groups)
			return -ENOMEM;
		if (getgrouplist(name, group_id, groups, &count) >= 0) {
			*ret_groups = groups;
			*ret_count = (size_t)count;
			return 0;
		}
		free(groups);
		if (count <= room)
			count = room * 2;
		if (count > GROUPS_MAX)
			return -E2BIG;
		room = count;
	}
}

static int fill(const struct passwd *account, gid_t group_id, struct launch_identity *ret_identity,
                struct launch_error *ret_error)
{
	LAUNCH_IDENTITY_OWNED struct launch_identity identity = {
	        .switches = true, .user_id = account->pw_uid, .group_id = group_id};

	identity.name = strdup(account->pw_name);
	identity.home = strdup(account->pw_dir);
	if (!identity.name || !identity.home)
		return explain(ret_error, -ENOMEM, "out of memory");
	int result = find_groups(identity.name, group_id, &identity.groups, &identity.group_count);
	if (result < 0)
		return explain(ret_error, result, "the groups of %s cannot be found: %s", identity.name,
		               strerror(-result));
	*ret_identity = identity;
	identity = (struct launch_identity){0};
	return 0;
}

static int find_named(const char *user_name, struct launch_identity *ret_identity,
                      struct launch_error *ret_error)
{
	uint32_t user_id;

	/* A name of digits only is a name first, as with chown(1). */
	errno = 0;
	const struct passwd *account = getpwnam(user_name);
	if (!account && parse_id(user_name, &user_id)) {
		errno = 0;
		account = getpwuid(user_id);
	}
	/* getpwnam(3) lists what may stand in errno for "not found" besides 0. */
	if (!account && errno != 0 && errno != ENOENT && errno != ESRCH && errno != EBADF && errno != EPERM)
		return explain(ret_error, -errno, "the account '%s' cannot be looked up: %m", user_name);
	if (!account)
		return explain(ret_error, -ENOENT,
		               "there is no account '%s': --user takes the name or the number of an account",
		               user_name);
	if (account->pw_uid == geteuid()) {
		*ret_identity = (struct launch_identity){0};
		return 0;
	}
	if (geteuid() != 0)
		return explain(ret_error, -EPERM,
		               "only root can run a command as another user: use sudo, or leave out --user");
	return fill(account, account->pw_gid, ret_identity, ret_error);
}

static int find_sudo_caller(struct launch_identity *ret_identity, struct launch_error *ret_error)
{
	const char *user_text = getenv("SUDO_UID");
	const char *group_text = getenv("SUDO_GID");
	uint32_t user_id, group_id;

	if (geteuid() != 0 || !user_text || !group_text || !getenv("SUDO_USER")) {
		*ret_identity = (struct launch_identity){0};
		return 0;
	}
	if (!parse_id(user_text, &user_id))
		return explain(ret_error, -EINVAL,
		               "SUDO_UID is '%s', which is no user id: say --user or --as-root", user_text);
	if (!parse_id(group_text, &group_id))
		return explain(ret_error, -EINVAL,
		               "SUDO_GID is '%s', which is no group id: say --user or --as-root", group_text);
	if (user_id == 0) { /* root called sudo */
		*ret_identity = (struct launch_identity){0};
		return 0;
	}
	errno = 0;
	const struct passwd *account = getpwuid(user_id);
	if (!account)
		return explain(ret_error, -ENOENT,
		               "no account has the user id %u, which called sudo: say --user or --as-root",
		               user_id);
	return fill(account, group_id, ret_identity, ret_error);
}

int launch_identity_find(bool as_root, const char *user_name, struct launch_identity *ret_identity,
                         struct launch_error *ret_error)
{
	if (as_root && user_name)
		return explain(ret_error, -EINVAL,
		               "--as-root and --user exclude each other: say one of them");
	if (user_name)
		return find_named(user_name, ret_identity, ret_error);
	if (!as_root)
		return find_sudo_caller(ret_identity, ret_error);
	*ret_identity = (struct launch_identity){0};
	return 0;
}

int launch_identity_copy(const struct launch_identity *identity, struct launch_identity *ret_copy)
{
	LAUNCH_IDENTITY_OWNED struct launch_identity copy = {.switches = identity->switches,
	                                                     .user_id = identity->user_id,
	                                                     .group_id = identity->group_id,
	                                                     .group_count = identity->group_count};

	if (!identity->switches) {
		*ret_copy = (struct launch_identity){0};
		return 0;
	}
	copy.groups = calloc(copy.group_count + 1,
	                     sizeof(*copy.groups)); /* never 0 bytes, whose NULL says nothing */
	copy.name = strdup(identity->name);
	copy.home = strdup(identity->home);
	if (!copy.groups || !copy.name || !copy.home)
		return -ENOMEM;
	if (copy.group_count > 0)
		memcpy(copy.groups, identity->groups, copy.group_count * sizeof(*copy.groups));
	*ret_copy = copy;
	copy = (struct launch_identity){0};
	return 0;
}

void launch_identity_clear(struct launch_identity *identity)
{
	if (!identity)
		return;
	free(identity->groups);
	free(identity->name);
	free(identity->home);
	*identity = (struct launch_identity){0};
}

int launch_identity_assume(const struct launch_identity *identity)
{
	if (!identity->switches)
		return 0;
	/* In this order: without root's user id the groups can no longer be changed. */
	if (setgroups(identity->group_count, identity->groups) < 0)
		return -errno;
	if (setresgid(identity->group_id, identity->group_id, identity->group_id) < 0)
		return -errno;
	if (setresuid(identity->user_id, identity->user_id, identity->user_id) < 0)
		return -errno;
	/* SECBIT_NO_SETUID_FIXUP (capabilities(7)) would have kept root's capabilities across the change. */
	if (identity->user_id != 0 && setuid(0) == 0)
		return -EPERM;
	return 0;
}

int launch_identity_run(const struct launch_identity *identity, int (*function)(void *data), void *data)
{
	int ends[2];

	if (!identity->switches)
		return function(data);
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	FD_OWNED int read_end = ends[0];
	FD_OWNED int write_end = ends[1];

	pid_t child = fork();
	if (child < 0)
		return -errno;
	if (child == 0) {
		int result = launch_identity_assume(identity);
		if (result == 0)
			result = function(data);
		/* A caller that is gone needs no answer. */
		(void)!write(write_end, &result, sizeof(result));
		_exit(0);
	}
	fd_close(&write_end);

	int result;
	ssize_t count;
	do {
		count = read(read_end, &result, sizeof(result));
	} while (count < 0 && errno == EINTR);
	/* ECHILD where SIGCHLD is ignored: then the kernel has reaped the child. */
	while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
		;
	return count == sizeof(result) ? result : -EIO;
}
