/*
 * The table of `leftopen watch`: which places hold most now, and what changed since the last table.
 */
#ifndef LEFTOPEN_REPORT_WATCH_TABLE_H
#define LEFTOPEN_REPORT_WATCH_TABLE_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct report_options;
struct snapshot;
struct watch_table;

/** What a snapshot does not know. */
struct watch_notes {
	const uint32_t *gone; /* processes that were asked for and are not there */
	size_t gone_count;
};

/** @return 0, or -ENOMEM */
int watch_table_new(struct watch_table **ret_table);

/**
 * Writes the table of a snapshot, at most options->columns wide where that is given, and remembers what each
 * place holds for the next one. Times of the day are local.
 * @return 0; -ENOMEM; -errno of the write that failed
 */
int watch_table_write(struct watch_table *table, const struct snapshot *snapshot,
                      const struct report_options *options, const struct watch_notes *notes, FILE *stream);

/** NULL-safe. */
void watch_table_free(struct watch_table *table);

#endif
