/*
 * What is told when a number has been there for a while, as by completions of io_uring, beside others'
 * events.
 */
#include <criterion/criterion.h>
#include <stdint.h>
#include <sys/stat.h>

#include "model/points.h"
#include "model/process.h"
#include "model_suite.h"

TestSuite(model_late, .init = setup, .fini = teardown);

static const struct handle *handle_at(int fd)
{
	const struct point_slot *slot = points_slot(points_table_find(world.model, command.table), fd);

	return slot ? slot->handle : NULL;
}

/* @param time_ns when the table was read; 0: now */
static void made_late(int fd, uint64_t file, uint64_t time_ns)
{
	struct event_fd_made event = {
	        .header.time_ns = time_ns,
	        .table = command.table,
	        .file = file,
	        .fd = fd,
	        .source_fd = -1,
	        .origin = HANDLE_ORIGIN_IO_URING,
	        .mode = S_IFREG,
	        .late = 1,
	};

	events_send(&world, &command, EVENT_FD_MADE, &event.header, sizeof(event));
}

static void closed_late(int fd, uint64_t time_ns)
{
	struct event_fd_closed event = {.header.time_ns = time_ns, .table = command.table, .fd = fd};

	events_send(&world, &command, EVENT_FD_CLOSED, &event.header, sizeof(event));
}

Test(model_late, is_a_maker_as_others)
{
	made_late(3, 30, 0);
	cr_assert_eq(world_file(&world, &command, 3), 30);
	cr_assert_eq(handle_at(3)->maker.origin, HANDLE_ORIGIN_IO_URING);
	cr_assert_eq(handle_at(3)->maker.type, HANDLE_TYPE_FILE);
	events_close(&world, &command, 3);
	cr_assert_null(handle_at(3));
}

Test(model_late, of_a_number_that_another_told_of)
{
	events_open(&world, &command, 3, 31);
	made_late(3, 31, 0);
	cr_assert_eq(handle_at(3)->maker.origin, HANDLE_ORIGIN_OPENAT);
	cr_assert_eq(points_table_find(world.model, command.table)->opened, 1);
}

Test(model_late, of_a_number_that_was_given_out_since)
{
	uint64_t before_ns = world.now_ns;

	events_open(&world, &command, 3, 31);
	made_late(3, 30, before_ns);
	cr_assert_eq(world_file(&world, &command, 3), 31);
}

/* The earlier one was closed, which nobody told of. */
Test(model_late, replaces_what_was_there_before)
{
	events_open(&world, &command, 3, 30);
	made_late(3, 31, 0);
	cr_assert_eq(world_file(&world, &command, 3), 31);
	cr_assert_eq(handle_at(3)->maker.origin, HANDLE_ORIGIN_IO_URING);
}

/* A mark found the number under which nobody had told of anything yet. */
Test(model_late, settles_what_a_mark_found)
{
	events_target(&world, &command, 3, 30, S_IFREG, "log");
	cr_assert(handle_at(3)->provisional);
	made_late(3, 30, 0);
	cr_assert_not(handle_at(3)->provisional);
	cr_assert_eq(handle_at(3)->maker.origin, HANDLE_ORIGIN_IO_URING);
	cr_assert_eq(model_counters_get(world.model)->reconciled, 0);
}

Test(model_late, a_close_spares_what_was_made_since)
{
	uint64_t before_ns;

	events_open(&world, &command, 3, 30);
	before_ns = world.now_ns;
	events_open(&world, &command, 3, 31);
	closed_late(3, before_ns);
	cr_assert_eq(world_file(&world, &command, 3), 31);
	closed_late(3, world.now_ns + 1);
	cr_assert_null(handle_at(3));
}
