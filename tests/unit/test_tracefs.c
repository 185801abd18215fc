/*
 * Unit tests of src/load/tracefs.c against the running kernel. They run as root and fail where they cannot.
 */
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "load/tracefs.h"
#include "scratch.h"

TestSuite(tracefs, .fini = scratch_remove);

static size_t count_tracefs_mounts(void)
{
	FILE *mounts = fopen("/proc/self/mountinfo", "re");
	char line[4096];
	size_t count = 0;

	cr_assert_not_null(mounts);
	while (fgets(line, sizeof(line), mounts))
		count += strstr(line, " - tracefs ") != NULL;
	fclose(mounts);
	return count;
}

static void check_root(int fd)
{
	struct statfs status;

	cr_assert_eq(fstatfs(fd, &status), 0);
	cr_assert_eq(status.f_type, TRACEFS_MAGIC);
	cr_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	cr_assert_eq(faccessat(fd, "events/syscalls", F_OK, 0), 0);
}

static void own_mounts(void)
{
	cr_assert_eq(unshare(CLONE_NEWNS), 0);
	cr_assert_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
}

/* Takes away every mount of tracefs that the test sees. */
static void hide_tracefs(void)
{
	own_mounts();
	while (umount2("/sys/kernel/debug/tracing", MNT_DETACH) == 0 ||
	       umount2("/sys/kernel/tracing", MNT_DETACH) == 0)
		;
	cr_assert_eq(mount("none", "/sys/kernel/debug", "tmpfs", 0, NULL), 0,
	             "or debugfs would mount it again");
	cr_assert_eq(count_tracefs_mounts(), 0);
}

Test(tracefs, opens_without_a_mount_that_others_see)
{
	int fd = -1;

	hide_tracefs();
	cr_assert_eq(tracefs_open(&fd), 0);
	check_root(fd);
	cr_assert_eq(count_tracefs_mounts(), 0);
	close(fd);
}

Test(tracefs, opens_by_a_child_without_a_mount_that_others_see)
{
	int fd = -1;

	hide_tracefs();
	cr_assert_eq(tracefs_open_by_child(&fd), 0);
	check_root(fd);
	cr_assert_eq(count_tracefs_mounts(), 0);
	cr_assert_eq(waitpid(-1, NULL, 0), -1);
	cr_assert_eq(errno, ECHILD);
	close(fd);
}

Test(tracefs, uses_what_is_mounted)
{
	struct stat mounted, opened;
	int fd = -1;

	hide_tracefs();
	cr_assert_eq(mount("tracefs", "/sys/kernel/tracing", "tracefs", 0, NULL), 0);
	cr_assert_eq(tracefs_open(&fd), 0);
	check_root(fd);
	cr_assert_eq(fstat(fd, &opened), 0);
	cr_assert_eq(stat("/sys/kernel/tracing", &mounted), 0);
	cr_assert_eq(mounted.st_ino, opened.st_ino);
	close(fd);
}

Test(tracefs, is_not_fooled_by_another_file_system_in_its_place)
{
	int fd = -1;

	hide_tracefs();
	cr_assert_eq(mount("none", "/sys/kernel/tracing", "tmpfs", 0, NULL), 0);
	cr_assert_eq(mkdir("/sys/kernel/tracing/events", 0755), 0);
	cr_assert_eq(tracefs_open(&fd), 0);
	check_root(fd);
	close(fd);
}

Test(tracefs, says_when_it_has_no_right)
{
	int status;

	hide_tracefs();
	pid_t child = fork();
	if (child == 0) {
		int fd = -7;
		_exit(setresuid(65534, 65534, 65534) == 0 && tracefs_open(&fd) == -EPERM && fd == -7 ? 0 : 1);
	}
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert_eq(status, 0);
}

Test(tracefs, ids_are_those_of_the_kernel)
{
	uint64_t first = 0, second = 0, unset = 7;
	int fd = -1;

	cr_assert_eq(tracefs_open(&fd), 0);
	cr_assert_eq(tracefs_event_id(fd, "syscalls", "sys_exit_openat", &first), 0);
	cr_assert_eq(tracefs_event_id(fd, "syscalls", "sys_enter_close", &second), 0);
	cr_assert_gt(first, 0);
	cr_assert_gt(second, 0);
	cr_assert_neq(first, second);
	cr_assert_eq(tracefs_event_id(fd, "syscalls", "sys_exit_no_such_call", &unset), -ENOENT);
	cr_assert_eq(unset, 7);
	close(fd);
}

Test(tracefs, ids_that_are_no_numbers_are_refused)
{
	char *folder = scratch_folder(0755);
	char name[300];
	uint64_t id = 7;

	cr_assert_eq(mkdir(scratch_string("%s/events", folder), 0755), 0);
	cr_assert_eq(mkdir(scratch_string("%s/events/g", folder), 0755), 0);
	char *event = scratch_string("%s/events/g/e", folder);
	cr_assert_eq(mkdir(event, 0755), 0);
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cr_assert(fd >= 0);

	static const char *const wrong[] = {"", "\n", "abc\n", "12 13\n", "99999999999999999999999\n"};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		scratch_file(event, "id", wrong[i], 0644);
		cr_assert_eq(tracefs_event_id(fd, "g", "e", &id), -EBADMSG, "'%s'", wrong[i]);
	}
	cr_assert_eq(id, 7);
	scratch_file(event, "id", "654\n", 0644);
	cr_assert_eq(tracefs_event_id(fd, "g", "e", &id), 0);
	cr_assert_eq(id, 654);

	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	cr_assert_eq(tracefs_event_id(fd, "g", name, &id), -ENAMETOOLONG);
	close(fd);
}
