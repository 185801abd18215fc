/*
 * The pieces of a made-up snapshot. Inputs: a test's wishes. Outputs: a snapshot that its arena owns.
 */
#include "snapshot_builder.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"

/* Chosen by: more than any fixture needs. */
#define PROCESSES_MAX 512
#define SITES_MAX     32
#define GROUPS_MAX    512
#define STACKS_MAX    64
#define ALERTS_MAX    16
#define WHY_MAX       8

/* 2026-03-14T15:09:26.535Z */
#define STARTED_NS 1773500966535897932U

static void *must(void *memory)
{
	if (!memory)
		abort();
	return memory;
}

static void *allocate(struct snapshot *snapshot, size_t count, size_t bytes)
{
	return must(arena_alloc(snapshot->arena, count * bytes));
}

struct snapshot *builder_new(void)
{
	static const char *const command[] = {"pytest", "-q", "tests/integration"};
	struct arena *arena;
	struct snapshot *snapshot;

	if (arena_new(&arena) < 0)
		abort();
	snapshot = must(arena_alloc(arena, sizeof(*snapshot)));
	snapshot->arena = arena;
	snapshot->command_count = sizeof(command) / sizeof(command[0]);
	snapshot->command = allocate(snapshot, snapshot->command_count, sizeof(char *));
	memcpy(snapshot->command, command, sizeof(command));
	snapshot->started_ns = STARTED_NS;
	snapshot->duration_s = 12.3;
	snapshot->working_directory = "/home/ada/shop";
	snapshot->completeness = (struct snapshot_completeness){.events = 12345, .complete = true};
	snapshot->completeness.why = allocate(snapshot, WHY_MAX, sizeof(char *));
	snapshot->self = (struct snapshot_self){
	        .cpu_s = 0.41,
	        .rss_peak_bytes = 23U << 20,
	        .kernel_ns_per_event = 410,
	        .stacks_unwound = 70,
	        .stacks_recalled = 930,
	        .stacks_wrong = 2,
	        .armed_s = 0.2,
	};
	snapshot->processes = allocate(snapshot, PROCESSES_MAX, sizeof(*snapshot->processes));
	snapshot->sites = allocate(snapshot, SITES_MAX, sizeof(*snapshot->sites));
	snapshot->groups = allocate(snapshot, GROUPS_MAX, sizeof(*snapshot->groups));
	snapshot->stacks = allocate(snapshot, STACKS_MAX, sizeof(*snapshot->stacks));
	snapshot->alerts = allocate(snapshot, ALERTS_MAX, sizeof(*snapshot->alerts));
	return snapshot;
}

size_t builder_add_process(struct snapshot *snapshot, uint32_t process_id, const char *comm,
                           enum shutdown_mark mark)
{
	size_t index = snapshot->process_count++;
	struct snapshot_process *process = &snapshot->processes[index];

	if (index >= PROCESSES_MAX)
		abort();
	process->process_id = process_id;
	process->parent_id = 4700;
	process->start_ns = 8000000000U + process_id;
	process->comm = comm;
	process->exe = must(arena_printf(snapshot->arena, "/usr/bin/%s", comm));
	process->cmdline = allocate(snapshot, 2, sizeof(char *));
	process->cmdline[0] = comm;
	process->cmdline[1] = "-q";
	process->cmdline_count = 2;
	process->cgroup = "/user.slice";
	process->exited = mark != SHUTDOWN_NONE;
	process->exit_known = process->exited;
	process->left_open_at = mark;
	process->is_command = index == 0;
	process->fds.live = 7;
	process->fds.peak = 31;
	process->fds.opened = 1204;
	process->fds.closed = 1201;
	process->fds.limit = 1024;
	process->maps.live = 212;
	process->maps.bytes = 90U << 20;
	process->maps.peak = 300;
	process->maps.vmas = 212;
	process->maps.limit = UINT64_MAX;
	return index;
}

struct snapshot_stack *builder_add_stack(struct snapshot *snapshot, const struct snapshot_frame *frames,
                                         size_t frame_count)
{
	size_t index = snapshot->stack_count++;
	struct snapshot_stack *stack = &snapshot->stacks[index];

	if (index >= STACKS_MAX)
		abort();
	stack->id = 0xfeed000000000001U + index;
	stack->complete = true;
	stack->why = "";
	stack->frame_count = frame_count;
	stack->frames = allocate(snapshot, frame_count, sizeof(*frames));
	memcpy(stack->frames, frames, frame_count * sizeof(*frames));
	return stack;
}

struct snapshot_group *builder_add_group(struct snapshot *snapshot, const struct snapshot_group *group)
{
	size_t index = snapshot->group_count++;

	if (index >= GROUPS_MAX)
		abort();
	snapshot->groups[index] = *group;
	return &snapshot->groups[index];
}

void builder_add_samples(struct snapshot *snapshot, struct snapshot_group *group, size_t count,
                         const char *prefix, bool alike, const char *suffix)
{
	size_t total = group->sample_count + count;
	struct snapshot_sample *samples = allocate(snapshot, total, sizeof(*samples));

	if (group->sample_count > 0)
		memcpy(samples, group->samples, group->sample_count * sizeof(*samples));
	for (size_t i = 0; i < count; i++) {
		struct snapshot_sample *sample = &samples[group->sample_count + i];
		bool is_fd = group->kind == HANDLE_KIND_FD;

		sample->fd = is_fd ? (int)(10 + i) : -1;
		sample->target =
		        must(alike ? arena_printf(snapshot->arena, "%s%s", prefix, suffix)
		                   : arena_printf(snapshot->arena, "%s%zu%s", prefix, i + 1, suffix));
		sample->address = is_fd ? 0 : 0x7f0000000000U + i * 0x8000;
		sample->bytes = is_fd ? 0 : 0x8000;
		sample->thread_id = snapshot->processes[group->process].process_id;
		sample->opened_ns = STARTED_NS + i * 150000000U;
		sample->test = "";
	}
	group->samples = samples;
	group->sample_count = total;
}

struct snapshot_site *builder_add_site(struct snapshot *snapshot, enum verdict verdict, const char *function,
                                       const char *file, uint32_t line)
{
	size_t index = snapshot->site_count++;
	struct snapshot_site *site = &snapshot->sites[index];

	if (index >= SITES_MAX)
		abort();
	site->id = must(arena_printf(snapshot->arena, "%016zx", index + 0xabc0));
	site->verdict = verdict;
	site->location = (struct snapshot_location){function, file, line, LANGUAGE_PYTHON};
	site->groups = allocate(snapshot, GROUPS_MAX, sizeof(*site->groups));
	site->processes = allocate(snapshot, PROCESSES_MAX, sizeof(*site->processes));
	return site;
}

void builder_site_add_group(struct snapshot *snapshot, struct snapshot_site *site,
                            const struct snapshot_group *group)
{
	size_t at = 0;

	site->groups[site->group_count++] = (size_t)(group - snapshot->groups);
	if (group->kind == HANDLE_KIND_FD) {
		site->fds += group->count;
	} else {
		site->maps += group->count;
		site->bytes += group->bytes;
	}
	if (group->instances > site->instances)
		site->instances = group->instances;
	while (at < site->process_count && site->processes[at].process != group->process)
		at++;
	if (at == site->process_count)
		site->process_count++;
	site->processes[at].process = group->process;
	site->processes[at].count += group->count;
}

void builder_site_add_tests(struct snapshot *snapshot, struct snapshot_site *site, size_t count,
                            const char *prefix, uint64_t made, uint64_t outlived)
{
	site->tests = allocate(snapshot, count, sizeof(*site->tests));
	site->test_count = count;
	site->occasions = count;
	site->occasions_are_tests = true;
	for (size_t i = 0; i < count; i++) {
		const char *name = i == 0 ? must(arena_printf(snapshot->arena, "%s", prefix))
		                          : must(arena_printf(snapshot->arena, "%s_%zu", prefix, i + 1));

		site->tests[i] = (struct snapshot_site_test){name, made, outlived};
	}
}

void builder_site_add_line(struct snapshot *snapshot, struct snapshot_site *site, const char *function,
                           const char *file, uint32_t line)
{
	struct snapshot_location *lines = allocate(snapshot, site->line_count + 1, sizeof(*lines));

	if (site->line_count > 0)
		memcpy(lines, site->lines, site->line_count * sizeof(*lines));
	lines[site->line_count++] = (struct snapshot_location){function, file, line, LANGUAGE_PYTHON};
	site->lines = lines;
}

void builder_set_incomplete(struct snapshot *snapshot, uint64_t lost, const char *const *why, size_t count)
{
	if (count > WHY_MAX)
		abort();
	snapshot->completeness.complete = false;
	snapshot->completeness.lost = lost;
	snapshot->completeness.why_count = count;
	for (size_t i = 0; i < count; i++)
		snapshot->completeness.why[i] = why[i];
}

void builder_add_alert(struct snapshot *snapshot, size_t process, const char *limit, const char *level,
                       uint64_t used, uint64_t max, double eta_s)
{
	size_t index = snapshot->alert_count++;

	if (index >= ALERTS_MAX)
		abort();
	snapshot->alerts[index] = (struct snapshot_alert){
	        .time_ns = STARTED_NS + 3000000000U,
	        .limit = limit,
	        .process = process,
	        .used = used,
	        .max = max,
	        .level = level,
	        .eta_s = eta_s,
	};
}
