/*
 * The JSON report, leftopen.report/1: the contract is doc/report.schema.json.
 * Inputs: a snapshot. Outputs: one JSON object on a stream.
 * Trust: strings are made valid UTF-8, and where bytes had to be replaced the object that holds the string
 * says so in its member "escaped". What jansson cannot hold (NaN, beyond 63 bits) is never given to it.
 */
#include "report/report.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/escape.h"
#include "base/version.h"
#include "model/kinds.h"
#include "model/snapshot.h"

#define REPORT_SCHEMA "leftopen.report/1"

/* jansson's setters fail on a NULL value, so that one flag sees every lack of memory. */
struct json_output {
	const struct snapshot *snapshot;
	const struct report_options *options;
	bool out_of_memory;
};

static void put(struct json_output *output, json_t *object, const char *name, json_t *value)
{
	if (json_object_set_new(object, name, value) < 0)
		output->out_of_memory = true;
}

static void append(struct json_output *output, json_t *array, json_t *value)
{
	if (json_array_append_new(array, value) < 0)
		output->out_of_memory = true;
}

static json_t *number(uint64_t value)
{
	return json_integer(value > INT64_MAX ? INT64_MAX : (json_int_t)value);
}

static json_t *number_or_null(uint64_t value)
{
	return value == UINT64_MAX ? json_null() : number(value);
}

static json_t *real(double value)
{
	return json_real(isfinite(value) ? value : 0);
}

static json_t *string_escaped(const char *string, bool *ret_marked)
{
	char *text = escape_for_json(string, strlen(string), ret_marked);
	json_t *value = text ? json_string(text) : NULL;

	free(text);
	return value;
}

static void mark_escaped(struct json_output *output, json_t *object, const char *name)
{
	json_t *escaped = json_object_get(object, "escaped");

	if (!escaped) {
		put(output, object, "escaped", json_array());
		escaped = json_object_get(object, "escaped");
	}
	append(output, escaped, json_string(name));
}

static void put_string(struct json_output *output, json_t *object, const char *name, const char *string)
{
	bool marked = false;

	put(output, object, name, string_escaped(string, &marked));
	if (marked)
		mark_escaped(output, object, name);
}

static void put_strings(struct json_output *output, json_t *object, const char *name, const char **strings,
                        size_t count)
{
	json_t *array = json_array();
	bool any_marked = false;

	for (size_t i = 0; i < count; i++) {
		bool marked = false;

		append(output, array, string_escaped(strings[i], &marked));
		any_marked = any_marked || marked;
	}
	put(output, object, name, array);
	if (any_marked)
		mark_escaped(output, object, name);
}

static void put_time(struct json_output *output, json_t *object, const char *name, uint64_t time_ns)
{
	time_t seconds = (time_t)(time_ns / 1000000000U);
	unsigned int milliseconds = (unsigned int)(time_ns / 1000000U % 1000U);
	char date[32], text[48];
	struct tm fields;

	/* 64 bits of nanoseconds end in 2554, which struct tm holds. */
	(void)gmtime_r(&seconds, &fields);
	(void)strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &fields);
	(void)snprintf(text, sizeof(text), "%s.%03uZ", date, milliseconds);
	put(output, object, name, json_string(text));
}

static json_t *completeness_object(struct json_output *output)
{
	const struct snapshot_completeness *completeness = &output->snapshot->completeness;
	json_t *object = json_object();

	put(output, object, "events", number(completeness->events));
	put(output, object, "lost", number(completeness->lost));
	put(output, object, "reconciled", number(completeness->reconciled));
	put(output, object, "drift", number(completeness->drift));
	put(output, object, "complete", json_boolean(completeness->complete));
	put_strings(output, object, "why", completeness->why, completeness->why_count);
	return object;
}

static json_t *self_object(struct json_output *output)
{
	const struct snapshot_self *self = &output->snapshot->self;
	json_t *object = json_object(), *stacks = json_object();

	put(output, stacks, "unwound", number(self->stacks_unwound));
	put(output, stacks, "recalled", number(self->stacks_recalled));
	put(output, stacks, "wrong", number(self->stacks_wrong));
	put(output, object, "cpu_s", real(self->cpu_s));
	put(output, object, "rss_peak_bytes", number(self->rss_peak_bytes));
	put(output, object, "kernel_ns_per_event", number(self->kernel_ns_per_event));
	put(output, object, "stacks", stacks);
	return object;
}

static json_t *process_object(struct json_output *output, const struct snapshot_process *process)
{
	bool by_exit = process->exited && process->exit_known && process->signal == 0;
	json_t *object = json_object(), *fds = json_object(), *maps = json_object();

	put(output, object, "pid", json_integer(process->process_id));
	put(output, object, "ppid", json_integer(process->parent_id));
	put(output, object, "start_ns", number(process->start_ns));
	put_string(output, object, "comm", process->comm);
	put_string(output, object, "exe", process->exe);
	put_strings(output, object, "cmdline", process->cmdline, process->cmdline_count);
	put_string(output, object, "cgroup", process->cgroup);
	put(output, object, "exited", json_boolean(process->exited));
	put(output, object, "exit_code", by_exit ? json_integer(process->exit_code) : json_null());
	put(output, object, "signal", json_integer(process->signal));
	put(output, object, "left_open_at", json_string(shutdown_mark_name(process->left_open_at)));

	put(output, fds, "live", number(process->fds.live));
	put(output, fds, "peak", number(process->fds.peak));
	put(output, fds, "limit", number_or_null(process->fds.limit));
	put(output, fds, "opened", number(process->fds.opened));
	put(output, fds, "closed", number(process->fds.closed));
	put(output, object, "fds", fds);

	put(output, maps, "live", number(process->maps.live));
	put(output, maps, "bytes", number(process->maps.bytes));
	put(output, maps, "peak", number(process->maps.peak));
	put(output, maps, "vmas", number(process->maps.vmas));
	put(output, maps, "limit", number_or_null(process->maps.limit));
	put(output, object, "maps", maps);
	return object;
}

static json_t *location_object(struct json_output *output, const struct snapshot_location *location)
{
	json_t *object = json_object();

	put_string(output, object, "function", location->function);
	put_string(output, object, "file", location->file);
	put(output, object, "line", json_integer(location->line));
	put(output, object, "language", json_string(language_name(location->language)));
	return object;
}

static json_t *site_processes(struct json_output *output, const struct snapshot_site *site)
{
	json_t *array = json_array();

	for (size_t i = 0; i < site->process_count; i++) {
		json_t *object = json_object();

		put(output, object, "process", number(site->processes[i].process));
		put(output, object, "count", number(site->processes[i].count));
		append(output, array, object);
	}
	return array;
}

static json_t *site_tests(struct json_output *output, const struct snapshot_site *site)
{
	json_t *array = json_array();

	for (size_t i = 0; i < site->test_count; i++) {
		json_t *object = json_object();

		put_string(output, object, "name", site->tests[i].name);
		put(output, object, "made", number(site->tests[i].made));
		put(output, object, "outlived", number(site->tests[i].outlived));
		append(output, array, object);
	}
	return array;
}

static json_t *site_object(struct json_output *output, const struct snapshot_site *site)
{
	json_t *object = json_object(), *lines = json_array(), *groups = json_array();

	for (size_t i = 0; i < site->line_count; i++)
		append(output, lines, location_object(output, &site->lines[i]));
	for (size_t i = 0; i < site->group_count; i++)
		append(output, groups, number(site->groups[i]));

	put_string(output, object, "id", site->id);
	put(output, object, "verdict", json_string(verdict_name(site->verdict)));
	put(output, object, "processes", site_processes(output, site));
	put(output, object, "location", location_object(output, &site->location));
	put(output, object, "lines", lines);
	put(output, object, "fds", number(site->fds));
	put(output, object, "maps", number(site->maps));
	put(output, object, "bytes", number(site->bytes));
	put(output, object, "instances", number(site->instances));
	put(output, object, "occasions", number(site->occasions));
	put(output, object, "tests", site_tests(output, site));
	put(output, object, "slope_per_s", real(site->slope_per_s));
	put(output, object, "groups", groups);
	return object;
}

static json_t *sample_object(struct json_output *output, const struct snapshot_sample *sample)
{
	json_t *object = json_object();
	char address[24] = "";

	if (sample->address != 0)
		(void)snprintf(address, sizeof(address), "0x%" PRIx64, sample->address);
	put(output, object, "fd", json_integer(sample->fd));
	put_string(output, object, "target", sample->target);
	put(output, object, "addr", json_string(address));
	put(output, object, "bytes", number(sample->bytes));
	put(output, object, "tid", json_integer(sample->thread_id));
	put_time(output, object, "opened", sample->opened_ns);
	put_string(output, object, "test", sample->test);
	return object;
}

/* A stack's name in "stacks"; the empty one is not there. */
static void stack_key(uint64_t id, char text[24])
{
	text[0] = '\0';
	if (id != 0)
		(void)snprintf(text, 24, "%016" PRIx64, id);
}

static json_t *group_object(struct json_output *output, const struct snapshot_group *group)
{
	json_t *object = json_object(), *released = json_object(), *samples = json_array();
	size_t limit = output->options->samples;
	char stack[24];

	stack_key(group->stack, stack);
	put(output, released, "never", number(group->released_never));
	put(output, released, "at_shutdown", number(group->released_at_shutdown));
	for (size_t i = 0; i < group->sample_count && (limit == 0 || i < limit); i++)
		append(output, samples, sample_object(output, &group->samples[i]));

	put(output, object, "kind", json_string(kinds_kind_name(group->kind)));
	put(output, object, "type", json_string(kinds_type_name(group->type)));
	put(output, object, "process", number(group->process));
	put(output, object, "pid", json_integer(output->snapshot->processes[group->process].process_id));
	put(output, object, "count", number(group->count));
	put(output, object, "instances", number(group->instances));
	put(output, object, "bytes", number(group->bytes));
	put(output, object, "stack", json_string(stack));
	put(output, object, "origin", json_string(kinds_origin_name(group->origin)));
	put(output, object, "category", json_string(category_name(group->category)));
	put(output, object, "released", released);
	put(output, object, "oldest_s", real(group->oldest_s));
	put(output, object, "newest_s", real(group->newest_s));
	put(output, object, "samples", samples);
	return object;
}

static json_t *frame_object(struct json_output *output, const struct snapshot_frame *frame)
{
	json_t *object = json_object();

	put_string(output, object, "function", frame->function);
	put_string(output, object, "module", frame->module);
	put_string(output, object, "file", frame->file);
	put(output, object, "line", json_integer(frame->line));
	put(output, object, "offset", number(frame->offset));
	put(output, object, "language", json_string(language_name(frame->language)));
	put(output, object, "inlined", json_boolean(frame->inlined));
	return object;
}

static json_t *stack_object(struct json_output *output, const struct snapshot_stack *stack)
{
	json_t *object = json_object(), *frames = json_array();

	for (size_t i = 0; i < stack->frame_count; i++)
		append(output, frames, frame_object(output, &stack->frames[i]));
	put(output, object, "complete", json_boolean(stack->complete));
	put_string(output, object, "why", stack->why);
	put(output, object, "frames", frames);
	return object;
}

static json_t *alert_object(struct json_output *output, const struct snapshot_alert *alert)
{
	bool has_eta = isfinite(alert->eta_s) && alert->eta_s >= 0;
	json_t *object = json_object();

	put_time(output, object, "time", alert->time_ns);
	put_string(output, object, "limit", alert->limit);
	put(output, object, "process", number(alert->process));
	put(output, object, "pid", json_integer(output->snapshot->processes[alert->process].process_id));
	put(output, object, "used", number(alert->used));
	put(output, object, "max", number(alert->max));
	put_string(output, object, "level", alert->level);
	put(output, object, "eta_s", has_eta ? real(alert->eta_s) : json_null());
	return object;
}

static json_t *report_object(struct json_output *output)
{
	const struct snapshot *snapshot = output->snapshot;
	json_t *object = json_object(), *processes = json_array(), *sites = json_array();
	json_t *groups = json_array(), *stacks = json_object(), *alerts = json_array();

	for (size_t i = 0; i < snapshot->process_count; i++)
		append(output, processes, process_object(output, &snapshot->processes[i]));
	for (size_t i = 0; i < snapshot->site_count; i++)
		append(output, sites, site_object(output, &snapshot->sites[i]));
	for (size_t i = 0; i < snapshot->group_count; i++)
		append(output, groups, group_object(output, &snapshot->groups[i]));
	for (size_t i = 0; i < snapshot->stack_count; i++) {
		char key[24];

		stack_key(snapshot->stacks[i].id, key);
		put(output, stacks, key, stack_object(output, &snapshot->stacks[i]));
	}
	for (size_t i = 0; i < snapshot->alert_count; i++)
		append(output, alerts, alert_object(output, &snapshot->alerts[i]));

	put(output, object, "schema", json_string(REPORT_SCHEMA));
	put(output, object, "version", json_string(LEFTOPEN_VERSION));
	put_strings(output, object, "command", snapshot->command, snapshot->command_count);
	put_time(output, object, "started", snapshot->started_ns);
	put(output, object, "duration_s", real(snapshot->duration_s));
	put(output, object, "completeness", completeness_object(output));
	put(output, object, "self", self_object(output));
	put(output, object, "processes", processes);
	put(output, object, "sites", sites);
	put(output, object, "groups", groups);
	put(output, object, "stacks", stacks);
	put(output, object, "alerts", alerts);
	return object;
}

struct json_sink {
	FILE *stream;
	int error; /* of the write that failed */
};

static int error_of_write(void)
{
	return errno != 0 ? -errno : -EIO;
}

static int sink_write(const char *bytes, size_t length, void *data)
{
	struct json_sink *sink = data;

	errno = 0;
	if (fwrite(bytes, 1, length, sink->stream) == length)
		return 0;
	sink->error = error_of_write();
	return -1;
}

int report_json_write(const struct snapshot *snapshot, const struct report_options *options, FILE *stream)
{
	/* Seconds to the microsecond, for runs of years; 17 digits would print 0.4 as 0.40000000000000002. */
	const size_t flags = JSON_INDENT(2) | JSON_REAL_PRECISION(14);
	struct json_output output = {.snapshot = snapshot, .options = options};
	struct json_sink sink = {.stream = stream};
	json_t *report = report_object(&output);
	int r = -ENOMEM;

	if (!output.out_of_memory && json_dump_callback(report, sink_write, &sink, flags) == 0 &&
	    sink_write("\n", 1, &sink) == 0) {
		errno = 0;
		r = fflush(stream) == 0 ? 0 : error_of_write();
	} else if (sink.error != 0) {
		r = sink.error;
	}
	json_decref(report);
	return r;
}
