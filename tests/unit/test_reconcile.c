/*
 * model/reconcile.c: surveys of running processes, beside the calls that they read about.
 */
#include <criterion/criterion.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "model/points.h"
#include "model/process.h"
#include "model/ranges.h"
#include "model_suite.h"

TestSuite(reconcile, .init = setup, .fini = teardown);

#define STANDARD                          \
	{1, 0, S_IFCHR}, {2, 1, S_IFCHR}, \
	{                                 \
		3, 2, S_IFCHR             \
	}

/* Surveys come so long after each other. */
static uint64_t survey_distance_ns = 1100000000;

static void survey_ranges(const struct actor *actor, const uint64_t (*pages)[3], size_t count,
                          uint64_t lost_ns);

/* What a survey sends of a table, with what was lost of its events. */
static void survey_losing(const struct actor *actor, const struct table_entry *entries, size_t count,
                          uint64_t lost_fds, uint64_t lost_ns)
{
	static struct event_table_numbers event;

	memset(&event, 0, sizeof(event));
	event.table = actor->table;
	event.cause = TABLE_SURVEYED;
	event.first = event.last = 1;
	event.lost_fds = lost_fds;
	event.lost_ns = lost_ns;
	event.count = (uint32_t)count;
	memcpy(event.entries, entries, count * sizeof(*entries));
	world.now_ns += survey_distance_ns;
	events_send(&world, actor, EVENT_TABLE_NUMBERS, &event.header,
	            offsetof(struct event_table_numbers, entries) + count * sizeof(*entries));
}

#define SURVEY(actor, ...)                                                        \
	do {                                                                      \
		const struct table_entry list[] = {__VA_ARGS__};                  \
		survey_losing(actor, list, sizeof(list) / sizeof(list[0]), 0, 0); \
	} while (0)

static void found(const struct actor *actor, bool begins)
{
	struct event_process_found event = {.table = actor->table,
	                                    .space = actor->space,
	                                    .fd_limit = 1024,
	                                    .begins = begins,
	                                    .comm = "server"};

	events_send(&world, actor, EVENT_PROCESS_FOUND, &event.header, sizeof(event));
}

static void survey_end(void)
{
	cr_assert_eq(model_survey_end(world.model, world.now_ns), 0);
}

static uint64_t drift(void)
{
	return model_counters_get(world.model)->drift;
}

static uint64_t reconciled(void)
{
	return model_counters_get(world.model)->reconciled;
}

Test(reconcile, equal_tables_differ_in_nothing)
{
	events_open(&world, &command, 3, 30);
	for (int i = 0; i < 3; i++)
		SURVEY(&command, STANDARD, {30, 3, S_IFREG});
	cr_assert_eq(world_live(&world, &command), 4);
	cr_assert_eq(drift(), 0);
	cr_assert_eq(reconciled(), 0);
}

/* One survey may see what an event is on its way of. */
Test(reconcile, a_difference_counts_when_two_surveys_agree)
{
	events_open(&world, &command, 3, 30);
	SURVEY(&command, STANDARD, {50, 5, S_IFSOCK});
	cr_assert_eq(world_file(&world, &command, 3), 30);
	cr_assert_eq(world_file(&world, &command, 5), 0);
	SURVEY(&command, STANDARD, {50, 5, S_IFSOCK});
	cr_assert_eq(world_file(&world, &command, 3), 0);
	cr_assert_eq(world_file(&world, &command, 5), 50);
	cr_assert_eq(drift(), 1);
	cr_assert_eq(reconciled(), 1);
	events_exit(&world, &command, 0);
	cr_assert_eq(world_left_open(&world, 100, HANDLE_KIND_FD), 1);
}

Test(reconcile, an_event_between_two_surveys_clears_the_number)
{
	events_open(&world, &command, 3, 30);
	SURVEY(&command, STANDARD, {50, 5, S_IFSOCK});
	events_open(&world, &command, 5, 51);
	events_close(&world, &command, 3);
	events_open(&world, &command, 3, 31);
	SURVEY(&command, STANDARD, {50, 5, S_IFSOCK});
	cr_assert_eq(world_file(&world, &command, 3), 31);
	cr_assert_eq(world_file(&world, &command, 5), 51);
	SURVEY(&command, STANDARD, {31, 3, S_IFREG}, {51, 5, S_IFREG});
	SURVEY(&command, STANDARD, {31, 3, S_IFREG}, {51, 5, S_IFREG});
	cr_assert_eq(drift(), 0);
	cr_assert_eq(reconciled(), 0);
}

/* Told before it is done: a number or addresses that the kernel has still got. What the kernel has not is
 * gone. */
Test(reconcile, a_release_that_is_kept_waiting)
{
	survey_distance_ns = 150000000;
	events_open(&world, &command, 3, 30);
	events_open(&world, &command, 4, 40);
	events_map(&world, &command, 100, 10, MAP_PRIVATE | MAP_ANONYMOUS, 0);
	events_unmap(&world, &command, 100, 10);
	events_close(&world, &command, 3);
	for (int i = 0; i < 3; i++) {
		const uint64_t list[][3] = {{100, 110, 0}};

		SURVEY(&command, STANDARD, {30, 3, S_IFREG});
		survey_ranges(&command, list, 1, 0);
		cr_assert_eq(world_file(&world, &command, 3), 0, "%d", i);
		cr_assert_eq(ranges_count(process_find(world.model, 100)->space), 0, "%d", i);
	}
	cr_assert_eq(world_file(&world, &command, 4), 0);
	SURVEY(&command, STANDARD);
	for (int i = 0; i < 9; i++)
		SURVEY(&command, STANDARD, {30, 3, S_IFREG});
	cr_assert_eq(world_file(&world, &command, 3), 30, "it was not on its way");
}

/* Two that saw different things agree on nothing. */
Test(reconcile, two_surveys_that_differ)
{
	SURVEY(&command, STANDARD, {50, 5, S_IFSOCK});
	SURVEY(&command, STANDARD, {52, 5, S_IFSOCK});
	cr_assert_eq(world_file(&world, &command, 5), 0);
	SURVEY(&command, STANDARD, {52, 5, S_IFSOCK});
	cr_assert_eq(world_file(&world, &command, 5), 52);
}

/* The number was closed and given out again, and the same memory with it: unseen is right, the old stack is
 * not. */
Test(reconcile, lost_events_of_a_number_forget_its_maker)
{
	const struct table_entry list[] = {STANDARD, {30, 3, S_IFREG}, {40, 4, S_IFREG}, {50, 67, S_IFREG}};
	const struct fd_table *table = process_find(world.model, command.process_id)->table;
	uint64_t lost_ns;

	world.stack = 77;
	events_open(&world, &command, 3, 30);
	events_open(&world, &command, 4, 40);
	lost_ns = world.now_ns;
	events_open(&world, &command, 67, 50);
	survey_losing(&command, list, 6, 1U << 3, lost_ns);
	cr_assert_eq(points_slot(table, 3)->handle->maker.origin, HANDLE_ORIGIN_UNSEEN);
	cr_assert_eq(points_slot(table, 3)->handle->maker.stack, 0);
	cr_assert_eq(points_slot(table, 4)->handle->maker.stack, 77, "another number");
	cr_assert_eq(points_slot(table, 67)->handle->maker.stack, 77, "made after the last loss");
	events_exit(&world, &command, 0);
	cr_assert_eq(world_left_open(&world, 100, HANDLE_KIND_FD), 3);
}

Test(reconcile, what_a_running_process_holds_is_nobodys)
{
	struct actor server = {
	        .process_id = 300, .thread_id = 300, .start_ns = 5, .table = 0x700, .space = 0x800};

	found(&server, true);
	SURVEY(&server, STANDARD, {90, 8, S_IFSOCK});
	cr_assert_eq(world_live(&world, &server), 4);
	cr_assert_eq(reconciled(), 0);
	events_open(&world, &server, 9, 91);
	found(&server, false);
	SURVEY(&server, STANDARD, {90, 8, S_IFSOCK}, {91, 9, S_IFREG});
	events_exit(&world, &server, 0);
	cr_assert_eq(world_left_open(&world, 300, HANDLE_KIND_FD), 1, "the one that it opened since");
}

/* Two processes may share a table; the second one adds nothing. */
Test(reconcile, found_processes_that_share_a_table)
{
	struct actor one = {
	        .process_id = 300, .thread_id = 300, .start_ns = 5, .table = 0x700, .space = 0x800};
	struct actor two = {
	        .process_id = 301, .thread_id = 301, .start_ns = 6, .table = 0x700, .space = 0x800};

	found(&one, true);
	SURVEY(&one, STANDARD);
	found(&two, true);
	SURVEY(&two, STANDARD);
	cr_assert_eq(process_find(world.model, 300)->table, process_find(world.model, 301)->table);
	cr_assert_eq(process_find(world.model, 300)->space, process_find(world.model, 301)->space);
	events_exit(&world, &one, 0);
	cr_assert_eq(world_live(&world, &two), 3);
}

/* Its exit was lost. */
Test(reconcile, a_process_that_two_surveys_miss_is_gone)
{
	struct actor server = {
	        .process_id = 300, .thread_id = 300, .start_ns = 5, .table = 0x700, .space = 0x800};

	found(&server, true);
	SURVEY(&server, STANDARD);
	found(&command, false);
	survey_end();
	for (int i = 0; i < 2; i++) {
		cr_assert_not_null(process_find(world.model, 300));
		found(&command, false);
		survey_end();
	}
	cr_assert_null(process_find(world.model, 300));
	cr_assert_not_null(process_find(world.model, 100));
	cr_assert_eq(drift(), 1);
}

/* Its pid is another's by now. */
Test(reconcile, found_under_a_pid_that_is_used_again)
{
	struct actor again = {
	        .process_id = 100, .thread_id = 100, .start_ns = 99999, .table = 0x700, .space = 0x800};

	found(&again, true);
	SURVEY(&again, STANDARD, {90, 8, S_IFSOCK});
	cr_assert_eq(world_live(&world, &again), 4);
}

/* The ring is emptied between two chunks of a large table: all have the time at which the first was read. */
Test(reconcile, what_is_made_while_a_table_is_told_of_stays)
{
	static const struct table_entry first[] = {STANDARD, {30, 3, S_IFREG}},
	                                second[] = {{60, 70, S_IFREG}};
	struct actor server = {
	        .process_id = 400, .thread_id = 400, .start_ns = 5, .table = 0x4000, .space = 0x4100};
	static struct event_table_numbers event;
	uint64_t begun_ns;

	found(&server, true);
	begun_ns = world.now_ns + 1;
	for (int chunk = 0; chunk < 2; chunk++) {
		const struct table_entry *entries = chunk ? second : first;
		size_t count = chunk ? 1 : 4;

		memset(&event, 0, sizeof(event));
		event.header.time_ns = begun_ns;
		event.table = server.table;
		event.cause = TABLE_SURVEYED;
		event.first = !chunk;
		event.last = chunk;
		event.count = (uint32_t)count;
		memcpy(event.entries, entries, count * sizeof(*entries));
		events_send(&world, &server, EVENT_TABLE_NUMBERS, &event.header,
		            offsetof(struct event_table_numbers, entries) + count * sizeof(*entries));
		if (!chunk) {
			events_open(&world, &server, 4, 40);
			events_close(&world, &server, 3);
			events_open(&world, &server, 3, 31);
		}
	}
	cr_assert_eq(world_file(&world, &server, 3), 31);
	cr_assert_eq(world_file(&world, &server, 4), 40);
	cr_assert_eq(world_file(&world, &server, 70), 60);
	cr_assert_eq(drift(), 0);
	events_exit(&world, &server, 0);
	cr_assert_eq(world_left_open(&world, 400, HANDLE_KIND_FD), 2);
}

/* A program began while the table was being told of: what a survey says of the rest is of another time. */
Test(reconcile, a_table_that_was_told_of_in_between_is_left_to_that)
{
	static const struct table_entry kept[] = {STANDARD}, before[] = {STANDARD, {30, 3, S_IFREG}},
	                                rest[] = {{40, 4, S_IFREG}};

	events_open(&world, &command, 3, 30);
	for (int i = 0; i < 3; i++) {
		world.now_ns += survey_distance_ns;
		events_numbers_chunk(&world, &command, TABLE_SURVEYED, before, 4, true, false);
		events_numbers_chunk(&world, &command, TABLE_EXECED, kept, 3, true, false);
		events_numbers_chunk(&world, &command, TABLE_SURVEYED, rest, 1, false, true);
		events_numbers_chunk(&world, &command, TABLE_EXECED, kept, 0, false, true);
	}
	cr_assert_eq(world_live(&world, &command), 3);
	cr_assert_eq(reconciled(), 0);
}

static void survey_ranges(const struct actor *actor, const uint64_t (*pages)[3], size_t count,
                          uint64_t lost_ns)
{
	static struct event_space_ranges event;

	memset(&event, 0, sizeof(event));
	event.space = actor->space;
	event.first = event.last = 1;
	event.lost_ns = lost_ns;
	event.count = (uint32_t)count;
	for (size_t i = 0; i < count; i++) {
		event.entries[i].start = pages[i][0] * PAGE;
		event.entries[i].end = pages[i][1] * PAGE;
		event.entries[i].role = (uint16_t)pages[i][2];
	}
	world.now_ns += survey_distance_ns;
	events_send(&world, actor, EVENT_SPACE_RANGES, &event.header,
	            offsetof(struct event_space_ranges, entries) + count * sizeof(event.entries[0]));
}

#define SURVEY_RANGES(...)                                                        \
	do {                                                                      \
		const uint64_t list[][3] = {__VA_ARGS__};                         \
		survey_ranges(&command, list, sizeof(list) / sizeof(list[0]), 0); \
	} while (0)

static void check_pages(const uint64_t (*pages)[2], size_t count)
{
	const struct address_space *space = process_find(world.model, command.process_id)->space;
	uint64_t at = 0;

	for (size_t i = 0; i < count; i++) {
		const struct range *range = ranges_first_after(space, at);

		cr_assert_not_null(range);
		cr_assert_eq(range->start, pages[i][0] * PAGE, "%lu", range->start / PAGE);
		cr_assert_eq(range->end, pages[i][1] * PAGE, "%lu", range->end / PAGE);
		at = range->end;
	}
	cr_assert_null(ranges_first_after(space, at));
}

#define CHECK_PAGES(...)                                           \
	do {                                                       \
		const uint64_t list[][2] = {__VA_ARGS__};          \
		check_pages(list, sizeof(list) / sizeof(list[0])); \
	} while (0)

/* The image and the stack are there without a call. */
Test(reconcile, ranges_that_no_call_mapped)
{
	events_map(&world, &command, 100, 10, MAP_PRIVATE | MAP_ANONYMOUS, 0);
	for (int i = 0; i < 2; i++)
		SURVEY_RANGES({10, 20, 0}, {90, 120, 0}, {200, 210, SPACE_ROLE_STACK});
	CHECK_PAGES({10, 20}, {90, 100}, {100, 110}, {110, 120});
	cr_assert_eq(reconciled(), 0);
	cr_assert_eq(drift(), 0);
	events_exit(&world, &command, 0);
	cr_assert_eq(world_left_open(&world, 100, HANDLE_KIND_MAP), 1);
}

Test(reconcile, ranges_that_the_kernel_does_not_have)
{
	events_map(&world, &command, 100, 10, MAP_PRIVATE | MAP_ANONYMOUS, 0);
	SURVEY_RANGES({103, 105, 0});
	CHECK_PAGES({100, 110});
	SURVEY_RANGES({103, 105, 0});
	CHECK_PAGES({103, 105});
	cr_assert_eq(drift(), 2);
}

Test(reconcile, an_event_between_two_surveys_clears_the_addresses)
{
	events_map(&world, &command, 100, 10, MAP_PRIVATE | MAP_ANONYMOUS, 0);
	SURVEY_RANGES({50, 60, 0});
	events_map(&world, &command, 105, 1, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, 0);
	events_unmap(&world, &command, 55, 1);
	SURVEY_RANGES({50, 60, 0});
	CHECK_PAGES({100, 105}, {105, 106}, {106, 110});
	cr_assert_eq(drift(), 0);
}

/* After a loss what is found is unseen, and what was mapped before the loss has an unknown maker. */
Test(reconcile, lost_events_of_mappings)
{
	const uint64_t list[][3] = {{100, 110, 0}, {300, 310, 0}, {500, 501, 0}};
	const struct address_space *space = process_find(world.model, command.process_id)->space;
	uint64_t lost_ns;

	world.stack = 77;
	events_map(&world, &command, 100, 10, MAP_PRIVATE | MAP_ANONYMOUS, 0);
	lost_ns = world.now_ns;
	events_map(&world, &command, 500, 1, MAP_PRIVATE | MAP_ANONYMOUS, 0);
	survey_ranges(&command, list, 3, lost_ns);
	survey_ranges(&command, list, 3, 0);
	CHECK_PAGES({100, 110}, {300, 310}, {500, 501});
	cr_assert_eq(ranges_first_after(space, 100 * PAGE)->maker.origin, HANDLE_ORIGIN_MAP_UNSEEN);
	cr_assert_eq(ranges_first_after(space, 300 * PAGE)->maker.origin, HANDLE_ORIGIN_MAP_UNSEEN);
	cr_assert_eq(ranges_first_after(space, 500 * PAGE)->maker.stack, 77);
	cr_assert_eq(reconciled(), 2);
}

static void resize_heap(const struct actor *actor, uint64_t start_page, uint64_t end_page)
{
	struct event_map_made event = {
	        .space = actor->space,
	        .address = start_page * PAGE,
	        .length_bytes = (end_page - start_page) * PAGE,
	        .flags = MAP_PRIVATE | MAP_ANONYMOUS,
	        .origin = HANDLE_ORIGIN_BRK,
	};

	events_send(&world, actor, EVENT_MAP_MADE, &event.header, sizeof(event));
}

/* What it had grown to before it was seen is nobody's; it goes on growing from there. */
Test(reconcile, the_heap_of_a_running_process)
{
	const uint64_t list[][3] = {{30, 40, SPACE_ROLE_HEAP}};

	command = (struct actor){
	        .process_id = 300, .thread_id = 300, .start_ns = 5, .table = 0x700, .space = 0x800};
	found(&command, true);
	survey_ranges(&command, list, 1, 0);
	CHECK_PAGES({30, 40});
	resize_heap(&command, 30, 45);
	CHECK_PAGES({30, 40}, {40, 45});
	resize_heap(&command, 30, 35);
	CHECK_PAGES({30, 35});
	cr_assert_eq(reconciled(), 0);
}

Test(reconcile, lost_events_of_the_heap)
{
	const uint64_t grown[][3] = {{30, 40, SPACE_ROLE_HEAP}}, shrunk[][3] = {{30, 36, SPACE_ROLE_HEAP}};

	resize_heap(&command, 30, 34);
	for (int i = 0; i < 2; i++)
		survey_ranges(&command, grown, 1, world.now_ns);
	CHECK_PAGES({30, 34}, {34, 40});
	cr_assert_eq(drift(), 0);
	resize_heap(&command, 30, 42);
	resize_heap(&command, 30, 40);
	CHECK_PAGES({30, 34}, {34, 40});
	for (int i = 0; i < 2; i++)
		survey_ranges(&command, shrunk, 1, world.now_ns);
	CHECK_PAGES({30, 34}, {34, 36});
	resize_heap(&command, 30, 38);
	CHECK_PAGES({30, 34}, {34, 36}, {36, 38});
	events_exit(&world, &command, 0);
	cr_assert_eq(world_left_open(&world, 100, HANDLE_KIND_MAP), 3);
}
