/*
 * The model at its maxima, with a hundred thousand of everything, and with contents that nobody should send.
 */
#include <criterion/criterion.h>

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "consume/decode.h"
#include "event_examples.h"
#include "model/build.h"
#include "model/current_test.h"
#include "model/interned.h"
#include "model/points.h"
#include "model/process.h"
#include "model_suite.h"
#include "random_numbers.h"

TestSuite(limits, .init = setup, .fini = teardown);

static uint64_t over_maximum(void)
{
	return model_counters_get(world.model)->over_maximum;
}

Test(limits, processes)
{
	struct actor child;

	for (uint32_t i = 1; i < MODEL_PROCESSES_MAX; i++) {
		child = events_fork_only(&world, &command, 1000 + i, FORK_COPIES);
		events_exit(&world, &child, 0);
	}
	cr_assert_eq(over_maximum(), 0);
	child = events_fork_only(&world, &command, 500000, FORK_COPIES);
	cr_assert_eq(over_maximum(), 1);
	cr_assert_null(process_find(world.model, 500000));
	events_open(&world, &child, 3, 30);
	events_exit(&world, &child, 0);
	events_open(&world, &command, 3, 30);
	cr_assert_eq(world_live(&world, &command), 4, "the others are followed on");
	cr_assert_eq(model_follow(world.model, 600000, 1, 1, "x"), -ENOSPC);
}

Test(limits, handles)
{
	world.model->live_handles += MODEL_HANDLES_MAX - 5;
	events_open(&world, &command, 3, 30);
	events_map(&world, &command, 16, 1, MAP_PRIVATE, 0);
	cr_assert_eq(over_maximum(), 0);
	events_open(&world, &command, 4, 40);
	events_map(&world, &command, 32, 1, MAP_PRIVATE, 0);
	events_target(&world, &command, 9, 90, S_IFREG, "x");
	cr_assert_eq(over_maximum(), 3);
	(void)events_fork(&world, &command, 200, FORK_COPIES);
	cr_assert_eq(over_maximum(), 7, "a child's four numbers");
	command.table = world.next_table++;
	events_exec(&world, &command);
	world.model->live_handles -= MODEL_HANDLES_MAX - 5;
	events_exit(&world, &command, 0);
}

Test(limits, stacks)
{
	struct stack_frame frame = {.kind = FRAME_PYTHON, .code = 5};

	for (uint64_t id = 1; id <= MODEL_STACKS_MAX; id++)
		events_stack(&world, id, &frame, 1);
	cr_assert_eq(over_maximum(), 0);
	events_stack(&world, MODEL_STACKS_MAX + 1, &frame, 1);
	cr_assert_eq(over_maximum(), 1);
	events_stack(&world, 1, NULL, 0);
	cr_assert_eq(over_maximum(), 1, "one that is known is no more than before");
	cr_assert_eq(interned_find_stack(world.model, 1)->count, 1);
	cr_assert_null(interned_find_stack(world.model, MODEL_STACKS_MAX + 1));
	cr_assert_not_null(interned_find_stack(world.model, MODEL_STACKS_MAX));
}

Test(limits, files)
{
	struct file_key key = {.inode = MODEL_FILES_MAX};

	for (uint64_t inode = 1; inode <= MODEL_FILES_MAX; inode++)
		events_file(&world, &command, inode, "lib.so");
	cr_assert_eq(over_maximum(), 0);
	events_file(&world, &command, 1, "other.so");
	cr_assert_eq(over_maximum(), 0);
	events_file(&world, &command, MODEL_FILES_MAX + 1, "lib.so");
	cr_assert_eq(over_maximum(), 1);
	cr_assert_str_eq(interned_find_file(world.model, &key), "/lib.so");
	key.device = 1;
	cr_assert_null(interned_find_file(world.model, &key));
}

Test(limits, tests)
{
	char name[64];

	for (uint64_t i = 1; i <= MODEL_TESTS_MAX; i++) {
		(void)snprintf(name, sizeof(name), "t%llu (call)", (unsigned long long)i);
		events_test(&world, &command, name);
	}
	cr_assert_eq(over_maximum(), 0);
	events_test(&world, &command, "one more");
	cr_assert_eq(over_maximum(), 1);
	cr_assert_eq(current_test_nearest(process_find(world.model, 100)).v, 0);
	events_test(&world, &command, "t77 (teardown)");
	cr_assert_eq(current_test_nearest(process_find(world.model, 100)).v, 77);
}

Test(limits, groups)
{
	struct actor child = events_fork(&world, &command, 200, FORK_COPIES);

	events_open(&world, &child, 3, 30);
	events_open(&world, &child, 4, 40);
	world.model->group_count = MODEL_GROUPS_MAX;
	events_exit(&world, &child, 0);
	cr_assert_eq(over_maximum(), 2);
	cr_assert_eq(world_left_open(&world, 200, HANDLE_KIND_FD), 0);
}

Test(limits, left_open)
{
	struct actor child = events_fork(&world, &command, 200, FORK_COPIES);

	events_open(&world, &child, 3, 30);
	events_open(&world, &child, 4, 40);
	world.model->left_open_count = MODEL_LEFT_OPEN_MAX - 1;
	events_exit(&world, &child, 0);
	cr_assert_eq(over_maximum(), 0);
	cr_assert_eq(world_left_open(&world, 200, HANDLE_KIND_FD), 2);
	child = events_fork(&world, &command, 201, FORK_COPIES);
	events_open(&world, &child, 3, 30);
	events_exit(&world, &child, 0);
	cr_assert_eq(over_maximum(), 1);
	cr_assert_eq(world_left_open(&world, 201, HANDLE_KIND_FD), 0);
}

/* A process with as many descriptors as can be, of as many tests, each made twice. */
Test(limits, large_process)
{
	enum { TESTS = 100000 };
	const struct process *process;
	char name[64];

	world.stack = 9;
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < TESTS; i++) {
			(void)snprintf(name, sizeof(name), "test_%d", i);
			events_test(&world, &command, name);
			events_open(&world, &command, 3 + round * TESTS + i, 30);
		}
	}
	events_mark(&world, &command, SHUTDOWN_FINALIZE);
	events_exit(&world, &command, 0);
	process = world_process(&world, 100);
	cr_assert_eq(process->groups.count, 1);
	cr_assert_eq(process->groups.items[0].count, 2 * TESTS);
	cr_assert_eq(process->groups.items[0].test_count, TESTS);
	for (size_t i = 0; i < TESTS; i++)
		cr_assert_eq(process->groups.items[0].tests[i].made, 2);
}

/* Many processes at once, with many ends: not each end looks at all others. */
Test(limits, many_living_processes)
{
	enum { LIVING = 30000, ENDS = 60000 };
	struct actor child;

	for (uint32_t i = 0; i < LIVING; i++)
		(void)events_fork_only(&world, &command, 1000 + i, FORK_COPIES);
	for (uint32_t i = 0; i < ENDS; i++) {
		child = events_fork_only(&world, &command, 100000 + i, FORK_COPIES);
		events_exit(&world, &child, 0);
	}
	cr_assert_eq(process_find(world.model, 100)->child_count, LIVING);
}

Test(limits, hostile_names)
{
	static const char name[] = "\033[2J\n\xff\xfe %s%n \xe2\x80\xae";
	static char arguments[sizeof(struct event_process_arguments)];
	struct event_process_arguments *event = (void *)arguments;
	const struct model_group *group;

	events_test(&world, &command, name);
	events_open(&world, &command, 3, 30);
	events_target(&world, &command, 3, 30, S_IFREG, name);
	/* No NUL at its end, and empty ones in it. */
	event->bytes = 6;
	memcpy(event->arguments,
	       "a\0\0b\xff"
	       "c",
	       6);
	events_send(&world, &command, EVENT_PROCESS_ARGUMENTS, &event->header,
	            offsetof(struct event_process_arguments, arguments) + 6);
	events_exit(&world, &command, 0);
	group = world_process(&world, 100)->groups.items;
	cr_assert_str_eq(group->samples[0].target + 1, name);
	cr_assert_str_eq(world.model->tests[0]->name, name);
	cr_assert_eq(world_process(&world, 100)->argument_bytes, 7);
}

/* Time that does not go on, or is 0. */
Test(limits, no_time)
{
	struct actor child = events_fork(&world, &command, 200, FORK_COPIES);
	struct event_process_exited event = {.header = {.type = EVENT_PROCESS_EXITED,
	                                                .size_bytes = sizeof(event),
	                                                .process_id = 200,
	                                                .process_start_ns = child.start_ns}};

	events_open(&world, &child, 3, 30);
	cr_assert_not_null(decode_event(&event, sizeof(event)));
	cr_assert_eq(model_apply(world.model, &event.header), 0);
	cr_assert_null(process_find(world.model, 200));
	cr_assert_eq(world_left_open(&world, 200, HANDLE_KIND_FD), 1);
}

static void shrink(uint64_t *state, union any_event *event)
{
	static const uint64_t pointers[] = {0, 1, 2, 3, 4, 5};
	uint64_t a = pointers[random_below(state, 6)], b = pointers[random_below(state, 6)];

	/* Few enough values for events to meet. */
	event->header.process_id = 100 + (uint32_t)random_below(state, 6);
	event->header.thread_id = (uint32_t)random_below(state, 4);
	event->header.time_ns = random_below(state, 100000);
	event->header.process_start_ns = random_below(state, 3);
	switch (event->header.type) {
	case EVENT_FD_MADE:
		event->fd_made.table = a;
		event->fd_made.file = b;
		event->fd_made.fd = (int)random_below(state, 20);
		event->fd_made.source_fd = (int)random_below(state, 20) - 1;
		event->fd_made.origin = (uint16_t)random_below(state, HANDLE_ORIGIN_MAP_UNSEEN);
		break;
	case EVENT_FD_CLOSED:
		event->fd_closed.table = a;
		event->fd_closed.fd = (int)random_below(state, 20);
		break;
	case EVENT_FD_RANGE_CLOSED:
		event->fd_range_closed.table = a;
		event->fd_range_closed.first = (uint32_t)random_below(state, 20);
		event->fd_range_closed.last = (uint32_t)random_below(state, 20);
		break;
	case EVENT_FD_TARGET:
		event->fd_target.table = a;
		event->fd_target.file = b;
		event->fd_target.fd = (int)random_below(state, 20);
		event->fd_target.mode = (uint32_t)random_next(state);
		break;
	case EVENT_TABLE_NUMBERS:
		event->numbers.table = a;
		event->numbers.copied_from = b;
		event->numbers.cause = (uint32_t)random_below(state, TABLE_CAUSE_COUNT);
		event->numbers.lost_fds = random_below(state, 8) ? 0 : random_next(state);
		event->numbers.lost_ns = random_below(state, 100000);
		event->numbers.first = (uint32_t)random_below(state, 2);
		event->numbers.last = (uint32_t)random_below(state, 3);
		for (uint32_t i = 0; i < 3; i++) {
			event->numbers.entries[i].fd = (int)(i * 6 + random_below(state, 6));
			event->numbers.entries[i].file = random_below(state, 6);
		}
		break;
	case EVENT_TABLE_LEFT:
		event->table_left.table = a;
		break;
	case EVENT_PROCESS_FOUND:
		event->found.table = a;
		event->found.space = b;
		break;
	case EVENT_SPACE_RANGES:
		event->ranges.space = a;
		event->ranges.first = (uint32_t)random_below(state, 2);
		event->ranges.last = (uint32_t)random_below(state, 3);
		event->ranges.lost_ns = random_below(state, 8) ? 0 : random_below(state, 100000);
		for (uint64_t i = 0; i < 3; i++) {
			event->ranges.entries[i].start = (i * 10 + random_below(state, 4)) * PAGE;
			event->ranges.entries[i].end = (i * 10 + 5 + random_below(state, 5)) * PAGE;
			event->ranges.entries[i].role = (uint16_t)(random_below(state, 8) / 7);
		}
		break;
	case EVENT_MAP_MADE:
		event->map_made.space = a;
		event->map_made.address = random_below(state, 30) * PAGE;
		event->map_made.length_bytes = (1 + random_below(state, 10)) * PAGE;
		event->map_made.flags = (uint32_t)random_next(state);
		break;
	case EVENT_MAP_RELEASED:
	case EVENT_MAP_RELEASE_FAILED:
	case EVENT_MAP_MOVE_BEGUN:
	case EVENT_MAP_DONTFORK:
	case EVENT_MAP_DOFORK:
		event->map_released.space = a;
		event->map_released.address = random_below(state, 5) * 6 * PAGE;
		event->map_released.length_bytes = random_below(state, 4) * 6 * PAGE;
		break;
	case EVENT_MAP_MOVED:
		event->map_moved.space = a;
		event->map_moved.result = (int64_t)(random_below(state, 30) * PAGE) - 12;
		if (event->map_moved.result > 0)
			event->map_moved.result += 12;
		event->map_moved.old_address = random_below(state, 5) * 6 * PAGE;
		event->map_moved.old_length_bytes = random_below(state, 4) * 6 * PAGE;
		event->map_moved.new_length_bytes = (1 + random_below(state, 20)) * PAGE;
		event->map_moved.flags = random_below(state, 8);
		break;
	case EVENT_PROCESS_FORKED:
		event->forked.process_id = 100 + (uint32_t)random_below(state, 6);
		event->forked.start_ns = random_below(state, 3);
		event->forked.parent_table = a;
		event->forked.parent_space = b;
		event->forked.table = pointers[random_below(state, 6)];
		event->forked.space = pointers[random_below(state, 6)];
		break;
	case EVENT_PROCESS_EXECED:
		event->execed.table = a;
		event->execed.space = b;
		break;
	default:
		break;
	}
}

static void no_progress(void *context, size_t done, size_t total)
{
	(void)context;
	cr_assert_lt(done, total);
}

static int name_nothing(void *context, struct arena *arena, const struct stack_frame *frame,
                        struct snapshot_frame **ret_frames, size_t *ret_count)
{
	static struct snapshot_frame named = {.function = "f", .module = "/bin/f", .file = ""};

	(void)context;
	(void)arena;
	(void)frame;
	*ret_frames = &named;
	*ret_count = 1;
	return 0;
}

static int name_no_python(void *context, struct arena *arena, const struct stack_frame *frame,
                          struct snapshot_frame *ret_frame)
{
	(void)context;
	(void)arena;
	(void)frame;
	*ret_frame = (struct snapshot_frame){
	        .function = "g", .module = "", .file = "g.py", .language = LANGUAGE_PYTHON};
	return 0;
}

static const char *no_target(void *context, struct arena *arena, uint32_t process_id, uint64_t start_ns,
                             int fd)
{
	(void)context;
	(void)arena;
	(void)process_id;
	(void)start_ns;
	(void)fd;
	return NULL;
}

/* What a table opened and did not close is what it holds beside what it inherited. */
static void check_tables(void)
{
	struct fd_table *table, *next;

	HASH_ITER (hh, world.model->tables, table, next) {
		uint64_t live = 0, own = 0;

		for (size_t fd = 0; fd < table->capacity; fd++) {
			live += table->slots[fd].handle != NULL;
			own += table->slots[fd].handle && !table->slots[fd].inherited;
		}
		cr_assert_eq(table->live, live);
		cr_assert_eq(table->opened, table->closed + own);
	}
	cr_assert_leq(model_counters_get(world.model)->reconciled,
	              model_counters_get(world.model)->events * 3);
}

static void take_snapshot(void)
{
	static const uint64_t losses[LOSS_COUNT];
	const struct namer namer = {.native = name_nothing, .python = name_no_python, .target = no_target};
	const struct room_rules rules = {0};
	const struct build_options options = {
	        .now_ns = 1000000,
	        .min_count = 3,
	        .samples = 5,
	        .working_directory = "/",
	        .rules = &rules,
	        .losses = losses,
	        .progress = no_progress,
	};
	struct snapshot *snapshot;

	cr_assert_eq(snapshot_new(world.model, &namer, &options, &snapshot), 0);
	for (size_t i = 0; i < snapshot->group_count; i++) {
		cr_assert_lt(snapshot->groups[i].process, snapshot->process_count);
		cr_assert_lt((unsigned int)snapshot->groups[i].type, HANDLE_TYPE_COUNT);
		cr_assert_eq(snapshot->groups[i].count,
		             snapshot->groups[i].released_never + snapshot->groups[i].released_at_shutdown);
	}
	snapshot_free(snapshot);
}

/* Any events in any order, of few processes, tables and spaces: the model stays whole. */
Test(limits, random_events)
{
	enum { ROUNDS = 200000, SNAPSHOT_EVERY = 5000 };
	static union any_event event;
	uint64_t state = 3;
	size_t taken = 0;

	for (size_t round = 0; round < ROUNDS; round++) {
		enum event_type type = 1 + (enum event_type)random_below(&state, EVENT_TYPE_COUNT - 1);
		size_t bytes = event_example(type, &event);
		const struct event_header *decoded;

		/* Ends are rarer, or little would have the time to grow. */
		if ((type == EVENT_PROCESS_EXITED || type == EVENT_PROCESS_EXECED) && random_below(&state, 4))
			continue;
		shrink(&state, &event);
		if (round % 1000 == 0 && !process_find(world.model, 101))
			cr_assert_eq(model_follow(world.model, 101, 1, 1, "again"), 0);
		decoded = decode_event(&event, bytes);
		if (!decoded)
			continue;
		taken++;
		cr_assert_eq(model_apply(world.model, decoded), 0);
		if (round % 100 == 0)
			check_tables();
		if (round % SNAPSHOT_EVERY == 0)
			take_snapshot();
	}
	cr_assert_gt(taken, ROUNDS / 3);
	take_snapshot();
}
