/*
 * Files that processes map, by the kernel's key: their paths, and descriptors to read them by when their
 * process is gone. Paths come from the kernel; files are anybody's.
 */
#ifndef LEFTOPEN_SYMBOLS_MAPPED_FILES_H
#define LEFTOPEN_SYMBOLS_MAPPED_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "event_abi.h"

/* Descriptors that are kept open; beyond it a file is opened by its path when it is named. */
#define MAPPED_FILES_OPEN_MAX 512
/* Files that are remembered; beyond it frames in further ones stay without a name, counted. */
#define MAPPED_FILES_MAX 65536

/* A file that is not open by then is left out; and where so many were not, none is opened any more. */
#define MAPPED_FILES_OPEN_NS  1000000000ULL
#define MAPPED_FILES_LATE_MAX 4

struct mapped_files;

/** @return 0, or -ENOMEM */
int mapped_files_new(struct mapped_files **ret_files);
/** Closes and frees all. NULL-safe. */
void mapped_files_free(struct mapped_files *files);

/**
 * Remembers a file and, where it was mapped to run, opens it: through its process's /proc entry while that
 * lives, else by its path. Opens regular files only, never waits for a FIFO, and not long for a filesystem.
 * @param path absolute, as the kernel walked it
 * @return 0, also for a file that is known or cannot be opened; -ENOSPC: MAPPED_FILES_MAX are known; -ENOMEM
 */
int mapped_files_add(struct mapped_files *files, const struct event_file *event, const char *path);

/**
 * Remembers what stands for a file.
 * @param name what it is called, which is no path
 * @param fd to read it by; from now on of `files`, and closed where this fails
 * @return 0; -EEXIST: the key is known; -ENOMEM
 */
int mapped_files_add_named(struct mapped_files *files, const struct file_key *key, const char *name, int fd);

/** @return the path, owned by `files`, or NULL: that file was not seen */
const char *mapped_files_path(const struct mapped_files *files, const struct file_key *key);

/**
 * A descriptor to read the file by, opened by its path where none is kept.
 * @param ret_fd owned by `files`, valid until the next call
 * @return 0; -ENOENT: never seen; -ESTALE: another file is there now; -ETIMEDOUT: it does not open, or too
 *many others did not; -ENOMEM; -errno of open(2)
 */
int mapped_files_fd(struct mapped_files *files, const struct file_key *key, int *ret_fd);

#endif
