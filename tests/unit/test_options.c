/*
 * cli/options.c and option_values.c: what commands are asked for, and what cannot be meant.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "cli/option_values.h"
#include "cli/options.h"

#define ARGUMENTS_MAX 16

static struct options options;

static void clear(void)
{
	options_clear(&options);
}

TestSuite(options, .fini = clear);

/* Arguments in one string, with spaces between. */
static enum options_outcome parse(enum options_command command, const char *text)
{
	static char line[256];
	static char *arguments[ARGUMENTS_MAX + 1];
	int count = 0;

	options_clear(&options);
	(void)snprintf(line, sizeof(line), "%s %s", command == OPTIONS_OF_RUN ? "run" : "watch", text);
	for (char *word = strtok(line, " "); word; word = strtok(NULL, " ")) {
		cr_assert_lt(count, ARGUMENTS_MAX);
		arguments[count++] = word;
	}
	arguments[count] = NULL;
	return options_parse(command, count, arguments, &options);
}

Test(options, run)
{
	cr_assert_eq(
	        parse(OPTIONS_OF_RUN, "-v --json=r.json -T 3 --inherited --error-exitcode 4 -- make -j4"),
	        OPTIONS_GO_ON);
	cr_assert_eq(options.command_count, 2);
	cr_assert_str_eq(options.command[1], "-j4");
	cr_assert_str_eq(options.json, "r.json");
	cr_assert_eq(options.top, 3);
	cr_assert_eq(options.error_exitcode, 4);
	cr_assert(options.verbose && options.inherited && !options.quiet);
	cr_assert_eq(options.selection.kind, SELECTION_NONE);
}

Test(options, watch_all)
{
	cr_assert_eq(parse(OPTIONS_OF_WATCH, "-a"), OPTIONS_GO_ON);
	cr_assert_eq(options.selection.kind, SELECTION_ALL);
	cr_assert_eq(options.interval_ns, 2000000000);
	cr_assert_eq(options.count, 0);
	cr_assert_eq(options.top, 10);
	cr_assert_eq(options.samples, 20);
}

Test(options, watch_processes)
{
	cr_assert_eq(parse(OPTIONS_OF_WATCH, "-p 12,13 --pid=1 --ring-size 64K 0.25 5"), OPTIONS_GO_ON);
	cr_assert_eq(options.selection.kind, SELECTION_PROCESSES);
	cr_assert_eq(options.selection.process_count, 3);
	cr_assert_eq(options.selection.process_ids[0], 12);
	cr_assert_eq(options.selection.process_ids[1], 13);
	cr_assert_eq(options.selection.process_ids[2], 1);
	cr_assert_eq(options.interval_ns, 250000000);
	cr_assert_eq(options.count, 5);
	cr_assert_eq(options.loader.ring_bytes, 65536);
}

Test(options, watch_patterns)
{
	cr_assert_eq(parse(OPTIONS_OF_WATCH, "--cgroup /system.slice 10"), OPTIONS_GO_ON);
	cr_assert_eq(options.selection.kind, SELECTION_CGROUP);
	cr_assert_str_eq(options.selection.pattern, "/system.slice");
	cr_assert_eq(parse(OPTIONS_OF_WATCH, "--comm gunicorn*"), OPTIONS_GO_ON);
	cr_assert_eq(options.selection.kind, SELECTION_COMM);
	cr_assert_str_eq(options.selection.pattern, "gunicorn*");
}

/* A command's options are its own. */
Test(options, mistakes)
{
	static const char *const run[] = {
	        "", "-v", "-p 1 -- true", "-a -- true", "--frob -- true", "-T x -- true"};
	static const char *const watch[] = {"",
	                                    "1",
	                                    "-v",
	                                    "-a -p 1",
	                                    "-a -a",
	                                    "-p 1 --comm x",
	                                    "-p",
	                                    "-p 1,,2",
	                                    "-p 0",
	                                    "-p -1",
	                                    "-p 4294967297",
	                                    "-p 12x",
	                                    "-a 0.09",
	                                    "-a 1 0",
	                                    "-a 1 2 3",
	                                    "-a 1 x",
	                                    "-a --as-root",
	                                    "-a --fail-on leak",
	                                    "-a 1 --json x"};

	for (size_t i = 0; i < sizeof(run) / sizeof(run[0]); i++)
		cr_expect_eq(parse(OPTIONS_OF_RUN, run[i]), OPTIONS_USAGE, "run %s", run[i]);
	for (size_t i = 0; i < sizeof(watch) / sizeof(watch[0]); i++)
		cr_expect_eq(parse(OPTIONS_OF_WATCH, watch[i]), OPTIONS_USAGE, "watch %s", watch[i]);
}

Test(options, seconds)
{
	static const struct {
		const char *text;
		uint64_t ns; /* 0: none */
	} cases[] = {
	        {"2", 2000000000},
	        {"0.1", 100000000},
	        {"0.5", 500000000},
	        {"1.000000001", 1000000001},
	        {"31536000", 31536000000000000},
	        {"31536001", 0},
	        {"99999999999999999999", 0},
	        {"0.1000000001", 0},
	        {"", 0},
	        {".5", 0},
	        {"1.", 0},
	        {"-1", 0},
	        {"+1", 0},
	        {" 1", 0},
	        {"1s", 0},
	        {"nan", 0},
	        {"inf", 0},
	        {"1e3", 0},
	        {"0x10", 0},
	        {"0.09", 0},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t ns = 0;

		cr_expect_eq(option_values_seconds("INTERVAL", cases[i].text, 100000000, &ns),
		             cases[i].ns != 0, "%s", cases[i].text);
		cr_expect_eq(ns, cases[i].ns, "%s", cases[i].text);
	}
}

Test(options, many_process_ids)
{
	enum { COUNT = 10000 };
	uint32_t *ids = NULL;
	char *text = NULL;
	size_t count = 0, bytes;
	FILE *stream = open_memstream(&text, &bytes);

	cr_assert_not_null(stream);
	for (int i = 1; i <= COUNT; i++)
		fprintf(stream, "%s%d", i > 1 ? "," : "", i);
	cr_assert_eq(fclose(stream), 0);
	cr_assert(option_values_process_ids("-p", text, &ids, &count));
	cr_assert_eq(count, COUNT);
	for (size_t i = 0; i < COUNT; i++)
		cr_assert_eq(ids[i], i + 1);
	free(ids);
	free(text);
}
