/*
 * model/occasions.c and merging.c: on how many occasions, and what follows of it; findings that are merged of
 * several lines; how long that takes for many.
 */
#include <criterion/criterion.h>

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "site_world.h"

#define LIBC      "/usr/lib/x86_64-linux-gnu/libc.so.6"
#define PACKAGE   "/usr/lib/python3/dist-packages/sqlalchemy/engine.py"
#define TEST_FILE "/home/ada/shop/tests/test_shop.py"
#define SHOWN     "tests/test_shop.py"

static struct site_world sites;

static void setup(void)
{
	site_world_begin(&sites);
}

static void teardown(void)
{
	site_world_end(&sites);
}

TestSuite(occasions, .init = setup, .fini = teardown);

/* Life goes on for five slices of a millisecond; the same file is opened in each of the mask's. */
static void live(uint32_t mask, size_t each)
{
	uint64_t begin = world_process(&sites.world, 100)->image_ns;

	sites.world.inode = 77;
	(void)site_line(&sites, TEST_FILE, 7);
	for (uint32_t slice = 0; slice < 5; slice++) {
		sites.world.now_ns = begin + slice * 1000000 + 500000;
		if (mask >> slice & 1)
			site_open(&sites, each);
	}
	sites.world.now_ns = begin + 5000000 - 1000;
	events_mark(&sites.world, &sites.command, SHUTDOWN_FINALIZE);
}

static void check(enum verdict verdict, uint64_t instances, uint64_t occasions, bool tests)
{
	const struct snapshot_site *site = site_at(&sites, SHOWN, 7);

	cr_assert_eq(site->verdict, verdict, "%s", verdict_name(site->verdict));
	cr_assert_eq(site->instances, instances);
	cr_assert_eq(site->occasions, occasions);
	cr_assert_eq(site->occasions_are_tests, tests);
}

Test(occasions, every_set_of_slices)
{
	for (uint32_t mask = 1; mask < 32; mask++) {
		uint64_t slices = (uint64_t)__builtin_popcount(mask);
		bool leak = slices >= 3 && mask & 16;

		(void)live(mask, 1);
		(void)site_report(&sites);
		check(leak ? VERDICT_LEAK : VERDICT_LEFT_OPEN, slices, slices, false);
		cr_assert_eq(site_at(&sites, SHOWN, 7)->slope_per_s > 0, leak);
		teardown();
		setup();
	}
}

Test(occasions, slope)
{
	live(31, 1);
	(void)site_report(&sites);
	/* Four more in four milliseconds. */
	cr_assert_float_eq(site_at(&sites, SHOWN, 7)->slope_per_s, 1000.0, 1.0);
}

Test(occasions, least_count)
{
	sites.options.min_count = 6;
	live(31, 1);
	(void)site_report(&sites);
	check(VERDICT_LEFT_OPEN, 5, 5, false);
	sites.options.min_count = 5;
	(void)site_snapshot(&sites);
	check(VERDICT_LEAK, 5, 5, false);
}

/* A leak is one whether or not shutdown releases it; fewer are held where it does, and left open where not.
 */
Test(occasions, released_at_shutdown)
{
	live(31, 1);
	events_close_range(&sites.world, &sites.command, 3, 100);
	(void)site_report(&sites);
	check(VERDICT_LEAK, 5, 5, false);
	cr_assert_eq(sites.snapshot->groups[0].released_at_shutdown, 5);
}

Test(occasions, held)
{
	live(3, 10);
	events_close_range(&sites.world, &sites.command, 3, 100);
	(void)site_report(&sites);
	check(VERDICT_HELD, 20, 2, false);
}

Test(occasions, one_of_them_never_released)
{
	live(3, 10);
	events_close_range(&sites.world, &sites.command, 4, 100);
	(void)site_report(&sites);
	check(VERDICT_LEFT_OPEN, 20, 2, false);
	cr_assert_eq(sites.snapshot->groups[0].released_never, 1);
}

/* At a line that is known files of any name count. Where nothing is known, or only the function, a cache or a
 * linker's input is opened each once; two of one file are not yet again and again. */
Test(occasions, slices_of_different_files)
{
	static const uint64_t inodes[][5] = {{1, 2, 3, 4, 5}, {1, 2, 1, 2, 5}, {1, 2, 1, 2, 1}};
	enum { NOTHING_KNOWN, FUNCTION_KNOWN, LINE_KNOWN, KNOWN_COUNT };
	static const char *const places[KNOWN_COUNT] = {"", "/opt/bin/database", SHOWN};

	for (size_t i = 0; i < 3 * KNOWN_COUNT; i++) {
		size_t known = i / 3;
		struct stack_frame function = site_native(&sites, "open_file", "/opt/bin/database", "", 0);
		uint64_t begin = world_process(&sites.world, 100)->image_ns;
		const struct snapshot_site *site;

		if (known == FUNCTION_KNOWN)
			(void)site_stack(&sites, &function, 1);
		if (known == LINE_KNOWN)
			(void)site_line(&sites, TEST_FILE, 7);
		for (uint32_t slice = 0; slice < 5; slice++) {
			sites.world.now_ns = begin + slice * 1000000 + 500000;
			sites.world.inode = inodes[i % 3][slice];
			site_open(&sites, 1);
		}
		sites.world.now_ns = begin + 5000000 - 1000;
		events_mark(&sites.world, &sites.command, SHUTDOWN_FINALIZE);
		(void)site_report(&sites);
		site = site_at(&sites, places[known], known == LINE_KNOWN ? 7 : 0);
		cr_assert_eq(site->verdict,
		             known == LINE_KNOWN || i % 3 == 2 ? VERDICT_LEAK : VERDICT_LEFT_OPEN, "%zu", i);
		cr_assert_eq(site->instances, 5);
		teardown();
		setup();
	}
}

/* One of each type in a slice of its own, at one place of which nothing is known. */
Test(occasions, slices_of_different_types)
{
	static const enum handle_origin origins[] = {HANDLE_ORIGIN_EVENTFD2, HANDLE_ORIGIN_EPOLL_CREATE1,
	                                             HANDLE_ORIGIN_INOTIFY_INIT1,
	                                             HANDLE_ORIGIN_TIMERFD_CREATE, HANDLE_ORIGIN_EVENTFD2};
	uint64_t begin = world_process(&sites.world, 100)->image_ns;

	(void)site_line(&sites, TEST_FILE, 7);
	for (int slice = 0; slice < 5; slice++) {
		sites.world.now_ns = begin + (uint64_t)slice * 1000000 + 500000;
		for (int i = 0; i < 2; i++)
			events_made(&sites.world, &sites.command, 50 + 2 * slice + i,
			            (uint64_t)(90 + 2 * slice + i), origins[slice], -1, 0);
	}
	sites.world.now_ns = begin + 5000000 - 1000;
	events_mark(&sites.world, &sites.command, SHUTDOWN_FINALIZE);
	(void)site_report(&sites);
	check(VERDICT_LEFT_OPEN, 4, 2, false);
}

/* Slices of different processes' lives are no occasions of one. */
Test(occasions, slices_of_children)
{
	uint64_t begin = sites.world.now_ns;

	(void)site_line(&sites, TEST_FILE, 7);
	for (uint32_t i = 0; i < 5; i++) {
		struct actor child = events_fork(&sites.world, &sites.command, 200 + i, FORK_COPIES);

		begin = sites.world.now_ns;
		sites.world.now_ns = begin + i * 1000000 + 500000;
		events_open(&sites.world, &child, 50, 1);
		sites.world.now_ns = begin + 5000000;
		events_exit(&sites.world, &child, 0);
	}
	(void)site_report(&sites);
	check(VERDICT_LEFT_OPEN, 5, 1, false);
}

static void run_test(const char *name, size_t opens)
{
	events_test(&sites.world, &sites.command, name);
	site_open(&sites, opens);
}

Test(occasions, tests)
{
	const struct snapshot_site *site;

	(void)site_line(&sites, TEST_FILE, 7);
	run_test("test_b (call)", 1);
	run_test("test_a (call)", 2);
	run_test("test_c (call)", 0);
	run_test("test_d (call)", 1);
	(void)site_report(&sites);
	check(VERDICT_LEAK, 4, 3, true);
	site = site_at(&sites, SHOWN, 7);
	cr_assert_eq(site->test_count, 3);
	cr_assert_str_eq(site->tests[0].name, "test_b");
	cr_assert_str_eq(site->tests[1].name, "test_a");
	cr_assert_str_eq(site->tests[2].name, "test_d");
	cr_assert_eq(site->tests[1].made, 2);
	cr_assert_eq(site->tests[1].outlived, 2);
	cr_assert_eq(site->tests[2].outlived, 0);
}

/* A tool that each test starts, and that leaves one open as it ends; a server that all of them use. */
Test(occasions, tests_of_children)
{
	static const char *const tests[] = {"test_a", "test_b", "test_c"};

	for (int server = 0; server < 2; server++) {
		struct actor child;

		(void)site_line(&sites, TEST_FILE, 7);
		sites.world.inode = 77;
		for (uint32_t i = 0; i < 3; i++) {
			events_test(&sites.world, &sites.command, tests[i]);
			if (!i || !server)
				child = events_fork(&sites.world, &sites.command, 200 + i, FORK_COPIES);
			events_open(&sites.world, &child, 50 + (int)i, 100 + i);
			if (i == 2 || !server)
				events_exit(&sites.world, &child, 0);
		}
		(void)site_report(&sites);
		check(server ? VERDICT_LEAK : VERDICT_LEFT_OPEN, 3, server ? 3 : 1, true);
		cr_assert_eq(site_at(&sites, SHOWN, 7)->test_count, 3);
		teardown();
		setup();
	}
}

/* pytest-xdist's workers each announce their own. */
Test(occasions, tests_of_workers)
{
	static const char *const tests[] = {"test_a", "test_b", "test_c"};

	(void)site_line(&sites, TEST_FILE, 7);
	for (uint32_t i = 0; i < 3; i++) {
		struct actor child = events_fork(&sites.world, &sites.command, 200 + i, FORK_COPIES);

		events_test(&sites.world, &child, tests[i]);
		events_open(&sites.world, &child, 50, 100 + i);
		events_exit(&sites.world, &child, 0);
	}
	(void)site_report(&sites);
	check(VERDICT_LEAK, 3, 3, true);
}

Test(occasions, two_tests_are_too_few)
{
	(void)site_line(&sites, TEST_FILE, 7);
	run_test("test_a", 10);
	run_test("test_b", 10);
	run_test("test_a", 10);
	(void)site_report(&sites);
	check(VERDICT_LEFT_OPEN, 30, 2, true);
}

Test(occasions, three_tests_of_too_few_instances)
{
	sites.options.min_count = 4;
	(void)site_line(&sites, TEST_FILE, 7);
	run_test("test_a", 1);
	run_test("test_b", 1);
	run_test("test_c", 1);
	(void)site_report(&sites);
	check(VERDICT_LEFT_OPEN, 3, 3, true);
}

/* Tests of several groups of one site, each counted once. */
Test(occasions, tests_of_several_groups)
{
	const struct snapshot_site *site;

	for (uint32_t entry = 1; entry <= 2; entry++) {
		const struct stack_frame frames[] = {
		        site_native(&sites, "open64", LIBC, "", 0),
		        site_python(&sites, "connect", PACKAGE, entry),
		        site_python(&sites, "f", TEST_FILE, 7),
		};

		(void)site_stack(&sites, frames, 3);
		run_test("test_a", 1);
		run_test("test_b", 1);
	}
	(void)site_report(&sites);
	check(VERDICT_LEFT_OPEN, 2, 2, true);
	site = site_at(&sites, SHOWN, 7);
	cr_assert_eq(site->test_count, 2);
	cr_assert_eq(site->tests[0].made, 2);
}

/* A lazy library opens at another line in every test, each time by the same entry. */
static void lazy_line(uint32_t line, const char *test, const char *path, const char *entry)
{
	const struct stack_frame frames[] = {
	        site_native(&sites, "open64", LIBC, "", 0),
	        site_python(&sites, entry, PACKAGE, 50),
	        site_python(&sites, "test", TEST_FILE, line),
	};

	(void)site_stack(&sites, frames, 3);
	events_test(&sites.world, &sites.command, test);
	site_open_path(&sites, path);
}

Test(occasions, merged_by_folder)
{
	const struct snapshot_site *site;

	lazy_line(10, "test_a", "tmp/db/one.db", "connect");
	lazy_line(20, "test_b", "tmp/db/two", "connect");
	lazy_line(30, "test_c", "tmp/db/three.x", "connect");
	lazy_line(40, "test_d", "tmp/db/four", "other_entry");
	lazy_line(50, "test_e", "tmp/elsewhere/five", "connect");
	cr_assert_eq(site_report(&sites)->site_count, 3);
	site = &sites.snapshot->sites[0];
	cr_assert_eq(site->verdict, VERDICT_LEAK);
	cr_assert_eq(site->fds, 3);
	cr_assert_eq(site->instances, 3);
	cr_assert_eq(site->occasions, 3);
	cr_assert_eq(site->line_count, 3);
	cr_assert_eq(site->lines[0].line, 10);
	cr_assert_eq(site->lines[2].line, 30);
	cr_assert_eq(site->test_count, 3);
	cr_assert_eq(site_at(&sites, SHOWN, 40)->line_count, 0);
	cr_assert_eq(site_at(&sites, SHOWN, 50)->verdict, VERDICT_LEFT_OPEN);
}

/* Folders of pytest's tmp_path differ in every test; the name's shape does not. */
Test(occasions, merged_by_name)
{
	lazy_line(10, "test_a", "tmp/test_a0/app17.db", "connect");
	lazy_line(20, "test_b", "tmp/test_b0/app8.db", "connect");
	lazy_line(30, "test_c", "tmp/test_c0/app911.db", "connect");
	lazy_line(40, "test_d", "tmp/test_d0/web1.db", "connect");
	cr_assert_eq(site_report(&sites)->site_count, 2);
	cr_assert_eq(sites.snapshot->sites[0].verdict, VERDICT_LEAK);
	cr_assert_eq(sites.snapshot->sites[0].line_count, 3);
}

/* Each engine has a journal beside its file, made by another frame of the library: the file is what counts,
 * whichever of them has the lower stack id. */
Test(occasions, merged_by_the_first_of_several)
{
	enum { TESTS = 8 };

	for (uint32_t i = 0; i < TESTS; i++) {
		const struct stack_frame journal[] = {
		        site_native(&sites, "open64", LIBC, "", 0),
		        site_python(&sites, "connect", PACKAGE, 51),
		        site_python(&sites, "test", TEST_FILE, 10 + i),
		};
		char test[16], path[64];

		(void)snprintf(test, sizeof(test), "test_%u", i);
		(void)snprintf(path, sizeof(path), "tmp/test_%c0/app.db", 'a' + (int)i);
		lazy_line(10 + i, test, path, "connect");
		(void)site_stack(&sites, journal, 3);
		(void)snprintf(path, sizeof(path), "tmp/test_%c0/app.db-wal", 'a' + (int)i);
		site_open_path(&sites, path);
	}
	cr_assert_eq(site_report(&sites)->site_count, 1);
	cr_assert_eq(sites.snapshot->sites[0].verdict, VERDICT_LEAK);
	cr_assert_eq(sites.snapshot->sites[0].line_count, TESTS);
	cr_assert_eq(sites.snapshot->sites[0].fds, 2 * TESTS);
}

Test(occasions, not_merged_of_two_tests)
{
	lazy_line(10, "test_a", "tmp/db/1", "connect");
	lazy_line(20, "test_b", "tmp/db/2", "connect");
	lazy_line(30, "test_b", "tmp/db/3", "connect");
	cr_assert_eq(site_report(&sites)->site_count, 3);
	for (size_t i = 0; i < 3; i++)
		cr_assert_eq(sites.snapshot->sites[i].line_count, 0);
}

/* A line that is a leak by itself keeps its own name. */
Test(occasions, leaks_are_not_merged)
{
	for (uint32_t i = 0; i < 3; i++) {
		char test[16];

		(void)snprintf(test, sizeof(test), "test_%u", i);
		lazy_line(10, test, "tmp/db/1", "connect");
		lazy_line(20 + i, test, "tmp/db/1", "connect");
	}
	cr_assert_eq(site_report(&sites)->site_count, 2);
	cr_assert_eq(site_at(&sites, SHOWN, 10)->line_count, 0);
	cr_assert_eq(site_at(&sites, SHOWN, 10)->fds, 3);
	cr_assert_eq(site_at(&sites, SHOWN, 20)->line_count, 3);
}

#ifdef __SANITIZE_ADDRESS__
#define CPU_MOST_S 8.0
#else
#define CPU_MOST_S 1.0
#endif

static double cpu_s(void)
{
	return (double)clock() / CLOCKS_PER_SEC;
}

/* A site with as many groups, each of another stack, process or test. */
Test(occasions, many_groups)
{
	enum { GROUPS = 50000, CHILDREN = 500 };
	double begun;

	for (uint32_t child = 0; child < CHILDREN; child++) {
		struct actor actor = events_fork(&sites.world, &sites.command, 1000 + child, FORK_COPIES);

		for (uint32_t i = 0; i < GROUPS / CHILDREN; i++) {
			struct stack_frame frames[] = {
			        site_python(&sites, "connect", PACKAGE, i % 77),
			        site_python(&sites, "f", TEST_FILE, 7),
			        site_python(&sites, "g", TEST_FILE, i),
			};
			char test[32];

			(void)snprintf(test, sizeof(test), "test_%u", child * 1000 + i);
			events_test(&sites.world, &actor, test);
			(void)site_stack(&sites, frames, 3);
			events_open(&sites.world, &actor, 10 + (int)i, 1);
		}
		events_exit(&sites.world, &actor, 0);
	}
	begun = cpu_s();
	(void)site_report(&sites);
	cr_assert_lt(cpu_s() - begun, CPU_MOST_S, "%f s", cpu_s() - begun);
	cr_assert_eq(sites.snapshot->site_count, 1);
	cr_assert_eq(sites.snapshot->sites[0].group_count, GROUPS);
	cr_assert_eq(sites.snapshot->sites[0].process_count, CHILDREN);
	cr_assert_eq(sites.snapshot->sites[0].test_count, GROUPS);
	cr_assert_eq(sites.snapshot->sites[0].occasions, GROUPS);
	/* Of a child's 100 groups, entries 0 to 22 have two. */
	cr_assert_eq(sites.snapshot->sites[0].instances, CHILDREN * 2);
}

/* As many sites, of which many have one function and file. */
Test(occasions, many_sites)
{
	enum { SITES = 20000 };
	double begun;

	for (uint32_t i = 0; i < SITES; i++) {
		(void)site_line(&sites, TEST_FILE, i + 1);
		site_open(&sites, 1);
	}
	begun = cpu_s();
	(void)site_report(&sites);
	cr_assert_lt(cpu_s() - begun, CPU_MOST_S, "%f s", cpu_s() - begun);
	cr_assert_eq(sites.snapshot->site_count, SITES);
	cr_assert_eq(sites.snapshot->sites[0].location.line, 1);
}

static int compare_strings(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

Test(occasions, many_ids_are_unique)
{
	enum { SITES = 20000 };
	static const char *ids[SITES];
	static char files[100][32];

	for (uint32_t i = 0; i < SITES; i++) {
		(void)snprintf(files[i % 100], sizeof(files[0]), "/home/ada/shop/f%u.py", i % 100);
		(void)site_line(&sites, files[i % 100], i + 1);
		site_open(&sites, 1);
	}
	cr_assert_eq(site_report(&sites)->site_count, SITES);
	for (size_t i = 0; i < SITES; i++)
		ids[i] = sites.snapshot->sites[i].id;
	qsort(ids, SITES, sizeof(ids[0]), compare_strings);
	for (size_t i = 1; i < SITES; i++)
		cr_assert_str_neq(ids[i - 1], ids[i]);
}
