/*
 * The reports, from made-up snapshots: texts against golden files, JSON against its schema and the snapshot.
 */
#include <criterion/criterion.h>

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "golden.h"
#include "model/snapshot.h"
#include "report/report.h"
#include "report/text_parts.h"
#include "snapshot_builder.h"
#include "snapshot_fixture.h"

static const struct report_options plain = {.color = false};

struct output {
	char *bytes;
	size_t length;
};

static struct output render(const char *format, const struct snapshot *snapshot,
                            const struct report_options *options)
{
	struct output output = {0};
	FILE *stream = open_memstream(&output.bytes, &output.length);

	cr_assert_not_null(stream);
	cr_assert_eq(report_find(format)->write(snapshot, options, stream), 0);
	cr_assert_eq(fclose(stream), 0);
	return output;
}

/* Independent of the code under test: jansson takes valid UTF-8 alone. */
static bool is_utf8(const struct output *output)
{
	json_t *string = json_stringn(output->bytes, output->length);
	bool valid = string != NULL;

	json_decref(string);
	return valid;
}

static bool has_control(const struct output *output)
{
	static const char *const wide[] = {"\xc2\x9b", "\xe2\x80\xae", "\xe2\x81\xa9", "\xe2\x80\xa8"};

	for (size_t i = 0; i < output->length; i++) {
		unsigned char byte = (unsigned char)output->bytes[i];

		if ((byte < 0x20 && byte != '\n') || byte == 0x7f)
			return true;
	}
	for (size_t i = 0; i < sizeof(wide) / sizeof(wide[0]); i++) {
		if (strstr(output->bytes, wide[i]))
			return true;
	}
	return false;
}

Test(report, text_golden)
{
	for (const struct snapshot_fixture *fixture = snapshot_fixtures; fixture->name; fixture++) {
		struct snapshot *snapshot = fixture->build();
		struct output output = render("text", snapshot, &plain);
		char name[128];

		(void)snprintf(name, sizeof(name), "report_%s", fixture->name);
		golden_check(name, output.bytes, output.length);
		free(output.bytes);
		snapshot_free(snapshot);
	}
}

Test(report, text_golden_options)
{
	static const struct {
		const char *name;
		const char *fixture;
		struct report_options options;
	} cases[] = {
	        {"report_several_verbose", "several", {.verbose = true}},
	        {"report_merged_verbose", "merged", {.verbose = true}},
	        {"report_several_quiet", "several", {.quiet = true}},
	        {"report_left_open_quiet", "left_open", {.quiet = true}},
	        {"report_incomplete_quiet", "incomplete", {.quiet = true}},
	        {"report_several_color", "several", {.color = true}},
	        {"report_left_open_color", "left_open", {.color = true}},
	        {"report_several_top", "several", {.top = 2}},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct snapshot *snapshot = snapshot_fixture_build(cases[i].fixture);
		struct output output = render("text", snapshot, &cases[i].options);

		golden_check(cases[i].name, output.bytes, output.length);
		free(output.bytes);
		snapshot_free(snapshot);
	}
}

Test(report, text_quiet_says_nothing_of_nothing)
{
	static const char *const fixtures[] = {"no_leak", "zero", "survivors"};
	const struct report_options quiet = {.quiet = true};

	for (size_t i = 0; i < sizeof(fixtures) / sizeof(fixtures[0]); i++) {
		struct snapshot *snapshot = snapshot_fixture_build(fixtures[i]);
		struct output output = render("text", snapshot, &quiet);

		cr_expect_eq(output.length, 0, "%s: %s", fixtures[i], output.bytes);
		free(output.bytes);
		snapshot_free(snapshot);
	}
}

Test(report, text_incomplete_never_reads_as_clean)
{
	for (const struct snapshot_fixture *fixture = snapshot_fixtures; fixture->name; fixture++) {
		struct snapshot *snapshot = fixture->build();
		struct output output;

		snapshot->completeness.complete = false;
		output = render("text", snapshot, &plain);
		cr_expect_not(strncmp(output.bytes, "leftopen: no leak:", 18) == 0, "%s", fixture->name);
		*strchr(output.bytes, '\n') = '\0';
		cr_expect_not_null(strstr(output.bytes, "not followed completely"), "%s: %s", fixture->name,
		                   output.bytes);
		free(output.bytes);
		snapshot_free(snapshot);
	}
}

Test(report, text_is_safe_to_show)
{
	const struct report_options variants[] = {{0}, {.verbose = true}, {.quiet = true}, {.top = 1}};

	for (const struct snapshot_fixture *fixture = snapshot_fixtures; fixture->name; fixture++) {
		struct snapshot *snapshot = fixture->build();

		for (size_t i = 0; i < sizeof(variants) / sizeof(variants[0]); i++) {
			struct output output = render("text", snapshot, &variants[i]);

			cr_expect_not(has_control(&output), "%s", fixture->name);
			cr_expect(is_utf8(&output), "%s", fixture->name);
			free(output.bytes);
		}
		snapshot_free(snapshot);
	}
}

/* With colours, escape sequences are ours alone: taken away, the text is that without colours. */
Test(report, text_color_adds_nothing_else)
{
	static const char *const sequences[] = {"\033[1;31m", "\033[33m", "\033[2m", "\033[0m"};
	const struct report_options color = {.color = true};

	for (const struct snapshot_fixture *fixture = snapshot_fixtures; fixture->name; fixture++) {
		struct snapshot *snapshot = fixture->build();
		struct output colored = render("text", snapshot, &color),
		              bare = render("text", snapshot, &plain);

		for (size_t i = 0; i < sizeof(sequences) / sizeof(sequences[0]); i++) {
			size_t length = strlen(sequences[i]);

			for (char *at; (at = strstr(colored.bytes, sequences[i])) != NULL;)
				memmove(at, at + length, strlen(at + length) + 1);
		}
		cr_expect_str_eq(colored.bytes, bare.bytes, "%s", fixture->name);
		free(colored.bytes);
		free(bare.bytes);
		snapshot_free(snapshot);
	}
}

Test(report, text_process_name)
{
	static const struct {
		const char *name, *comm, *cmdline[4];
	} cases[] = {
	        {"suite.py", "python3.11", {"python3", "-B", "tests/suite.py", "x"}},
	        {"pytest", "python3", {"python3", "-m", "pytest"}},
	        {"pytest", "python3", {"python3", "-um", "pytest"}},
	        {"python3", "python3", {"python3", "-c", "import os"}},
	        {"python3", "python3", {"python3", "-uc", "import os"}},
	        {"python3", "python3", {"python3", "-", "argument"}},
	        {"python3", "python3", {"python3", "-m"}},
	        {"python3", "python3", {"python3", ""}},
	        {"node_exporter", "node_exporter", {"node_exporter", "argument"}},
	        {"perlbug", "perlbug", {"perlbug", "argument"}},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char **cmdline = (const char **)cases[i].cmdline;
		struct snapshot_process process = {.comm = cases[i].comm, .exe = "", .cmdline = cmdline};

		while (process.cmdline_count < 4 && cmdline[process.cmdline_count])
			process.cmdline_count++;
		cr_expect_str_eq(text_process_name(&process), cases[i].name, "case %zu", i);
	}
}

/* A place without a source file is its program's or library's, and its frame is shown whatever room it is in.
 */
Test(report, text_place_without_source)
{
	const struct snapshot_frame frames[] = {
	        {.function = "open64", .module = "/lib/libc.so.6", .file = "", .room = ROOM_LIBC},
	        {.function = "load", .module = "/lib/libx.so", .file = "", .room = ROOM_LIBRARY},
	        {.function = "_start", .module = "/lib/libx.so", .file = "", .room = ROOM_LIBRARY},
	};
	struct snapshot *snapshot = builder_new();
	size_t process = builder_add_process(snapshot, 7, "tool", SHUTDOWN_EXIT);
	const struct snapshot_group group = {.kind = HANDLE_KIND_FD,
	                                     .type = HANDLE_TYPE_FILE,
	                                     .origin = HANDLE_ORIGIN_OPENAT,
	                                     .process = process,
	                                     .count = 1,
	                                     .instances = 1,
	                                     .stack = builder_add_stack(snapshot, frames, 3)->id,
	                                     .released_never = 1};
	struct snapshot_site *site = builder_add_site(snapshot, VERDICT_LEFT_OPEN, "load", "/lib/libx.so", 0);
	struct output output;

	builder_site_add_group(snapshot, site, builder_add_group(snapshot, &group));
	output = render("text", snapshot, &plain);
	cr_expect_not_null(strstr(output.bytes, "\n  load in /lib/libx.so    1 descriptor"), "%s",
	                   output.bytes);
	cr_expect_not_null(strstr(output.bytes, "\nleft-open   load in /lib/libx.so\n"), "%s", output.bytes);
	cr_expect_not_null(strstr(output.bytes, "\n              load in /lib/libx.so\n"), "%s",
	                   output.bytes);
	free(output.bytes);
	snapshot_free(snapshot);
}

Test(report, full_device)
{
	for (const struct report_format *format = report_formats; format->name; format++) {
		struct snapshot *snapshot = snapshot_fixture_build("several");
		FILE *stream = fopen("/dev/full", "we");

		cr_assert_not_null(stream);
		cr_expect_eq(format->write(snapshot, &plain, stream), -ENOSPC, "%s", format->name);
		(void)fclose(stream); /* says again that the device is full */
		snapshot_free(snapshot);
	}
}

Test(report, registry)
{
	cr_assert_str_eq(report_find("text")->name, "text");
	cr_assert_str_eq(report_find("json")->name, "json");
	cr_assert_null(report_find("tex"));
	cr_assert_null(report_find(""));
	for (const struct report_format *format = report_formats; format->name; format++) {
		cr_assert_not_null(format->help);
		cr_assert_eq(report_find(format->name), format);
	}
}

Test(report, snapshot_names)
{
	cr_assert_str_eq(verdict_name(VERDICT_LEFT_OPEN), "left-open");
	cr_assert_str_eq(category_name(CATEGORY_THREAD_STACK), "thread-stack");
	cr_assert_str_eq(language_name(LANGUAGE_JIT), "jit");
	cr_assert_str_eq(shutdown_mark_name(SHUTDOWN_NONE), "live");
	cr_assert_null(verdict_name(VERDICT_COUNT));
	cr_assert_null(category_name(CATEGORY_COUNT));
	cr_assert_null(language_name(LANGUAGE_COUNT));
	cr_assert_null(shutdown_mark_name(SHUTDOWN_COUNT));
	snapshot_free(NULL);
}

Test(report, snapshot_stacks)
{
	struct snapshot *snapshot = snapshot_fixture_build("several");

	for (size_t i = 0; i < snapshot->stack_count; i++)
		cr_assert_eq(snapshot_find_stack(snapshot, snapshot->stacks[i].id), &snapshot->stacks[i]);
	cr_assert_null(snapshot_find_stack(snapshot, 0));
	snapshot_free(snapshot);
}
