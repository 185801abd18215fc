/*
 * Making a snapshot of the model. See build.h.
 */
#include "model/build.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/arena.h"
#include "model/categories.h"
#include "model/inherited.h"
#include "model/internal.h"
#include "model/interned.h"
#include "model/left_open.h"
#include "model/points.h"
#include "model/ranges.h"
#include "model/sites.h"
#include "model/stack_names.h"
#include "model/tables.h"

/* While a snapshot is made: groups of the model beside those of the snapshot. */
struct builder {
	struct model *model;
	const struct namer *namer;
	const struct build_options *options;
	struct arena *arena;
	struct snapshot *snapshot;
	const struct model_group **groups;
	size_t group_capacity;
	struct group_list *living; /* folded now, one a living process */
	size_t living_count;
};

static uint64_t realtime(const struct builder *builder, uint64_t boottime_ns)
{
	return boottime_ns + builder->options->realtime_ns;
}

static const char *copy_string(struct builder *builder, const char *string)
{
	return arena_strdup(builder->arena, string ? string : "");
}

static int copy_arguments(struct builder *builder, const struct process *process,
                          struct snapshot_process *out)
{
	size_t count = 0, at = 0;

	for (size_t i = 0; i + 1 < process->argument_bytes; i++)
		count += !process->arguments[i];
	/* The last one may be cut, without its NUL. */
	if (process->argument_bytes > 1 && process->arguments[process->argument_bytes - 2])
		count++;
	out->cmdline = arena_alloc(builder->arena, count * sizeof(out->cmdline[0]));
	if (!out->cmdline)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		out->cmdline[i] = copy_string(builder, process->arguments + at);
		if (!out->cmdline[i])
			return -ENOMEM;
		at += strlen(process->arguments + at) + 1;
	}
	out->cmdline_count = count;
	return 0;
}

static void fill_counts(const struct builder *builder, const struct process *process,
                        struct snapshot_process *out)
{
	const struct address_space *space = process->space;
	struct table_counts counts = tables_count(process);

	out->fds.live = process->ended_ns ? process->fds_live : counts.live;
	out->fds.peak = process->ended_ns ? process->fds_peak : counts.peak;
	out->fds.opened = process->ended_ns ? process->fds_opened : counts.opened;
	out->fds.closed = process->ended_ns ? process->fds_closed : counts.closed;
	out->fds.limit = process->fd_limit;
	out->maps.live = space ? ranges_count(space) : process->maps_live;
	out->maps.bytes = space ? ranges_bytes(space) : process->maps_bytes;
	out->maps.peak = space ? space->peak : process->maps_peak;
	out->maps.vmas = process->vmas;
	out->maps.limit = builder->options->maps_limit;
}

static int fill_process(struct builder *builder, const struct process *process, struct snapshot_process *out)
{
	out->process_id = process->process_id;
	out->parent_id = process->parent_id;
	out->start_ns = process->start_ns;
	out->comm = copy_string(builder, process->comm);
	out->exe = copy_string(builder, interned_find_file(builder->model, &process->exe));
	out->cgroup = copy_string(builder, process->cgroup);
	if (!out->comm || !out->exe || !out->cgroup)
		return -ENOMEM;
	out->exited = process->ended_ns;
	out->exit_known = process->status_known;
	if (out->exited && WIFSIGNALED(process->status)) {
		out->exit_known = false;
		out->signal = WTERMSIG(process->status);
	} else if (out->exited) {
		out->exit_code = WEXITSTATUS(process->status);
	}
	out->left_open_at = process->mark;
	out->is_command = process->is_command;
	fill_counts(builder, process, out);
	return copy_arguments(builder, process, out);
}

static int fill_samples(struct builder *builder, const struct model_group *from,
                        const struct snapshot_process *process, struct snapshot_group *out)
{
	size_t most = builder->options->samples;

	out->sample_count = most && from->sample_count > most ? most : from->sample_count;
	out->samples = arena_alloc(builder->arena, out->sample_count * sizeof(out->samples[0]));
	if (!out->samples)
		return -ENOMEM;
	for (size_t i = 0; i < out->sample_count; i++) {
		const struct group_sample *sample = &from->samples[i];
		struct snapshot_sample *to = &out->samples[i];
		const char *target = sample->target, *test = "";

		if (!target && sample->fd >= 0 && !process->exited && builder->options->names_targets)
			target = builder->namer->target(builder->namer->context, builder->arena,
			                                process->process_id, process->start_ns, sample->fd);
		if (sample->test.v)
			test = builder->model->tests[sample->test.v - 1]->name;
		to->fd = sample->fd;
		to->target = copy_string(builder, target);
		to->address = sample->address;
		to->bytes = sample->bytes;
		to->thread_id = sample->thread_id;
		to->opened_ns = realtime(builder, sample->made_ns);
		to->test = copy_string(builder, test);
		if (!to->target || !to->test)
			return -ENOMEM;
	}
	return 0;
}

static int add_groups(struct builder *builder, const struct process *process, size_t index,
                      const struct group_list *list)
{
	struct snapshot *snapshot = builder->snapshot;
	uint64_t until = process->mark       ? process->mark_ns
	                 : process->ended_ns ? process->ended_ns
	                                     : builder->options->now_ns;
	for (size_t i = 0; i < list->count; i++) {
		const struct model_group *from = &list->items[i];
		struct snapshot_group *out = &snapshot->groups[snapshot->group_count];
		int error;

		out->kind = from->kind;
		out->type = from->type;
		out->origin = from->origin;
		out->category = from->category;
		out->inherited = from->inherited;
		out->process = index;
		out->count = from->count;
		out->instances = from->instances;
		out->bytes = from->bytes;
		out->stack = interned_find_stack(builder->model, from->stack) ? from->stack : 0;
		out->released_never = from->never;
		out->released_at_shutdown = from->at_shutdown;
		out->oldest_s = until > from->oldest_ns ? (double)(until - from->oldest_ns) / 1e9 : 0;
		out->newest_s = until > from->newest_ns ? (double)(until - from->newest_ns) / 1e9 : 0;
		error = fill_samples(builder, from, &snapshot->processes[index], out);
		if (error)
			return error;
		builder->groups[snapshot->group_count++] = from;
	}
	return 0;
}

/* Of living processes that share a table or space, the oldest stands for all: a vfork's child has made
 * nothing of what it shares. */
static void choose_reporters(const struct model *model)
{
	for (struct process *process = model->first; process; process = process->next) {
		for (size_t i = 0; tables_at(process, i); i++)
			if (!tables_at(process, i)->reporter)
				tables_at(process, i)->reporter = process;
		if (process->space && !process->space->reporter)
			process->space->reporter = process;
	}
}

static void forget_reporters(const struct model *model)
{
	for (struct process *process = model->first; process; process = process->next) {
		for (size_t i = 0; tables_at(process, i); i++)
			tables_at(process, i)->reporter = NULL;
		if (process->space)
			process->space->reporter = NULL;
	}
}

/* @param ret_groups holds what was folded, also after a failure */
static int fold_one(struct builder *builder, struct process *process, struct group_list *ret_groups)
{
	const struct fold fold = {
	        .model = builder->model,
	        .process = process,
	        .until_ns = process->mark ? process->mark_ns : builder->options->now_ns,
	        .samples = builder->options->samples,
	};
	int error = left_open_take(builder->model, process, LEFT_OPEN_SHARED_TOO);

	if (!error)
		error = left_open_fold(&fold, ret_groups);
	inherited_count(process, &builder->snapshot->live);
	if (!error && builder->options->inherited)
		error = inherited_fold(&fold, ret_groups);
	if (!process->mark)
		left_open_clear(process);
	return error;
}

/* Living processes' sets are taken as they are now, without the mark that ends a process. */
static int fold_living(struct builder *builder)
{
	size_t count = HASH_COUNT(builder->model->living), i = 0;
	struct process *process;
	int error = 0;

	builder->living = calloc(count ? count : 1, sizeof(builder->living[0]));
	if (!builder->living)
		return -ENOMEM;
	builder->living_count = count;
	choose_reporters(builder->model);
	for (process = builder->model->first; process && !error; process = process->next)
		if (!process->ended_ns)
			error = fold_one(builder, process, &builder->living[i++]);
	forget_reporters(builder->model);
	return error;
}

static int add_processes(struct builder *builder)
{
	struct snapshot *snapshot = builder->snapshot;
	size_t total = 0, index = 0, living = 0;
	const struct process *process;
	int error = 0;

	for (process = builder->model->first; process; process = process->next)
		total += process->groups.count;
	for (size_t i = 0; i < builder->living_count; i++)
		total += builder->living[i].count;
	snapshot->processes =
	        arena_alloc(builder->arena, builder->model->process_count * sizeof(snapshot->processes[0]));
	snapshot->groups = arena_alloc(builder->arena, total * sizeof(snapshot->groups[0]));
	builder->groups = calloc(total ? total : 1, sizeof(*builder->groups));
	if (!snapshot->processes || !snapshot->groups || !builder->groups)
		return -ENOMEM;
	snapshot->process_count = builder->model->process_count;
	for (process = builder->model->first; process && !error; process = process->next, index++) {
		error = fill_process(builder, process, &snapshot->processes[index]);
		if (!error)
			error = add_groups(builder, process, index,
			                   process->ended_ns ? &process->groups : &builder->living[living++]);
	}
	return error;
}

static int compare_ids(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

	return left < right ? -1 : left > right;
}

static int expect_frames(const struct builder *builder, const uint64_t *ids, size_t count)
{
	const struct namer *namer = builder->namer;
	int error = 0;

	for (size_t i = 0; i < count && namer->expect && !error; i++) {
		const struct model_stack *stack = interned_find_stack(builder->model, ids[i]);

		for (size_t frame = 0; frame < stack->count && !error; frame++)
			if (stack->frames[frame].kind != FRAME_PYTHON)
				error = namer->expect(namer->context, &stack->frames[frame]);
	}
	return error;
}

/* Only stacks that a group has are named: the most part of those seen are of handles long released. */
static int add_stacks(struct builder *builder)
{
	struct snapshot *snapshot = builder->snapshot;
	uint64_t *ids = calloc(snapshot->group_count + 1, sizeof(*ids));
	size_t count = 0, distinct = 0;
	int error = 0;

	if (!ids)
		return -ENOMEM;
	for (size_t i = 0; i < snapshot->group_count; i++)
		if (snapshot->groups[i].stack)
			ids[count++] = snapshot->groups[i].stack;
	qsort(ids, count, sizeof(*ids), compare_ids);
	for (size_t i = 0; i < count; i++)
		if (!i || ids[i] != ids[i - 1])
			ids[distinct++] = ids[i];
	snapshot->stacks = arena_alloc(builder->arena, distinct * sizeof(snapshot->stacks[0]));
	if (!snapshot->stacks)
		error = -ENOMEM;
	if (!error)
		error = expect_frames(builder, ids, distinct);
	for (size_t i = 0; i < distinct && !error; i++) {
		if (builder->options->progress)
			builder->options->progress(builder->options->progress_context, i, distinct);
		error = stack_names_fill(builder->namer, builder->arena,
		                         interned_find_stack(builder->model, ids[i]), &snapshot->stacks[i]);
		snapshot->stack_count = i + 1;
	}
	free(ids);
	return error;
}

static const char *const loss_reasons[LOSS_COUNT] = {
        [LOSS_RING_FULL_HANDLES] = "the ring was full for %llu events of handles: try a larger --ring-size",
        [LOSS_RING_FULL_PROCESSES] =
                "the ring was full for %llu events of processes: try a larger --ring-size",
        [LOSS_RING_FULL_STACKS] = "the ring was full for %llu stacks: try a larger --ring-size",
        [LOSS_PROCESS_MAP_FULL] = "%llu processes more than can be followed at once",
        [LOSS_SCRATCH_BUSY] = "%llu table walks or handles had no room to work in",
        [LOSS_TABLE_FAULT] = "%llu descriptor tables could not be read",
        [LOSS_TAIL_CALL] = "%llu stacks could not be captured",
        [LOSS_NUMBERS] = "%llu calls gave descriptors whose numbers could not be read",
        [LOSS_COMPAT_CALLS] = "%llu programs were 32-bit ones, whose calls the kernel does not trace",
        [LOSS_URING_REQUESTS] = "%llu requests to io_uring could not be remembered",
};

static int add_reason(struct builder *builder, const char *format, uint64_t count)
{
	struct snapshot_completeness *completeness = &builder->snapshot->completeness;
	const char *text;

	if (!count)
		return 0;
		/* The formats are this file's own, each with one %llu. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	text = arena_printf(builder->arena, format, (unsigned long long)count);
#pragma GCC diagnostic pop
	if (!text)
		return -ENOMEM;
	completeness->why[completeness->why_count++] = text;
	completeness->complete = false;
	return 0;
}

static int add_completeness(struct builder *builder)
{
	const struct model_counters *counters = model_counters_get(builder->model);
	struct snapshot_completeness *completeness = &builder->snapshot->completeness;
	const struct namer *namer = builder->namer;
	int error = 0;

	completeness->why = arena_alloc(builder->arena, (LOSS_COUNT + 5) * sizeof(completeness->why[0]));
	if (!completeness->why)
		return -ENOMEM;
	completeness->events = counters->events;
	completeness->reconciled = counters->reconciled;
	completeness->drift = counters->drift;
	completeness->complete = true;
	completeness->lost = builder->options->left_out;
	for (size_t i = 0; i < LOSS_COUNT && !error; i++) {
		completeness->lost += builder->options->losses[i];
		error = add_reason(builder, loss_reasons[i], builder->options->losses[i]);
	}
	if (!error)
		error = add_reason(builder, "%llu program runs were left out by the kernel (recursion)",
		                   builder->options->left_out);
	if (!error)
		error = add_reason(builder,
		                   "%llu comparisons with the kernel's tables could not be made: `leftopen "
		                   "doctor` says why",
		                   builder->options->comparisons_failed);
	if (!error)
		error = add_reason(builder, "%llu handles, stacks or processes more than are kept",
		                   counters->over_maximum + builder->options->not_kept);
	if (!error)
		error = add_reason(builder,
		                   "%llu handles were gone from the kernel's tables without an event",
		                   counters->drift);
	if (!error && namer->unread)
		error = add_reason(
		        builder,
		        "%llu files could not be read for names: what reads them ended, or took too long",
		        namer->unread(namer->context));
	return error;
}

static int add_run(struct builder *builder)
{
	const struct build_options *options = builder->options;
	struct snapshot *snapshot = builder->snapshot;

	snapshot->command =
	        arena_alloc(builder->arena, options->command_count * sizeof(snapshot->command[0]));
	if (!snapshot->command)
		return -ENOMEM;
	for (size_t i = 0; i < options->command_count; i++) {
		snapshot->command[i] = copy_string(builder, options->command[i]);
		if (!snapshot->command[i])
			return -ENOMEM;
	}
	snapshot->command_count = options->command_count;
	snapshot->started_ns = realtime(builder, options->started_ns);
	snapshot->duration_s = (double)(options->now_ns - options->started_ns) / 1e9;
	snapshot->working_directory = copy_string(builder, options->working_directory);
	snapshot->self = options->self;
	return snapshot->working_directory ? 0 : -ENOMEM;
}

int snapshot_new(struct model *model, const struct namer *namer, const struct build_options *options,
                 struct snapshot **ret_snapshot)
{
	struct builder builder = {.model = model, .namer = namer, .options = options};
	int error = arena_new(&builder.arena);

	if (error)
		return error;
	builder.snapshot = arena_alloc(builder.arena, sizeof(*builder.snapshot));
	if (!builder.snapshot) {
		arena_free(builder.arena);
		return -ENOMEM;
	}
	builder.snapshot->arena = builder.arena;
	error = add_run(&builder);
	if (!error)
		error = fold_living(&builder);
	if (!error)
		error = add_processes(&builder);
	if (!error)
		error = add_stacks(&builder);
	if (!error) {
		categories_assign(builder.snapshot);
		error = sites_build(builder.snapshot, model, builder.groups, options->min_count);
	}
	if (!error)
		error = add_completeness(&builder);
	for (size_t i = 0; i < builder.living_count; i++)
		left_open_groups_free(&builder.living[i]);
	free(builder.living);
	free(builder.groups);
	if (error) {
		snapshot_free(builder.snapshot);
		return error;
	}
	*ret_snapshot = builder.snapshot;
	return 0;
}
