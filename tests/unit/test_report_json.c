/*
 * The JSON report: valid by its schema, and saying what the snapshot says.
 */
#include <criterion/criterion.h>

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "report/report.h"
#include "snapshot_fixture.h"

#ifndef SOURCE_DIR
#error "SOURCE_DIR must be the repository's folder as a string"
#endif

/* Each line of its input is a path; a file that is not valid is named with the first reason. */
#define VALIDATOR                                                                              \
	"import json, sys, jsonschema\n"                                                       \
	"schema = json.load(open(sys.argv[1], encoding=\"utf-8\"))\n"                          \
	"jsonschema.Draft202012Validator.check_schema(schema)\n"                               \
	"validator = jsonschema.Draft202012Validator(schema)\n"                                \
	"failed = False\n"                                                                     \
	"for path in sys.argv[2:]:\n"                                                          \
	"    for error in validator.iter_errors(json.load(open(path, encoding=\"utf-8\"))):\n" \
	"        print(path, list(error.absolute_path), error.message[:500])\n"                \
	"        failed = True\n"                                                              \
	"sys.exit(failed)\n"

static json_t *load(const struct snapshot *snapshot, const struct report_options *options)
{
	char *bytes = NULL;
	size_t length = 0;
	FILE *stream = open_memstream(&bytes, &length);
	json_error_t error;
	json_t *report;

	cr_assert_not_null(stream);
	cr_assert_eq(report_json_write(snapshot, options, stream), 0);
	cr_assert_eq(fclose(stream), 0);
	cr_assert_eq(bytes[length - 1], '\n');
	report = json_loadb(bytes, length, JSON_REJECT_DUPLICATES, &error);
	cr_assert_not_null(report, "%s", error.text);
	free(bytes);
	return report;
}

static json_t *load_fixture(const char *name)
{
	const struct report_options options = {0};
	struct snapshot *snapshot = snapshot_fixture_build(name);
	json_t *report = load(snapshot, &options);

	snapshot_free(snapshot);
	return report;
}

/* Validates reports by the schema, as other programs would. @return whether it holds for them */
static bool validate(json_t *const *reports, size_t count, bool say)
{
	char folder[] = "/tmp/leftopen-json-XXXXXX", command[4096], path[128];
	int length;
	bool valid;

	cr_assert_not_null(mkdtemp(folder));
	for (size_t i = 0; i < count; i++) {
		(void)snprintf(path, sizeof(path), "%s/%zu.json", folder, i);
		cr_assert_eq(json_dump_file(reports[i], path, 0), 0);
	}
	length = snprintf(command, sizeof(command),
	                  "/usr/bin/python3 -c '%s' '%s/doc/report.schema.json' %s/*.json %s", VALIDATOR,
	                  SOURCE_DIR, folder, say ? ">&2" : ">/dev/null 2>&1");
	cr_assert_lt(length, (int)sizeof(command));
	valid = system(command) == 0;
	for (size_t i = 0; i < count; i++) {
		(void)snprintf(path, sizeof(path), "%s/%zu.json", folder, i);
		cr_assert_eq(unlink(path), 0);
	}
	cr_assert_eq(rmdir(folder), 0);
	return valid;
}

static json_t *at(json_t *object, const char *name, size_t index)
{
	return json_array_get(json_object_get(object, name), index);
}

static json_int_t integer_of(const json_t *object, const char *name)
{
	const json_t *value = json_object_get(object, name);

	cr_assert(json_is_integer(value), "%s", name);
	return json_integer_value(value);
}

static const char *string_of(const json_t *object, const char *name)
{
	const json_t *value = json_object_get(object, name);

	cr_assert(json_is_string(value), "%s", name);
	return json_string_value(value);
}

Test(report_json, every_fixture_is_valid)
{
	json_t *reports[64];
	size_t count = 0;

	for (const struct snapshot_fixture *fixture = snapshot_fixtures; fixture->name; fixture++)
		reports[count++] = load_fixture(fixture->name);
	cr_assert(validate(reports, count, true));
	for (size_t i = 0; i < count; i++)
		json_decref(reports[i]);
}

/* A schema that lets all through would make the test above worthless. */
Test(report_json, schema_refuses)
{
	static const struct {
		const char *list; /* NULL: the report itself */
		const char *name;
		const char *value; /* JSON; NULL: the member is taken away */
	} changes[] = {
	        {NULL, "schema", "\"leftopen.report/2\""},
	        {NULL, "started", "\"2026-03-14 15:09:26\""},
	        {NULL, "extra", "1"},
	        {NULL, "escaped", "[\"version\"]"},
	        {NULL, "alerts", NULL},
	        {"sites", "verdict", "\"lost\""},
	        {"sites", "id", "\"x\""},
	        {"sites", "slope_per_s", "null"},
	        {"sites", "escaped", "[\"id\"]"},
	        {"groups", "type", "\"blob\""},
	        {"groups", "count", "-1"},
	        {"groups", "stack", NULL},
	        {"groups", "extra", "0"},
	        {"processes", "exit_code", "\"0\""},
	        {"processes", "left_open_at", "\"\""},
	        {"processes", "fds", "{}"},
	        {"alerts", "level", "\"fine\""},
	};

	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		json_t *report = load_fixture("several");
		json_t *object = changes[i].list ? at(report, changes[i].list, 0) : report;

		cr_assert_not_null(object);
		if (changes[i].value)
			json_object_set_new(object, changes[i].name,
			                    json_loads(changes[i].value, JSON_DECODE_ANY, NULL));
		else
			json_object_del(object, changes[i].name);
		cr_expect_not(validate(&report, 1, false), "%s of %s", changes[i].name,
		              changes[i].list ? changes[i].list : "the report");
		json_decref(report);
	}
}

/* The schema's lists are those of the table of kinds, in its order. */
Test(report_json, schema_knows_all_kinds_and_types)
{
	static const char *const kinds[] = {
#define HANDLE_KIND(id, name, unit, shape, on_fork, on_exec, limit) name,
#include "handle_kinds.def"
	};
	static const char *const types[] = {
#define HANDLE_TYPE(id, kind, name) name,
#include "handle_kinds.def"
	};
	json_t *schema = json_load_file(SOURCE_DIR "/doc/report.schema.json", 0, NULL);
	json_t *kind_list, *type_list;

	cr_assert_eq(json_unpack(schema, "{s:{s:{s:{s:{s:o},s:{s:o}}}}}", "$defs", "group", "properties",
	                         "kind", "enum", &kind_list, "type", "enum", &type_list),
	             0);
	cr_assert_eq(json_array_size(kind_list), sizeof(kinds) / sizeof(kinds[0]));
	cr_assert_eq(json_array_size(type_list), sizeof(types) / sizeof(types[0]));
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		cr_assert_str_eq(json_string_value(json_array_get(kind_list, i)), kinds[i]);
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		cr_assert_str_eq(json_string_value(json_array_get(type_list, i)), types[i]);
	json_decref(schema);
}

static void check_site(const struct snapshot_site *site, json_t *object)
{
	json_t *location = json_object_get(object, "location");

	cr_expect_str_eq(string_of(object, "id"), site->id);
	cr_expect_str_eq(string_of(object, "verdict"), verdict_name(site->verdict));
	cr_expect_str_eq(string_of(location, "function"), site->location.function);
	cr_expect_str_eq(string_of(location, "file"), site->location.file);
	cr_expect_eq(integer_of(location, "line"), site->location.line);
	cr_expect_eq((uint64_t)integer_of(object, "fds"), site->fds);
	cr_expect_eq((uint64_t)integer_of(object, "maps"), site->maps);
	cr_expect_eq((uint64_t)integer_of(object, "bytes"), site->bytes);
	cr_expect_eq((uint64_t)integer_of(object, "instances"), site->instances);
	cr_expect_eq((uint64_t)integer_of(object, "occasions"), site->occasions);
	cr_expect_eq(json_number_value(json_object_get(object, "slope_per_s")), site->slope_per_s);
	cr_expect_eq(json_array_size(json_object_get(object, "lines")), site->line_count);
	cr_expect_eq(json_array_size(json_object_get(object, "tests")), site->test_count);
	cr_expect_eq(json_array_size(json_object_get(object, "groups")), site->group_count);
	for (size_t i = 0; i < site->group_count; i++)
		cr_expect_eq((size_t)json_integer_value(at(object, "groups", i)), site->groups[i]);
	for (size_t i = 0; i < site->test_count; i++) {
		cr_expect_str_eq(string_of(at(object, "tests", i), "name"), site->tests[i].name);
		cr_expect_eq((uint64_t)integer_of(at(object, "tests", i), "made"), site->tests[i].made);
		cr_expect_eq((uint64_t)integer_of(at(object, "tests", i), "outlived"),
		             site->tests[i].outlived);
	}
	for (size_t i = 0; i < site->process_count; i++) {
		json_t *process = at(object, "processes", i);

		cr_expect_eq((size_t)integer_of(process, "process"), site->processes[i].process);
		cr_expect_eq((uint64_t)integer_of(process, "count"), site->processes[i].count);
	}
}

static void check_group(const struct snapshot *snapshot, const struct snapshot_group *group, json_t *object)
{
	json_t *released = json_object_get(object, "released"), *samples = json_object_get(object, "samples");
	char stack[24] = "";

	if (group->stack != 0)
		(void)snprintf(stack, sizeof(stack), "%016" PRIx64, group->stack);
	cr_expect_str_eq(string_of(object, "kind"), group->kind == HANDLE_KIND_FD ? "fd" : "map");
	cr_expect_str_eq(string_of(object, "category"), category_name(group->category));
	cr_expect_str_eq(string_of(object, "stack"), stack);
	cr_expect_eq((size_t)integer_of(object, "process"), group->process);
	cr_expect_eq(integer_of(object, "pid"), snapshot->processes[group->process].process_id);
	cr_expect_eq((uint64_t)integer_of(object, "count"), group->count);
	cr_expect_eq((uint64_t)integer_of(object, "instances"), group->instances);
	cr_expect_eq((uint64_t)integer_of(object, "bytes"), group->bytes);
	cr_expect_eq((uint64_t)integer_of(released, "never"), group->released_never);
	cr_expect_eq((uint64_t)integer_of(released, "at_shutdown"), group->released_at_shutdown);
	cr_expect_eq(json_number_value(json_object_get(object, "oldest_s")), group->oldest_s);
	cr_expect_eq(json_number_value(json_object_get(object, "newest_s")), group->newest_s);
	cr_expect_eq(json_array_size(samples), group->sample_count);
	for (size_t i = 0; i < group->sample_count; i++) {
		json_t *sample = json_array_get(samples, i);

		cr_expect_eq(integer_of(sample, "fd"), group->samples[i].fd);
		cr_expect_eq((uint64_t)integer_of(sample, "bytes"), group->samples[i].bytes);
		cr_expect_eq(strtoull(string_of(sample, "addr"), NULL, 16), group->samples[i].address);
		cr_expect_eq(integer_of(sample, "tid"), group->samples[i].thread_id);
		cr_expect_str_eq(string_of(sample, "target"), group->samples[i].target);
	}
}

static void check_stack(const struct snapshot_stack *stack, json_t *object)
{
	json_t *frames = json_object_get(object, "frames");

	cr_assert_not_null(object);
	cr_expect_eq(json_is_true(json_object_get(object, "complete")), stack->complete);
	cr_expect_eq(json_array_size(frames), stack->frame_count);
	for (size_t i = 0; i < stack->frame_count; i++) {
		const struct snapshot_frame *frame = &stack->frames[i];
		json_t *value = json_array_get(frames, i);

		cr_expect_str_eq(string_of(value, "function"), frame->function);
		cr_expect_str_eq(string_of(value, "module"), frame->module);
		cr_expect_str_eq(string_of(value, "file"), frame->file);
		cr_expect_eq(integer_of(value, "line"), frame->line);
		cr_expect_eq((uint64_t)integer_of(value, "offset"), frame->offset);
		cr_expect_str_eq(string_of(value, "language"), language_name(frame->language));
		cr_expect_eq(json_is_true(json_object_get(value, "inlined")), frame->inlined);
	}
}

static void check_report(const struct snapshot *snapshot, json_t *report)
{
	cr_assert_eq(json_array_size(json_object_get(report, "sites")), snapshot->site_count);
	cr_assert_eq(json_array_size(json_object_get(report, "groups")), snapshot->group_count);
	cr_assert_eq(json_array_size(json_object_get(report, "processes")), snapshot->process_count);
	cr_assert_eq(json_array_size(json_object_get(report, "alerts")), snapshot->alert_count);
	cr_assert_eq(json_object_size(json_object_get(report, "stacks")), snapshot->stack_count);
	for (size_t i = 0; i < snapshot->site_count; i++)
		check_site(&snapshot->sites[i], at(report, "sites", i));
	for (size_t i = 0; i < snapshot->group_count; i++)
		check_group(snapshot, &snapshot->groups[i], at(report, "groups", i));
	for (size_t i = 0; i < snapshot->stack_count; i++) {
		char key[24];

		(void)snprintf(key, sizeof(key), "%016" PRIx64, snapshot->stacks[i].id);
		check_stack(&snapshot->stacks[i], json_object_get(json_object_get(report, "stacks"), key));
	}
}

Test(report_json, says_what_the_snapshot_says)
{
	const struct report_options options = {0};

	for (const struct snapshot_fixture *fixture = snapshot_fixtures; fixture->name; fixture++) {
		struct snapshot *snapshot;
		json_t *report;

		/* Its strings are not the snapshot's: see hostile_strings_are_marked. */
		if (strcmp(fixture->name, "hostile") == 0)
			continue;
		snapshot = fixture->build();
		report = load(snapshot, &options);
		check_report(snapshot, report);
		json_decref(report);
		snapshot_free(snapshot);
	}
}

Test(report_json, head)
{
	json_t *report = load_fixture("incomplete"), *completeness = json_object_get(report, "completeness");
	json_t *self = json_object_get(report, "self");

	cr_expect_str_eq(string_of(report, "schema"), "leftopen.report/1");
	cr_expect_str_eq(string_of(report, "started"), "2026-03-14T15:09:26.535Z");
	cr_expect_str_eq(json_string_value(at(report, "command", 0)), "pytest");
	cr_expect_eq(json_array_size(json_object_get(report, "command")), 3);
	cr_expect_eq(json_real_value(json_object_get(report, "duration_s")), 12.3);
	cr_expect_eq(integer_of(completeness, "events"), 12345);
	cr_expect_eq(integer_of(completeness, "lost"), 3);
	cr_expect_eq(integer_of(completeness, "reconciled"), 3);
	cr_expect_eq(integer_of(completeness, "drift"), 1);
	cr_expect(json_is_false(json_object_get(completeness, "complete")));
	cr_expect_eq(json_array_size(json_object_get(completeness, "why")), 2);
	cr_expect_eq(json_real_value(json_object_get(self, "cpu_s")), 0.41);
	cr_expect_eq(integer_of(self, "rss_peak_bytes"), 23 << 20);
	cr_expect_eq(integer_of(self, "kernel_ns_per_event"), 410);
	cr_expect_eq(integer_of(json_object_get(self, "stacks"), "unwound"), 70);
	cr_expect_eq(integer_of(json_object_get(self, "stacks"), "recalled"), 930);
	cr_expect_eq(integer_of(json_object_get(self, "stacks"), "wrong"), 2);
	cr_expect_null(json_object_get(report, "escaped"));
	json_decref(report);
}

Test(report_json, processes)
{
	json_t *report = load_fixture("several"), *ended = at(report, "processes", 0);
	json_t *live = at(report, "processes", 1), *fds = json_object_get(ended, "fds");

	cr_expect_eq(integer_of(ended, "pid"), 4711);
	cr_expect_eq(integer_of(ended, "exit_code"), 0);
	cr_expect_str_eq(string_of(ended, "left_open_at"), "finalize");
	cr_expect_eq(integer_of(fds, "limit"), 1024);
	cr_expect_eq(integer_of(fds, "peak"), 31);
	cr_expect(json_is_null(json_object_get(json_object_get(ended, "maps"), "limit")));
	cr_expect(json_is_null(json_object_get(live, "exit_code")));
	cr_expect(json_is_false(json_object_get(live, "exited")));
	cr_expect_str_eq(string_of(live, "left_open_at"), "live");
	json_decref(report);
}

Test(report_json, no_exit_code_where_none_is_known)
{
	const struct report_options options = {0};
	struct snapshot *snapshot = snapshot_fixture_build("signals");
	json_t *report;

	snapshot->processes[1].signal = 0;
	snapshot->processes[1].exit_known = false;
	snapshot->processes[2].signal = 0;
	snapshot->processes[2].exit_code = 3;
	report = load(snapshot, &options);
	cr_expect(json_is_null(json_object_get(at(report, "processes", 0), "exit_code")));
	cr_expect_eq(integer_of(at(report, "processes", 0), "signal"), 9);
	cr_expect(json_is_null(json_object_get(at(report, "processes", 1), "exit_code")));
	cr_expect_eq(integer_of(at(report, "processes", 2), "exit_code"), 3);
	json_decref(report);
	snapshot_free(snapshot);
}

Test(report_json, alerts)
{
	json_t *report = load_fixture("several"), *warned = at(report, "alerts", 0);

	cr_expect_str_eq(string_of(warned, "time"), "2026-03-14T15:09:29.535Z");
	cr_expect_str_eq(string_of(warned, "limit"), "nofile");
	cr_expect_str_eq(string_of(warned, "level"), "warn");
	cr_expect_eq(integer_of(warned, "pid"), 4720);
	cr_expect_eq(integer_of(warned, "used"), 717);
	cr_expect_eq(json_real_value(json_object_get(warned, "eta_s")), 409.3);
	cr_expect(json_is_null(json_object_get(at(report, "alerts", 1), "eta_s")));
	json_decref(report);
}

Test(report_json, samples_are_limited)
{
	const struct report_options some = {.samples = 5}, all = {.samples = 0};
	struct snapshot *snapshot = snapshot_fixture_build("story");
	json_t *limited = load(snapshot, &some), *whole = load(snapshot, &all);

	cr_expect_eq(json_array_size(json_object_get(at(limited, "groups", 0), "samples")), 5);
	cr_expect_eq(json_array_size(json_object_get(at(whole, "groups", 0), "samples")), 180);
	cr_expect_eq(integer_of(at(limited, "groups", 0), "count"), 180);
	json_decref(limited);
	json_decref(whole);
	snapshot_free(snapshot);
}

Test(report_json, numbers_that_json_has_not)
{
	const struct report_options options = {0};
	struct snapshot *snapshot = snapshot_fixture_build("several");
	json_t *report;

	snapshot->duration_s = INFINITY;
	snapshot->sites[0].slope_per_s = NAN;
	snapshot->groups[0].oldest_s = -INFINITY;
	snapshot->groups[0].bytes = UINT64_MAX;
	snapshot->alerts[0].eta_s = INFINITY;
	report = load(snapshot, &options);
	cr_expect(validate(&report, 1, true));
	cr_expect_eq(json_number_value(json_object_get(at(report, "sites", 0), "slope_per_s")), 0);
	cr_expect_eq(integer_of(at(report, "groups", 0), "bytes"), INT64_MAX);
	cr_expect(json_is_null(json_object_get(at(report, "alerts", 0), "eta_s")));
	json_decref(report);
	snapshot_free(snapshot);
}

/* What the hostile string is in JSON: all that is valid UTF-8 as it was, the rest as \xNN. */
static const char hostile_in_json[] =
        "\033[2J\033]0;owned\007\r\n%s%n%1$n <script>alert(1)</script> ]]> \"'&|`$(id)`\\ \\xff\\xfe\\xc3( "
        "\\xed\\xa0\\x80 \xe2\x80\xae"
        "cod.exe\xe2\x81\xa9 \xe2\x80\xa8 \xc2\x9b"
        "31m na\xc3\xafve\t\x7f\b";

static void check_escaped(json_t *object, const char *const *names)
{
	json_t *escaped = json_object_get(object, "escaped");
	size_t count = 0;

	for (; names[count]; count++) {
		json_t *value = json_object_get(object, names[count]);

		cr_expect_str_eq(json_string_value(json_array_get(escaped, count)), names[count]);
		if (json_is_string(value))
			cr_expect_not_null(strstr(json_string_value(value), hostile_in_json), "%s",
			                   names[count]);
	}
	cr_expect_eq(json_array_size(escaped), count);
}

Test(report_json, hostile_strings_are_marked)
{
	json_t *report = load_fixture("hostile"), *site = at(report, "sites", 0),
	       *group = at(report, "groups", 0);
	json_t *stack = json_object_get(json_object_get(report, "stacks"), string_of(group, "stack"));

	check_escaped(report, (const char *const[]){"command", NULL});
	check_escaped(json_object_get(report, "completeness"), (const char *const[]){"why", NULL});
	check_escaped(at(report, "processes", 0),
	              (const char *const[]){"comm", "exe", "cmdline", "cgroup", NULL});
	check_escaped(json_object_get(site, "location"), (const char *const[]){"function", "file", NULL});
	check_escaped(at(site, "lines", 0), (const char *const[]){"function", "file", NULL});
	check_escaped(at(site, "tests", 0), (const char *const[]){"name", NULL});
	check_escaped(at(group, "samples", 0), (const char *const[]){"target", "test", NULL});
	check_escaped(stack, (const char *const[]){"why", NULL});
	check_escaped(at(stack, "frames", 0), (const char *const[]){"function", "module", NULL});
	check_escaped(at(stack, "frames", 1), (const char *const[]){"function", "file", NULL});
	check_escaped(at(report, "alerts", 0), (const char *const[]){"limit", NULL});
	cr_expect_null(json_object_get(site, "escaped"));
	cr_expect_str_eq(json_string_value(at(report, "command", 1)), hostile_in_json);
	json_decref(report);
}
