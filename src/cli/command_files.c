/*
 * Which files a command is likely to map. See command_files.h.
 */
#include "cli/command_files.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "cli/launch.h"
#include "cli/needed_files.h"

#define SCRIPT_LINE_BYTES 256
/* A script's interpreter can be a script (pyenv's shims). */
#define SCRIPT_DEPTH_MAX 4

#define FREED __attribute__((cleanup(free_string)))

static void free_string(char **string)
{
	free(*string);
}

static int add_matches(struct file_set *set, const char *pattern)
{
	glob_t found;
	int error = 0;

	if (glob(pattern, GLOB_NOSORT, NULL, &found))
		return 0;
	for (size_t i = 0; i < found.gl_pathc && !error; i++)
		error = file_set_add(set, found.gl_pathv[i]);
	globfree(&found);
	return error;
}

/* Finds a program as the shell would. @return 0: a path for free(), NULL where there is none; or -ENOMEM */
static int find_on_path(const char *path_env, const char *name, char **ret_path)
{
	static const struct launch_identity self;
	char *path = NULL;
	int error = launch_resolve(name, path_env, &self, &path);

	if (error == -ENOMEM)
		return error;
	*ret_path = path;
	return 0;
}

/* "#!/usr/bin/env -S python3 -u": the program that is named. @return false: not a script */
static bool read_interpreter(const char *path, char *line, size_t bytes, char **ret_program,
                             char **ret_argument)
{
	FD_OWNED int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	ssize_t length = fd < 0 ? -1 : read(fd, line, bytes - 1);
	char *save = NULL;

	if (length < 3 || line[0] != '#' || line[1] != '!')
		return false;
	line[length] = '\0';
	line[strcspn(line, "\n")] = '\0';
	*ret_program = strtok_r(line + 2, " \t", &save);
	*ret_argument = strtok_r(NULL, " \t", &save);
	if (*ret_argument && !strcmp(*ret_argument, "-S"))
		*ret_argument = strtok_r(NULL, " \t", &save);
	return *ret_program;
}

/* Follows a script to the program that runs in the end. @param ret_path PATH_MAX bytes */
static int find_program(const char *path, const char *path_env, char *ret_path)
{
	char line[SCRIPT_LINE_BYTES], *program, *argument, *slash;

	(void)snprintf(ret_path, PATH_MAX, "%s", path);
	for (int depth = 0; depth < SCRIPT_DEPTH_MAX; depth++) {
		FREED char *found = NULL;

		if (!read_interpreter(ret_path, line, sizeof(line), &program, &argument))
			break;
		slash = strrchr(program, '/');
		if (argument && !strcmp(slash ? slash + 1 : program, "env") &&
		    find_on_path(path_env, argument, &found))
			return -ENOMEM;
		(void)snprintf(ret_path, PATH_MAX, "%s", found ? found : program);
	}
	return 0;
}

static int add_program(struct file_set *set, const char *path, const struct command_search *search)
{
	char current[PATH_MAX], pattern[PATH_MAX], *slash;
	int error = find_program(path, search->path, current);

	if (!error)
		error = needed_files_add(set, current, search->library_path);
	/* An interpreter that was not installed by the distribution has its library beside it. */
	if (!error && realpath(current, pattern) && (slash = strrchr(pattern, '/'))) {
		(void)snprintf(slash, sizeof(pattern) - (size_t)(slash - pattern), "/../lib/libpython3*.so*");
		error = add_matches(set, pattern);
	}
	return error;
}

static int add_libc(struct file_set *set)
{
	static const char *const folders[] = {"/lib/x86_64-linux-gnu", "/lib64", "/usr/lib64", "/usr/lib"};
	char path[64];
	int error = 0;

	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]) && !error; i++) {
		(void)snprintf(path, sizeof(path), "%s/libc.so.6", folders[i]);
		error = file_set_add(set, path);
	}
	return error;
}

static int add_runtimes(struct file_set *set, const struct command_search *search)
{
	static const char *const everywhere[] = {
	        "/usr/bin/python3.[0-9]*",
	        "/usr/local/bin/python3.[0-9]*",
	        "/usr/lib/x86_64-linux-gnu/libpython3*.so*",
	        "/usr/lib64/libpython3*.so*",
	        "/usr/local/lib/libpython3*.so*",
	};
	FREED char *python = NULL;
	char pattern[PATH_MAX];
	int error = find_on_path(search->path, "python3", &python);

	for (size_t i = 0; i < sizeof(everywhere) / sizeof(everywhere[0]) && !error; i++)
		error = add_matches(set, everywhere[i]);
	if (!error && python)
		error = file_set_add(set, python);
	if (!error && search->home) {
		(void)snprintf(pattern, sizeof(pattern), "%s/.pyenv/versions/*/lib/libpython3*.so.1.0",
		               search->home);
		error = add_matches(set, pattern);
		(void)snprintf(pattern, sizeof(pattern), "%s/.pyenv/versions/*/bin/python3.[0-9]*[0-9]",
		               search->home);
		if (!error)
			error = add_matches(set, pattern);
	}
	return error;
}

int command_files_list(const char *path, const struct command_search *search, struct file_set *ret_set,
                       size_t *ret_likely)
{
	int error;

	ret_set->count = 0;
	error = add_program(ret_set, path, search);
	if (!error)
		error = add_libc(ret_set);
	*ret_likely = ret_set->count;
	if (!error)
		error = add_runtimes(ret_set, search);
	if (error)
		file_set_clear(ret_set);
	return error;
}
