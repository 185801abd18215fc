/*
 * Which files a command is likely to map: its program or script's interpreter with the libraries that it
 * needs, the runtimes on the machine. Looked at before it starts, so that marks are attached and tables for
 * unwinding made in time. Nothing is run; files are only read.
 */
#ifndef LEFTOPEN_CLI_COMMAND_FILES_H
#define LEFTOPEN_CLI_COMMAND_FILES_H

#include <stddef.h>

#include "cli/file_set.h"

/* Where the command's files are looked for; each may be NULL. */
struct command_search {
	const char *path;         /* PATH */
	const char *library_path; /* LD_LIBRARY_PATH */
	const char *home;         /* of the user as whom it runs: pyenv's interpreters are there */
};

/**
 * Lists the files.
 * @param path of the command, as launch_resolve() found it
 * @param ret_set filled in, for file_set_clear()
 * @param ret_likely how many of them, from the first on, the command itself maps
 * @return 0; -ENOMEM: the set is empty
 */
int command_files_list(const char *path, const struct command_search *search, struct file_set *ret_set,
                       size_t *ret_likely);

#endif
