/*
 * Tests of the line that says how far the naming of stacks is.
 */
#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <stdio.h>

#include "cli/progress.h"

/* The work began that much earlier. */
static void backdate(struct progress *progress, uint64_t seconds)
{
	progress->started_ns -= seconds * 1000000000ULL;
}

Test(progress, short_work_says_nothing, .init = cr_redirect_stderr)
{
	struct progress progress = {0};

	for (size_t i = 0; i < 1000; i++)
		progress_show_naming(&progress, i, 1000);
	(void)fputs("end", stderr);
	(void)fflush(stderr);
	cr_assert_stderr_eq_str("end");
}

Test(progress, long_work_is_told_in_one_line, .init = cr_redirect_stderr)
{
	struct progress progress = {0};

	progress_show_naming(&progress, 0, 130);
	backdate(&progress, 2);
	for (size_t i = 1; i < 130; i++)
		progress_show_naming(&progress, i, 130);
	(void)fflush(stderr);
	cr_assert_stderr_eq_str("\rleftopen: naming stack 65 of 130"
	                        "\rleftopen: naming stack 129 of 130"
	                        "\rleftopen: naming stack 130 of 130\n");
}

Test(progress, work_that_begins_anew_is_quiet_again, .init = cr_redirect_stderr)
{
	struct progress progress = {0};

	progress_show_naming(&progress, 0, 2);
	backdate(&progress, 2);
	progress_show_naming(&progress, 1, 2);
	progress_show_naming(&progress, 0, 2);
	progress_show_naming(&progress, 1, 2);
	(void)fflush(stderr);
	cr_assert_stderr_eq_str("\rleftopen: naming stack 2 of 2\n");
}
