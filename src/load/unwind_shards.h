/*
 * Unwind tables as the programs read them: rows of many files in arrays of one size, and where each file's
 * lie. When all arrays are full, files that were used least lately make room.
 */
#ifndef LEFTOPEN_LOAD_UNWIND_SHARDS_H
#define LEFTOPEN_LOAD_UNWIND_SHARDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "load/loader.h"

/* Rows of files that no process is known to run: 192 MiB of them. Chosen by: a machine for development has
 * 28 M rows under /usr and /usr/local, one without compilers a fifth of that. */
#define UNWIND_AHEAD_ROWS_MAX ((size_t)24 << 20)

struct unwind_shards;

struct unwind_shards_options {
	int shards_fd, files_fd; /* of the map of arrays, and of the array of files; stay the caller's, open
	                            as long as this is */
	uint32_t shards_max;     /* 1 to UNWIND_SHARDS_MAX */
	size_t ahead_rows_max;
	unwind_evicted_fn evicted; /* NULL: nobody is told */
	void *context;
};

/** @return 0; -ENOMEM; -errno of mmap(2) */
int unwind_shards_new(const struct unwind_shards_options *options, struct unwind_shards **ret_shards);

/**
 * Gives the programs a file's rows. They are copied; the file is found by them once all are there.
 *
 * Where all arrays are full, rows of others go: of files that no process is known to run first, then by when
 * programs looked for them last; an eighth of all at once, as the kernel is waited for (some 20 ms). Rows of
 * files that are given ahead never make others go.
 * @param ahead whether no process is known to run the file
 * @return 0; -EEXIST: the file has rows; -E2BIG: more rows than an array holds (UNWIND_SHARD_ROWS), or none;
 *	-ENOSPC: there is no room for a file that is given ahead; -ENOMEM; -errno of bpf(2) or mmap(2)
 */
int unwind_shards_add(struct unwind_shards *shards, const struct file_key *key, const struct unwind_row *rows,
                      size_t count, bool ahead);

/** Notes that a file that may have been given ahead is run by processes. @return whether it has rows */
bool unwind_shards_want(struct unwind_shards *shards, const struct file_key *key);

/** @return a file's rows, ascending, to be read until others are added; NULL: it has none */
const struct unwind_row *unwind_shards_rows(const struct unwind_shards *shards, const struct file_key *key,
                                            size_t *ret_count);

/** NULL-safe. */
void unwind_shards_free(struct unwind_shards *shards);

#endif
