/*
 * Arrays that grow.
 */
#ifndef LEFTOPEN_BASE_ARRAY_H
#define LEFTOPEN_BASE_ARRAY_H

#include <stddef.h>

/**
 * Makes room in an array for at least so many items; those that are new are zero.
 * @param array of malloc(3), or NULL; the caller's to free
 * @param capacity in items, 0 with NULL
 * @return 0; -ENOMEM: all is as it was
 */
int array_grow(void **array, size_t *capacity, size_t needed, size_t item_bytes);

#endif
