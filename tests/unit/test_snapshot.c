/*
 * model/build.c and categories.c: what a snapshot says of processes, groups, samples and completeness.
 */
#include <criterion/criterion.h>

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "site_world.h"

#define LIBC      "/usr/lib/x86_64-linux-gnu/libc.so.6"
#define LOADER    "/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"
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

TestSuite(snapshot, .init = setup, .fini = teardown);

static const struct snapshot_group *group_of(enum handle_type type)
{
	for (size_t i = 0; i < sites.snapshot->group_count; i++)
		if (sites.snapshot->groups[i].type == type)
			return &sites.snapshot->groups[i];
	cr_assert_fail("no group of that type");
	return NULL;
}

Test(snapshot, run)
{
	const struct snapshot *snapshot;

	sites.options.realtime_ns = 1700000000000000000;
	sites.world.now_ns += 5000000000;
	snapshot = site_report(&sites);
	cr_assert_eq(snapshot->command_count, 2);
	cr_assert_str_eq(snapshot->command[0], "pytest");
	cr_assert_eq(snapshot->started_ns, sites.command.start_ns + 1700000000000000000);
	cr_assert_float_eq(snapshot->duration_s, 5.0, 0.1);
	cr_assert_str_eq(snapshot->working_directory, "/home/ada/shop");
	cr_assert(snapshot->completeness.complete);
	cr_assert_eq(snapshot->completeness.why_count, 0);
	cr_assert_eq(snapshot->completeness.events, model_counters_get(sites.world.model)->events);
}

Test(snapshot, process)
{
	const struct snapshot_process *process;
	struct actor child = events_fork(&sites.world, &sites.command, 200, FORK_COPIES);

	cr_assert_eq(model_set_cgroup(sites.world.model, 100, "/user.slice"), 0);
	site_open(&sites, 4);
	events_close(&sites.world, &sites.command, 3);
	events_map(&sites.world, &sites.command, 16, 4, MAP_SHARED, 0);
	events_unmap(&sites.world, &sites.command, 17, 1);
	events_mark(&sites.world, &sites.command, SHUTDOWN_FINALIZE);
	events_exit(&sites.world, &child, 9);
	events_exit(&sites.world, &sites.command, 3 << 8);
	(void)site_snapshot(&sites);
	cr_assert_eq(sites.snapshot->process_count, 2);
	process = &sites.snapshot->processes[0];
	cr_assert_eq(process->process_id, 100);
	cr_assert_eq(process->parent_id, 50);
	cr_assert_str_eq(process->comm, "program");
	cr_assert_str_eq(process->cgroup, "/user.slice");
	cr_assert(process->is_command);
	cr_assert(process->exited);
	cr_assert(process->exit_known);
	cr_assert_eq(process->exit_code, 3);
	cr_assert_eq(process->signal, 0);
	cr_assert_eq(process->left_open_at, SHUTDOWN_FINALIZE);
	cr_assert_eq(process->fds.live, 6);
	cr_assert_eq(process->fds.peak, 7);
	cr_assert_eq(process->fds.opened, 4);
	cr_assert_eq(process->fds.closed, 1);
	cr_assert_eq(process->fds.limit, 1024);
	cr_assert_eq(process->maps.live, 2);
	cr_assert_eq(process->maps.bytes, 3 * PAGE);
	cr_assert_eq(process->maps.peak, 2);
	cr_assert_eq(process->maps.vmas, 12);
	cr_assert_eq(process->maps.limit, 65530);
	process++;
	cr_assert_eq(process->parent_id, 100);
	cr_assert_str_eq(process->comm, "child");
	cr_assert_not(process->is_command);
	cr_assert_not(process->exit_known);
	cr_assert_eq(process->signal, 9);
}

/* An end that was not seen has no status. */
Test(snapshot, end_not_seen)
{
	(void)events_fork(&sites.world, &sites.command, 200, FORK_COPIES);
	(void)events_fork(&sites.world, &sites.command, 200, FORK_COPIES);
	(void)site_snapshot(&sites);
	cr_assert(sites.snapshot->processes[1].exited);
	cr_assert_not(sites.snapshot->processes[1].exit_known);
	cr_assert_not(sites.snapshot->processes[2].exited);
}

static void send_arguments(const char *arguments, size_t bytes)
{
	static struct event_process_arguments event;

	memset(&event, 0, sizeof(event));
	event.bytes = (uint32_t)bytes;
	memcpy(event.arguments, arguments, bytes);
	events_send(&sites.world, &sites.command, EVENT_PROCESS_ARGUMENTS, &event.header,
	            offsetof(struct event_process_arguments, arguments) + bytes);
}

static void check_arguments(const char *const *expected, size_t count)
{
	const struct snapshot_process *process = &site_snapshot(&sites)->processes[0];

	cr_assert_eq(process->cmdline_count, count);
	for (size_t i = 0; i < count; i++)
		cr_assert_str_eq(process->cmdline[i], expected[i]);
}

Test(snapshot, arguments)
{
	static const char *const expected[] = {"python", "", "-c", "\xff\n"};

	check_arguments(NULL, 0);
	send_arguments("python\0\0-c\0\xff\n", 14);
	check_arguments(expected, 4);
	/* Cut, without its last NUL. */
	send_arguments("python\0\0-c", 10);
	check_arguments(expected, 3);
	send_arguments("", 1);
	check_arguments(expected + 1, 1);
	send_arguments("", 0);
	check_arguments(NULL, 0);
}

Test(snapshot, group)
{
	const struct snapshot_group *group;

	(void)site_line(&sites, TEST_FILE, 7);
	site_open_path(&sites, "tmp/one");
	sites.world.now_ns += 2000000000;
	events_test(&sites.world, &sites.command, "test_a (call)");
	site_open_path(&sites, "tmp/two");
	sites.world.now_ns += 1000000000;
	events_mark(&sites.world, &sites.command, SHUTDOWN_FINALIZE);
	sites.world.now_ns += 1000000000;
	events_close(&sites.world, &sites.command, 3);
	(void)site_report(&sites);
	cr_assert_eq(sites.snapshot->group_count, 1);
	group = sites.snapshot->groups;
	cr_assert_eq(group->kind, HANDLE_KIND_FD);
	cr_assert_eq(group->type, HANDLE_TYPE_FILE);
	cr_assert_eq(group->origin, HANDLE_ORIGIN_OPENAT);
	cr_assert_eq(group->count, 2);
	cr_assert_eq(group->instances, 2);
	cr_assert_eq(group->stack, sites.world.stack);
	cr_assert_eq(group->released_never, 1);
	cr_assert_eq(group->released_at_shutdown, 1);
	cr_assert_float_eq(group->oldest_s, 3.0, 0.01, "age at the mark");
	cr_assert_float_eq(group->newest_s, 1.0, 0.01);
	cr_assert_eq(group->sample_count, 2);
	cr_assert_eq(group->samples[0].fd, 3);
	cr_assert_str_eq(group->samples[0].target, "/tmp/one");
	cr_assert_str_eq(group->samples[0].test, "");
	cr_assert_str_eq(group->samples[1].test, "test_a");
	cr_assert_eq(group->samples[1].thread_id, 100);
}

Test(snapshot, most_samples)
{
	(void)site_line(&sites, TEST_FILE, 7);
	site_open(&sites, 30);
	(void)site_report(&sites);
	cr_assert_eq(sites.snapshot->groups[0].sample_count, 20);
	cr_assert_eq(sites.snapshot->groups[0].count, 30);
	sites.options.samples = 0;
	(void)site_snapshot(&sites);
	cr_assert_eq(sites.snapshot->groups[0].sample_count, 30);
	sites.options.samples = 30;
	(void)site_snapshot(&sites);
	cr_assert_eq(sites.snapshot->groups[0].sample_count, 30);
	sites.options.samples = 1;
	(void)site_snapshot(&sites);
	cr_assert_eq(sites.snapshot->groups[0].sample_count, 1);
}

Test(snapshot, sample_of_a_mapping)
{
	const struct snapshot_sample *sample;

	events_file(&sites.world, &sites.command, 9, "srv/data");
	(void)site_line(&sites, TEST_FILE, 7);
	events_map(&sites.world, &sites.command, 16, 4, MAP_PRIVATE, 9);
	(void)site_report(&sites);
	sample = sites.snapshot->groups[0].samples;
	cr_assert_eq(sample->fd, -1);
	cr_assert_eq(sample->address, 16 * PAGE);
	cr_assert_eq(sample->bytes, 4 * PAGE);
	cr_assert_str_eq(sample->target, "/srv/data");
}

/* A process that lives is shown as it is; the model goes on as if nobody had looked. */
Test(snapshot, living_process)
{
	(void)site_line(&sites, TEST_FILE, 7);
	site_open(&sites, 2);
	events_map(&sites.world, &sites.command, 16, 4, MAP_PRIVATE, 9);
	for (int round = 0; round < 3; round++) {
		(void)site_snapshot(&sites);
		cr_assert_not(sites.snapshot->processes[0].exited);
		cr_assert_eq(sites.snapshot->processes[0].left_open_at, SHUTDOWN_NONE);
		cr_assert_eq(sites.snapshot->group_count, 2);
		cr_assert_eq(group_of(HANDLE_TYPE_FILE)->count, 2);
		cr_assert_str_eq(group_of(HANDLE_TYPE_FILE)->samples[0].target, "/proc/100/fd/3");
	}
	events_close(&sites.world, &sites.command, 3);
	events_unmap(&sites.world, &sites.command, 16, 4);
	(void)site_report(&sites);
	cr_assert_eq(sites.snapshot->group_count, 1, "what was released before any mark is not left open");
	cr_assert_eq(group_of(HANDLE_TYPE_FILE)->count, 1);
	cr_assert_eq(group_of(HANDLE_TYPE_FILE)->released_at_shutdown, 0);
}

/* What it handed to a child is still its own while it lives. */
Test(snapshot, living_parent)
{
	struct actor child;

	(void)site_line(&sites, TEST_FILE, 7);
	site_open(&sites, 2);
	child = events_fork(&sites.world, &sites.command, 200, FORK_COPIES);
	(void)site_snapshot(&sites);
	cr_assert_eq(sites.snapshot->group_count, 1);
	cr_assert_eq(sites.snapshot->groups[0].count, 2);
	cr_assert_eq(sites.snapshot->groups[0].process, 0);
	events_exit(&sites.world, &sites.command, 0);
	(void)site_snapshot(&sites);
	cr_assert_eq(sites.snapshot->group_count, 0);
	events_exit(&sites.world, &child, 0);
}

/* Marked and shutting down: the set stays as it was taken, and what is released after it is noted. */
Test(snapshot, between_mark_and_end)
{
	(void)site_line(&sites, TEST_FILE, 7);
	site_open(&sites, 3);
	events_mark(&sites.world, &sites.command, SHUTDOWN_FINALIZE);
	events_close(&sites.world, &sites.command, 3);
	(void)site_snapshot(&sites);
	cr_assert_eq(sites.snapshot->groups[0].count, 3);
	cr_assert_eq(sites.snapshot->groups[0].released_at_shutdown, 1);
	events_close(&sites.world, &sites.command, 4);
	(void)site_report(&sites);
	cr_assert_eq(sites.snapshot->groups[0].count, 3);
	cr_assert_eq(sites.snapshot->groups[0].released_at_shutdown, 2);
}

/* Of processes that share a table while both live, one stands for both. */
Test(snapshot, living_processes_that_share)
{
	struct actor child;

	(void)site_line(&sites, TEST_FILE, 7);
	child = events_fork(&sites.world, &sites.command, 200, FORK_SHARES_TABLE | FORK_SHARES_SPACE);
	events_open(&sites.world, &child, 3, 30);
	events_map(&sites.world, &child, 16, 4, MAP_PRIVATE, 9);
	for (int round = 0; round < 2; round++) {
		(void)site_snapshot(&sites);
		cr_assert_eq(sites.snapshot->group_count, 2);
		cr_assert_eq(sites.snapshot->groups[0].process, 0);
		cr_assert_eq(sites.snapshot->groups[1].process, 0);
	}
	events_exit(&sites.world, &sites.command, 0);
	(void)site_snapshot(&sites);
	cr_assert_eq(sites.snapshot->group_count, 2);
	cr_assert_eq(sites.snapshot->groups[0].process, 1);
}

static void map_under(const char *function, const char *module, uint64_t page, uint32_t flags, uint64_t inode)
{
	const struct stack_frame frames[] = {
	        site_native(&sites, function, module, "", 0),
	        site_python(&sites, "test_a", TEST_FILE, 30),
	};

	(void)site_stack(&sites, frames, 2);
	events_map(&sites.world, &sites.command, page, 1, flags, inode);
}

Test(snapshot, categories)
{
	static const struct {
		uint64_t page;
		enum handle_category category;
	} expected[] = {
	        {16, CATEGORY_LOADER},       {32, CATEGORY_ALLOCATOR},  {48, CATEGORY_APPLICATION},
	        {64, CATEGORY_THREAD_STACK}, {80, CATEGORY_LOADER},     {96, CATEGORY_APPLICATION},
	        {112, CATEGORY_APPLICATION}, {128, CATEGORY_ALLOCATOR}, {144, CATEGORY_ALLOCATOR},
	};
	size_t found = 0;

	events_file(&sites.world, &sites.command, 9, "usr/lib/locale/C.utf8/LC_CTYPE");
	events_file(&sites.world, &sites.command, 10, "srv/data");
	map_under("_dl_map", LOADER, 16, MAP_PRIVATE, 10);
	map_under("mmap64", LIBC, 32, MAP_PRIVATE | MAP_ANONYMOUS, 0);
	map_under("grow", "/home/ada/shop/bin/tool", 48, MAP_PRIVATE | MAP_ANONYMOUS, 0);
	/* Of a static program without names. */
	map_under("", "/home/ada/shop/bin/tool", 144, MAP_PRIVATE | MAP_ANONYMOUS, 0);
	map_under("mmap64", LIBC, 64, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, 0);
	map_under("mmap64", LIBC, 80, MAP_PRIVATE, 9);
	map_under("mmap64", LIBC, 96, MAP_PRIVATE, 10);
	map_under("mmap64", LIBC, 112, MAP_SHARED | MAP_ANONYMOUS, 0);
	sites.world.stack = 0;
	events_map(&sites.world, &sites.command, 128, 1, MAP_PRIVATE | MAP_ANONYMOUS, 0);
	(void)site_report(&sites);
	for (size_t i = 0; i < sites.snapshot->group_count; i++) {
		const struct snapshot_group *group = &sites.snapshot->groups[i];

		for (size_t j = 0; j < sizeof(expected) / sizeof(expected[0]); j++) {
			if (group->samples[0].address != expected[j].page * PAGE)
				continue;
			cr_assert_eq(group->category, expected[j].category, "page %zu: %s", j,
			             category_name(group->category));
			found++;
		}
	}
	cr_assert_eq(found, 9);
	cr_assert_eq(sites.snapshot->site_count, 2, "only the application's are findings");
	cr_assert_eq(site_at(&sites, "tests/test_shop.py", 30)->maps, 2);
	cr_assert_eq(site_at(&sites, "bin/tool", 0)->maps, 1);
}

Test(snapshot, a_stack_that_was_sent_before_its_frames_were_known)
{
	struct stack_frame frame = site_native(&sites, "leave", "/srv/app/bin/tool", "", 0);

	events_stack(&sites.world, 11, &frame, 1);
	sites.world.stack = 11;
	site_open(&sites, 2);
	sites.world.stack = 12;
	site_open(&sites, 1);
	cr_assert_eq(model_alias_stack(sites.world.model, 12, 11), 0);
	(void)site_report(&sites);
	cr_assert_eq(sites.snapshot->group_count, 1);
	cr_assert_eq(sites.snapshot->groups[0].stack, 11);
	cr_assert_eq(sites.snapshot->groups[0].count, 3);
}

Test(snapshot, incomplete)
{
	uint64_t losses[LOSS_COUNT];
	static const struct table_entry none[1];

	site_open(&sites, 2);
	events_numbers(&sites.world, &sites.command, TABLE_EXITED, none, 0);
	for (size_t i = 0; i < LOSS_COUNT; i++)
		losses[i] = 10 + i;
	sites.options.losses = losses;
	sites.options.left_out = 1000;
	sites.options.not_kept = 77;
	(void)site_report(&sites);
	cr_assert_not(sites.snapshot->completeness.complete);
	cr_assert_eq(sites.snapshot->completeness.why_count, LOSS_COUNT + 3);
	cr_assert_eq(sites.snapshot->completeness.drift, 5);
	cr_assert_eq(sites.snapshot->completeness.lost,
	             1000 + 10 * LOSS_COUNT + LOSS_COUNT * (LOSS_COUNT - 1) / 2);
	for (size_t i = 0; i < LOSS_COUNT; i++) {
		char number[16];

		(void)snprintf(number, sizeof(number), "%zu ", 10 + i);
		cr_assert_not_null(strstr(sites.snapshot->completeness.why[i], number), "%s",
		                   sites.snapshot->completeness.why[i]);
	}
	cr_assert_not_null(strstr(sites.snapshot->completeness.why[LOSS_COUNT + 1], "77 "));
}

Test(snapshot, stacks_that_end_early)
{
	struct stack_frame frame = site_native(&sites, "open64", LIBC, "", 0);
	static struct event_stack event;

	for (uint32_t end = 0; end < STACK_END_COUNT; end++) {
		memset(&event, 0, sizeof(event));
		event.id = sites.world.stack = end + 1;
		event.count = 1;
		event.end = end;
		event.frames[0] = frame;
		events_send(&sites.world, &sites.command, EVENT_STACK, &event.header,
		            offsetof(struct event_stack, frames) + sizeof(frame));
		site_open(&sites, 1);
	}
	(void)site_report(&sites);
	cr_assert_eq(sites.snapshot->stack_count, STACK_END_COUNT);
	for (uint32_t end = 0; end < STACK_END_COUNT; end++) {
		const struct snapshot_stack *stack = snapshot_find_stack(sites.snapshot, end + 1);

		cr_assert_eq(stack->complete, end == STACK_END_COMPLETE);
		cr_assert_eq(stack->why[0] == '\0', end == STACK_END_COMPLETE);
	}
}

static void note_progress(void *context, size_t done, size_t total)
{
	size_t *next = context;

	cr_assert_eq(done, *next);
	cr_assert_eq(total, 3);
	++*next;
}

Test(snapshot, progress)
{
	size_t next = 0;

	for (uint32_t line = 1; line <= 3; line++) {
		(void)site_line(&sites, TEST_FILE, line);
		site_open(&sites, 1);
	}
	sites.options.progress = note_progress;
	sites.options.progress_context = &next;
	(void)site_report(&sites);
	cr_assert_eq(next, 3);
}

static int no_memory(void *context, struct arena *arena, const struct stack_frame *frame,
                     struct snapshot_frame *ret_frame)
{
	(void)context;
	(void)arena;
	(void)frame;
	(void)ret_frame;
	return -12;
}

/* Naming runs out of memory: no snapshot, and nothing is left behind. */
Test(snapshot, no_memory_for_names)
{
	const struct namer namer = {.python = no_memory};
	struct snapshot *snapshot = NULL;
	const struct stack_frame frame = site_python(&sites, "f", TEST_FILE, 7);

	(void)site_stack(&sites, &frame, 1);
	site_open(&sites, 1);
	events_exit(&sites.world, &sites.command, 0);
	sites.options.rules = &sites.rules;
	cr_assert_eq(snapshot_new(sites.world.model, &namer, &sites.options, &snapshot), -12);
	cr_assert_null(snapshot);
}
