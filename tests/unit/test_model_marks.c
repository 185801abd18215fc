/*
 * The left-open set (model/left_open.c): what a process holds as it begins to shut down, what becomes of it
 * until its end, and who answers for it.
 */
#include <criterion/criterion.h>

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "model/points.h"
#include "model/ranges.h"
#include "model_suite.h"

TestSuite(marks, .init = setup, .fini = teardown);

static void check_fds(uint32_t process_id, uint64_t left_open, uint64_t released)
{
	cr_assert_eq(world_left_open(&world, process_id, HANDLE_KIND_FD), left_open);
	cr_assert_eq(world_released(&world, process_id, HANDLE_KIND_FD), released);
}

static void check_maps(uint32_t process_id, uint64_t left_open, uint64_t released)
{
	cr_assert_eq(world_left_open(&world, process_id, HANDLE_KIND_MAP), left_open);
	cr_assert_eq(world_released(&world, process_id, HANDLE_KIND_MAP), released);
}

Test(marks, released_by_shutdown_or_never)
{
	for (int fd = 3; fd < 8; fd++)
		events_open(&world, &command, fd, 100 + (uint64_t)fd);
	events_close(&world, &command, 3);
	events_mark(&world, &command, SHUTDOWN_FINALIZE);
	cr_assert_eq(world_process(&world, 100)->vmas, 12);
	events_close(&world, &command, 4);
	events_close_range(&world, &command, 5, 6);
	events_exit(&world, &command, 0);
	cr_assert_eq(world_process(&world, 100)->mark, SHUTDOWN_FINALIZE);
	check_fds(100, 4, 3);
}

/* The set is provisional until the process ends: what is made after the mark still counts. */
Test(marks, makers_after_the_mark)
{
	events_open(&world, &command, 3, 30);
	events_mark(&world, &command, SHUTDOWN_FINALIZE);
	events_open(&world, &command, 4, 40);
	events_open(&world, &command, 5, 50);
	events_close(&world, &command, 5);
	events_close(&world, &command, 3);
	/* The number is given again: another handle than the one in the set. */
	events_open(&world, &command, 3, 31);
	events_map(&world, &command, 16, 2, MAP_PRIVATE, 0);
	events_exit(&world, &command, 0);
	check_fds(100, 3, 1);
	check_maps(100, 1, 0);
}

Test(marks, mappings_released_by_bytes)
{
	for (uint64_t i = 0; i < 4; i++)
		events_map(&world, &command, 100 * i + 16, 8, MAP_PRIVATE, 0);
	events_mark(&world, &command, SHUTDOWN_EXIT);
	events_unmap(&world, &command, 16, 8);
	events_unmap(&world, &command, 116, 4);
	events_unmap(&world, &command, 120, 4);
	events_unmap(&world, &command, 216, 7);
	events_unmap(&world, &command, 316, 8);
	events_unmap_failed(&world, &command, 316, 8);
	events_exit(&world, &command, 0);
	check_maps(100, 4, 2);
	cr_assert_eq(world_process(&world, 100)->groups.items[0].bytes, 32 * PAGE);
}

/* A mapping that shutdown moves is still the one of the set. */
Test(marks, moved_after_the_mark)
{
	events_map(&world, &command, 16, 8, MAP_PRIVATE, 0);
	events_map(&world, &command, 64, 8, MAP_PRIVATE, 0);
	events_mark(&world, &command, SHUTDOWN_EXIT);
	events_move_begin(&world, &command, 16, 8);
	events_move_end(&world, &command, 16, 8, 1000, 16, MREMAP_MAYMOVE);
	events_move_begin(&world, &command, 64, 8);
	events_move_end(&world, &command, 64, 8, 2000, 8, MREMAP_MAYMOVE);
	events_unmap(&world, &command, 1000, 16);
	events_exit(&world, &command, 0);
	check_maps(100, 2, 1);
}

/* A fork's copy of the marked parent's mappings; the child's exec and end are nothing to the parent. */
Test(marks, child_after_the_mark)
{
	struct actor child, other, third;

	events_open(&world, &command, 3, 30);
	events_map(&world, &command, 16, 8, MAP_PRIVATE, 0);
	events_mark(&world, &command, SHUTDOWN_FINALIZE);
	child = events_fork(&world, &command, 200, FORK_COPIES);
	other = events_fork(&world, &command, 201, FORK_SHARES_SPACE);
	events_exec(&world, &child);
	events_exec(&world, &other);
	events_close(&world, &child, 3);
	events_exit(&world, &child, 0);
	events_exit(&world, &other, 0);
	/* One with a set of its own, which ends while it still shares its parent's mappings. */
	third = events_fork(&world, &command, 202, FORK_COPIES);
	events_open(&world, &third, 9, 90);
	events_exit(&world, &third, 0);
	check_fds(202, 1, 0);
	events_close(&world, &command, 3);
	events_unmap(&world, &command, 16, 8);
	events_exit(&world, &command, 0);
	check_fds(100, 1, 1);
	check_maps(100, 1, 1);
	check_maps(200, 0, 0);
}

Test(marks, child_that_outlives_its_marked_parent)
{
	struct actor child;

	events_map(&world, &command, 16, 8, MAP_PRIVATE, 0);
	events_mark(&world, &command, SHUTDOWN_FINALIZE);
	child = events_fork(&world, &command, 200, FORK_COPIES);
	events_exit(&world, &command, 0);
	/* The parent's entries are gone. */
	events_unmap(&world, &child, 16, 4);
	events_mark(&world, &child, SHUTDOWN_EXIT);
	events_unmap(&world, &child, 20, 4);
	events_exit(&world, &child, 0);
	check_maps(100, 1, 0);
	check_maps(200, 0, 0);
}

/* After a loss a process turns up in another space: what it was marked with stays behind, with a child. */
Test(marks, space_changes_after_the_mark)
{
	struct actor child;

	events_map(&world, &command, 16, 8, MAP_PRIVATE, 0);
	events_mark(&world, &command, SHUTDOWN_FINALIZE);
	child = events_fork(&world, &command, 200, FORK_SHARES_SPACE);
	command.space = world.next_space++;
	events_map(&world, &command, 64, 8, MAP_PRIVATE, 0);
	events_exit(&world, &command, 0);
	events_unmap(&world, &child, 16, 8);
	events_exit(&world, &child, 0);
	check_maps(100, 2, 0);
}

/* A table that changes under a marked process, likewise. */
Test(marks, table_changes_after_the_mark)
{
	events_open(&world, &command, 3, 30);
	events_mark(&world, &command, SHUTDOWN_FINALIZE);
	command.table = world.next_table++;
	events_open(&world, &command, 4, 40);
	events_exit(&world, &command, 0);
	cr_assert_eq(world_left_open(&world, 100, HANDLE_KIND_FD), 2);
}

Test(marks, handed_over_to_a_living_child)
{
	struct actor child;

	events_open(&world, &command, 3, 30);
	events_open(&world, &command, 4, 40);
	child = events_fork(&world, &command, 200, FORK_COPIES);
	events_close(&world, &child, 4);
	events_mark(&world, &command, SHUTDOWN_EXIT_GROUP);
	events_exit(&world, &command, 0);
	check_fds(100, 1, 0);
	events_exit(&world, &child, 0);
	check_fds(200, 0, 0);
}

/* A child that is gone by the end of its parent holds nothing for it. */
Test(marks, child_that_ended_before)
{
	struct actor child;

	events_open(&world, &command, 3, 30);
	child = events_fork(&world, &command, 200, FORK_COPIES);
	events_exit(&world, &child, 0);
	events_exit(&world, &command, 0);
	check_fds(100, 1, 0);
}

/* Shutdown closes the parent's own number while a child goes on holding the file. */
Test(marks, released_and_handed_over)
{
	struct actor child;

	events_open(&world, &command, 3, 30);
	child = events_fork(&world, &command, 200, FORK_COPIES);
	events_mark(&world, &command, SHUTDOWN_FINALIZE);
	events_close(&world, &command, 3);
	events_exit(&world, &command, 0);
	check_fds(100, 1, 1);
	events_exit(&world, &child, 0);
}

/* pytest's capture puts the standard streams aside and back. */
Test(marks, restored_standard_streams)
{
	events_made(&world, &command, 5, 2, HANDLE_ORIGIN_FCNTL, 1, S_IFIFO);
	events_open(&world, &command, 6, 60);
	events_made(&world, &command, 1, 60, HANDLE_ORIGIN_DUP2, 6, S_IFREG);
	events_made(&world, &command, 1, 2, HANDLE_ORIGIN_DUP2, 5, S_IFIFO);
	events_close(&world, &command, 5);
	events_close(&world, &command, 6);
	events_exit(&world, &command, 0);
	check_fds(100, 0, 0);
	cr_assert_eq(world_process(&world, 100)->fds_opened, 2, "without what was put in their place");
	cr_assert_eq(world_process(&world, 100)->fds_closed, 2);
}

/* A file that is opened under 0 is the program's own, even where the kernel gives it the old one's memory;
 * what is put under 2 in the place of another is a redirection. */
Test(marks, opened_under_a_standard_number)
{
	events_close(&world, &command, 0);
	events_open(&world, &command, 0, 1);
	events_made(&world, &command, 2, 88, HANDLE_ORIGIN_DUP2, 0, S_IFREG);
	events_exit(&world, &command, 0);
	check_fds(100, 1, 0);
}

/* What a shell redirected for a program is the shell's business. */
Test(marks, streams_redirected_before_exec)
{
	struct actor child = events_fork(&world, &command, 200, FORK_COPIES);

	events_open(&world, &child, 3, 30);
	events_made(&world, &child, 1, 30, HANDLE_ORIGIN_DUP2, 3, S_IFREG);
	events_close(&world, &child, 3);
	events_exec(&world, &child);
	events_numbers_same(&world, &child, child.table, TABLE_EXECED);
	events_exit(&world, &child, 0);
	check_fds(200, 0, 0);
}

Test(marks, unseen_at_the_mark)
{
	const struct model_group *group;

	events_open(&world, &command, 3, 30);
	events_target(&world, &command, 3, 30, S_IFREG, "app.db");
	events_target(&world, &command, 9, 90, S_IFREG, "received");
	events_target(&world, &command, 2, 3, S_IFCHR, "/dev/pts/0");
	events_mark(&world, &command, SHUTDOWN_FINALIZE);
	cr_assert_eq(model_counters_get(world.model)->reconciled, 1);
	events_exit(&world, &command, 0);
	check_fds(100, 2, 0);
	group = &world_process(&world, 100)->groups.items[0];
	cr_assert_eq(group->origin, HANDLE_ORIGIN_UNSEEN);
	cr_assert_str_eq(group->samples[0].target, "/received");
	cr_assert_str_eq(world_process(&world, 100)->groups.items[1].samples[0].target, "/app.db");
}

/* At the mark a number refers to another file than the model has there: its maker was not seen. */
Test(marks, another_file_at_the_mark)
{
	events_open(&world, &command, 3, 30);
	events_target(&world, &command, 3, 31, S_IFSOCK, "");
	events_mark(&world, &command, SHUTDOWN_FINALIZE);
	events_exit(&world, &command, 0);
	check_fds(100, 1, 0);
	cr_assert_eq(world_process(&world, 100)->groups.items[0].type, HANDLE_TYPE_SOCKET);
}

Test(marks, unseen_at_the_end)
{
	static const struct table_entry last[] = {
	        {1, 0, S_IFCHR}, {2, 1, S_IFIFO}, {3, 2, S_IFCHR}, {60, 6, 0600}};

	events_mark(&world, &command, SHUTDOWN_EXIT);
	events_numbers(&world, &command, TABLE_EXITED, last, 4);
	events_exit(&world, &command, 0);
	check_fds(100, 1, 0);
	cr_assert_eq(world_process(&world, 100)->groups.items[0].type, HANDLE_TYPE_OTHER_FD);
	cr_assert_eq(model_counters_get(world.model)->reconciled, 1);
	cr_assert_eq(model_counters_get(world.model)->drift, 0);
}

/* A child was forked while its parent held what the mark had found: what becomes of it there is nothing to
 * the parent, and it is counted once. */
Test(marks, found_at_the_mark_and_forked)
{
	static const struct table_entry last[] = {{1, 0, S_IFCHR}, {2, 1, S_IFIFO}, {3, 2, S_IFCHR}};
	struct actor child;

	events_target(&world, &command, 8, 80, S_IFREG, "received");
	events_target(&world, &command, 9, 90, S_IFREG, "closing");
	events_mark(&world, &command, SHUTDOWN_FINALIZE);
	cr_assert_eq(model_counters_get(world.model)->reconciled, 2);
	child = events_fork(&world, &command, 200, FORK_COPIES);
	cr_assert_eq(world_file(&world, &child, 9), 90);
	events_open(&world, &command, 9, 91);
	cr_assert_eq(model_counters_get(world.model)->reconciled, 1);
	events_numbers(&world, &child, TABLE_EXITED, last, 3);
	events_exit(&world, &child, 0);
	cr_assert_eq(model_counters_get(world.model)->reconciled, 1);
	cr_assert_eq(model_counters_get(world.model)->drift, 2);
	events_exit(&world, &command, 0);
	check_fds(100, 2, 0);
}

/* What the model has and the kernel has not, and another file under a number, are drift. */
Test(marks, drift)
{
	static const struct table_entry last[] = {
	        {1, 0, S_IFCHR}, {2, 1, S_IFIFO}, {3, 2, S_IFCHR}, {41, 4, S_IFREG}};

	events_open(&world, &command, 3, 30);
	events_open(&world, &command, 4, 40);
	events_open(&world, &command, 5, 50);
	events_numbers(&world, &command, TABLE_EXITED, last, 4);
	cr_assert_eq(model_counters_get(world.model)->drift, 3);
	events_exit(&world, &command, 0);
	check_fds(100, 1, 0);
}

/* Others go on using the table: its numbers were read while they made and released. */
Test(marks, last_numbers_of_a_shared_table)
{
	struct actor child;

	events_open(&world, &command, 3, 30);
	child = events_fork(&world, &command, 200, FORK_SHARES_TABLE);
	events_numbers(&world, &child, TABLE_EXITED, NULL, 0);
	cr_assert_eq(world_file(&world, &command, 3), 30);
	cr_assert_eq(model_counters_get(world.model)->drift, 0);
	events_exit(&world, &child, 0);
}

Test(marks, exec_begins_a_new_life)
{
	events_open(&world, &command, 3, 30);
	events_map(&world, &command, 16, 1, MAP_PRIVATE, 0);
	events_mark(&world, &command, SHUTDOWN_EXIT);
	events_exec(&world, &command);
	events_numbers_same(&world, &command, command.table, TABLE_EXECED);
	cr_assert_eq(world_process(&world, 100)->mark, SHUTDOWN_NONE);
	events_close(&world, &command, 3);
	events_mark(&world, &command, SHUTDOWN_LAST_THREAD);
	events_exit(&world, &command, 0);
	check_fds(100, 0, 0);
	check_maps(100, 0, 0);
	cr_assert_eq(world_process(&world, 100)->mark, SHUTDOWN_LAST_THREAD);
}

/* What following began with is nobody's to blame, up to the command's exec and in children forked before. */
Test(marks, before_the_command_runs)
{
	static const struct table_entry held[] = {{1, 0, S_IFCHR}, {90, 9, S_IFREG}};
	struct world other;
	struct actor root, child;

	world_begin(&other);
	root = (struct actor){.process_id = 7, .thread_id = 7, .start_ns = 3, .table = 1, .space = 2};
	cr_assert_eq(model_follow(other.model, 7, 1, 3, "leftopen"), 0);
	child = events_fork_only(&other, &root, 8, FORK_COPIES);
	events_open(&other, &root, 9, 90);
	events_exec(&other, &child);
	events_numbers(&other, &child, TABLE_EXECED, held, 2);
	events_exit(&other, &child, 0);
	events_exec(&other, &root);
	events_numbers(&other, &root, TABLE_EXECED, held, 2);
	events_exit(&other, &root, 0);
	cr_assert_eq(world_left_open(&other, 7, HANDLE_KIND_FD), 0);
	cr_assert_eq(world_process(&other, 7)->fds_opened, 0);
	cr_assert_eq(world_left_open(&other, 8, HANDLE_KIND_FD), 0);
	world_end(&other);
}

/* Five slices of a life that ends at the mark. */
Test(marks, slices)
{
	const struct model_group *group;
	uint64_t begin = world_process(&world, 100)->image_ns;

	world.stack = 5;
	for (int i = 0; i < 5; i++) {
		if (i == 2)
			continue;
		world.now_ns = begin + (uint64_t)i * 1000000 + 500000;
		events_open(&world, &command, 3 + i, 30);
	}
	world.now_ns = begin + 5000000 - 1000;
	events_mark(&world, &command, SHUTDOWN_FINALIZE);
	world.now_ns = begin + 900000000;
	events_open(&world, &command, 30, 30);
	events_exit(&world, &command, 0);
	cr_assert_eq(world_process(&world, 100)->groups.count, 1);
	group = world_process(&world, 100)->groups.items;
	cr_assert_eq(group->slices, 1 | 2 | 8 | 16, "%x", group->slices);
	cr_assert_eq(group->count, 5);
	cr_assert_lt(group->oldest_ns, group->newest_ns);
}
