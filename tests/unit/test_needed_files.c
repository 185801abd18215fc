/*
 * Tests of which files the loader maps for a program, against what ld.so(8) itself says that it maps.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>

#include "cli/needed_files.h"
#include "scratch.h"

#define LOADER "/lib64/ld-linux-x86-64.so.2"

TestSuite(needed_files, .fini = scratch_remove);

static bool has(const struct file_set *set, const char *path)
{
	struct stat status;

	cr_assert_eq(stat(path, &status), 0, "%s", path);
	for (size_t i = 0; i < set->count; i++)
		if (set->seen[i].device == status.st_dev && set->seen[i].inode == status.st_ino)
			return true;
	return false;
}

static void run(const char *command)
{
	cr_assert_eq(system(command), 0, "%s", command);
}

/* The same files as the loader lists, the program, and the loader. */
static void expect_as_loaded(const char *program, const char *library_path)
{
	char *command = scratch_string("LD_LIBRARY_PATH='%s' " LOADER " --list '%s'",
	                               library_path ? library_path : "", program);
	FILE *list = popen(command, "r");
	struct file_set set = {0};
	char line[4096], path[4096];
	size_t listed = 0;

	cr_assert_not_null(list);
	cr_assert_eq(needed_files_add(&set, program, library_path), 0);
	while (fgets(line, sizeof(line), list)) {
		if (sscanf(line, "%*s => %4095s (", path) != 1 && sscanf(line, " /%4094s (", path + 1) != 1)
			continue;
		if (!strchr(line, '>'))
			path[0] = '/';
		cr_expect(has(&set, path), "%s: %s", program, path);
		listed++;
	}
	cr_assert_eq(pclose(list), 0, "%s", command);
	cr_assert_gt(listed, 1);
	cr_expect(has(&set, program));
	cr_expect(has(&set, LOADER));
	cr_expect_eq(set.count, listed + 1, "%s: %zu files, the loader lists %zu", program, set.count,
	             listed);
	file_set_clear(&set);
}

Test(needed_files, of_installed_programs)
{
	static const char *const programs[] = {"/usr/bin/python3", "/usr/bin/git", "/usr/bin/perl", "/bin/ls",
	                                       "/usr/bin/gcc"};

	for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++)
		expect_as_loaded(programs[i], NULL);
}

/* One is in a folder beside the program, by $ORIGIN; what that one names is found by LD_LIBRARY_PATH. */
Test(needed_files, in_folders_that_files_and_the_environment_name)
{
	char *root = scratch_folder(0755), *program = scratch_string("%s/program", root);

	run(scratch_string("cd %s && mkdir lib other && echo 'int one(void) { return 1; }' >one.c && "
	                   "echo 'int one(void); int two(void) { return one(); }' >two.c && "
	                   "echo 'int two(void); int main(void) { return two(); }' >program.c && "
	                   "cc -shared -fPIC -o other/libone.so one.c && "
	                   "cc -shared -fPIC -o lib/libtwo.so two.c -Lother -lone && "
	                   "cc -o program program.c -Llib -ltwo -Wl,--unresolved-symbols=ignore-all "
	                   "-Wl,-rpath,'$ORIGIN/lib'",
	                   root));
	expect_as_loaded(program, scratch_string("/no/such/folder:%s/other", root));
}

/* It lies beside the program, where the loader does not look either. */
Test(needed_files, without_a_library_that_is_nowhere)
{
	char *root = scratch_folder(0755), *program = scratch_string("%s/program", root);
	struct file_set set = {0};

	run(scratch_string("cd %s && echo 'int one(void) { return 1; }' >one.c && "
	                   "echo 'int one(void); int main(void) { return one(); }' >program.c && "
	                   "cc -shared -fPIC -o libleftopen_one.so one.c && "
	                   "cc -o program program.c -L. -lleftopen_one",
	                   root));
	cr_assert_eq(needed_files_add(&set, program, NULL), 0);
	cr_expect(has(&set, program));
	cr_expect(has(&set, LOADER));
	cr_expect_not(has(&set, scratch_string("%s/libleftopen_one.so", root)));
	file_set_clear(&set);
}

/* Cut at any place, and of bytes that were overwritten: less is found, and nothing else happens. */
Test(needed_files, of_broken_files)
{
	char *root = scratch_folder(0755), *path = scratch_file(root, "program", "", 0755);
	static char bytes[1 << 20], broken[1 << 20];
	struct file_set set = {0};
	ssize_t size, begin;
	int fd = open("/bin/ls", O_RDONLY | O_CLOEXEC);

	size = read(fd, bytes, sizeof(bytes));
	cr_assert(size > 4096 && size < (ssize_t)sizeof(bytes));
	(void)close(fd);
	for (int round = 0; round < 400; round++) {
		memcpy(broken, bytes, (size_t)size);
		begin = round * 64 % 4096;
		if (round % 2)
			memset(broken + begin, round & 255, 64);
		fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
		cr_assert(write(fd, broken, (size_t)(round % 2 ? size : size * round / 400)) >= 0);
		(void)close(fd);
		cr_assert_eq(needed_files_add(&set, path, NULL), 0);
		cr_expect(has(&set, path));
		cr_expect_leq(set.count, 8);
		file_set_clear(&set);
		memset(&set, 0, sizeof(set));
	}
}
