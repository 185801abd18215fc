/*
 * Which rows of an array are free, for tables of any length that come and go.
 */
#ifndef LEFTOPEN_LOAD_ROW_SPACE_H
#define LEFTOPEN_LOAD_ROW_SPACE_H

#include <stdint.h>

struct row_space;

/** Makes one of so many rows, all free. @return 0, or -ENOMEM */
int row_space_new(uint32_t rows, struct row_space **ret_space);

/** NULL-safe. */
void row_space_free(struct row_space *space);

/**
 * Takes rows that follow each other: the first such that are free.
 * @param count at least 1
 * @return 0; -ENOSPC: there are none; -ENOMEM
 */
int row_space_take(struct row_space *space, uint32_t count, uint32_t *ret_first);

/** Gives back what was taken: all of it. */
void row_space_give(struct row_space *space, uint32_t first, uint32_t count);

#endif
