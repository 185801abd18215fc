/*
 * The account "nobody", whose rights tests take on. Include it in a test that runs as root.
 */
#ifndef LEFTOPEN_TESTS_UNIT_NOBODY_H
#define LEFTOPEN_TESTS_UNIT_NOBODY_H

#include <criterion/criterion.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include "cli/launch_identity.h"
#include "scratch.h"

#define NOBODY 65534

/** Finds the account. */
__attribute__((unused)) static void nobody_find(struct launch_identity *ret_identity)
{
	struct launch_error error = {""};

	cr_assert_eq(geteuid(), 0, "these tests need root");
	cr_assert_eq(launch_identity_find(false, "nobody", ret_identity, &error), 0, "%s", error.text);
}

/** Makes nobody a member of group 4242 too, in a group file that only this test sees. */
__attribute__((unused)) static void nobody_join_group(void)
{
	char *folder = scratch_folder(0755);
	char *groups =
	        scratch_file(folder, "group", "root:x:0:\nextra:x:4242:nobody\nnogroup:x:65534:\n", 0644);

	cr_assert_eq(unshare(CLONE_NEWNS), 0);
	cr_assert_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	cr_assert_eq(mount(groups, "/etc/group", NULL, MS_BIND, NULL), 0);
}

#endif
