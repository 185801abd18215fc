/*
 * perf_map_file.c: which file is opened, and what is never touched.
 */
#include "symbols/perf_map_file.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "scratch.h"

#define OWNER    4711
#define STRANGER 4712
#define PROCESS  77
#define NAME     "perf-77.map"

static char *root, *folder;
static int root_fd;
static int64_t now_s;

static void setup(void)
{
	cr_assert_eq(geteuid(), 0, "these tests need root");
	root = scratch_folder(0755);
	folder = scratch_string("%s/tmp", root);
	cr_assert_eq(mkdir(folder, 0777), 0);
	root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	cr_assert_geq(root_fd, 0);
	now_s = (int64_t)(clock_ns(CLOCK_REALTIME) / 1000000000ULL);
}

static void teardown(void)
{
	close(root_fd);
	scratch_remove();
}

TestSuite(perf_map_file, .init = setup, .fini = teardown, .timeout = 60);

/* A file with that owner. @return its path */
static char *make(const char *where, const char *name, uid_t owner)
{
	char *path = scratch_file(where, name, "1000 10 f\n", 0600);

	cr_assert_eq(chown(path, owner, owner), 0);
	return path;
}

/* @return 0, or why it was not opened */
static int try_open(void)
{
	int fd = perf_map_file_open(root_fd, PROCESS, OWNER, now_s);
	char text[16] = "";

	if (fd < 0)
		return fd;
	cr_assert_eq(read(fd, text, sizeof(text) - 1), 10);
	cr_assert_str_eq(text, "1000 10 f\n");
	cr_assert_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
	close(fd);
	return 0;
}

Test(perf_map_file, of_its_owner)
{
	make(folder, NAME, OWNER);
	cr_assert_eq(try_open(), 0);
}

Test(perf_map_file, of_root)
{
	make(folder, NAME, 0);
	cr_assert_eq(try_open(), 0);
}

Test(perf_map_file, of_a_stranger)
{
	make(folder, NAME, STRANGER);
	cr_assert_eq(try_open(), -EPERM);
}

Test(perf_map_file, none)
{
	make(folder, "perf-78.map", OWNER);
	cr_assert_eq(try_open(), -ENOENT);
}

/* Anybody may give a file of root's another name where the kernel is not told to forbid it. */
Test(perf_map_file, with_two_names)
{
	char *other = make(folder, "secret", 0);

	cr_assert_eq(link(other, scratch_string("%s/" NAME, folder)), 0);
	cr_assert_eq(try_open(), -EPERM);
}

Test(perf_map_file, left_by_another_process)
{
	struct timespec times[2] = {{.tv_sec = now_s - 10}, {.tv_sec = now_s - 10}};
	char *path = make(folder, NAME, OWNER);

	cr_assert_eq(utimensat(AT_FDCWD, path, times, 0), 0);
	cr_assert_eq(try_open(), -ESTALE);
}

Test(perf_map_file, symbolic_link)
{
	make(folder, "other", OWNER);
	cr_assert_eq(symlink("other", scratch_string("%s/" NAME, folder)), 0);
	cr_assert_eq(try_open(), -EINVAL);
}

Test(perf_map_file, directory)
{
	char *path = scratch_string("%s/" NAME, folder);

	cr_assert_eq(mkdir(path, 0755), 0);
	cr_assert_eq(chown(path, OWNER, OWNER), 0);
	cr_assert_eq(try_open(), -EINVAL);
}

/* A writer that waits for a reader goes on waiting. */
Test(perf_map_file, fifo_gets_no_reader)
{
	char *path = scratch_string("%s/" NAME, folder);

	cr_assert_eq(mkfifo(path, 0644), 0);
	cr_assert_eq(chown(path, OWNER, OWNER), 0);
	cr_assert_eq(try_open(), -EINVAL);
	cr_assert_eq(open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC), -1);
	cr_assert_eq(errno, ENXIO);
}

Test(perf_map_file, device)
{
	cr_assert_eq(mknod(scratch_string("%s/" NAME, folder), S_IFCHR | 0666, 0x103), 0);
	cr_assert_eq(try_open(), -EINVAL);
}

/* A link in place of /tmp is followed, as the process would, and never out of its root. */
Test(perf_map_file, link_to_a_folder)
{
	char *outside = scratch_folder(0755), *inside = scratch_string("%s/var", root);

	make(outside, NAME, OWNER);
	cr_assert_eq(rmdir(folder), 0);
	cr_assert_eq(symlink(outside, folder), 0);
	cr_assert_lt(try_open(), 0);
	cr_assert_eq(unlink(folder), 0);
	cr_assert_eq(symlink("/../../var", folder), 0);
	cr_assert_eq(mkdir(inside, 0755), 0);
	make(inside, NAME, OWNER);
	cr_assert_eq(try_open(), 0);
}

Test(perf_map_file, magic_link_to_a_folder)
{
	cr_assert_eq(rmdir(folder), 0);
	cr_assert_eq(symlink(scratch_string("/proc/%d/cwd", getpid()), folder), 0);
	cr_assert_lt(try_open(), 0);
}

Test(perf_map_file, root_of_a_process)
{
	uint64_t now_ns = clock_ns(CLOCK_BOOTTIME);
	struct stat own, found;
	pid_t child;
	int fd = perf_map_file_open_root((uint32_t)getpid(), now_ns);

	cr_assert_geq(fd, 0);
	cr_assert_eq(fstat(fd, &found), 0);
	cr_assert_eq(stat("/", &own), 0);
	cr_assert_eq(found.st_ino, own.st_ino);
	close(fd);
	/* One that started later is another. */
	cr_assert_eq(perf_map_file_open_root((uint32_t)getpid(), 1), -ESRCH);
	child = fork();
	if (!child)
		_exit(0);
	cr_assert_eq(waitid(P_PID, (id_t)child, &(siginfo_t){0}, WEXITED | WNOWAIT), 0);
	cr_assert_eq(perf_map_file_open_root((uint32_t)child, clock_ns(CLOCK_BOOTTIME)), -ESRCH);
	cr_assert_eq(waitpid(child, NULL, 0), child);
	cr_assert_eq(perf_map_file_open_root((uint32_t)child, clock_ns(CLOCK_BOOTTIME)), -ESRCH);
}
