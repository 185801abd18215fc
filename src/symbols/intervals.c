/*
 * Address intervals that may overlap: a sorted array with running maxima, so that a search knows where to
 * stop. Inputs: intervals from files that anybody may have written. Outputs: the innermost one of an address.
 */
#include "symbols/intervals.h"

#include <errno.h>
#include <stdlib.h>

#include "base/array.h"

int intervals_add(struct intervals *intervals, uint64_t start, uint64_t end, uint32_t rank, uint32_t value)
{
	if (end <= start || intervals->count == INTERVALS_MAX)
		return 0;
	if (array_grow((void **)&intervals->items, &intervals->capacity, intervals->count + 1,
	               sizeof(*intervals->items)))
		return -ENOMEM;
	intervals->items[intervals->count++] = (struct interval){
	        .start = start,
	        .end = end,
	        .rank = rank,
	        .value = value,
	};
	return 0;
}

/* The best match of an address comes last, as the search goes backwards. */
static int interval_compare(const void *left, const void *right)
{
	const struct interval *a = left;
	const struct interval *b = right;

	if (a->start != b->start)
		return a->start < b->start ? -1 : 1;
	if (a->end != b->end)
		return a->end > b->end ? -1 : 1;
	if (a->rank != b->rank)
		return a->rank > b->rank ? -1 : 1;
	return a->value == b->value ? 0 : a->value > b->value ? -1 : 1;
}

void intervals_sort(struct intervals *intervals)
{
	uint64_t highest = 0;

	if (intervals->count)
		qsort(intervals->items, intervals->count, sizeof(*intervals->items), interval_compare);
	for (size_t i = 0; i < intervals->count; i++) {
		if (intervals->items[i].end > highest)
			highest = intervals->items[i].end;
		intervals->items[i].highest_end = highest;
	}
}

const struct interval *intervals_find(const struct intervals *intervals, uint64_t address)
{
	size_t low = 0;
	size_t high = intervals->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (intervals->items[middle].start <= address)
			low = middle + 1;
		else
			high = middle;
	}
	while (low > 0 && intervals->items[low - 1].highest_end > address) {
		const struct interval *item = &intervals->items[--low];

		if (item->end > address)
			return item;
	}
	return NULL;
}

void intervals_clear(struct intervals *intervals)
{
	free(intervals->items);
	*intervals = (struct intervals){0};
}
