/*
 * A folder in which a test compiles and runs programs. Criterion runs each test in a process of its own, so
 * one folder is enough; folder_make() and folder_remove() are a suite's init and fini.
 */
#ifndef LEFTOPEN_TESTS_UNIT_BUILD_FOLDER_H
#define LEFTOPEN_TESTS_UNIT_BUILD_FOLDER_H

#include <criterion/criterion.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define FOLDER_PATH_BYTES 256

static char build_folder[FOLDER_PATH_BYTES];

static inline void folder_make(void)
{
	const char *root = getenv("TMPDIR");

	snprintf(build_folder, sizeof(build_folder), "%s/leftopen-build.XXXXXX", root ? root : "/tmp");
	cr_assert_not_null(mkdtemp(build_folder));
}

static inline int folder_remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk)
{
	(void)status;
	(void)type;
	(void)walk;
	return remove(path);
}

static inline void folder_remove(void)
{
	nftw(build_folder, folder_remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* The path of a file in the folder, until the next call. */
static inline const char *folder_path(const char *name)
{
	static char path[FOLDER_PATH_BYTES * 2];

	snprintf(path, sizeof(path), "%s/%s", build_folder, name);
	return path;
}

static inline void folder_write(const char *name, const void *content, size_t bytes)
{
	FILE *file = fopen(folder_path(name), "we");

	cr_assert_not_null(file);
	cr_assert_eq(fwrite(content, 1, bytes, file), bytes);
	cr_assert_eq(fclose(file), 0);
}

/* Runs a shell command in the folder and gives what system() gives. */
__attribute__((format(printf, 1, 2))) static inline int folder_shell(const char *format, ...)
{
	char command[4096];
	int length = snprintf(command, sizeof(command), "cd '%s' && ", build_folder);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(command + length, sizeof(command) - (size_t)length, format, arguments);
	va_end(arguments);
	return system(command);
}

#endif
