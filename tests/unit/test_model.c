/*
 * model/model.c: what sequences of events leave in the model: descriptors, tables, processes.
 */
#include <criterion/criterion.h>

#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "model/points.h"
#include "model/process.h"
#include "model/ranges.h"
#include "model_suite.h"

TestSuite(model, .init = setup, .fini = teardown);

static const struct handle *handle_at(const struct actor *actor, int fd)
{
	const struct process *process = process_find(world.model, actor->process_id);
	const struct point_slot *slot = points_slot(process->table, fd);

	cr_assert_not_null(slot);
	return slot->handle;
}

static uint64_t maps_of(const struct actor *actor)
{
	return ranges_count(process_find(world.model, actor->process_id)->space);
}

Test(model, open_and_close)
{
	events_open(&world, &command, 3, 30);
	events_open(&world, &command, 4, 40);
	cr_assert_eq(world_file(&world, &command, 3), 30);
	cr_assert_eq(world_live(&world, &command), 5);
	events_close(&world, &command, 3);
	events_close(&world, &command, 3);
	events_close(&world, &command, 1000000);
	cr_assert_eq(world_file(&world, &command, 3), 0);
	cr_assert_eq(world_live(&world, &command), 4);
	events_exit(&world, &command, 0);
	cr_assert_eq(world_left_open(&world, 100, HANDLE_KIND_FD), 1, "the standard streams are not its own");
	cr_assert_eq(world.model->live_handles, 0);
}

/* dup2 releases the number that it gives. */
Test(model, dup_over)
{
	events_open(&world, &command, 3, 30);
	events_open(&world, &command, 4, 40);
	events_made(&world, &command, 4, 30, HANDLE_ORIGIN_DUP2, 3, S_IFREG);
	cr_assert_eq(world_file(&world, &command, 4), 30);
	cr_assert_eq(world_live(&world, &command), 5);
	events_exit(&world, &command, 0);
	cr_assert_eq(world_left_open(&world, 100, HANDLE_KIND_FD), 2);
}

Test(model, type_of_a_copy)
{
	events_made(&world, &command, 3, 30, HANDLE_ORIGIN_EPOLL_CREATE1, -1, 0600);
	events_made(&world, &command, 4, 30, HANDLE_ORIGIN_DUP, 3, 0600);
	cr_assert_eq(handle_at(&command, 4)->maker.type, HANDLE_TYPE_EPOLL, "as that which was copied");
	events_made(&world, &command, 5, 30, HANDLE_ORIGIN_FCNTL, 4, 0600);
	cr_assert_eq(handle_at(&command, 5)->maker.type, HANDLE_TYPE_EPOLL);
	events_made(&world, &command, 6, 60, HANDLE_ORIGIN_DUP3, 3, S_IFSOCK);
	cr_assert_eq(handle_at(&command, 6)->maker.type, HANDLE_TYPE_SOCKET,
	             "another file is under 3 by now");
	events_made(&world, &command, 7, 70, HANDLE_ORIGIN_DUP, 9999, S_IFIFO);
	cr_assert_eq(handle_at(&command, 7)->maker.type, HANDLE_TYPE_PIPE);
	events_made(&world, &command, 8, 80, HANDLE_ORIGIN_DUP, -5, 0600);
	cr_assert_eq(handle_at(&command, 8)->maker.type, HANDLE_TYPE_OTHER_FD);
	events_made(&world, &command, 9, 90, HANDLE_ORIGIN_OPENAT, -1, S_IFIFO | 0600);
	cr_assert_eq(handle_at(&command, 9)->maker.type, HANDLE_TYPE_PIPE, "a FIFO is a pipe");
}

/* What was received or opened by another name is what it refers to; what its maker told stays. */
Test(model, type_by_target)
{
	static const struct {
		enum handle_origin origin;
		uint16_t mode;
		const char *name;
		enum handle_type type;
	} cases[] = {
	        {HANDLE_ORIGIN_RECVMSG, 0600, "[timerfd]", HANDLE_TYPE_TIMERFD},
	        {HANDLE_ORIGIN_PIDFD_GETFD, 0600, "[eventfd]", HANDLE_TYPE_EVENTFD},
	        {HANDLE_ORIGIN_RECVMMSG, S_IFSOCK, "memfd:no", HANDLE_TYPE_SOCKET},
	        {HANDLE_ORIGIN_DUP, 0600, "bpf-map", HANDLE_TYPE_BPF},
	        {HANDLE_ORIGIN_OPENAT, 0600, "memfd:again", HANDLE_TYPE_MEMFD},
	        {HANDLE_ORIGIN_OPENAT, 0600, "tty", HANDLE_TYPE_FILE},
	        {HANDLE_ORIGIN_EVENTFD2, 0600, "[timerfd]", HANDLE_TYPE_EVENTFD},
	        {HANDLE_ORIGIN_RECVMSG, 0600, "[new]", HANDLE_TYPE_OTHER_FD},
	};

	for (int i = 0; i < (int)(sizeof(cases) / sizeof(cases[0])); i++) {
		events_made(&world, &command, 10 + i, 100 + (uint64_t)i, cases[i].origin, -1, cases[i].mode);
		events_target(&world, &command, 10 + i, 100 + (uint64_t)i, cases[i].mode, cases[i].name);
		cr_assert_eq(handle_at(&command, 10 + i)->maker.type, cases[i].type, "%s", cases[i].name);
	}
}

Test(model, close_range)
{
	for (int fd = 3; fd < 20; fd++)
		events_open(&world, &command, fd, 100 + (uint64_t)fd);
	events_close_range(&world, &command, 5, 9);
	cr_assert_eq(world_live(&world, &command), 15);
	cr_assert_eq(world_file(&world, &command, 4), 104);
	cr_assert_eq(world_file(&world, &command, 9), 0);
	cr_assert_eq(world_file(&world, &command, 10), 110);
	events_close_range(&world, &command, 3, UINT32_MAX);
	cr_assert_eq(world_live(&world, &command), 3);
}

/* An instance is one call: the two ends of a pipe are one, two opens in one nanosecond of two threads are
 * two. */
Test(model, instances)
{
	const struct model_group *group;

	world.stack = 5;
	events_pair(&world, &command, 3, HANDLE_ORIGIN_PIPE2, S_IFIFO);
	events_pair(&world, &command, 5, HANDLE_ORIGIN_PIPE2, S_IFIFO);
	command.thread_id = 101;
	events_pair(&world, &command, 7, HANDLE_ORIGIN_PIPE2, S_IFIFO);
	events_exit(&world, &command, 0);
	cr_assert_eq(world_process(&world, 100)->groups.count, 1);
	group = world_process(&world, 100)->groups.items;
	cr_assert_eq(group->count, 6);
	cr_assert_eq(group->instances, 3);
	cr_assert_eq(group->type, HANDLE_TYPE_PIPE);
	cr_assert_eq(group->origin, HANDLE_ORIGIN_PIPE2);
	cr_assert_eq(group->sample_count, 6);
	cr_assert_eq(group->samples[5].thread_id, 101);
}

Test(model, fork_copies)
{
	struct actor child;

	events_open(&world, &command, 3, 30);
	child = events_fork(&world, &command, 200, FORK_COPIES);
	cr_assert_eq(world_live(&world, &child), 4);
	cr_assert_eq(handle_at(&child, 3), handle_at(&command, 3), "it is known whose it was");
	events_close(&world, &command, 3);
	cr_assert_eq(world_file(&world, &child, 3), 30);
	events_open(&world, &child, 4, 40);
	cr_assert_eq(world_live(&world, &command), 3);
	events_exit(&world, &child, 0);
	cr_assert_eq(world_left_open(&world, 200, HANDLE_KIND_FD), 1,
	             "what it inherited is not its to blame");
	events_exit(&world, &command, 0);
	cr_assert_eq(world_left_open(&world, 100, HANDLE_KIND_FD), 0);
	cr_assert_eq(world.model->live_handles, 0);
}

static void check_counts(const struct actor *actor, uint64_t opened, uint64_t closed)
{
	const struct fd_table *table = process_find(world.model, actor->process_id)->table;

	cr_assert_eq(table->opened, opened, "%lu opened", table->opened);
	cr_assert_eq(table->closed, closed, "%lu closed", table->closed);
}

/* Who closes what he inherited has closed nothing that he opened; nor does a program answer for what a shell
 * redirected for it. */
Test(model, closed_are_of_those_opened)
{
	struct actor child;

	events_open(&world, &command, 3, 30);
	child = events_fork(&world, &command, 200, FORK_COPIES);
	events_close(&world, &child, 3);
	events_close(&world, &child, 0);
	check_counts(&child, 0, 0);
	events_open(&world, &child, 3, 31);
	events_made(&world, &child, 1, 31, HANDLE_ORIGIN_DUP2, 3, S_IFREG);
	events_close(&world, &child, 3);
	check_counts(&child, 1, 1);
	events_exec(&world, &child);
	events_numbers_same(&world, &child, child.table, TABLE_EXECED);
	check_counts(&child, 1, 1);
	events_close(&world, &child, 1);
	check_counts(&child, 1, 1);
	events_close(&world, &command, 3);
	check_counts(&command, 1, 1);
}

/* The kernel's numbers are the truth, whatever the order of a busy sibling's events made of it. */
Test(model, fork_with_other_numbers)
{
	static const struct table_entry entries[] = {{1, 0, S_IFCHR}, {70, 7, S_IFSOCK}};
	struct actor child;

	events_open(&world, &command, 3, 30);
	child = events_fork_only(&world, &command, 200, FORK_COPIES);
	events_numbers(&world, &child, TABLE_FORKED, entries, 2);
	cr_assert_eq(world_live(&world, &child), 2);
	cr_assert_eq(world_file(&world, &child, 7), 70);
	cr_assert_eq(handle_at(&child, 7)->maker.type, HANDLE_TYPE_SOCKET);
	cr_assert_eq(handle_at(&child, 7)->maker.origin, HANDLE_ORIGIN_INHERITED);
	events_exit(&world, &child, 0);
	cr_assert_eq(world_left_open(&world, 200, HANDLE_KIND_FD), 0);
	cr_assert_eq(model_counters_get(world.model)->drift, 0);
	cr_assert_eq(model_counters_get(world.model)->reconciled, 0);
}

Test(model, shared_table)
{
	struct actor child = events_fork(&world, &command, 200, FORK_SHARES_TABLE);

	events_open(&world, &child, 3, 30);
	cr_assert_eq(world_file(&world, &command, 3), 30);
	events_exit(&world, &child, 0);
	cr_assert_eq(world_left_open(&world, 200, HANDLE_KIND_FD), 0, "it is left to the last holder");
	cr_assert_eq(world_file(&world, &command, 3), 30);
	events_exit(&world, &command, 0);
	cr_assert_eq(world_left_open(&world, 100, HANDLE_KIND_FD), 1);
}

Test(model, exec_drops_close_on_exec)
{
	static const struct table_entry kept[] = {
	        {1, 0, S_IFCHR}, {2, 1, S_IFIFO}, {3, 2, S_IFCHR}, {40, 4, S_IFREG}};

	events_open(&world, &command, 3, 30);
	events_open(&world, &command, 4, 40);
	events_map(&world, &command, 16, 4, MAP_PRIVATE, 0);
	events_exec(&world, &command);
	cr_assert_eq(maps_of(&command), 0);
	events_numbers(&world, &command, TABLE_EXECED, kept, 4);
	cr_assert_eq(world_file(&world, &command, 3), 0);
	cr_assert_eq(world_file(&world, &command, 4), 40);
	cr_assert_eq(model_counters_get(world.model)->drift, 0, "close-on-exec is no drift");
	events_exit(&world, &command, 0);
	cr_assert_eq(world_left_open(&world, 100, HANDLE_KIND_FD), 1);
	cr_assert_eq(world_left_open(&world, 100, HANDLE_KIND_MAP), 0);
}

Test(model, exec_from_a_shared_table)
{
	struct actor child;

	events_open(&world, &command, 3, 30);
	child = events_fork(&world, &command, 200, FORK_SHARES_TABLE | FORK_SHARES_SPACE);
	events_open(&world, &child, 4, 40);
	child.table = world.next_table++;
	events_exec(&world, &child);
	events_numbers_same(&world, &child, command.table, TABLE_EXECED);
	cr_assert_eq(world_file(&world, &child, 4), 40);
	events_close(&world, &child, 3);
	cr_assert_eq(world_file(&world, &command, 3), 30, "the tables are apart");
	events_open(&world, &child, 5, 50);
	events_exit(&world, &child, 0);
	cr_assert_eq(world_left_open(&world, 200, HANDLE_KIND_FD), 1, "only what it made in its own table");
	events_exit(&world, &command, 0);
	cr_assert_eq(world_left_open(&world, 100, HANDLE_KIND_FD), 2);
	cr_assert_eq(model_counters_get(world.model)->reconciled, 0);
}

/* Its other holder was not followed, or is gone: what it made itself stays its own. */
Test(model, exec_from_a_table_that_nobody_else_holds)
{
	events_open(&world, &command, 3, 30);
	command.table = world.next_table++;
	events_exec(&world, &command);
	cr_assert_eq(world_file(&world, &command, 3), 30);
	events_exit(&world, &command, 0);
	cr_assert_eq(world_left_open(&world, 100, HANDLE_KIND_FD), 1);
}

/* close_range with CLOSE_RANGE_UNSHARE. */
Test(model, unshared)
{
	static const struct table_entry kept[] = {
	        {1, 0, S_IFCHR}, {2, 1, S_IFIFO}, {3, 2, S_IFCHR}, {30, 3, S_IFREG}};
	struct actor child, shared;

	events_open(&world, &command, 3, 30);
	events_open(&world, &command, 4, 40);
	child = events_fork(&world, &command, 200, FORK_SHARES_TABLE);
	shared = child;
	child = events_unshare(&world, &child, 200, kept, 4);
	events_left(&world, &shared);
	cr_assert_eq(world_file(&world, &child, 3), 30);
	cr_assert_eq(world_file(&world, &child, 4), 0);
	cr_assert_eq(world_file(&world, &command, 4), 40);
	events_exit(&world, &child, 0);
	cr_assert_eq(world_left_open(&world, 200, HANDLE_KIND_FD), 0);
	events_exit(&world, &command, 0);
	cr_assert_eq(world_left_open(&world, 100, HANDLE_KIND_FD), 2);
	cr_assert_eq(model_counters_get(world.model)->reconciled, 0);
}

Test(model, vfork_shares_the_space)
{
	struct actor child;

	events_map(&world, &command, 16, 4, MAP_PRIVATE, 0);
	child = events_fork(&world, &command, 200, FORK_SHARES_SPACE);
	events_map(&world, &child, 32, 4, MAP_PRIVATE, 0);
	cr_assert_eq(maps_of(&command), 2);
	events_exec(&world, &child);
	cr_assert_eq(maps_of(&child), 0);
	events_map(&world, &child, 64, 1, MAP_PRIVATE, 0);
	cr_assert_eq(maps_of(&command), 2);
	events_exit(&world, &child, 0);
	cr_assert_eq(world_left_open(&world, 200, HANDLE_KIND_MAP), 1);
	events_exit(&world, &command, 0);
	cr_assert_eq(world_left_open(&world, 100, HANDLE_KIND_MAP), 2);
}

Test(model, forked_mappings_are_apart)
{
	struct actor child;

	events_map(&world, &command, 16, 4, MAP_PRIVATE, 0);
	child = events_fork(&world, &command, 200, FORK_COPIES);
	events_unmap(&world, &child, 16, 2);
	cr_assert_eq(maps_of(&command), 1);
	events_unmap(&world, &command, 17, 1);
	cr_assert_eq(maps_of(&command), 2);
	cr_assert_eq(maps_of(&child), 1);
	events_map(&world, &child, 100, 4, MAP_SHARED, 0);
	events_exit(&world, &child, 0);
	cr_assert_eq(world_left_open(&world, 200, HANDLE_KIND_MAP), 1);
	events_exit(&world, &command, 0);
	cr_assert_eq(world_left_open(&world, 100, HANDLE_KIND_MAP), 2);
	cr_assert_eq(world.model->live_handles, 0);
}

Test(model, types_of_mappings)
{
	static const enum handle_type expected[] = {HANDLE_TYPE_ANON, HANDLE_TYPE_FILE_MAP, HANDLE_TYPE_SHM};
	const struct group_list *groups;

	events_map(&world, &command, 16, 1, MAP_PRIVATE | MAP_ANONYMOUS, 0);
	events_map(&world, &command, 32, 1, MAP_PRIVATE, 9);
	events_map(&world, &command, 48, 1, MAP_SHARED | MAP_ANONYMOUS, 0);
	events_map(&world, &command, 64, 1, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, 0);
	events_exit(&world, &command, 0);
	groups = &world_process(&world, 100)->groups;
	cr_assert_eq(groups->count, 4);
	for (size_t i = 0; i < 4; i++) {
		bool stack = groups->items[i].category == CATEGORY_THREAD_STACK;

		cr_assert_eq(groups->items[i].type, expected[i < 2 ? 0 : i - 1]);
		cr_assert_eq(stack, i == 1);
		cr_assert_eq(groups->items[i].bytes, PAGE);
	}
}

/* A process that was not followed, or of another start, changes nothing. */
Test(model, unknown_processes)
{
	struct actor stranger = {.process_id = 999, .thread_id = 999, .start_ns = 5, .table = command.table};
	struct actor other = command;
	uint64_t events = model_counters_get(world.model)->events;

	other.start_ns++;
	events_open(&world, &stranger, 5, 50);
	events_open(&world, &other, 6, 60);
	events_map(&world, &stranger, 1, 1, MAP_PRIVATE, 0);
	events_exit(&world, &other, 0);
	(void)events_fork_only(&world, &stranger, 1000, FORK_COPIES);
	cr_assert_eq(world_live(&world, &command), 3);
	cr_assert_null(process_find(world.model, 1000));
	cr_assert_eq(model_counters_get(world.model)->events, events + 5);
}

/* One of the same id that was not seen to end. */
Test(model, process_id_used_again)
{
	struct actor child = events_fork(&world, &command, 200, FORK_COPIES), again;
	const struct process *old = world_process(&world, 200);

	events_open(&world, &child, 3, 30);
	again = events_fork(&world, &command, 200, FORK_COPIES);
	cr_assert_neq(old->ended_ns, 0);
	cr_assert_not(old->status_known);
	cr_assert_eq(old->groups.count, 1);
	events_open(&world, &child, 4, 40);
	cr_assert_eq(world_live(&world, &again), 3, "the old one's events are not the new one's");
	events_open(&world, &again, 4, 40);
	cr_assert_eq(world_live(&world, &again), 4);
	events_exit(&world, &again, 256);
	cr_assert(world_process(&world, 200)->status_known);
}

Test(model, pointers_used_again)
{
	struct actor first = events_fork(&world, &command, 200, FORK_COPIES), second, third;

	events_open(&world, &first, 3, 30);
	events_map(&world, &first, 16, 1, MAP_PRIVATE, 0);
	events_exit(&world, &first, 0);
	world.next_table = first.table;
	world.next_space = first.space;
	second = events_fork(&world, &command, 201, FORK_COPIES);
	cr_assert_eq(second.table, first.table);
	cr_assert_eq(world_live(&world, &second), 3);
	cr_assert_eq(maps_of(&second), 0);
	events_open(&world, &second, 3, 31);
	/* The end of the second was not seen. */
	world.next_table = first.table;
	world.next_space = first.space;
	third = events_fork(&world, &command, 202, FORK_COPIES);
	cr_assert_eq(world_live(&world, &third), 3);
	cr_assert_eq(world_live(&world, &second), 4);
	events_open(&world, &third, 5, 50);
	events_exit(&world, &third, 0);
	events_exit(&world, &second, 0);
	cr_assert_eq(world_left_open(&world, 202, HANDLE_KIND_FD), 1);
	cr_assert_eq(world_left_open(&world, 201, HANDLE_KIND_FD), 1);
}

Test(model, numbers_in_chunks_of_two_tables)
{
	enum { NUMBERS = 300 };
	static struct table_entry ours[NUMBERS], theirs[NUMBERS];
	struct actor a = events_fork_only(&world, &command, 200, FORK_COPIES);
	struct actor b = events_fork_only(&world, &command, 201, FORK_COPIES);

	for (int i = 0; i < NUMBERS; i++) {
		ours[i] = (struct table_entry){1000 + (uint64_t)i, i * 3, S_IFREG};
		theirs[i] = (struct table_entry){5000 + (uint64_t)i, i * 2 + 1, S_IFSOCK};
	}
	for (size_t at = 0; at < NUMBERS; at += 100) {
		events_numbers_chunk(&world, &a, TABLE_FORKED, ours + at, 100, at == 0, at == 200);
		cr_assert_eq(world_live(&world, &a), at == 200 ? NUMBERS : 0, "all at once with the last");
		events_numbers_chunk(&world, &b, TABLE_FORKED, theirs + at, 100, at == 0, at == 200);
	}
	for (int i = 0; i < NUMBERS; i++) {
		cr_assert_eq(world_file(&world, &a, i * 3), 1000 + (uint64_t)i);
		cr_assert_eq(world_file(&world, &b, i * 2 + 1), 5000 + (uint64_t)i);
	}
	cr_assert_eq(world_live(&world, &b), NUMBERS);
	/* Begun anew before the last: what came before is forgotten. */
	events_numbers_chunk(&world, &a, TABLE_FORKED, ours, 100, true, false);
	events_numbers_chunk(&world, &a, TABLE_FORKED, ours + 200, 100, true, true);
	cr_assert_eq(world_live(&world, &a), 100);
	/* Without the first, they are no table. */
	events_numbers_chunk(&world, &a, TABLE_FORKED, ours, 10, false, false);
	events_numbers_chunk(&world, &a, TABLE_FORKED, ours + 10, 10, false, true);
	cr_assert_eq(world_live(&world, &a), 100);
	events_numbers_chunk(&world, &a, TABLE_FORKED, NULL, 0, true, true);
	cr_assert_eq(world_live(&world, &a), 0);
}

/* Numbers that go on for ever are not kept for ever. */
Test(model, endless_numbers)
{
	static struct table_entry entries[TABLE_CHUNK_MAX];

	for (int i = 0; i < TABLE_CHUNK_MAX; i++)
		entries[i].fd = i;
	for (size_t at = 0; at < 3U * POINTS_CAPACITY_MAX; at += TABLE_CHUNK_MAX)
		events_numbers_chunk(&world, &command, TABLE_EXITED, entries, TABLE_CHUNK_MAX, at == 0,
		                     false);
	cr_assert_eq(model_counters_get(world.model)->over_maximum, 1);
	cr_assert_leq(process_find(world.model, 100)->table->number_capacity, POINTS_CAPACITY_MAX);
	events_numbers_chunk(&world, &command, TABLE_EXITED, entries, 1, false, true);
	cr_assert_eq(world_live(&world, &command), 3, "they are left out");
}

Test(model, cgroups)
{
	cr_assert_eq(model_set_cgroup(world.model, 100, "/user.slice"), 0);
	cr_assert_eq(model_set_cgroup(world.model, 100, "/other"), 0);
	cr_assert_str_eq(world_process(&world, 100)->cgroup, "/user.slice");
	(void)events_fork(&world, &command, 200, FORK_COPIES);
	cr_assert_str_eq(world_process(&world, 200)->cgroup, "/user.slice", "a child begins in its parent's");
	cr_assert_eq(model_set_cgroup(world.model, 999, "/x"), 0);
}

Test(model, free_of_nothing)
{
	model_free(NULL);
}
