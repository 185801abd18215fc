/*
 * Arrays that grow. See array.h.
 */
#include "base/array.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CAPACITY_MIN 16
/* From so many on an array grows by half, half-way to the next power of two or up to it: what it does not use
 * yet would be as much memory as what it does. */
#define GROWS_BY_HALF_FROM 4096

int array_grow(void **array, size_t *capacity, size_t needed, size_t item_bytes)
{
	size_t grown = *capacity ? *capacity : CAPACITY_MIN;
	char *items;

	if (needed <= *capacity)
		return 0;
	while (grown < needed)
		grown += grown < GROWS_BY_HALF_FROM ? grown : grown & (grown - 1) ? grown / 3 : grown / 2;
	items = reallocarray(*array, grown, item_bytes);
	if (!items)
		return -ENOMEM;
	memset(items + *capacity * item_bytes, 0, (grown - *capacity) * item_bytes);
	*array = items;
	*capacity = grown;
	return 0;
}
