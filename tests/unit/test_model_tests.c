/*
 * Which test a handle was made in (model/current_test.c), and whether it outlived that.
 */
#include <criterion/criterion.h>

#include <string.h>

#include "model_suite.h"

TestSuite(tests, .init = setup, .fini = teardown);

static const char *test_name(struct test_id test)
{
	return world.model->tests[test.v - 1]->name;
}

Test(tests, of_a_group)
{
	const struct model_group *group;

	world.stack = 5;
	events_open(&world, &command, 3, 30);
	events_test(&world, &command, "t.py::test_b (setup)");
	events_open(&world, &command, 4, 40);
	events_test(&world, &command, "t.py::test_b (call)");
	events_open(&world, &command, 5, 50);
	events_test(&world, &command, "t.py::test_b (teardown)");
	events_test(&world, &command, "");
	events_open(&world, &command, 6, 60);
	events_test(&world, &command, "t.py::test_a (call)");
	events_open(&world, &command, 7, 70);
	events_test(&world, &command, "t.py::test_b (call)");
	events_open(&world, &command, 8, 80);
	events_mark(&world, &command, SHUTDOWN_FINALIZE);
	events_exit(&world, &command, 0);
	group = world_process(&world, 100)->groups.items;
	cr_assert_eq(group->count, 6);
	cr_assert_eq(group->test_count, 2, "in the order in which they first ran, each once");
	cr_assert_str_eq(test_name(group->tests[0].test), "t.py::test_b");
	cr_assert_eq(group->tests[0].made, 4);
	cr_assert_eq(group->tests[0].outlived, 3, "the last one's did not outlive it");
	cr_assert_str_eq(test_name(group->tests[1].test), "t.py::test_a");
	cr_assert_eq(group->tests[1].made, 1);
	cr_assert_eq(group->tests[1].outlived, 1);
	cr_assert_eq(group->samples[0].test.v, 0);
}

/* A child makes in the test of its nearest ancestor that announced one; also when that one is gone. */
Test(tests, of_children)
{
	struct actor child, grandchild;

	events_test(&world, &command, "test_a");
	child = events_fork(&world, &command, 200, FORK_COPIES);
	grandchild = events_fork(&world, &child, 300, FORK_COPIES);
	events_open(&world, &grandchild, 3, 30);
	events_test(&world, &command, "test_b");
	events_open(&world, &grandchild, 4, 40);
	events_exit(&world, &child, 0);
	events_open(&world, &grandchild, 5, 50);
	events_exit(&world, &command, 0);
	events_open(&world, &grandchild, 6, 60);
	events_test(&world, &grandchild, "test_c");
	events_open(&world, &grandchild, 7, 70);
	events_exit(&world, &grandchild, 0);
	{
		static const char *const expected[] = {"test_a", "test_b", "test_b", "test_b", "test_c"};
		const struct model_group *group = world_process(&world, 300)->groups.items;

		cr_assert_eq(group->sample_count, 5);
		for (size_t i = 0; i < 5; i++)
			cr_assert_str_eq(test_name(group->samples[i].test), expected[i]);
	}
}

/* Opens and ends: checks the tests that what it opened belongs to; NULL: none. */
static void check_tests(struct actor *actor, const char *const *expected, size_t count)
{
	const struct model_group *group;

	events_exit(&world, actor, 0);
	group = world_process(&world, actor->process_id)->groups.items;
	cr_assert_eq(group->sample_count, count);
	for (size_t i = 0; i < count; i++) {
		struct test_id test = group->samples[i].test;

		if (!expected[i])
			cr_assert_eq(test.v, 0, "%zu", i);
		else
			cr_assert(test.v && !strcmp(test_name(test), expected[i]), "%zu", i);
	}
}

/* For all that are followed, whoever marks it, and also where a parent is gone. */
Test(tests, marked)
{
	static const char *const expected[] = {NULL, "one (setup)", "two", "two", NULL};
	struct actor marker = events_fork(&world, &command, 200, FORK_COPIES);
	struct actor server = events_fork(&world, &marker, 300, FORK_COPIES);

	events_open(&world, &server, 3, 30);
	events_test_from(&world, &marker, TEST_MARKED, "one (setup)");
	events_open(&world, &server, 4, 40);
	events_test_from(&world, &marker, TEST_MARKED, "two");
	events_open(&world, &server, 5, 50);
	events_exit(&world, &marker, 0);
	events_open(&world, &server, 6, 60);
	events_test_from(&world, &command, TEST_MARKED, "");
	events_open(&world, &server, 7, 70);
	check_tests(&server, expected, 5);
	{
		const struct model_group *group = world_process(&world, 300)->groups.items;

		cr_assert_eq(group->test_count, 2);
		cr_assert_eq(group->tests[0].outlived, 1);
		cr_assert_eq(group->tests[1].outlived, 2, "ended, so outlived");
	}
}

Test(tests, marked_and_not_outlived)
{
	events_test_from(&world, &command, TEST_MARKED, "one");
	events_open(&world, &command, 3, 30);
	events_test_from(&world, &command, TEST_MARKED, "one");
	events_exit(&world, &command, 0);
	cr_assert_eq(world_process(&world, 100)->groups.items->tests[0].made, 1);
	cr_assert_eq(world_process(&world, 100)->groups.items->tests[0].outlived, 0);
}

/* One of the process itself, or of an ancestor, is nearer than a marked one; and counts by itself. */
Test(tests, own_before_marked)
{
	static const char *const expected[] = {"marked", "own", "own", "other"};
	struct actor runner = events_fork(&world, &command, 200, FORK_COPIES);

	events_test_from(&world, &command, TEST_MARKED, "marked");
	events_open(&world, &runner, 3, 30);
	events_test(&world, &runner, "own");
	events_open(&world, &runner, 4, 40);
	events_test_from(&world, &command, TEST_MARKED, "marked 2");
	events_open(&world, &runner, 5, 50);
	events_test(&world, &runner, "other");
	events_open(&world, &runner, 6, 60);
	check_tests(&runner, expected, 4);
	{
		const struct model_group *group = world_process(&world, 200)->groups.items;

		cr_assert_eq(group->tests[0].outlived, 1);
		cr_assert_eq(group->tests[1].outlived, 2);
		cr_assert_eq(group->tests[2].outlived, 0);
	}
}

/* What a program finds in its environment is news only where it is not what its parent found. */
Test(tests, inherited)
{
	static const char *const runners[] = {"suite", "announced"};
	static const char *const children[] = {"announced", "its own", "announced 2"};
	struct actor runner, child;

	events_test_from(&world, &command, TEST_INHERITED, "suite");
	runner = events_fork(&world, &command, 200, FORK_COPIES);
	events_test_from(&world, &runner, TEST_INHERITED, "suite");
	events_open(&world, &runner, 3, 30);
	events_test(&world, &runner, "announced");
	events_open(&world, &runner, 4, 40);
	child = events_fork(&world, &runner, 300, FORK_COPIES);
	events_test_from(&world, &child, TEST_INHERITED, "suite");
	events_open(&world, &child, 3, 31);
	events_test_from(&world, &child, TEST_INHERITED, "its own");
	events_test_from(&world, &child, TEST_INHERITED, "");
	events_open(&world, &child, 4, 41);
	events_test(&world, &child, "announced 2");
	events_open(&world, &child, 5, 51);
	check_tests(&child, children, 3);
	check_tests(&runner, runners, 2);
}
