/*
 * model/points.c: descriptor tables compared with a plain array of numbers over many random operations; what
 * becomes of handles that several tables hold; maxima.
 */
#include <criterion/criterion.h>

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "model/points.h"
#include "random_numbers.h"

static struct model *model;

static void setup(void)
{
	cr_assert_eq(model_new(&model), 0);
}

static void teardown(void)
{
	model_free(model);
}

TestSuite(points, .init = setup, .fini = teardown);

static struct fd_table *table_of(uint64_t pointer)
{
	struct fd_table *table;

	cr_assert_eq(points_table_new(model, pointer, &table), 0);
	table->holders = 1;
	return table;
}

static struct handle *handle_of(uint64_t file)
{
	struct maker maker = {.made_ns = file};
	struct handle *handle = points_handle_new(&maker, file, 0);

	cr_assert_not_null(handle);
	return handle;
}

Test(points, put_and_release)
{
	struct fd_table *table = table_of(1);

	cr_assert_null(points_slot(table, 0));
	cr_assert_null(points_slot(table, -1));
	cr_assert_not(points_release(model, table, 7));
	cr_assert_eq(points_put(model, table, 7, handle_of(70), false), 0);
	cr_assert_eq(points_slot(table, 7)->handle->file, 70);
	cr_assert_eq(points_put(model, table, 7, handle_of(71), false), 0, "dup2 over it");
	cr_assert_eq(points_slot(table, 7)->handle->file, 71);
	cr_assert_eq(table->live, 1);
	cr_assert_eq(table->peak, 1);
	cr_assert_eq(table->opened, 2);
	cr_assert_eq(table->closed, 1);
	cr_assert_eq(model->live_handles, 1);
	cr_assert(points_release(model, table, 7));
	cr_assert_not(points_release(model, table, 7));
	cr_assert_not(points_release(model, table, -1));
	cr_assert_not(points_release(model, table, INT32_MAX));
	cr_assert_eq(table->live, 0);
	points_table_release(model, table);
	points_table_release(model, NULL);
	points_handle_release(NULL);
}

Test(points, inherited_are_not_opened)
{
	struct fd_table *table = table_of(1);

	cr_assert_eq(points_put(model, table, 0, handle_of(5), true), 0);
	cr_assert_eq(points_put(model, table, 3, handle_of(6), true), 0);
	cr_assert_eq(table->opened, 0);
	cr_assert_eq(table->live, 2);
	cr_assert_eq(table->standard[0], 5, "what it began with under 0 to 2 is remembered");
	cr_assert_eq(table->standard[1], 0);
	cr_assert(points_release(model, table, 3));
	cr_assert_eq(table->closed, 0, "nor closed");
	points_table_release(model, table);
}

Test(points, range)
{
	struct fd_table *table = table_of(1);

	for (int fd = 0; fd < 200; fd++)
		cr_assert_eq(points_put(model, table, fd, handle_of(1000), false), 0);
	points_release_range(model, table, 10, 9);
	cr_assert_eq(table->live, 200, "ends before it begins");
	points_release_range(model, table, 190, UINT32_MAX);
	points_release_range(model, table, UINT32_MAX, UINT32_MAX);
	points_release_range(model, table, 3, 3);
	cr_assert_eq(table->live, 189);
	points_release_range(model, table, 0, UINT32_MAX);
	cr_assert_eq(table->live, 0);
	cr_assert_eq(model->live_handles, 0);
	points_table_release(model, table);
}

Test(points, shared_handle_lives_as_long_as_a_table_holds_it)
{
	struct fd_table *parent = table_of(1), *child = table_of(2);
	struct handle *handle = handle_of(9);

	cr_assert_eq(points_put(model, parent, 4, handle, false), 0);
	handle->references++;
	cr_assert_eq(points_put(model, child, 4, handle, true), 0);
	points_table_release(model, parent);
	cr_assert_eq(points_slot(child, 4)->handle->file, 9);
	cr_assert_eq(handle->references, 1);
	points_table_release(model, child);
	cr_assert_eq(model->live_handles, 0);
}

/* A child's close is not its maker's. */
Test(points, release_is_noted_in_the_makers_set)
{
	struct fd_table *parent = table_of(1), *child = table_of(2);
	struct handle *handle = handle_of(9);
	struct left_open entry = {.handle = handle};

	cr_assert_eq(points_put(model, parent, 4, handle, false), 0);
	handle->references++;
	cr_assert_eq(points_put(model, child, 4, handle, true), 0);
	handle->left_open = &entry;
	cr_assert(points_release(model, child, 4));
	cr_assert_eq(entry.released, 0);
	handle->references++; /* the set's */
	cr_assert(points_release(model, parent, 4));
	cr_assert_eq(entry.released, 1);
	points_handle_release(handle);
	points_table_release(model, parent);
	points_table_release(model, child);
}

Test(points, pointer_used_again)
{
	struct fd_table *old = table_of(1), *new;

	cr_assert_eq(points_put(model, old, 3, handle_of(9), false), 0);
	new = table_of(1);
	cr_assert_neq(new->generation, old->generation);
	cr_assert_eq(points_table_find(model, 1), new);
	points_table_release(model, old);
	cr_assert_eq(points_table_find(model, 1), new, "the end of the old one leaves the new one known");
	cr_assert_eq(model->live_handles, 0);
	points_table_release(model, new);
	cr_assert_null(points_table_find(model, 1));
}

Test(points, shared_table_ends_with_its_last_holder)
{
	struct fd_table *table = table_of(1);

	table->holders = 3;
	points_table_release(model, table);
	points_table_release(model, table);
	cr_assert_eq(points_table_find(model, 1), table);
	points_table_release(model, table);
	cr_assert_null(points_table_find(model, 1));
}

Test(points, maxima)
{
	struct fd_table *table = table_of(1);

	cr_assert_eq(points_put(model, table, POINTS_CAPACITY_MAX, handle_of(1), false), -ENOSPC);
	cr_assert_eq(points_put(model, table, INT32_MAX, handle_of(1), false), -ENOSPC);
	cr_assert_eq(points_put(model, table, -1, handle_of(1), false), -ENOSPC);
	cr_assert_eq(model->counters.over_maximum, 3);
	cr_assert_eq(points_put(model, table, POINTS_CAPACITY_MAX - 1, handle_of(1), false), 0);
	model->live_handles = MODEL_HANDLES_MAX;
	cr_assert_eq(points_put(model, table, 3, handle_of(1), false), -ENOSPC);
	cr_assert_eq(model->counters.over_maximum, 4);
	cr_assert_eq(table->live, 1);
	/* One that takes another's place is no more than before. */
	cr_assert_eq(points_put(model, table, POINTS_CAPACITY_MAX - 1, handle_of(2), false), 0);
	model->live_handles = 1;
	points_table_release(model, table);
	cr_assert_eq(model->live_handles, 0);
}

#define NUMBERS 700
#define TABLES  3

/* Every operation on tables beside arrays of files. */
Test(points, like_an_array)
{
	enum { ROUNDS = 200000 };
	static uint64_t expected[TABLES][NUMBERS];
	struct fd_table *tables[TABLES];
	uint64_t state = 7, live[TABLES] = {0}, peak[TABLES] = {0}, opened[TABLES] = {0},
	         closed[TABLES] = {0};

	for (size_t i = 0; i < TABLES; i++)
		tables[i] = table_of(100 + i);
	for (uint64_t round = 1; round <= ROUNDS; round++) {
		size_t at = random_below(&state, TABLES);
		uint32_t fd = (uint32_t)random_below(&state, NUMBERS), last;
		uint64_t *files = expected[at];

		switch (random_below(&state, 40)) {
		default:
			cr_assert_eq(points_put(model, tables[at], (int)fd, handle_of(round), false), 0);
			closed[at] += files[fd] != 0;
			live[at] += !files[fd];
			files[fd] = round;
			opened[at]++;
			break;
		case 10 ... 28:
			cr_assert_eq(points_release(model, tables[at], (int)fd), files[fd] != 0);
			closed[at] += files[fd] != 0;
			live[at] -= files[fd] != 0;
			files[fd] = 0;
			break;
		case 29:
			last = fd + (uint32_t)random_below(&state, 20);
			points_release_range(model, tables[at], fd, last);
			for (uint32_t i = fd; i <= last && i < NUMBERS; i++) {
				closed[at] += files[i] != 0;
				live[at] -= files[i] != 0;
				files[i] = 0;
			}
			break;
		}
		peak[at] = live[at] > peak[at] ? live[at] : peak[at];
		cr_assert_eq(tables[at]->live, live[at]);
		cr_assert_eq(tables[at]->peak, peak[at]);
		cr_assert_eq(tables[at]->opened, opened[at]);
		cr_assert_eq(tables[at]->closed, closed[at]);
		cr_assert_eq(model->live_handles, live[0] + live[1] + live[2]);
	}
	for (size_t i = 0; i < TABLES; i++) {
		for (int fd = 0; fd < NUMBERS; fd++) {
			const struct point_slot *slot = points_slot(tables[i], fd);

			cr_assert_eq(slot && slot->handle ? slot->handle->file : 0, expected[i][fd]);
		}
		points_table_release(model, tables[i]);
	}
	cr_assert_eq(model->live_handles, 0);
}
