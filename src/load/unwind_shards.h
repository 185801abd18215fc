/*
 * Unwind tables as the programs read them: rows of many files in arrays of one size.
 */
#ifndef LEFTOPEN_LOAD_UNWIND_SHARDS_H
#define LEFTOPEN_LOAD_UNWIND_SHARDS_H

#include <stddef.h>

#include "event_abi.h"
#include "unwind_abi.h"

struct unwind_shards;

/**
 * @param shards_fd of the map of arrays, files_fd of the map that says where a file's rows lie; they stay the
 *	caller's, open as long as this is
 * @return 0, or -ENOMEM
 */
int unwind_shards_new(int shards_fd, int files_fd, struct unwind_shards **ret_shards);

/**
 * Gives the programs a file's rows. They are copied; the file is found by them once all are there.
 * @param key of a file that has none yet
 * @return 0; -E2BIG: more rows than an array holds (UNWIND_SHARD_ROWS);
 *	-ENOSPC: all arrays are full; -errno of bpf(2) or mmap(2)
 */
int unwind_shards_add(struct unwind_shards *shards, const struct file_key *key, const struct unwind_row *rows,
                      size_t count);

/** NULL-safe. */
void unwind_shards_free(struct unwind_shards *shards);

#endif
