/*
 * load/row_space.c: rows that are taken and given back.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "load/row_space.h"
#include "random_numbers.h"

#define ROWS   1000
#define TABLES 64

Test(row_space, takes_the_first_that_fit)
{
	struct row_space *space;
	uint32_t first[4];

	cr_assert_eq(row_space_new(100, &space), 0);
	for (uint32_t i = 0; i < 4; i++) {
		cr_assert_eq(row_space_take(space, 25, &first[i]), 0);
		cr_assert_eq(first[i], 25 * i);
	}
	cr_assert_eq(row_space_take(space, 1, &first[0]), -ENOSPC);
	/* Two that do not touch, then what was between them. */
	row_space_give(space, 0, 25);
	row_space_give(space, 50, 25);
	cr_assert_eq(row_space_take(space, 26, &first[0]), -ENOSPC);
	row_space_give(space, 25, 25);
	cr_assert_eq(row_space_take(space, 75, &first[0]), 0);
	cr_assert_eq(first[0], 0);
	row_space_give(space, 75, 25);
	row_space_give(space, 0, 75);
	cr_assert_eq(row_space_take(space, 100, &first[0]), 0);
	row_space_free(space);
}

Test(row_space, no_row_is_given_twice_and_none_is_lost)
{
	struct {
		uint32_t first, count;
	} tables[TABLES] = {0};
	static uint8_t taken[ROWS];
	struct row_space *space;
	uint64_t random = 4;
	uint32_t first, taken_again = 0;

	cr_assert_eq(row_space_new(ROWS, &space), 0);
	for (int step = 0; step < 20000; step++) {
		size_t i = random_below(&random, TABLES);
		uint32_t count = 1 + (uint32_t)random_below(&random, 60);

		if (tables[i].count) {
			row_space_give(space, tables[i].first, tables[i].count);
			memset(taken + tables[i].first, 0, tables[i].count);
			tables[i].count = 0;
		} else if (!row_space_take(space, count, &tables[i].first)) {
			tables[i].count = count;
			cr_assert_leq(tables[i].first + count, (uint32_t)ROWS);
			for (uint32_t row = 0; row < count; row++)
				cr_assert_eq(taken[tables[i].first + row]++, 0);
			taken_again++;
		}
	}
	cr_assert_geq(taken_again, 1000U);
	for (size_t i = 0; i < TABLES; i++)
		if (tables[i].count)
			row_space_give(space, tables[i].first, tables[i].count);
	cr_assert_eq(row_space_take(space, ROWS, &first), 0);
	row_space_free(space);
}
