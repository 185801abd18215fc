/*
 * model/tables.c: processes whose threads have different descriptor tables.
 */
#include <criterion/criterion.h>

#include <stdint.h>
#include <sys/stat.h>

#include "model/points.h"
#include "model/process.h"
#include "model/tables.h"
#include "model_suite.h"

TestSuite(tables, .init = setup, .fini = teardown);

/* As the command's table is after 3 was opened. */
static const struct table_entry begun[] = {
        {1, 0, S_IFCHR}, {2, 1, S_IFIFO}, {3, 2, S_IFCHR}, {30, 3, S_IFREG}};

/* The command has opened 3, and a thread of it has taken itself a copy. */
static struct actor begin_apart(void)
{
	events_open(&world, &command, 3, 30);
	return events_unshare(&world, &command, 101, begun, 4);
}

static uint64_t file_in(uint64_t table, int fd)
{
	const struct fd_table *known = points_table_find(world.model, table);
	const struct point_slot *slot;

	cr_assert_not_null(known);
	slot = points_slot(known, fd);
	return slot && slot->handle ? slot->handle->file : 0;
}

static struct table_counts counts(void)
{
	return tables_count(process_find(world.model, command.process_id));
}

static void check_end(uint64_t left_open)
{
	events_exit(&world, &command, 0);
	cr_assert_eq(world_left_open(&world, 100, HANDLE_KIND_FD), left_open);
	cr_assert_eq(world.model->live_handles, 0);
	cr_assert_eq(model_counters_get(world.model)->reconciled, 0);
	cr_assert_eq(model_counters_get(world.model)->drift, 0);
}

Test(tables, each_thread_has_its_own)
{
	struct actor thread = begin_apart();

	events_open(&world, &thread, 4, 40);
	events_open(&world, &command, 4, 41);
	events_close(&world, &thread, 3);
	cr_assert_eq(file_in(thread.table, 4), 40);
	cr_assert_eq(file_in(command.table, 4), 41);
	cr_assert_eq(file_in(command.table, 3), 30);
	cr_assert_eq(file_in(thread.table, 3), 0);
	cr_assert_eq(counts().live, 9);
	cr_assert_eq(counts().peak, 9);
	check_end(3);
}

/* The same descriptor in both is one, whichever closes it first. */
Test(tables, a_copy_is_one_handle)
{
	(void)begin_apart();
	check_end(1);
}

Test(tables, a_copy_is_left)
{
	(void)begin_apart();
	events_close(&world, &command, 3);
	check_end(1);
}

Test(tables, closed_in_both)
{
	struct actor thread = begin_apart();

	events_close(&world, &command, 3);
	events_close(&world, &thread, 3);
	check_end(0);
}

/* At shutdown, too, it is released only when no table of the process has it any more. */
Test(tables, released_at_shutdown)
{
	struct actor thread = begin_apart();

	events_open(&world, &command, 4, 40);
	events_mark(&world, &command, SHUTDOWN_EXIT);
	events_close(&world, &command, 4);
	events_close(&world, &thread, 3);
	events_exit(&world, &command, 0);
	cr_assert_eq(world_left_open(&world, 100, HANDLE_KIND_FD), 2);
	cr_assert_eq(world_released(&world, 100, HANDLE_KIND_FD), 1, "3 is in the command's table");
}

Test(tables, end_with_their_thread)
{
	struct actor thread = begin_apart();

	events_open(&world, &thread, 4, 40);
	events_left(&world, &thread);
	cr_assert_null(points_table_find(world.model, thread.table));
	cr_assert_eq(counts().live, 4);
	cr_assert_eq(counts().opened, 3, "3, its copy and 4");
	cr_assert_eq(counts().closed, 2);
	check_end(1);
}

/* The thread's table is the main one then. */
Test(tables, leader_leaves_its_own)
{
	struct actor thread = begin_apart();

	events_open(&world, &command, 4, 40);
	events_open(&world, &thread, 5, 50);
	events_left(&world, &command);
	cr_assert_eq(world_file(&world, &command, 4), 0);
	cr_assert_eq(world_file(&world, &command, 5), 50);
	/* The last one stays until the process ends, whatever is said. */
	events_left(&world, &thread);
	cr_assert_eq(world_file(&world, &command, 5), 50);
	check_end(2);
}

Test(tables, of_another_process_are_not_left)
{
	struct actor thread = begin_apart(), child, stranger;

	child = events_fork(&world, &command, 200, FORK_COPIES);
	stranger = child;
	stranger.table = thread.table;
	events_left(&world, &stranger);
	stranger.table = 123456;
	events_left(&world, &stranger);
	cr_assert_eq(file_in(thread.table, 3), 30);
	cr_assert_eq(file_in(child.table, 3), 30);
	events_exit(&world, &child, 0);
	check_end(1);
}

/* Another process shares the first table: for what is in it that one answers. */
Test(tables, shared_with_another_process)
{
	struct actor child, thread;

	events_open(&world, &command, 3, 30);
	child = events_fork(&world, &command, 200, FORK_SHARES_TABLE);
	thread = events_unshare(&world, &command, 101, begun, 4);
	events_open(&world, &thread, 4, 40);
	events_left(&world, &command);
	cr_assert_eq(file_in(command.table, 3), 30, "the child has it");
	events_exit(&world, &command, 0);
	cr_assert_eq(world_left_open(&world, 100, HANDLE_KIND_FD), 1, "4");
	events_exit(&world, &child, 0);
	cr_assert_eq(world_left_open(&world, 200, HANDLE_KIND_FD), 1, "3");
	cr_assert_eq(world.model->live_handles, 0);
}

/* What the copied table's own events had not told of yet, or had closed by then. */
Test(tables, copied_in_the_middle_of_a_call)
{
	static const struct table_entry numbers[] = {{1, 0, S_IFCHR},  {2, 1, S_IFIFO},  {3, 2, S_IFCHR},
	                                             {30, 3, S_IFREG}, {40, 4, S_IFREG}, {50, 5, S_IFREG},
	                                             {999, 7, S_IFREG}};
	struct actor thread;

	events_open(&world, &command, 3, 30);
	events_open(&world, &command, 5, 55);
	events_open(&world, &command, 6, 60);
	thread = events_unshare(&world, &command, 101, numbers, 7);
	events_open(&world, &command, 4, 40);
	cr_assert_eq(file_in(thread.table, 4), 40);
	cr_assert_eq(file_in(thread.table, 5), 50);
	cr_assert_eq(file_in(thread.table, 6), 0);
	check_end(4);
}

Test(tables, forked_from_a_threads_own)
{
	struct actor thread = begin_apart(), child;

	events_open(&world, &thread, 4, 40);
	events_open(&world, &command, 4, 41);
	child = events_fork(&world, &thread, 200, FORK_COPIES);
	cr_assert_eq(world_file(&world, &child, 4), 40);
	events_open(&world, &child, 5, 50);
	events_exit(&world, &child, 0);
	cr_assert_eq(world_left_open(&world, 200, HANDLE_KIND_FD), 1);
	check_end(3);
}

/* The program begins in the table of the thread that ran it. */
Test(tables, exec_by_a_thread)
{
	struct actor thread = begin_apart();

	events_open(&world, &command, 4, 40);
	events_open(&world, &thread, 5, 50);
	command.table = thread.table;
	events_exec(&world, &command);
	cr_assert_eq(world_file(&world, &command, 4), 0);
	cr_assert_eq(world_file(&world, &command, 5), 50);
	cr_assert_eq(counts().live, 5);
	check_end(2);
}

/* The kernel gives a thread that dumps core a copy that no event tells of (fs/coredump.c). */
Test(tables, copy_that_nobody_told_of)
{
	struct actor thread;

	events_open(&world, &command, 3, 30);
	thread = command;
	thread.table = world.next_table++;
	events_target(&world, &thread, 3, 30, S_IFREG, "kept");
	events_numbers(&world, &thread, TABLE_EXITED, begun, 4);
	cr_assert_eq(counts().live, 4);
	check_end(1);
}

/* The kernel uses a table's memory again after a thread's end that was lost. */
Test(tables, pointer_used_again)
{
	struct actor thread = begin_apart(), other;

	events_open(&world, &thread, 4, 40);
	world.next_table = thread.table;
	other = events_unshare(&world, &command, 102, begun, 4);
	cr_assert_eq(other.table, thread.table);
	cr_assert_eq(file_in(other.table, 4), 0);
	cr_assert_eq(counts().live, 8);
	check_end(1);
}

/* close_range by whoever shares its table with nobody: the same one, with other numbers. */
Test(tables, the_same_one_changed)
{
	struct actor same = command;

	events_open(&world, &command, 3, 30);
	events_open(&world, &command, 4, 40);
	same.copied_from = same.table;
	events_numbers(&world, &same, TABLE_UNSHARED, begun, 4);
	cr_assert_eq(world_file(&world, &command, 4), 0);
	cr_assert_eq(counts().opened, 2);
	cr_assert_eq(counts().closed, 1);
	check_end(1);
}

/* The kernel gives who dumps core a copy, and tells of the process's end by that one alone. */
Test(tables, who_dumps_core_has_a_copy)
{
	struct actor dumper = command;

	events_open(&world, &command, 3, 30);
	dumper.table = command.table + 64;
	events_numbers(&world, &dumper, TABLE_EXITED, begun, 4);
	cr_assert_eq(counts().live, 4);
	cr_assert_eq(counts().opened - counts().closed, 1);
	events_exit(&world, &dumper, 6);
	cr_assert_eq(world_left_open(&world, 100, HANDLE_KIND_FD), 1);
	cr_assert_eq(world.model->live_handles, 0);
	cr_assert_eq(model_counters_get(world.model)->reconciled, 0);
}
