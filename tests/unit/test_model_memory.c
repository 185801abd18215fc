/*
 * What a live handle costs: a million of them are to fit in 120 MB.
 */
#include <criterion/criterion.h>

#include <malloc.h>
#include <sys/mman.h>

#include "model_suite.h"

TestSuite(memory, .init = setup, .fini = teardown);

/* The sanitizers' malloc keeps no such account. */
#ifndef __SANITIZE_ADDRESS__

#define HANDLES           70000
#define HANDLE_BYTES_MOST 120

static size_t allocated_bytes(void)
{
	struct mallinfo2 info = mallinfo2();

	return info.uordblks + info.hblkhd;
}

Test(memory, descriptor)
{
	size_t before = allocated_bytes();

	for (int fd = 3; fd < HANDLES; fd++)
		events_open(&world, &command, fd, (uint64_t)fd);
	cr_assert_geq(world_live(&world, &command), HANDLES);
	cr_assert_leq((allocated_bytes() - before) / HANDLES, HANDLE_BYTES_MOST);
}

Test(memory, mapping)
{
	size_t before = allocated_bytes();

	for (uint64_t page = 1; page <= HANDLES; page++)
		events_map(&world, &command, 2 * page, 1, MAP_PRIVATE | MAP_ANONYMOUS, 0);
	cr_assert_geq(world.model->live_handles, HANDLES);
	cr_assert_leq((allocated_bytes() - before) / HANDLES, HANDLE_BYTES_MOST);
}

#endif
