/*
 * Unit tests of src/cli/output_file.c, with real files and as user nobody. They run as root and fail where
 * they cannot.
 */
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/launch_identity.h"
#include "cli/output_file.h"
#include "nobody.h"
#include "scratch.h"

#define PID 4711

static const struct launch_identity self;
static struct launch_identity nobody;

static void set_up(void)
{
	nobody_find(&nobody);
	umask(022);
}

static void tear_down(void)
{
	launch_identity_clear(&nobody);
	scratch_remove();
}

TestSuite(output_file, .init = set_up, .fini = tear_down);

static char *nobodys_folder(void)
{
	char *folder = scratch_folder(0755);

	cr_assert_eq(chown(folder, NOBODY, NOBODY), 0);
	return folder;
}

/* A file with "old" in it. */
static char *old_file(const char *folder, uid_t owner, mode_t mode)
{
	char *path = scratch_file(folder, "report", "old", mode);

	cr_assert_eq(chown(path, owner, owner), 0);
	return path;
}

static size_t count_entries(const char *folder)
{
	DIR *opened = opendir(folder);
	size_t count = 0;

	cr_assert_not_null(opened);
	while (readdir(opened))
		count++;
	closedir(opened);
	return count - 2; /* "." and ".." */
}

static void check_content(const char *path, const char *expected)
{
	char text[256];
	FILE *file = fopen(path, "re");

	cr_assert_not_null(file, "%s: %m", path);
	text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
	fclose(file);
	cr_assert_str_eq(text, expected);
}

static int open_and_abort(const char *path, const struct launch_identity *identity)
{
	OUTPUT_FILE_OWNED struct output_file *file = NULL;
	int result = output_file_open(path, identity, PID, &file);

	cr_assert_eq(result == 0, file != NULL);
	return result;
}

static void write_and_commit(const char *path, const struct launch_identity *identity)
{
	OUTPUT_FILE_OWNED struct output_file *file = NULL;

	cr_assert_eq(output_file_open(path, identity, PID, &file), 0);
	cr_assert(fputs("new", output_file_stream(file)) >= 0);
	cr_assert_eq(output_file_commit(file), 0);
}

Test(output_file, appears_whole_and_is_the_users)
{
	char *folder = nobodys_folder();
	char *path = scratch_string("%s/report", folder);
	OUTPUT_FILE_OWNED struct output_file *file = NULL;
	struct stat status;

	umask(027);
	cr_assert_eq(output_file_open(path, &nobody, PID, &file), 0);
	cr_assert_str_eq(output_file_path(file), path);
	cr_assert_eq(count_entries(folder), 1, "the temporary file");
	cr_assert_neq(access(path, F_OK), 0);
	fputs("new", output_file_stream(file));
	cr_assert_eq(output_file_commit(file), 0);
	check_content(path, "new");
	cr_assert_eq(stat(path, &status), 0);
	cr_assert_eq(status.st_uid, NOBODY);
	cr_assert_eq(status.st_gid, NOBODY);
	cr_assert_eq(status.st_mode & 07777, 0640);
	cr_assert_eq(count_entries(folder), 1);
	cr_assert_eq(waitpid(-1, NULL, WNOHANG), -1);
}

Test(output_file, temporary_file_has_the_promised_name)
{
	char *folder = nobodys_folder();
	OUTPUT_FILE_OWNED struct output_file *file = NULL;
	const struct dirent *entry;

	cr_assert_eq(output_file_open(scratch_string("%s/report", folder), &nobody, PID, &file), 0);
	DIR *opened = opendir(folder);
	do {
		entry = readdir(opened);
		cr_assert_not_null(entry);
	} while (strlen(entry->d_name) <= 2);
	cr_assert_eq(strncmp(entry->d_name, ".report.leftopen-", 17), 0, "%s", entry->d_name);
	cr_assert_eq(strlen(entry->d_name), 23);
	closedir(opened);
}

Test(output_file, replaces_and_keeps_a_private_mode)
{
	char *folder = nobodys_folder();
	char *path = old_file(folder, NOBODY, 0600);
	struct stat status;

	write_and_commit(path, &nobody);
	check_content(path, "new");
	cr_assert_eq(stat(path, &status), 0);
	cr_assert_eq(status.st_mode & 07777, 0600);
}

Test(output_file, abort_leaves_the_old_file)
{
	char *folder = nobodys_folder();
	char *path = old_file(folder, NOBODY, 0644);
	struct output_file *file;

	cr_assert_eq(output_file_open(path, &nobody, PID, &file), 0);
	fputs("new", output_file_stream(file));
	output_file_abort(file);
	output_file_abort(NULL);
	check_content(path, "old");
	cr_assert_eq(count_entries(folder), 1);
}

Test(output_file, works_without_another_identity)
{
	char *folder = scratch_folder(0700);
	char *path = scratch_string("%s/report", folder);

	write_and_commit(path, &self);
	check_content(path, "new");
	cr_assert_eq(chdir(folder), 0);
	write_and_commit("relative", &self);
	check_content("relative", "new");
	cr_assert_eq(count_entries(folder), 2);
}

Test(output_file, percent_sequences_are_replaced)
{
	char *folder = nobodys_folder();
	OUTPUT_FILE_OWNED struct output_file *file = NULL;
	char *path = scratch_string("%s/100%%%%-%%p.json", folder);
	char *expected = scratch_string("%s/100%%-4711.json", folder);

	cr_assert_eq(output_file_open(path, &nobody, PID, &file), 0);
	cr_assert_str_eq(output_file_path(file), expected);
	cr_assert_eq(output_file_commit(file), 0);
	check_content(expected, "");
	cr_assert_eq(open_and_abort(scratch_string("%s/%%q", folder), &nobody), -EINVAL);
	cr_assert_eq(open_and_abort(scratch_string("%s/%%", folder), &nobody), -EINVAL);
}

Test(output_file, symbolic_link_is_refused)
{
	char *folder = nobodys_folder();
	char *path = scratch_string("%s/report", folder);
	char *target = scratch_file(folder, "target", "old", 0644);

	cr_assert_eq(symlink(target, path), 0);
	cr_assert_eq(open_and_abort(path, &nobody), -ELOOP);
	cr_assert_not_null(strstr(output_file_explain(-ELOOP), "symbolic link"));
	cr_assert_eq(unlink(path), 0);
	cr_assert_eq(symlink("/no/such/target", path), 0);
	cr_assert_eq(open_and_abort(path, &nobody), -ELOOP);
	check_content(target, "old");
	cr_assert_eq(count_entries(folder), 2);
}

Test(output_file, the_users_rights_are_what_counts)
{
	char *roots = scratch_folder(0755);
	char *hidden = scratch_folder(0700);
	char *folder = nobodys_folder();

	cr_assert_eq(open_and_abort(scratch_string("%s/report", roots), &nobody), -EACCES);
	cr_assert_eq(open_and_abort(scratch_string("%s/report", roots), &self), 0);
	cr_assert_eq(open_and_abort(scratch_string("%s/report", hidden), &nobody), -EACCES);
	cr_assert_eq(open_and_abort(old_file(folder, 0, 0644), &nobody), -EACCES,
	             "a file of root's in his folder");
	check_content(scratch_string("%s/report", folder), "old");
	cr_assert_eq(geteuid(), 0);
}

Test(output_file, the_users_groups_count)
{
	char *folder = scratch_folder(0770);
	gid_t groups[] = {4242};
	struct launch_identity member = {.switches = true,
	                                 .user_id = NOBODY,
	                                 .group_id = NOBODY,
	                                 .groups = groups,
	                                 .group_count = 1,
	                                 .name = nobody.name,
	                                 .home = nobody.home};

	cr_assert_eq(chown(folder, 0, 4242), 0);
	cr_assert_eq(open_and_abort(scratch_string("%s/report", folder), &nobody), -EACCES);
	write_and_commit(scratch_string("%s/report", folder), &member);
}

Test(output_file, another_users_file_in_a_sticky_folder_is_refused_early)
{
	char *folder = scratch_folder(01777);

	cr_assert_eq(open_and_abort(old_file(folder, 1, 0666), &nobody), -EPERM);
	cr_assert_eq(count_entries(folder), 1);
	write_and_commit(scratch_string("%s/own", folder), &nobody);
	write_and_commit(scratch_string("%s/own", folder), &nobody);
}

Test(output_file, what_is_no_file_is_refused)
{
	char *folder = nobodys_folder();
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char *block = scratch_string("%s/block", folder);

	cr_assert_eq(open_and_abort(folder, &nobody), -EISDIR);
	cr_assert_eq(open_and_abort(scratch_string("%s/", folder), &nobody), -EISDIR);
	cr_assert_eq(open_and_abort("..", &self), -EISDIR);
	cr_assert_eq(open_and_abort("", &self), -ENOENT);
	cr_assert_eq(open_and_abort("/no/such/folder/report", &self), -ENOENT);
	cr_assert_eq(open_and_abort("/etc/passwd/report", &self), -ENOTDIR);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket", folder);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	close(fd);
	cr_assert_eq(open_and_abort(address.sun_path, &self), -ENOTSUP);
	cr_assert_eq(mknod(block, S_IFBLK | 0600, makedev(7, 0)), 0);
	cr_assert_eq(open_and_abort(block, &self), -ENOTSUP);
}

Test(output_file, names_may_be_as_long_as_they_can)
{
	char *folder = nobodys_folder();
	char name[NAME_MAX + 2];

	memset(name, 'x', sizeof(name) - 1);
	name[NAME_MAX + 1] = '\0';
	cr_assert_eq(open_and_abort(scratch_string("%s/%s", folder, name), &nobody), -ENAMETOOLONG);
	name[NAME_MAX] = '\0';
	write_and_commit(scratch_string("%s/%s", folder, name), &nobody);
	check_content(scratch_string("%s/%s", folder, name), "new");
}

Test(output_file, devices_are_written_directly)
{
	write_and_commit("/dev/null", &nobody);

	OUTPUT_FILE_OWNED struct output_file *full = NULL;
	cr_assert_eq(output_file_open("/dev/full", &nobody, PID, &full), 0);
	fputs("new", output_file_stream(full));
	cr_assert_eq(output_file_commit(full), -ENOSPC);

	struct stat status;
	cr_assert_eq(stat("/dev/null", &status), 0);
	cr_assert(S_ISCHR(status.st_mode));
}

Test(output_file, fifos_are_written_directly)
{
	char *folder = nobodys_folder();
	char *path = scratch_string("%s/fifo", folder);
	OUTPUT_FILE_OWNED struct output_file *file = NULL;
	char text[8] = "";

	cr_assert_eq(mkfifo(path, 0600), 0);
	cr_assert_eq(open_and_abort(path, &nobody), -EACCES, "it is root's");
	cr_assert_eq(chown(path, NOBODY, NOBODY), 0);
	cr_assert_eq(open_and_abort(path, &nobody), -ENXIO, "nobody reads, and nobody is waited for");

	int reader = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	cr_assert_eq(output_file_open(path, &nobody, PID, &file), 0);
	fputs("new", output_file_stream(file));
	cr_assert_eq(output_file_commit(file), 0);
	cr_assert_eq(read(reader, text, sizeof(text)), 3);
	cr_assert_str_eq(text, "new");
	close(reader);
}

Test(output_file, abort_writes_nothing_to_a_fifo)
{
	char *path = scratch_string("%s/fifo", nobodys_folder());
	struct output_file *file;
	char byte;

	cr_assert_eq(mkfifo(path, 0600), 0);
	int reader = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	cr_assert_eq(output_file_open(path, &self, PID, &file), 0);
	fputs("half a report", output_file_stream(file));
	output_file_abort(file);
	cr_assert_eq(read(reader, &byte, 1), 0);
	close(reader);
}

Test(output_file, a_reader_that_left_is_an_error)
{
	char *path = scratch_string("%s/fifo", nobodys_folder());
	OUTPUT_FILE_OWNED struct output_file *file = NULL;

	signal(SIGPIPE, SIG_IGN);
	cr_assert_eq(mkfifo(path, 0600), 0);
	int reader = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	cr_assert_eq(output_file_open(path, &self, PID, &file), 0);
	close(reader);
	fputs("new", output_file_stream(file));
	cr_assert_eq(output_file_commit(file), -EPIPE);
}

Test(output_file, dash_is_standard_output)
{
	OUTPUT_FILE_OWNED struct output_file *file = NULL;
	char *path = scratch_file(scratch_folder(0700), "stdout", "", 0600);
	int kept = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 10);
	int replacement = open(path, O_WRONLY | O_CLOEXEC);

	fflush(stdout);
	cr_assert(dup2(replacement, STDOUT_FILENO) >= 0);
	cr_assert_eq(output_file_open("-", &nobody, PID, &file), 0);
	fputs("new", output_file_stream(file));
	cr_assert_eq(output_file_commit(file), 0);
	cr_assert(dup2(kept, STDOUT_FILENO) >= 0);
	check_content(path, "new");
	close(kept);
	close(replacement);
}

Test(output_file, standard_output_may_be_non_blocking)
{
	OUTPUT_FILE_OWNED struct output_file *file = NULL;
	enum { BYTES = 300000 };
	int ends[2], status;

	cr_assert_eq(pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
	pid_t reader = fork();
	if (reader == 0) {
		char buffer[4096];
		size_t total = 0;
		close(ends[1]);
		fcntl(ends[0], F_SETFL, 0);
		for (ssize_t count; (count = read(ends[0], buffer, sizeof(buffer))) > 0;)
			total += (size_t)count;
		_exit(total == BYTES ? 0 : 1);
	}
	close(ends[0]);
	int kept = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 10);
	cr_assert(dup2(ends[1], STDOUT_FILENO) >= 0);
	close(ends[1]);
	cr_assert_eq(output_file_open("-", &self, PID, &file), 0);
	cr_assert(dup2(kept, STDOUT_FILENO) >= 0);
	for (int i = 0; i < BYTES; i++)
		putc('x', output_file_stream(file));
	cr_assert_eq(output_file_commit(file), 0);
	output_file_abort(file);
	file = NULL;
	cr_assert_eq(waitpid(reader, &status, 0), reader);
	cr_assert_eq(status, 0);
	close(kept);
}

Test(output_file, full_disk_leaves_the_old_file_and_no_other)
{
	char *folder = scratch_folder(0755);
	static const size_t sizes[] = {1000,
	                               1000000}; /* found out by commit, and by a write long before it */

	cr_assert_eq(unshare(CLONE_NEWNS), 0);
	cr_assert_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	cr_assert_eq(mount("none", folder, "tmpfs", 0, "size=64k,uid=65534,mode=755"), 0);
	char *path = old_file(folder, NOBODY, 0644);
	char *filler = scratch_file(folder, "filler", "", 0644);
	cr_assert_eq(truncate(filler, 0), 0);
	int fd = open(filler, O_WRONLY | O_CLOEXEC);
	static const char block[4096];
	while (write(fd, block, sizeof(block)) > 0)
		;
	close(fd);

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		OUTPUT_FILE_OWNED struct output_file *file = NULL;
		cr_assert_eq(output_file_open(path, &nobody, PID, &file), 0);
		for (size_t written = 0; written < sizes[i]; written++)
			putc('x', output_file_stream(file));
		cr_assert_eq(output_file_commit(file), -ENOSPC);
		check_content(path, "old");
		cr_assert_eq(count_entries(folder), 2, "the old file and what fills the disk");
	}
	cr_assert_eq(umount(folder), 0);
}

Test(output_file, folder_closed_meanwhile_is_an_error_at_commit)
{
	char *folder = nobodys_folder();
	char *path = scratch_string("%s/report", folder);
	OUTPUT_FILE_OWNED struct output_file *file = NULL;

	cr_assert_eq(output_file_open(path, &nobody, PID, &file), 0);
	cr_assert_eq(chown(folder, 0, 0), 0);
	cr_assert_eq(output_file_commit(file), -EACCES, "root's rights are not used");
	cr_assert_neq(access(path, F_OK), 0);
}

Test(output_file, folder_moved_meanwhile_is_followed)
{
	char *outer = nobodys_folder();
	char *folder = scratch_string("%s/before", outer);
	char *moved = scratch_string("%s/after", outer);
	char *trap = scratch_folder(0755);
	OUTPUT_FILE_OWNED struct output_file *file = NULL;

	cr_assert_eq(mkdir(folder, 0777), 0);
	cr_assert_eq(chown(folder, NOBODY, NOBODY), 0);
	cr_assert_eq(output_file_open(scratch_string("%s/report", folder), &nobody, PID, &file), 0);
	cr_assert_eq(rename(folder, moved), 0);
	cr_assert_eq(symlink(trap, folder), 0);
	fputs("new", output_file_stream(file));
	cr_assert_eq(output_file_commit(file), 0);
	check_content(scratch_string("%s/report", moved), "new");
	cr_assert_eq(count_entries(trap), 0);
}

Test(output_file, descriptors_are_not_inherited_nor_left)
{
	char *folder = nobodys_folder();
	size_t before = count_entries("/proc/self/fd");
	OUTPUT_FILE_OWNED struct output_file *file = NULL;

	cr_assert_eq(output_file_open(scratch_string("%s/report", folder), &nobody, PID, &file), 0);
	cr_assert_eq(count_entries("/proc/self/fd"), before + 2);
	for (int fd = STDERR_FILENO + 1; fd < 64; fd++) {
		char link[64], target[PATH_MAX];
		snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		ssize_t length = readlink(link, target, sizeof(target) - 1);
		if (length > 0 && strncmp(target, folder, strlen(folder)) == 0)
			cr_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	}
	output_file_abort(file);
	file = NULL;
	cr_assert_eq(count_entries("/proc/self/fd"), before);
	cr_assert_eq(open_and_abort("/etc/no/such", &nobody), -ENOENT);
	cr_assert_eq(count_entries("/proc/self/fd"), before);
}

Test(output_file, every_error_has_words)
{
	for (int error = 1; error < 134; error++)
		cr_assert(strlen(output_file_explain(-error)) > 0);
}
