/*
 * Which CPythons a user has, and whether their frames can be walked: a part of `leftopen doctor`.
 */
#ifndef LEFTOPEN_CLI_DOCTOR_PYTHON_H
#define LEFTOPEN_CLI_DOCTOR_PYTHON_H

#include <stdio.h>

struct launch_identity;

/**
 * Prints one line for each CPython on PATH and below ~/.pyenv/versions. Looks with the identity's rights
 * only: these files are whoever's, and are read by a parser. Only for a process without threads.
 * @param identity whoever called leftopen
 * @param path_env PATH; may be NULL
 * @param home his home folder; may be NULL
 * @param stream flushed before and after
 * @return 0, or -errno of running with those rights or of writing
 */
int doctor_python_print(const struct launch_identity *identity, const char *path_env, const char *home,
                        FILE *stream);

#endif
