/*
 * Unit tests of src/cli/launch_identity.c, with real processes. They run as root, as leftopen does, and fail
 * where they cannot. Criterion gives each test a process of its own.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/launch_identity.h"
#include "nobody.h"
#include "scratch.h"

static const struct launch_identity self;

TestSuite(launch_identity, .fini = scratch_remove);

static void set_sudo(const char *user_id, const char *group_id)
{
	setenv("SUDO_UID", user_id, 1);
	setenv("SUDO_GID", group_id, 1);
	setenv("SUDO_USER", "nobody", 1);
}

Test(launch_identity, without_sudo_nothing_changes)
{
	struct launch_identity identity = {.switches = true};
	struct launch_error error;

	unsetenv("SUDO_UID");
	cr_assert_eq(launch_identity_find(false, NULL, &identity, &error), 0);
	cr_assert_not(identity.switches);
}

Test(launch_identity, under_sudo_it_is_the_caller)
{
	LAUNCH_IDENTITY_OWNED struct launch_identity identity = {0};
	LAUNCH_IDENTITY_OWNED struct launch_identity copy = {0};
	struct launch_identity root = {.switches = true};
	struct launch_error error;

	nobody_join_group();
	set_sudo("65534", "65534");
	cr_assert_eq(launch_identity_find(false, NULL, &identity, &error), 0);
	cr_assert(identity.switches);
	cr_assert_eq(identity.user_id, NOBODY);
	cr_assert_eq(identity.group_id, NOBODY);
	cr_assert_eq(identity.group_count, 2);
	cr_assert_str_eq(identity.name, "nobody");
	cr_assert_str_eq(identity.home, "/nonexistent");

	cr_assert_eq(launch_identity_copy(&identity, &copy), 0);
	cr_assert_eq(copy.group_count, 2);
	cr_assert_eq(memcmp(copy.groups, identity.groups, 2 * sizeof(gid_t)), 0);
	cr_assert_str_eq(copy.home, "/nonexistent");

	cr_assert_eq(launch_identity_find(true, NULL, &root, &error), 0);
	cr_assert_not(root.switches);
}

Test(launch_identity, user_wins_over_sudo)
{
	LAUNCH_IDENTITY_OWNED struct launch_identity named = {0};
	LAUNCH_IDENTITY_OWNED struct launch_identity numbered = {0};
	struct launch_error error;

	set_sudo("65534", "65534");
	cr_assert_eq(launch_identity_find(false, "daemon", &named, &error), 0);
	cr_assert_eq(named.user_id, 1);
	cr_assert_eq(launch_identity_find(false, "65534", &numbered, &error), 0);
	cr_assert_str_eq(numbered.name, "nobody");
}

Test(launch_identity, errors_are_sentences)
{
	struct launch_identity identity = {0};
	struct launch_error error = {""};

	cr_assert_eq(launch_identity_find(true, "nobody", &identity, &error), -EINVAL);
	cr_assert_not_null(strstr(error.text, "exclude each other"));
	cr_assert_eq(launch_identity_find(false, "no-such-user", &identity, &error), -ENOENT);
	cr_assert_not_null(strstr(error.text, "no account 'no-such-user'"));
	cr_assert_eq(launch_identity_find(false, "4000000001", &identity, &error), -ENOENT);
	cr_assert_eq(launch_identity_find(false, "-1", &identity, &error), -ENOENT);
	cr_assert_eq(launch_identity_find(false, "", &identity, &error), -ENOENT);

	set_sudo("12x", "65534");
	cr_assert_eq(launch_identity_find(false, NULL, &identity, &error), -EINVAL);
	cr_assert_not_null(strstr(error.text, "SUDO_UID is '12x'"));
	set_sudo("65534", "4294967295");
	cr_assert_eq(launch_identity_find(false, NULL, &identity, &error), -EINVAL);
	set_sudo("4000000001", "65534");
	cr_assert_eq(launch_identity_find(false, NULL, &identity, &error), -ENOENT);
	cr_assert_not_null(strstr(error.text, "4000000001"));
	cr_assert_not(identity.switches);
}

Test(launch_identity, only_root_can_become_another)
{
	struct launch_identity identity = {.switches = true};
	struct launch_error error;

	set_sudo("1", "1");
	cr_assert_eq(seteuid(NOBODY), 0);
	cr_assert_eq(launch_identity_find(false, "daemon", &identity, &error), -EPERM);
	cr_assert_eq(launch_identity_find(false, "nobody", &identity, &error), 0);
	cr_assert_not(identity.switches, "oneself needs no change");
	cr_assert_eq(launch_identity_find(false, NULL, &identity, &error), 0);
	cr_assert_not(identity.switches, "SUDO_UID means nothing to one who is not root");
	cr_assert_eq(seteuid(0), 0);
}

static int who(void *data)
{
	return *(int *)data + (geteuid() == NOBODY ? 1 : 0);
}

static int die(void *data)
{
	(void)data;
	return raise(SIGKILL);
}

Test(launch_identity, runs_a_function_as_somebody)
{
	LAUNCH_IDENTITY_OWNED struct launch_identity nobody = {0};
	int base = -40;

	nobody_find(&nobody);
	cr_assert_eq(launch_identity_run(&nobody, who, &base), -39);
	cr_assert_eq(launch_identity_run(&self, who, &base), -40);
	cr_assert_eq(launch_identity_run(&nobody, die, NULL), -EIO);
	cr_assert_eq(waitpid(-1, NULL, WNOHANG), -1, "no child is left");
}
