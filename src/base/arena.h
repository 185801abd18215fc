/*
 * Memory that is freed all at once: what a snapshot is made of.
 */
#ifndef LEFTOPEN_BASE_ARENA_H
#define LEFTOPEN_BASE_ARENA_H

#include <stddef.h>

struct arena;

/**
 * Makes an empty arena.
 * @return 0, or -ENOMEM
 */
int arena_new(struct arena **ret_arena);

/** Frees the arena and all that was allocated from it. NULL-safe. */
void arena_free(struct arena *arena);

/**
 * Allocates zeroed memory, aligned for any object, that lives as long as the arena.
 * @return the memory (also for 0 bytes), or NULL: out of memory
 */
void *arena_alloc(struct arena *arena, size_t bytes);

/** Copies a string of any bytes. @return the copy, or NULL: out of memory */
char *arena_strdup(struct arena *arena, const char *string);

/** Formats a string into the arena. @return the string, or NULL: out of memory */
char *arena_printf(struct arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
