/*
 * Which files a command is likely to map: its program or script's interpreter, its libc, the runtimes on the
 * machine. Looked at before it starts, so that marks are attached in time. Nothing is run; files are only
 * read.
 */
#ifndef LEFTOPEN_CLI_COMMAND_FILES_H
#define LEFTOPEN_CLI_COMMAND_FILES_H

#include <stddef.h>

/**
 * Lists the files.
 * @param path of the command, as launch_resolve() found it
 * @param path_env PATH, or NULL
 * @param home of the user as whom it runs, or NULL: pyenv's interpreters are looked for there
 * @param ret_paths for command_files_free(); without duplicates
 * @param ret_likely how many of them, from the first on, the command itself maps
 * @return 0, or -ENOMEM
 */
int command_files_list(const char *path, const char *path_env, const char *home, char ***ret_paths,
                       size_t *ret_count, size_t *ret_likely);

/** NULL-safe. */
void command_files_free(char **paths, size_t count);

#endif
