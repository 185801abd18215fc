/*
 * model/ranges.c compared with arrays of pages: the same random operations on both, over spaces that are
 * forked and released in any order.
 */
#include <criterion/criterion.h>

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include "model/range_set.h"
#include "model/ranges.h"
#include "model/transits.h"
#include "random_numbers.h"

#define PAGE   4096ULL
#define PAGES  96
#define SPACES 6

struct page {
	uint64_t owner; /* when its mapping was made, 0: free */
	uint64_t index; /* in its mapping */
	bool joined;    /* in one range with the page before */
	bool dont_fork;
};

struct pair {
	struct address_space *space; /* NULL: not in use */
	struct page pages[PAGES + 1];
};

static struct model *model;
static struct pair pairs[SPACES];
static uint64_t state, now_ns, next_pointer;

static void setup(void)
{
	cr_assert_eq(model_new(&model), 0);
	memset(pairs, 0, sizeof(pairs));
	state = 42;
	now_ns = 0;
	next_pointer = 1;
}

static void teardown(void)
{
	model_free(model);
}

TestSuite(ranges_random, .init = setup, .fini = teardown);

static uint64_t below(uint64_t bound)
{
	return random_below(&state, bound);
}

/* Pages are free, and what follows begins a range. */
static void pages_clear(struct pair *pair, uint64_t page, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++)
		pair->pages[page + i] = (struct page){0};
	pair->pages[page + count].joined = false;
}

static void pages_map(struct pair *pair, uint64_t page, uint64_t count, uint64_t owner)
{
	pages_clear(pair, page, count);
	for (uint64_t i = 0; i < count; i++)
		pair->pages[page + i] = (struct page){owner, i, i > 0, false};
}

static void pages_advise(struct pair *pair, uint64_t page, uint64_t count, bool do_fork)
{
	struct page *pages = pair->pages;

	for (uint64_t i = page; i < page + count; i++)
		if (pages[i].owner)
			pages[i].dont_fork = !do_fork;
	for (uint64_t i = page ? page : 1; i <= page + count; i++)
		pages[i].joined = pages[i].owner && pages[i].owner == pages[i - 1].owner &&
		                  pages[i].index == pages[i - 1].index + 1 &&
		                  pages[i].dont_fork == pages[i - 1].dont_fork;
}

/* A copy of a mapping has its advice. */
static void pages_keep_advice(struct pair *pair, uint64_t page, uint64_t count, bool dont_fork)
{
	for (uint64_t i = page; i < page + count; i++)
		pair->pages[i].dont_fork = dont_fork;
}

static void pages_move(struct pair *pair, uint64_t page, uint64_t count, uint64_t to, uint64_t new_count)
{
	struct page moved[PAGES];
	struct page last = pair->pages[page + count - 1];

	memcpy(moved, pair->pages + page, count * sizeof(moved[0]));
	if (to == page && new_count <= count) {
		if (new_count < count)
			pages_clear(pair, page + new_count, count - new_count);
		return;
	}
	if (to != page)
		pages_clear(pair, page, count);
	pages_clear(pair, to == page ? page + count : to, to == page ? new_count - count : new_count);
	for (uint64_t i = 0; i < new_count; i++) {
		struct page grown = {last.owner, last.index + 1 + i - count, last.owner != 0, last.dont_fork};

		pair->pages[to + i] = i < count ? moved[i] : grown;
	}
	if (to != page)
		pair->pages[to].joined = false;
}

static void check(const struct pair *pair)
{
	uint64_t count = 0, pages = 0;

	for (size_t i = 0; i < PAGES; i++) {
		pages += pair->pages[i].owner != 0;
		count += pair->pages[i].owner && !pair->pages[i].joined;
	}
	cr_assert_eq(ranges_count(pair->space), count);
	cr_assert_eq(ranges_bytes(pair->space), pages * PAGE);
	cr_assert_geq(pair->space->peak, count);
}

static void check_layout(const struct pair *pair)
{
	const struct range *range = range_set_first(pair->space->ranges);
	size_t page = 0;

	while (page < PAGES) {
		size_t end = page + 1;

		if (!pair->pages[page].owner) {
			page++;
			continue;
		}
		while (end < PAGES && pair->pages[end].joined)
			end++;
		cr_assert_not_null(range);
		cr_assert_eq(range->start, page * PAGE);
		cr_assert_eq(range->end, end * PAGE);
		cr_assert_eq(range->maker.made_ns, pair->pages[page].owner);
		cr_assert_eq(range->dont_fork, pair->pages[page].dont_fork);
		range = range_set_next(pair->space->ranges, (struct range *)range);
		page = end;
	}
	cr_assert_null(range);
}

static bool has_advice(const struct pair *pair)
{
	for (size_t i = 0; i < PAGES; i++)
		if (pair->pages[i].dont_fork)
			return true;
	return false;
}

static void do_map(struct pair *pair, uint64_t page, uint64_t count)
{
	struct range range = {
	        .start = page * PAGE,
	        .end = (page + count) * PAGE,
	        .maker = {.made_ns = ++now_ns, .thread_id = 1},
	};

	cr_assert_eq(ranges_map(model, pair->space, &range), 0);
	pages_map(pair, page, count, now_ns);
}

static void do_unmap(struct pair *pair, uint64_t page, uint64_t count, uint32_t thread, bool fails)
{
	uint64_t start = page * PAGE, end = (page + count) * PAGE;

	cr_assert_eq(transits_unmap(model, pair->space, start, end, thread), 0);
	if (fails)
		cr_assert_eq(transits_unmap_failed(model, pair->space, start, end, thread), 0);
	else
		pages_clear(pair, page, count);
}

static void do_advise(struct pair *pair, uint64_t page, uint64_t count, bool do_fork)
{
	cr_assert_eq(ranges_advise_fork(model, pair->space, page * PAGE, (page + count) * PAGE, do_fork), 0);
	/* Where nothing is to be changed the set is not looked through. */
	if (!do_fork || has_advice(pair))
		pages_advise(pair, page, count, do_fork);
}

static void send_move(struct pair *pair, const struct event_map_moved *event)
{
	uint32_t thread = event->header.thread_id;
	struct maker maker = {.made_ns = ++now_ns, .thread_id = thread};

	cr_assert_eq(transits_move_begin(model, pair->space, event->old_address,
	                                 event->old_address + event->old_length_bytes, thread),
	             0);
	cr_assert_eq(transits_move_end(model, pair->space, event, &maker), 0);
}

static void call_move(struct pair *pair, uint64_t page, uint64_t count, int64_t to, uint64_t new_count,
                      uint64_t flags, uint32_t thread)
{
	struct event_map_moved event = {
	        .header.thread_id = thread,
	        .result = to < 0 ? to : to * (int64_t)PAGE,
	        .old_address = page * PAGE,
	        .old_length_bytes = count * PAGE,
	        .new_length_bytes = new_count * PAGE,
	        .flags = flags,
	};

	send_move(pair, &event);
}

static void call_move_in_part(struct pair *pair, uint64_t page, uint64_t count, uint64_t to,
                              uint64_t moved_count, uint32_t thread)
{
	struct event_map_moved event = {
	        .header.thread_id = thread,
	        .result = -EPERM,
	        .old_address = page * PAGE,
	        .old_length_bytes = count * PAGE,
	        .new_length_bytes = count * PAGE,
	        .flags = MREMAP_MAYMOVE | MREMAP_FIXED,
	        .new_address = to * PAGE,
	        .moved_bytes = moved_count * PAGE,
	};

	send_move(pair, &event);
}

static bool overlap(uint64_t a, uint64_t a_count, uint64_t b, uint64_t b_count)
{
	return a < b + b_count && b < a + a_count;
}

static bool is_free(const struct pair *pair, uint64_t page, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++)
		if (pair->pages[page + i].owner)
			return false;
	return true;
}

static void do_move(struct pair *pair, uint64_t page, uint64_t count, uint32_t thread)
{
	uint64_t to = below(PAGES), new_count = 1 + below(PAGES - to);
	bool dont_fork;

	switch (below(6)) {
	case 0: /* in vain */
		call_move(pair, page, count, -ENOMEM, new_count, 1, thread);
		return;
	case 1: /* in place, smaller or as it is */
		new_count = 1 + below(count);
		call_move(pair, page, count, (int64_t)page, new_count, 0, thread);
		pages_move(pair, page, count, page, new_count);
		return;
	case 2: /* in place, larger: only where that is free */
		new_count = count + below(PAGES - page - count + 1);
		if (!is_free(pair, page + count, new_count - count))
			return;
		call_move(pair, page, count, (int64_t)page, new_count, 0, thread);
		pages_move(pair, page, count, page, new_count);
		return;
	case 3: /* a second mapping of shared memory */
		dont_fork = pair->pages[page].dont_fork;
		call_move(pair, page, 0, (int64_t)to, new_count, 1, thread);
		pages_map(pair, to, new_count, now_ns);
		pages_keep_advice(pair, to, new_count, dont_fork);
		return;
	case 4: /* in vain, when the first of it had moved */
		if (!pair->pages[page].owner || to + count > PAGES || overlap(page, count, to, count))
			return;
		new_count = below(count);
		call_move_in_part(pair, page, count, to, new_count, thread);
		if (new_count)
			pages_move(pair, page, new_count, to, new_count);
		return;
	default:
		if (overlap(page, count, to, new_count))
			return;
		if (below(4) == 0 && to + count <= PAGES && !overlap(page, count, to, count)) {
			dont_fork = pair->pages[page].dont_fork;
			call_move(pair, page, count, (int64_t)to, count, 5, thread);
			pages_map(pair, to, count, now_ns);
			pages_keep_advice(pair, to, count, dont_fork);
			return;
		}
		call_move(pair, page, count, (int64_t)to, new_count, 3, thread);
		pages_move(pair, page, count, to, new_count);
		return;
	}
}

static void begin(struct pair *pair)
{
	memset(pair, 0, sizeof(*pair));
	/* Pointers are given again, also while others that had them live on. */
	cr_assert_eq(ranges_space_new(model, 1 + next_pointer++ % 4, &pair->space), 0);
	pair->space->holders = 1;
}

static void end(struct pair *pair)
{
	ranges_space_release(model, pair->space);
	pair->space = NULL;
}

static void do_fork(struct pair *parent)
{
	struct pair *child = &pairs[below(SPACES)];

	if (child == parent)
		return;
	if (child->space)
		end(child);
	begin(child);
	cr_assert_eq(ranges_space_copy(model, child->space, parent->space), 0);
	memcpy(child->pages, parent->pages, sizeof(child->pages));
	for (size_t i = 0; i < PAGES; i++)
		if (child->pages[i].dont_fork)
			pages_clear(child, i, 1);
	check(child);
	check_layout(child);
}

Test(ranges_random, like_arrays_of_pages)
{
	enum { ROUNDS = 250000 };

	for (size_t round = 0; round < ROUNDS; round++) {
		struct pair *pair = &pairs[below(SPACES)];
		uint64_t page = below(PAGES), count = 1 + below(PAGES - page);
		uint32_t thread = 1 + (uint32_t)below(3);

		if (count > 20)
			count = 1 + below(20);
		if (!pair->space)
			begin(pair);
		switch (below(20)) {
		case 0 ... 7:
			do_map(pair, page, count);
			break;
		case 8 ... 10:
			do_unmap(pair, page, count, thread, false);
			break;
		case 11 ... 12:
			do_unmap(pair, page, count, thread, true);
			break;
		case 13:
			if (below(10) == 0)
				do_unmap(pair, 0, PAGES, thread, false);
			break;
		case 14:
			do_fork(pair);
			break;
		case 16:
			do_advise(pair, page, count, below(2));
			break;
		case 15:
			if (below(8) == 0) {
				end(pair);
				continue;
			}
			break;
		default:
			do_move(pair, page, count, thread);
			break;
		}
		check(pair);
		if (round % 16 == 0)
			check_layout(pair);
	}
	for (size_t i = 0; i < SPACES; i++)
		if (pairs[i].space)
			end(&pairs[i]);
	cr_assert_eq(model->live_handles, 0);
	cr_assert_null(model->spaces);
	cr_assert_eq(model->counters.over_maximum, 0);
}
