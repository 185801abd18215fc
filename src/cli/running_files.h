/*
 * Which runtimes running processes have mapped. Looked at before they are followed, so that the first handle
 * that they make already has their stack.
 */
#ifndef LEFTOPEN_CLI_RUNNING_FILES_H
#define LEFTOPEN_CLI_RUNNING_FILES_H

#include <stddef.h>
#include <stdint.h>

/**
 * Lists files that may be a CPython, by names in /proc that open them in whatever mount namespace they are.
 * @param ret_paths for running_files_free(); each file once
 * @return 0, or -ENOMEM
 */
int running_files_list(const uint32_t *process_ids, size_t count, char ***ret_paths, size_t *ret_count);

/** NULL-safe. */
void running_files_free(char **paths, size_t count);

#endif
