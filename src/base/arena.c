/*
 * An arena: chunks of zeroed memory from which pieces are cut, freed together.
 * Inputs: sizes and strings of the caller. Outputs: memory that lives as long as the arena.
 * Trust: sizes may be any number; what cannot be had gives NULL.
 */
#include "base/arena.h"

#include <errno.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Chosen by: the snapshot of a test run is some hundred KiB, so a handful of chunks. */
#define CHUNK_BYTES 65536U
/* A piece of this size gets a chunk of its own, so that the room left in the current one is not thrown away.
 */
#define LARGE_BYTES (CHUNK_BYTES / 4)

struct arena_chunk {
	struct arena_chunk *next;
	size_t capacity_bytes;
	size_t used_bytes;
	alignas(max_align_t) unsigned char data[];
};

struct arena {
	struct arena_chunk *chunks; /* the first is the one that is cut from */
};

int arena_new(struct arena **ret_arena)
{
	struct arena *arena = calloc(1, sizeof(*arena));

	if (!arena)
		return -ENOMEM;
	*ret_arena = arena;
	return 0;
}

void arena_free(struct arena *arena)
{
	if (!arena)
		return;
	for (struct arena_chunk *chunk = arena->chunks, *next; chunk; chunk = next) {
		next = chunk->next;
		free(chunk);
	}
	free(arena);
}

static struct arena_chunk *chunk_new(size_t capacity_bytes)
{
	struct arena_chunk *chunk;
	size_t total_bytes;

	if (__builtin_add_overflow(sizeof(*chunk), capacity_bytes, &total_bytes))
		return NULL;
	chunk = calloc(1, total_bytes);
	if (chunk)
		chunk->capacity_bytes = capacity_bytes;
	return chunk;
}

static void *chunk_cut(struct arena_chunk *chunk, size_t bytes)
{
	void *piece = chunk->data + chunk->used_bytes;

	chunk->used_bytes += bytes;
	return piece;
}

/* Adds a chunk for a piece that the current one has no room for. */
static struct arena_chunk *arena_add_chunk(struct arena *arena, size_t bytes)
{
	bool large = bytes >= LARGE_BYTES;
	struct arena_chunk *chunk = chunk_new(large ? bytes : CHUNK_BYTES);

	if (!chunk)
		return NULL;
	if (large && arena->chunks) {
		chunk->next = arena->chunks->next;
		arena->chunks->next = chunk;
	} else {
		chunk->next = arena->chunks;
		arena->chunks = chunk;
	}
	return chunk;
}

void *arena_alloc(struct arena *arena, size_t bytes)
{
	const size_t alignment = alignof(max_align_t);
	struct arena_chunk *chunk = arena->chunks;
	size_t rounded_bytes;

	/* Pieces of 0 bytes are told apart as well. */
	if (__builtin_add_overflow(bytes ? bytes : 1, alignment - 1, &rounded_bytes))
		return NULL;
	rounded_bytes -= rounded_bytes % alignment;

	if (!chunk || chunk->capacity_bytes - chunk->used_bytes < rounded_bytes)
		chunk = arena_add_chunk(arena, rounded_bytes);
	return chunk ? chunk_cut(chunk, rounded_bytes) : NULL;
}

char *arena_strdup(struct arena *arena, const char *string)
{
	size_t bytes = strlen(string) + 1;
	char *copy = arena_alloc(arena, bytes);

	return copy ? memcpy(copy, string, bytes) : NULL;
}

char *arena_printf(struct arena *arena, const char *format, ...)
{
	va_list arguments;
	char *string;
	int length;

	va_start(arguments, format);
	length = vsnprintf(NULL, 0, format, arguments);
	va_end(arguments);
	if (length < 0)
		return NULL;
	string = arena_alloc(arena, (size_t)length + 1);
	if (!string)
		return NULL;
	va_start(arguments, format);
	(void)vsnprintf(string, (size_t)length + 1, format,
	                arguments); /* cannot differ from the first pass */
	va_end(arguments);
	return string;
}
