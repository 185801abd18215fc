/*
 * model/sites.c and model/build.c: which line is the site, what makes two groups one site, ids, order.
 */
#include <criterion/criterion.h>

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "site_world.h"

#define LIBC      "/usr/lib/x86_64-linux-gnu/libc.so.6"
#define SQLITE    "/usr/lib/x86_64-linux-gnu/libsqlite3.so.0.8.6"
#define PYTHON    "/usr/bin/python3.11"
#define PACKAGE   "/usr/lib/python3/dist-packages/sqlalchemy/engine.py"
#define TEST_FILE "/home/ada/shop/tests/test_shop.py"

static struct site_world sites;

static void setup(void)
{
	site_world_begin(&sites);
}

static void teardown(void)
{
	site_world_end(&sites);
}

TestSuite(sites, .init = setup, .fini = teardown);

#define STACK(...)                                                                       \
	do {                                                                             \
		const struct stack_frame frames_[] = {__VA_ARGS__};                      \
		(void)site_stack(&sites, frames_, sizeof(frames_) / sizeof(frames_[0])); \
	} while (0)
#define NATIVE(function, module) site_native(&sites, function, module, "", 0)
#define PY(function, file, line) site_python(&sites, function, file, line)

/* The only site's place. */
static void check_place(const char *function, const char *file, uint32_t line)
{
	const struct snapshot_location *location;

	site_open(&sites, 1);
	cr_assert_eq(site_report(&sites)->site_count, 1);
	location = &sites.snapshot->sites[0].location;
	cr_assert_str_eq(location->function, function);
	cr_assert_str_eq(location->file, file);
	cr_assert_eq(location->line, line);
}

Test(sites, innermost_application_frame)
{
	STACK(NATIVE("open64", LIBC), NATIVE("sqlite3_open", SQLITE), NATIVE("_PyEval", PYTHON),
	      PY("connect", PACKAGE, 598), PY("make", TEST_FILE, 12), PY("test_a", TEST_FILE, 30),
	      PY("main", "/usr/lib/python3/dist-packages/_pytest/config.py", 3));
	check_place("make", "tests/test_shop.py", 12);
	cr_assert_eq(sites.snapshot->sites[0].location.language, LANGUAGE_PYTHON);
}

Test(sites, library_where_no_application)
{
	STACK(NATIVE("open64", LIBC), NATIVE("sqlite3_open", SQLITE), PY("connect", PACKAGE, 598));
	check_place("sqlite3_open", SQLITE, 0);
}

Test(sites, runtime_where_no_library)
{
	STACK(NATIVE("open64", LIBC), NATIVE("_io_open", PYTHON),
	      PY("run", "/usr/lib/python3.11/runpy.py", 5));
	check_place("_io_open", PYTHON, 0);
}

/* libc alone is no place; a program without any stack neither. */
Test(sites, no_place)
{
	STACK(NATIVE("open64", LIBC));
	check_place("", "", 0);
}

Test(sites, no_stack)
{
	sites.world.stack = 12345;
	check_place("", "", 0);
	cr_assert_eq(sites.snapshot->groups[0].stack, 0, "one that was lost is none");
	cr_assert_eq(sites.snapshot->stack_count, 0);
}

Test(sites, native_application)
{
	const struct stack_frame frames[] = {
	        NATIVE("open64", LIBC),
	        site_native(&sites, "read_config", "/usr/sbin/server", "/home/ada/shop/src/config.c", 88),
	};

	(void)site_stack(&sites, frames, 2);
	check_place("read_config", "src/config.c", 88);
}

Test(sites, native_without_source)
{
	STACK(NATIVE("open64", LIBC), NATIVE("", "/home/ada/shop/bin/tool"));
	check_place("", "bin/tool", 0);
}

/* "<string>" of a namedtuple or dataclass is the library's that made it. */
Test(sites, generated_code_of_a_library)
{
	STACK(NATIVE("open64", LIBC), PY("__init__", "<string>", 3), PY("load", PACKAGE, 5),
	      PY("test_a", TEST_FILE, 30));
	check_place("test_a", "tests/test_shop.py", 30);
}

Test(sites, generated_code_of_the_application)
{
	STACK(NATIVE("open64", LIBC), PY("g", "<attrs generated init>", 2), PY("__init__", "<string>", 3),
	      PY("test_a", TEST_FILE, 30));
	check_place("test_a", "tests/test_shop.py", 30);
}

/* python -c: all of the program is a string. */
Test(sites, program_from_a_string)
{
	STACK(NATIVE("open64", LIBC), PY("f", "<string>", 2), PY("<module>", "<string>", 9));
	check_place("f", "<string>", 2);
}

Test(sites, frozen_modules_are_the_runtime)
{
	STACK(NATIVE("open64", LIBC), PY("_path_stat", "<frozen importlib._bootstrap_external>", 147),
	      PY("<module>", TEST_FILE, 1));
	check_place("<module>", "tests/test_shop.py", 1);
}

Test(sites, globs_come_before_patterns)
{
	static const char *const globs[] = {"/none/*", "*/sqlalchemy/*"};

	sites.rules = (struct room_rules){globs, 2};
	STACK(NATIVE("open64", LIBC), PY("connect", PACKAGE, 598), PY("test_a", TEST_FILE, 30));
	check_place("connect", PACKAGE, 598);
}

Test(sites, relative_only_below_the_working_directory)
{
	STACK(NATIVE("open64", LIBC), PY("f", "/home/ada/shopping/x.py", 3));
	check_place("f", "/home/ada/shopping/x.py", 3);
}

Test(sites, working_directory_is_the_root)
{
	sites.options.working_directory = "/";
	STACK(NATIVE("open64", LIBC), PY("f", "/srv/x.py", 3));
	check_place("f", "/srv/x.py", 3);
}

Test(sites, working_directory_is_unknown)
{
	sites.options.working_directory = "";
	STACK(NATIVE("open64", LIBC), PY("f", "/srv/x.py", 3));
	check_place("f", "/srv/x.py", 3);
}

/* Handles of different types and kinds made under one line are one finding. */
Test(sites, one_line_is_one_site)
{
	(void)site_line(&sites, TEST_FILE, 7);
	site_open(&sites, 2);
	events_made(&sites.world, &sites.command, 40, 44, HANDLE_ORIGIN_SOCKET, -1, 0140000);
	events_map(&sites.world, &sites.command, 16, 4, MAP_SHARED, 9);
	(void)site_line(&sites, TEST_FILE, 7);
	site_open(&sites, 1);
	cr_assert_eq(site_report(&sites)->site_count, 1);
	cr_assert_eq(sites.snapshot->group_count, 4);
	cr_assert_eq(sites.snapshot->sites[0].fds, 4);
	cr_assert_eq(sites.snapshot->sites[0].maps, 1);
	cr_assert_eq(sites.snapshot->sites[0].bytes, 4 * PAGE);
	cr_assert_eq(sites.snapshot->sites[0].group_count, 4);
	cr_assert_eq(sites.snapshot->groups[sites.snapshot->sites[0].groups[0]].count, 2,
	             "the largest first");
}

/* One engine is three descriptors by three entries; two stacks of one entry add up. */
Test(sites, instances_by_entry)
{
	const struct snapshot_site *site;

	for (uint32_t entry = 1; entry <= 3; entry++) {
		STACK(NATIVE("open64", LIBC), PY("connect", PACKAGE, entry), PY("test_a", TEST_FILE, 30));
		site_open(&sites, 5);
	}
	/* The same entry below another caller. */
	STACK(NATIVE("open64", LIBC), PY("connect", PACKAGE, 2), PY("test_a", TEST_FILE, 30),
	      PY("other", TEST_FILE, 99));
	site_open(&sites, 4);
	/* The same entry, another type. */
	events_made(&sites.world, &sites.command, 90, 44, HANDLE_ORIGIN_SOCKET, -1, 0140000);
	cr_assert_eq(site_report(&sites)->site_count, 1);
	site = site_at(&sites, "tests/test_shop.py", 30);
	cr_assert_eq(site->fds, 20);
	cr_assert_eq(site->instances, 9);
}

Test(sites, of_several_processes)
{
	struct actor child[3];
	const struct snapshot_site *site;

	(void)site_line(&sites, TEST_FILE, 7);
	for (uint32_t i = 0; i < 3; i++) {
		child[i] = events_fork(&sites.world, &sites.command, 200 + i, FORK_COPIES);
		events_open(&sites.world, &child[i], 50, 1);
		events_made(&sites.world, &child[i], 51, 2, HANDLE_ORIGIN_SOCKET, -1, 0140000);
		if (i != 1)
			events_exit(&sites.world, &child[i], 0);
	}
	cr_assert_eq(site_report(&sites)->process_count, 4);
	site = site_at(&sites, "tests/test_shop.py", 7);
	cr_assert_eq(site->process_count, 3);
	for (size_t i = 0; i < 3; i++) {
		cr_assert_eq(site->processes[i].process, i + 1);
		cr_assert_eq(site->processes[i].count, 2);
	}
	cr_assert_eq(site->fds, 6);
}

static void ids_of(const uint32_t *lines, size_t count, char (*ret_ids)[17])
{
	struct site_world other;

	site_world_begin(&other);
	for (size_t i = 0; i < count; i++) {
		(void)site_line(&other, TEST_FILE, lines[i]);
		/* The later ones hold more, so that their order by what they hold is the other way round. */
		site_open(&other, i + 1);
	}
	(void)site_line(&other, "/home/ada/shop/other.py", 5);
	events_map(&other.world, &other.command, 16, 1, MAP_SHARED, 8);
	(void)site_report(&other);
	for (size_t i = 0; i < count; i++)
		(void)snprintf(ret_ids[i], 17, "%s", site_at(&other, "tests/test_shop.py", lines[i])->id);
	(void)snprintf(ret_ids[count], 17, "%s", site_at(&other, "other.py", 5)->id);
	site_world_end(&other);
}

/* No line is part of an id, so that it stays when lines move. */
Test(sites, ids)
{
	static const uint32_t lines[] = {10, 20, 30}, moved[] = {11, 200, 3000};
	char before[4][17], after[4][17];

	ids_of(lines, 3, before);
	ids_of(moved, 3, after);
	for (size_t i = 0; i < 4; i++) {
		cr_assert_eq(strlen(before[i]), 16);
		cr_assert_eq(strspn(before[i], "0123456789abcdef"), 16);
		cr_assert_str_eq(before[i], after[i]);
		for (size_t j = 0; j < i; j++)
			cr_assert_str_neq(before[i], before[j]);
	}
}

/* Places of which nothing is known are told apart by their programs. */
Test(sites, ids_without_a_place)
{
	struct actor child = events_fork(&sites.world, &sites.command, 200, FORK_COPIES);
	struct event_process_execed event = {
	        .table = child.table, .space = 77, .exe = {.inode = 78}, .comm = "other"};

	events_file(&sites.world, &sites.command, 77, "bin/one");
	events_file(&sites.world, &sites.command, 78, "bin/two");
	events_send(&sites.world, &child, EVENT_PROCESS_EXECED, &event.header, sizeof(event));
	events_open(&sites.world, &child, 60, 1);
	events_exit(&sites.world, &child, 0);
	site_open(&sites, 1);
	cr_assert_eq(site_report(&sites)->site_count, 2);
	cr_assert_str_neq(sites.snapshot->sites[0].id, sites.snapshot->sites[1].id);
	cr_assert_str_eq(sites.snapshot->processes[0].exe, "/bin/one");
	cr_assert_str_eq(sites.snapshot->processes[1].exe, "/bin/two");
}

/* By verdict, then by what they hold, then by place. */
Test(sites, order)
{
	static const uint32_t expected[] = {3, 4, 1, 2, 6, 5};

	for (uint32_t line = 1; line <= 6; line++) {
		(void)site_line(&sites, TEST_FILE, line);
		if (line == 6) /* fewer bytes than none: of equal counts, those with more come first */
			events_map(&sites.world, &sites.command, 16, 2, MAP_SHARED, 8);
		else if (line == 5)
			events_map(&sites.world, &sites.command, 64, 1, MAP_SHARED, 8);
		else
			site_open(&sites, line <= 2 ? 2 : 4);
	}
	events_mark(&sites.world, &sites.command, SHUTDOWN_FINALIZE);
	/* Lines 3 and 4 are never released, the others are. */
	events_close_range(&sites.world, &sites.command, 3, 6);
	events_unmap(&sites.world, &sites.command, 16, 2);
	events_unmap(&sites.world, &sites.command, 64, 1);
	cr_assert_eq(site_report(&sites)->site_count, 6);
	for (size_t i = 0; i < 6; i++)
		cr_assert_eq(sites.snapshot->sites[i].location.line, expected[i], "%zu: line %u", i,
		             sites.snapshot->sites[i].location.line);
}

Test(sites, nothing_left_open)
{
	cr_assert_eq(site_report(&sites)->site_count, 0);
	cr_assert_eq(sites.snapshot->group_count, 0);
	cr_assert_eq(sites.snapshot->stack_count, 0);
	cr_assert_null(snapshot_find_stack(sites.snapshot, 1));
}

/* Stacks are found by id, in whatever order they were captured. */
Test(sites, stacks_by_id)
{
	enum { STACKS = 500 };
	uint64_t ids[STACKS];

	for (uint32_t i = 0; i < STACKS; i++) {
		ids[i] = site_line(&sites, TEST_FILE, i + 1);
		site_open(&sites, 1);
	}
	cr_assert_eq(site_report(&sites)->stack_count, STACKS);
	for (uint32_t i = 0; i < STACKS; i++) {
		const struct snapshot_stack *stack = snapshot_find_stack(sites.snapshot, ids[i]);

		cr_assert_not_null(stack);
		cr_assert_eq(stack->frames[1].line, i + 1);
		cr_assert(!i || sites.snapshot->stacks[i - 1].id < sites.snapshot->stacks[i].id);
		cr_assert_null(snapshot_find_stack(sites.snapshot, ids[i] + 1));
	}
	cr_assert_null(snapshot_find_stack(sites.snapshot, 0));
	cr_assert_null(snapshot_find_stack(sites.snapshot, UINT64_MAX));
}
