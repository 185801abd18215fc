/*
 * Which rows of an array are free. See row_space.h.
 */
#include "load/row_space.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"

struct free_rows {
	uint32_t first, count;
};

struct row_space {
	struct free_rows *free; /* ascending, and none touches the next */
	size_t count, capacity;
	size_t taken; /* tables */
};

int row_space_new(uint32_t rows, struct row_space **ret_space)
{
	struct row_space *space = calloc(1, sizeof(*space));

	if (!space || array_grow((void **)&space->free, &space->capacity, 1, sizeof(*space->free))) {
		row_space_free(space);
		return -ENOMEM;
	}
	space->free[space->count++] = (struct free_rows){.first = 0, .count = rows};
	*ret_space = space;
	return 0;
}

void row_space_free(struct row_space *space)
{
	if (!space)
		return;
	free(space->free);
	free(space);
}

static void remove_free(struct row_space *space, size_t at)
{
	space->count--;
	memmove(&space->free[at], &space->free[at + 1], (space->count - at) * sizeof(*space->free));
}

int row_space_take(struct row_space *space, uint32_t count, uint32_t *ret_first)
{
	/* Between two free ranges is a table at least: so that giving back needs no memory. */
	if (array_grow((void **)&space->free, &space->capacity, space->taken + 2, sizeof(*space->free)))
		return -ENOMEM;
	for (size_t i = 0; i < space->count; i++) {
		struct free_rows *range = &space->free[i];

		if (range->count < count)
			continue;
		*ret_first = range->first;
		range->first += count;
		range->count -= count;
		if (!range->count)
			remove_free(space, i);
		space->taken++;
		return 0;
	}
	return -ENOSPC;
}

void row_space_give(struct row_space *space, uint32_t first, uint32_t count)
{
	size_t at = 0;

	while (at < space->count && space->free[at].first < first)
		at++;
	memmove(&space->free[at + 1], &space->free[at], (space->count - at) * sizeof(*space->free));
	space->free[at] = (struct free_rows){.first = first, .count = count};
	space->count++;
	space->taken--;
	if (at + 1 < space->count && first + count == space->free[at + 1].first) {
		space->free[at].count += space->free[at + 1].count;
		remove_free(space, at + 1);
	}
	if (at && space->free[at - 1].first + space->free[at - 1].count == first) {
		space->free[at - 1].count += space->free[at].count;
		remove_free(space, at);
	}
}
