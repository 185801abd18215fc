/*
 * Address intervals that may overlap: which is the innermost that holds an address?
 * Inputs: intervals from files that anybody may have written. Outputs: the number given with an interval.
 */
#ifndef LEFTOPEN_SYMBOLS_INTERVALS_H
#define LEFTOPEN_SYMBOLS_INTERVALS_H

#include <stddef.h>
#include <stdint.h>

/* Chosen by: four times the symbols of the largest browser's engine. */
#define INTERVALS_MAX ((size_t)4 << 20)

struct interval {
	uint64_t start;
	uint64_t end;         /* exclusive */
	uint64_t highest_end; /* of this interval and all before it: where a search may stop */
	uint32_t rank;        /* of equal intervals the lowest is found */
	uint32_t value;
};

/* Zeroed: empty. */
struct intervals {
	struct interval *items;
	size_t count;
	size_t capacity;
};

/**
 * Adds an interval. An empty one, and one more than INTERVALS_MAX, is left out.
 * @return 0; -ENOMEM
 */
int intervals_add(struct intervals *intervals, uint64_t start, uint64_t end, uint32_t rank, uint32_t value);

/** Sorts: once, after the last intervals_add() and before the first intervals_find(). */
void intervals_sort(struct intervals *intervals);

/**
 * Finds the interval that holds an address and starts last; of those the shortest, then the lowest rank.
 * Logarithmic where intervals do not nest, linear at worst.
 * @return the interval, or NULL: none holds it
 */
const struct interval *intervals_find(const struct intervals *intervals, uint64_t address);

/** Frees what the intervals hold and empties them. */
void intervals_clear(struct intervals *intervals);

#endif
