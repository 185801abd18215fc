/*
 * What a live handle costs: a million of them are to fit in 120 MB.
 */
#include <criterion/criterion.h>

#include <malloc.h>
#include <sys/mman.h>
#include <sys/stat.h>

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

/* One that opens and maps, runs a program, and leaves a descriptor and a mapping open. */
static void live_and_die(uint32_t process_id)
{
	struct actor child = events_fork(&world, &command, process_id, FORK_COPIES);

	events_open(&world, &child, 3, process_id);
	events_map(&world, &child, 16, 4, MAP_PRIVATE | MAP_ANONYMOUS, 0);
	events_exec(&world, &child);
	events_open(&world, &child, 4, process_id + 1);
	events_map(&world, &child, 16, 4, MAP_PRIVATE | MAP_ANONYMOUS, 0);
	events_unmap(&world, &child, 16, 1);
	events_target(&world, &child, 4, process_id + 1, S_IFREG, "file");
	events_mark(&world, &child, SHUTDOWN_EXIT);
	events_exit(&world, &child, 0);
}

Test(memory, processes_that_are_gone)
{
	size_t first = 0, last = 0;

	for (uint32_t i = 0; i < 50000; i++) {
		live_and_die(1000 + i % 20000);
		if (i % 1000 != 999)
			continue;
		model_forget_gone(world.model);
		last = allocated_bytes();
		first = first ? first : last;
	}
	/* malloc(3) counts what it caches of small pieces as given out. */
	cr_assert_lt(last, first + 4096, "%zu bytes more", last - first);
}

#endif
