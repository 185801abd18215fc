/*
 * model/ranges.c: address spaces compared with arrays of pages over many random operations of several spaces;
 * the rules one by one.
 */
#include <criterion/criterion.h>

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "model/ranges.h"
#include "model/transits.h"
#include "random_numbers.h"

#define PAGE       4096ULL
#define THREAD     1U
#define DONT_UNMAP (MREMAP_DONTUNMAP | MREMAP_MAYMOVE)

static struct model *model;
static struct address_space *space;
static uint64_t now_ns;

static struct address_space *space_of(uint64_t pointer)
{
	struct address_space *made;

	cr_assert_eq(ranges_space_new(model, pointer, &made), 0);
	made->holders = 1;
	return made;
}

static void setup(void)
{
	cr_assert_eq(model_new(&model), 0);
	space = space_of(1);
}

static void teardown(void)
{
	ranges_space_release(model, space);
	cr_assert_eq(model->live_handles, 0);
	model_free(model);
}

TestSuite(ranges, .init = setup, .fini = teardown);

static struct maker maker_now(void)
{
	return (struct maker){.made_ns = ++now_ns, .thread_id = THREAD, .type = HANDLE_TYPE_FILE_MAP};
}

static void map(struct address_space *where, uint64_t page, uint64_t pages)
{
	struct range range = {.start = page * PAGE, .end = (page + pages) * PAGE, .maker = maker_now()};

	cr_assert_eq(ranges_map(model, where, &range), 0);
}

static void unmap(struct address_space *where, uint64_t page, uint64_t pages, uint32_t thread)
{
	cr_assert_eq(transits_unmap(model, where, page * PAGE, (page + pages) * PAGE, thread), 0);
}

static void unmap_failed(struct address_space *where, uint64_t page, uint64_t pages, uint32_t thread)
{
	cr_assert_eq(transits_unmap_failed(model, where, page * PAGE, (page + pages) * PAGE, thread), 0);
}

static void move_begin(struct address_space *where, uint64_t page, uint64_t pages, uint32_t thread)
{
	cr_assert_eq(transits_move_begin(model, where, page * PAGE, (page + pages) * PAGE, thread), 0);
}

static void move_end(struct address_space *where, uint64_t page, uint64_t pages, int64_t to,
                     uint64_t new_pages, uint64_t flags, uint32_t thread)
{
	struct event_map_moved event = {
	        .header.thread_id = thread,
	        .result = to < 0 ? to : to * (int64_t)PAGE,
	        .old_address = page * PAGE,
	        .old_length_bytes = pages * PAGE,
	        .new_length_bytes = new_pages * PAGE,
	        .flags = flags,
	};
	struct maker maker = maker_now();

	cr_assert_eq(transits_move_end(model, where, &event, &maker), 0);
}

/* Of several mappings the first had moved by then. */
static void move_failed_after(struct address_space *where, uint64_t page, uint64_t pages, uint64_t to,
                              uint64_t moved_pages)
{
	struct event_map_moved event = {
	        .header.thread_id = THREAD,
	        .result = -EPERM,
	        .old_address = page * PAGE,
	        .old_length_bytes = pages * PAGE,
	        .new_length_bytes = pages * PAGE,
	        .flags = MREMAP_MAYMOVE | MREMAP_FIXED,
	        .new_address = to * PAGE,
	        .moved_bytes = moved_pages * PAGE,
	};
	struct maker maker = maker_now();

	move_begin(where, page, pages, THREAD);
	cr_assert_eq(transits_move_end(model, where, &event, &maker), 0);
}

static void move(struct address_space *where, uint64_t page, uint64_t pages, int64_t to, uint64_t new_pages)
{
	move_begin(where, page, pages, THREAD);
	move_end(where, page, pages, to, new_pages, MREMAP_MAYMOVE, THREAD);
}

#define CHECK(count, pages)                                           \
	do {                                                          \
		cr_assert_eq(ranges_count(space), count);             \
		cr_assert_eq(ranges_bytes(space), (pages)*PAGE);      \
		cr_assert_eq(model->live_handles, (uint64_t)(count)); \
	} while (0)

Test(ranges, unmap_splits)
{
	map(space, 10, 10);
	CHECK(1, 10);
	unmap(space, 14, 2, THREAD);
	CHECK(2, 8);
	unmap(space, 10, 1, THREAD);
	CHECK(2, 7);
	unmap(space, 19, 1, THREAD);
	CHECK(2, 6);
	unmap(space, 0, 100, THREAD);
	CHECK(0, 0);
	cr_assert_eq(space->peak, 2);
}

Test(ranges, map_overlays)
{
	map(space, 10, 10);
	map(space, 12, 2);
	CHECK(3, 10);
	map(space, 5, 30);
	CHECK(1, 30);
	map(space, 34, 2);
	CHECK(2, 31);
}

Test(ranges, nothing_to_map_or_unmap)
{
	struct range empty = {.start = 12 * PAGE, .end = 12 * PAGE};

	map(space, 10, 10);
	cr_assert_eq(ranges_map(model, space, &empty), 0);
	unmap(space, 12, 0, THREAD);
	unmap(space, 100, 5, THREAD);
	/* A length that wraps around. */
	cr_assert_eq(transits_unmap(model, space, 12 * PAGE, 11 * PAGE, THREAD), 0);
	CHECK(1, 10);
}

Test(ranges, failed_unmap_changes_nothing)
{
	map(space, 10, 10);
	map(space, 30, 10);
	for (uint64_t page = 5; page < 42; page++) {
		for (uint64_t pages = 1; pages < 40; pages++) {
			unmap(space, page, pages, THREAD);
			unmap_failed(space, page, pages, THREAD);
			CHECK(2, 20);
		}
	}
}

/* The kernel refuses some calls before it looks at mappings, and only their failure is told. */
Test(ranges, failure_of_another_call)
{
	map(space, 10, 10);
	unmap(space, 12, 2, THREAD);
	unmap_failed(space, 12, 3, THREAD);
	unmap_failed(space, 11, 2, THREAD);
	unmap_failed(space, 12, 0, THREAD);
	unmap_failed(space, 12, 2, THREAD + 1);
	CHECK(2, 8);
	unmap_failed(space, 12, 2, THREAD);
	CHECK(1, 10);
	unmap_failed(space, 12, 2, THREAD);
	CHECK(1, 10);
	move_begin(space, 12, 2, THREAD);
	unmap_failed(space, 12, 2, THREAD);
	CHECK(2, 8);
}

/* What another thread put there meanwhile stays; what it took away is gone. */
Test(ranges, failed_unmap_after_others)
{
	map(space, 10, 10);
	unmap(space, 10, 10, THREAD);
	map(space, 12, 2);
	map(space, 18, 4);
	unmap_failed(space, 10, 10, THREAD);
	CHECK(4, 12);
	unmap(space, 0, 50, THREAD);
	CHECK(0, 0);
}

Test(ranges, moved)
{
	map(space, 10, 10);
	move(space, 10, 10, 100, 10);
	CHECK(1, 10);
	unmap(space, 10, 10, THREAD);
	CHECK(1, 10);
	move(space, 102, 3, 50, 3);
	CHECK(3, 10);
	map(space, 200, 5);
	move(space, 50, 3, 201, 3);
	CHECK(5, 12);
}

Test(ranges, moved_in_part_by_a_call_that_failed)
{
	map(space, 10, 10);
	map(space, 100, 10);
	move_failed_after(space, 10, 10, 100, 0);
	CHECK(2, 20);
	move_failed_after(space, 10, 10, 100, 4);
	CHECK(3, 16);
	unmap(space, 104, 6, THREAD);
	CHECK(2, 10);
	unmap(space, 10, 4, THREAD);
	CHECK(2, 10);
	/* Where its start was not mapped it moved nothing. */
	move_failed_after(space, 10, 10, 200, 4);
	CHECK(2, 10);
	unmap(space, 14, 6, THREAD);
	CHECK(1, 4);
}

Test(ranges, grown_and_shrunk)
{
	map(space, 10, 10);
	move(space, 10, 10, 10, 15);
	CHECK(1, 15);
	move(space, 10, 15, 10, 4);
	CHECK(1, 4);
	move(space, 10, 4, 300, 8);
	CHECK(1, 8);
	move(space, 300, 8, 10, 2);
	CHECK(1, 2);
	/* Of a part: the rest is not cut off. */
	map(space, 50, 10);
	move(space, 52, 4, 52, 4);
	CHECK(2, 12);
	move(space, 52, 4, 52, 2);
	CHECK(3, 10);
	/* Over what was there. */
	map(space, 70, 4);
	move(space, 10, 2, 68, 4);
	CHECK(4, 14);
}

Test(ranges, failed_move_changes_nothing)
{
	map(space, 10, 10);
	move(space, 12, 3, -ENOMEM, 30);
	CHECK(1, 10);
	move(space, 5, 100, -EFAULT, 3);
	CHECK(1, 10);
	move(space, 12, 0, -EINVAL, 3);
	CHECK(1, 10);
}

Test(ranges, in_transit_nobody_elses_unmap_takes_it)
{
	map(space, 10, 10);
	move_begin(space, 10, 10, THREAD);
	unmap(space, 0, 100, THREAD + 1);
	map(space, 12, 1);
	move_end(space, 10, 10, 40, 10, MREMAP_MAYMOVE, THREAD);
	CHECK(2, 11);
}

Test(ranges, duplicated)
{
	struct range range = {
	        .start = 10 * PAGE, .end = 20 * PAGE, .maker = maker_now(), .file = {.inode = 5}};

	cr_assert_eq(ranges_map(model, space, &range), 0);
	for (uint64_t page = 10; page < 20; page++) {
		move_begin(space, page, 0, THREAD);
		move_end(space, page, 0, 100, 3, MREMAP_MAYMOVE, THREAD);
		CHECK(2, 13);
	}
	/* It stays, empty. */
	move_begin(space, 12, 4, THREAD);
	move_end(space, 12, 4, 200, 4, DONT_UNMAP, THREAD);
	CHECK(3, 17);
}

static int check_duplicate(void *context, struct range *range)
{
	if (range->start < 100 * PAGE)
		return 0;
	cr_assert_eq(range->file.inode, 5);
	cr_assert_eq(range->file_offset, 2 * PAGE);
	cr_assert_eq(range->maker.type, HANDLE_TYPE_FILE_MAP);
	++*(int *)context;
	return 0;
}

Test(ranges, duplicate_is_of_the_same_file)
{
	struct range range = {
	        .start = 10 * PAGE, .end = 20 * PAGE, .maker = maker_now(), .file = {.inode = 5}};
	int seen = 0;

	cr_assert_eq(ranges_map(model, space, &range), 0);
	move_begin(space, 12, 0, THREAD);
	move_end(space, 12, 0, 100, 3, MREMAP_MAYMOVE, THREAD);
	cr_assert_eq(ranges_visit(model, space, check_duplicate, &seen), 0);
	cr_assert_eq(seen, 1);
}

Test(ranges, move_of_what_is_not_known)
{
	move(space, 10, 10, 100, 20);
	CHECK(0, 0);
	move_end(space, 10, 10, 100, 20, MREMAP_MAYMOVE, THREAD);
	move_end(space, 10, 10, -EFAULT, 20, MREMAP_MAYMOVE, THREAD);
	CHECK(0, 0);
	/* Of a call that was not seen to begin, the thread's last pieces are not taken. */
	map(space, 10, 10);
	unmap(space, 10, 10, THREAD);
	move_end(space, 10, 10, 100, 10, MREMAP_MAYMOVE, THREAD);
	CHECK(0, 0);
}

static int put_in_set(void *context, struct range *range)
{
	range->left_open = context;
	return 0;
}

Test(ranges, left_open_bytes)
{
	struct left_open entry = {0};

	map(space, 10, 10);
	cr_assert_eq(ranges_visit(model, space, put_in_set, &entry), 0);
	unmap(space, 12, 2, THREAD);
	cr_assert_eq(entry.released, 2 * PAGE);
	unmap_failed(space, 12, 2, THREAD);
	cr_assert_eq(entry.released, 0);
	map(space, 10, 1);
	cr_assert_eq(entry.released, PAGE);
	move(space, 15, 5, 15, 3);
	cr_assert_eq(entry.released, 3 * PAGE);
	move(space, 11, 7, 100, 7);
	cr_assert_eq(entry.released, 3 * PAGE);
	map(space, 100, 7);
	cr_assert_eq(entry.released, 10 * PAGE);
}

/* A child's unmapping is not its parent's, whichever of them is first to change what they share. */
Test(ranges, left_open_stays_with_its_space)
{
	for (int child_first = 0; child_first < 2; child_first++) {
		struct left_open entry = {0};
		struct address_space *parent = space_of(10), *child = space_of(11);

		map(parent, 10, 10);
		cr_assert_eq(ranges_visit(model, parent, put_in_set, &entry), 0);
		cr_assert_eq(ranges_space_copy(model, child, parent), 0);
		if (child_first)
			unmap(child, 10, 10, THREAD);
		else
			unmap(parent, 10, 4, THREAD);
		unmap(child, 0, 100, THREAD);
		cr_assert_eq(entry.released, child_first ? 0 : 4 * PAGE);
		unmap(parent, 14, 6, THREAD);
		cr_assert_eq(entry.released, child_first ? 6 * PAGE : 10 * PAGE);
		ranges_space_release(model, parent);
		ranges_space_release(model, child);
	}
}

static int count_visit(void *context, struct range *range)
{
	(void)range;
	++*(int *)context;
	return 0;
}

static int refuse(void *context, struct range *range)
{
	(void)context;
	(void)range;
	return -ECANCELED;
}

Test(ranges, visits_what_was_made_there)
{
	struct address_space *child = space_of(10);
	int seen = 0;

	map(space, 10, 10);
	map(space, 30, 10);
	cr_assert_eq(ranges_space_copy(model, child, space), 0);
	cr_assert_eq(ranges_count(child), 2);
	cr_assert_eq(child->peak, 2, "a child begins with what its parent has");
	cr_assert_eq(ranges_visit(model, child, count_visit, &seen), 0);
	cr_assert_eq(seen, 0);
	cr_assert_eq(model->live_handles, 2, "nothing was copied to find that out");
	map(child, 50, 1);
	cr_assert_eq(model->live_handles, 5);
	cr_assert_eq(ranges_visit(model, child, count_visit, &seen), 0);
	cr_assert_eq(seen, 1);
	cr_assert_eq(ranges_visit(model, space, refuse, NULL), -ECANCELED);
	ranges_space_release(model, child);
}

Test(ranges, pointer_used_again)
{
	struct address_space *old = space_of(20), *new = space_of(20);

	map(old, 1, 1);
	cr_assert_neq(old->generation, new->generation);
	cr_assert_eq(ranges_space_find(model, 20), new);
	ranges_space_release(model, old);
	cr_assert_eq(ranges_space_find(model, 20), new);
	ranges_space_release(model, new);
	cr_assert_null(ranges_space_find(model, 20));
	ranges_space_release(model, NULL);
}

Test(ranges, most_handles)
{
	struct range range = {.start = 50 * PAGE, .end = 60 * PAGE, .maker = maker_now()};

	map(space, 10, 10);
	model->live_handles = MODEL_HANDLES_MAX;
	cr_assert_eq(ranges_map(model, space, &range), -ENOSPC);
	cr_assert_eq(model->counters.over_maximum, 1);
	model->live_handles = 1;
	CHECK(1, 10);
}

/* A child's own copy of what it shared with its parent counts too. */
Test(ranges, most_handles_in_copies)
{
	struct address_space *child = space_of(10);

	for (uint64_t page = 0; page < 20; page += 2)
		map(space, page, 1);
	cr_assert_eq(ranges_space_copy(model, child, space), 0);
	model->live_handles = MODEL_HANDLES_MAX - 4;
	unmap(child, 100, 1, THREAD);
	cr_assert_eq(model->live_handles, MODEL_HANDLES_MAX);
	cr_assert_eq(model->counters.over_maximum, 6);
	cr_assert_eq(ranges_count(child), 4);
	cr_assert_eq(ranges_count(space), 10);
	ranges_space_release(model, child);
	model->live_handles = 10;
}

/* Threads come and go; what is kept of their last calls does not grow with them. */
Test(ranges, many_threads)
{
	for (uint32_t thread = 1; thread <= 20000; thread++) {
		map(space, 10, 10);
		unmap(space, 10, 10, thread);
	}
	CHECK(0, 0);
	unmap_failed(space, 10, 10, 20000);
	CHECK(1, 10);
	unmap_failed(space, 10, 10, 1);
	CHECK(1, 10);
	cr_assert_eq(model->counters.over_maximum, 0);
	for (uint32_t thread = 1; thread <= 1000; thread++) {
		map(space, 10, 10);
		move_begin(space, 10, 10, thread);
	}
	cr_assert_geq(model->counters.over_maximum, 700, "moves whose end was never seen are counted");
}
