/*
 * Folders, files and strings for one test, all gone after it. What is made here stays reachable until then,
 * so that a leak checker speaks of leftopen only. Include it in a test; give its suite `.fini =
 * scratch_remove`.
 */
#ifndef LEFTOPEN_TESTS_UNIT_SCRATCH_H
#define LEFTOPEN_TESTS_UNIT_SCRATCH_H

#include <criterion/criterion.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define SCRATCH_STRINGS_MAX 64

static struct {
	char *strings[SCRATCH_STRINGS_MAX];
	size_t count;
	char *folders[SCRATCH_STRINGS_MAX];
	size_t folder_count;
} scratch;

/** @return a formatted string that is not to be freed */
__attribute__((format(printf, 1, 2), unused)) static char *scratch_string(const char *format, ...)
{
	va_list arguments;
	char *string;

	cr_assert_lt(scratch.count, (size_t)SCRATCH_STRINGS_MAX);
	va_start(arguments, format);
	cr_assert(vasprintf(&string, format, arguments) >= 0);
	va_end(arguments);
	return scratch.strings[scratch.count++] = string;
}

/** @return the path of a new folder of that mode, whatever the umask */
__attribute__((unused)) static char *scratch_folder(mode_t mode)
{
	char *folder = scratch_string("/tmp/leftopen-scratch.XXXXXX");

	cr_assert_not_null(mkdtemp(folder));
	cr_assert_eq(chmod(folder, mode), 0);
	return scratch.folders[scratch.folder_count++] = folder;
}

/** @return the path of a new file of that content and mode, whatever the umask */
__attribute__((unused)) static char *scratch_file(const char *folder, const char *name, const char *text,
                                                  mode_t mode)
{
	char *path = scratch_string("%s/%s", folder, name);
	FILE *file = fopen(path, "w");

	cr_assert_not_null(file);
	cr_assert(fputs(text, file) >= 0);
	cr_assert_eq(fclose(file), 0);
	cr_assert_eq(chmod(path, mode), 0);
	return path;
}

static int scratch_remove_one(const char *path, const struct stat *status, int type, struct FTW *position)
{
	(void)status;
	(void)type;
	(void)position;
	(void)remove(path); /* the folder's own removal says what could not be */
	return 0;
}

__attribute__((unused)) static void scratch_remove(void)
{
	for (size_t i = 0; i < scratch.folder_count; i++)
		(void)nftw(scratch.folders[i], scratch_remove_one, 8, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
	for (size_t i = 0; i < scratch.count; i++)
		free(scratch.strings[i]);
	scratch.count = 0;
	scratch.folder_count = 0;
}

#endif
