/*
 * mapped_files.c: how many descriptors are kept, and what is never opened.
 */
#include "symbols/mapped_files.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "build_folder.h"
#include "unwind/vdso_file.h"

static struct mapped_files *files;

static void setup(void)
{
	struct rlimit limit;

	folder_make();
	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = limit.rlim_max;
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	cr_assert_eq(mapped_files_new(&files), 0);
}

static void teardown(void)
{
	mapped_files_free(files);
	folder_remove();
}

TestSuite(mapped_files, .init = setup, .fini = teardown, .timeout = 60);

static size_t open_descriptors(void)
{
	DIR *folder = opendir("/proc/self/fd");
	size_t count = 0;

	while (readdir(folder))
		count++;
	closedir(folder);
	return count;
}

/* A file as the programs tell of it; its process is gone, so that it is opened by its path. */
static struct file_key add(const char *path)
{
	struct stat status;
	struct event_file event = {.cause = FILE_MAPPED, .executable = 1};

	cr_assert_eq(stat(path, &status), 0);
	event.header.process_id = UINT32_MAX;
	event.key.inode = status.st_ino;
	cr_assert_eq(mapped_files_add(files, &event, path), 0);
	return event.key;
}

Test(mapped_files, descriptors_stay_below_the_maximum)
{
	enum { COUNT = MAPPED_FILES_OPEN_MAX + 40 };
	static struct file_key keys[COUNT];
	size_t before = open_descriptors();

	for (size_t i = 0; i < COUNT; i++) {
		char name[32];

		snprintf(name, sizeof(name), "file%zu", i);
		folder_write(name, name, 1);
		keys[i] = add(folder_path(name));
	}
	for (size_t i = 0; i < COUNT; i++) {
		struct stat status;
		int fd = -1;

		cr_assert_eq(mapped_files_fd(files, &keys[i], &fd), 0);
		cr_assert_eq(fstat(fd, &status), 0);
		cr_assert_eq(status.st_ino, keys[i].inode);
	}
	/* One more, for the file that was asked for last. */
	cr_assert_leq(open_descriptors() - before, MAPPED_FILES_OPEN_MAX + 1);
	mapped_files_free(files);
	files = NULL;
	cr_assert_eq(open_descriptors(), before);
}

Test(mapped_files, another_file_of_that_path)
{
	struct file_key key;
	int fd = -1;

	/* Told of before it could be opened, and replaced since. */
	folder_write("other", "", 0);
	folder_write("file", "", 0);
	key = add(folder_path("other"));
	key.inode++;
	cr_assert_eq(mapped_files_fd(files, &key, &fd), -ENOENT);
	cr_assert_null(mapped_files_path(files, &key));
	cr_assert_eq(fd, -1);
}

Test(mapped_files, what_is_no_regular_file)
{
	struct file_key key;
	int fd = -1;

	cr_assert_eq(mkfifo(folder_path("fifo"), 0600), 0);
	key = add(folder_path("fifo"));
	cr_assert_eq(mapped_files_fd(files, &key, &fd), -ESTALE);
	cr_assert_str_eq(mapped_files_path(files, &key), folder_path("fifo"));
	key = add(build_folder);
	cr_assert_eq(mapped_files_fd(files, &key, &fd), -ESTALE);
}

/* What stands for a file is read by the descriptor that came with it, and never found by its name. */
Test(mapped_files, named)
{
	const struct file_key key = {.inode = FILE_KEY_VDSO_INODE};
	char magic[4];
	int fd = -1;
	size_t before = open_descriptors();

	cr_assert_eq(vdso_file_open(&fd), 0);
	cr_assert_eq(mapped_files_add_named(files, &key, "[vdso]", fd), 0);
	cr_expect_str_eq(mapped_files_path(files, &key), "[vdso]");
	cr_assert_eq(mapped_files_fd(files, &key, &fd), 0);
	cr_assert_eq(pread(fd, magic, sizeof(magic), 0), (ssize_t)sizeof(magic));
	cr_expect_arr_eq(magic, "\177ELF", sizeof(magic));
	cr_assert_eq(vdso_file_open(&fd), 0);
	cr_expect_eq(mapped_files_add_named(files, &key, "[other]", fd), -EEXIST);
	cr_expect_str_eq(mapped_files_path(files, &key), "[vdso]");
	cr_expect_eq(open_descriptors(), before + 1, "what is not taken is closed");
}

/* A filesystem whose daemon does not answer: whoever opens a file there waits until the daemon is gone. */
Test(mapped_files, that_never_opens)
{
	int daemon_fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	char options[96];
	struct event_file event = {.cause = FILE_MAPPED, .executable = 1, .key.inode = 1};
	uint64_t begun_ns = clock_ns(CLOCK_MONOTONIC);
	struct file_key good;
	int fd = -1;

	cr_assert_geq(daemon_fd, 0, "/dev/fuse");
	cr_assert_eq(unshare(CLONE_NEWNS), 0);
	cr_assert_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	cr_assert_eq(mkdir(folder_path("fuse"), 0700), 0);
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0", daemon_fd);
	cr_assert_eq(mount("none", folder_path("fuse"), "fuse", 0, options), 0);
	folder_write("good", "", 0);
	good = add(folder_path("good"));
	event.header.process_id = UINT32_MAX;
	for (; event.key.inode < 1 + MAPPED_FILES_LATE_MAX + 5; event.key.inode++)
		cr_assert_eq(mapped_files_add(files, &event, folder_path("fuse/file")), 0);
	cr_expect_lt(clock_ns(CLOCK_MONOTONIC) - begun_ns,
	             (MAPPED_FILES_LATE_MAX + 5) * MAPPED_FILES_OPEN_NS);
	cr_expect_geq(clock_ns(CLOCK_MONOTONIC) - begun_ns, MAPPED_FILES_LATE_MAX * MAPPED_FILES_OPEN_NS);
	begun_ns = clock_ns(CLOCK_MONOTONIC);
	event.key.inode = 1;
	cr_expect_eq(mapped_files_fd(files, &event.key, &fd), -ETIMEDOUT);
	cr_expect_eq(mapped_files_fd(files, &good, &fd), 0, "what was open before still is");
	cr_expect_lt(clock_ns(CLOCK_MONOTONIC) - begun_ns, MAPPED_FILES_OPEN_NS,
	             "it is not waited for again");
	close(daemon_fd);
	cr_assert_eq(umount2(folder_path("fuse"), MNT_DETACH), 0);
}
