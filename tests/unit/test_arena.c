/*
 * arena.c: pieces are zeroed, aligned, apart from each other, and gone together.
 */
#include <criterion/criterion.h>

#include <stdalign.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/arena.h"

static struct arena *arena;

static void setup(void)
{
	cr_assert_eq(arena_new(&arena), 0);
}

static void teardown(void)
{
	arena_free(arena);
}

TestSuite(arena, .init = setup, .fini = teardown);

Test(arena, zeroed_and_aligned)
{
	for (size_t bytes = 0; bytes < 300; bytes++) {
		unsigned char *piece = arena_alloc(arena, bytes);

		cr_assert_not_null(piece);
		cr_assert_eq((uintptr_t)piece % alignof(max_align_t), 0);
		for (size_t i = 0; i < bytes; i++)
			cr_assert_eq(piece[i], 0);
		memset(piece, 0xff, bytes);
	}
}

Test(arena, pieces_do_not_overlap)
{
	enum { PIECES = 2000 };
	static unsigned char *pieces[PIECES];

	/* More than one chunk, with pieces that are too large for one among them. */
	for (size_t i = 0; i < PIECES; i++) {
		size_t bytes = i % 100 == 99 ? 100000 : i % 200 + 1;

		pieces[i] = arena_alloc(arena, bytes);
		cr_assert_not_null(pieces[i]);
		memset(pieces[i], (int)(i % 251), bytes);
	}
	for (size_t i = 0; i < PIECES; i++) {
		size_t bytes = i % 100 == 99 ? 100000 : i % 200 + 1;

		cr_assert_eq(pieces[i][0], i % 251);
		cr_assert_eq(pieces[i][bytes - 1], i % 251);
	}
}

Test(arena, no_bytes_are_a_piece_too)
{
	void *first = arena_alloc(arena, 0), *second = arena_alloc(arena, 0);

	cr_assert_not_null(first);
	cr_assert_not_null(second);
	cr_assert_neq(first, second);
}

Test(arena, impossible_size)
{
	volatile size_t most = SIZE_MAX;

	/* The one cannot be rounded up, the other leaves no room for the chunk's head. */
	cr_assert_null(arena_alloc(arena, most));
	cr_assert_null(arena_alloc(arena, most - 16));
	cr_assert_not_null(arena_alloc(arena, 1), "the arena is whole afterwards");
}

Test(arena, strings)
{
	char *copy = arena_strdup(arena, "\033[0m%s\xff"), *empty = arena_strdup(arena, "");
	char *formatted = arena_printf(arena, "%s:%d", "conftest.py", 52);

	cr_assert_str_eq(copy, "\033[0m%s\xff");
	cr_assert_str_eq(empty, "");
	cr_assert_str_eq(formatted, "conftest.py:52");
	cr_assert_str_eq(arena_printf(arena, "%s", ""), "");
	cr_assert_eq(strlen(arena_printf(arena, "%0200000d", 7)), 200000);
}

Test(arena, free_of_nothing)
{
	arena_free(NULL);
}
