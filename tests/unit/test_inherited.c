/*
 * model/inherited.c, and processes that are forgotten: what a snapshot says of what living processes hold.
 */
#include <criterion/criterion.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include "model/model.h"
#include "site_world.h"

#define TEST_FILE "/home/ada/shop/tests/test_shop.py"

static struct site_world sites;

static void setup(void)
{
	site_world_begin(&sites);
	sites.options.inherited = true;
	sites.options.samples = 0;
}

static void teardown(void)
{
	site_world_end(&sites);
}

TestSuite(inherited, .init = setup, .fini = teardown);

/* @return handles of a process in the snapshot, inherited ones or others */
static uint64_t count_of(uint32_t process_id, enum handle_kind kind, bool inherited)
{
	const struct snapshot *snapshot = sites.snapshot;
	uint64_t count = 0;

	for (size_t i = 0; i < snapshot->group_count; i++) {
		const struct snapshot_group *group = &snapshot->groups[i];

		if (snapshot->processes[group->process].process_id != process_id || group->kind != kind ||
		    group->inherited != inherited)
			continue;
		cr_assert_eq(group->sample_count, group->count);
		count += group->count;
	}
	return count;
}

static bool is_in_site(size_t index)
{
	for (size_t i = 0; i < sites.snapshot->site_count; i++)
		for (size_t j = 0; j < sites.snapshot->sites[i].group_count; j++)
			if (sites.snapshot->sites[i].groups[j] == index)
				return true;
	return false;
}

Test(inherited, all_that_a_process_holds)
{
	(void)site_line(&sites, TEST_FILE, 7);
	site_open(&sites, 2);
	events_map(&sites.world, &sites.command, 16, 4, MAP_PRIVATE, 9);
	(void)site_snapshot(&sites);
	cr_assert_eq(count_of(100, HANDLE_KIND_FD, true), 3, "0, 1 and 2");
	cr_assert_eq(count_of(100, HANDLE_KIND_FD, false), 2);
	cr_assert_eq(count_of(100, HANDLE_KIND_MAP, false), 1);
	cr_assert_eq(sites.snapshot->live.processes, 1);
	cr_assert_eq(sites.snapshot->live.fds, 5);
	cr_assert_eq(sites.snapshot->live.inherited_fds, 3);
	cr_assert_eq(sites.snapshot->live.maps, 1);
	cr_assert_eq(sites.snapshot->live.inherited_maps, 0);
	for (size_t i = 0; i < sites.snapshot->group_count; i++) {
		const struct snapshot_group *group = &sites.snapshot->groups[i];

		if (!group->inherited)
			continue;
		cr_assert_not(is_in_site(i));
		cr_assert(group->origin == HANDLE_ORIGIN_INHERITED ||
		          group->origin == HANDLE_ORIGIN_MAP_INHERITED);
		cr_assert_eq(group->stack, 0, "its maker's stack is not its own");
	}
}

/* A child holds what its parent made: the parent answers for it, and both sets are complete. */
Test(inherited, a_child)
{
	struct actor child;

	(void)site_line(&sites, TEST_FILE, 7);
	site_open(&sites, 2);
	events_map(&sites.world, &sites.command, 16, 4, MAP_PRIVATE, 9);
	child = events_fork(&sites.world, &sites.command, 101, FORK_COPIES);
	events_open(&sites.world, &child, 9, 90);
	(void)site_snapshot(&sites);
	cr_assert_eq(count_of(100, HANDLE_KIND_FD, true) + count_of(100, HANDLE_KIND_FD, false), 5);
	cr_assert_eq(count_of(101, HANDLE_KIND_FD, true), 5);
	cr_assert_eq(count_of(101, HANDLE_KIND_FD, false), 1);
	cr_assert_eq(count_of(101, HANDLE_KIND_MAP, true), 1);
	cr_assert_eq(site_at(&sites, "tests/test_shop.py", 7)->fds, 3);
	cr_assert_eq(sites.snapshot->live.fds, 5 + 6);
	cr_assert_eq(sites.snapshot->live.inherited_fds, 3 + 5);
	sites.options.inherited = false;
	(void)site_snapshot(&sites);
	cr_assert_eq(count_of(101, HANDLE_KIND_FD, true), 0, "only where it is asked for");
	cr_assert_eq(sites.snapshot->live.inherited_fds, 3 + 5);
}

/* Of a table that two share one answers for what is in it; the other's set is complete all the same. */
Test(inherited, a_shared_table)
{
	(void)site_line(&sites, TEST_FILE, 7);
	site_open(&sites, 2);
	(void)events_fork(&sites.world, &sites.command, 101, FORK_SHARES_TABLE | FORK_SHARES_SPACE);
	(void)site_snapshot(&sites);
	cr_assert_eq(count_of(100, HANDLE_KIND_FD, false), 2);
	cr_assert_eq(count_of(101, HANDLE_KIND_FD, false), 0);
	cr_assert_eq(count_of(101, HANDLE_KIND_FD, true), 5);
	cr_assert_eq(sites.snapshot->live.fds, 5, "counted once");
}

/* Asked again and again, the model is as before. */
Test(inherited, changes_nothing)
{
	(void)site_line(&sites, TEST_FILE, 7);
	site_open(&sites, 3);
	for (int round = 0; round < 3; round++) {
		(void)site_snapshot(&sites);
		cr_assert_eq(count_of(100, HANDLE_KIND_FD, false), 3);
		cr_assert_eq(count_of(100, HANDLE_KIND_FD, true), 3);
	}
	sites.options.samples = 2;
	(void)site_snapshot(&sites);
	for (size_t i = 0; i < sites.snapshot->group_count; i++)
		cr_assert_leq(sites.snapshot->groups[i].sample_count, 2);
}

Test(inherited, those_that_are_gone_are_forgotten)
{
	struct world *world = &sites.world;

	(void)site_line(&sites, TEST_FILE, 7);
	for (uint32_t i = 0; i < 50; i++) {
		struct actor child = events_fork(world, &sites.command, 101 + i, FORK_COPIES);

		events_open(world, &child, 9, 1000 + i);
		if (i % 5)
			events_exit(world, &child, 0);
	}
	cr_assert_eq(model_gone(world->model), 40);
	(void)site_snapshot(&sites);
	cr_assert_eq(sites.snapshot->process_count, 51);
	cr_assert_eq(site_at(&sites, "tests/test_shop.py", 7)->fds, 50);
	model_forget_gone(world->model);
	cr_assert_eq(model_gone(world->model), 0);
	(void)site_snapshot(&sites);
	cr_assert_eq(sites.snapshot->process_count, 11);
	cr_assert_eq(site_at(&sites, "tests/test_shop.py", 7)->fds, 10);
	/* The list goes on behind those that remain. */
	(void)events_fork(world, &sites.command, 500, FORK_COPIES);
	(void)site_snapshot(&sites);
	cr_assert_eq(sites.snapshot->process_count, 12);
	cr_assert_eq(sites.snapshot->processes[11].process_id, 500);
}
