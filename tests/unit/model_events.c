/*
 * Made-up processes for the model. See model_events.h.
 */
#include "model_events.h"

#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "consume/decode.h"
#include "model/points.h"
#include "model/process.h"

void world_begin(struct world *world)
{
	*world = (struct world){
	        .now_ns = 1000000,
	        .next_table = 0xffff000000001000,
	        .next_space = 0xffff100000001000,
	        .chunk = TABLE_CHUNK_MAX,
	};
	cr_assert_eq(model_new(&world->model), 0);
}

void world_end(struct world *world)
{
	model_free(world->model);
	world->model = NULL;
}

struct actor world_command(struct world *world)
{
	static const struct table_entry standard[] = {
	        {1, 0, S_IFCHR | 0620}, {2, 1, S_IFIFO | 0600}, {3, 2, S_IFCHR | 0620}};
	struct actor actor = {
	        .process_id = 100,
	        .thread_id = 100,
	        .start_ns = world->now_ns,
	        .table = world->next_table++,
	        .space = world->next_space++,
	};

	cr_assert_eq(model_follow(world->model, 100, 50, actor.start_ns, "leftopen"), 0);
	events_exec(world, &actor);
	events_numbers(world, &actor, TABLE_EXECED, standard, 3);
	return actor;
}

void events_send(struct world *world, const struct actor *actor, enum event_type type,
                 struct event_header *event, size_t bytes)
{
	const struct event_header *decoded;

	world->now_ns += 1000;
	event->type = (uint16_t)type;
	event->size_bytes = (uint32_t)bytes;
	/* A release has a time only where it is told late. */
	if (!event->time_ns && type != EVENT_FD_CLOSED)
		event->time_ns = world->now_ns;
	event->process_id = actor->process_id;
	event->thread_id = actor->thread_id;
	event->process_start_ns = actor->start_ns;
	decoded = decode_event(event, bytes);
	cr_assert_not_null(decoded, "event of type %d", type);
	cr_assert_eq(model_apply(world->model, decoded), 0);
}

#define SEND(world, actor, type, event) events_send(world, actor, type, &(event).header, sizeof(event))

void events_made(struct world *world, const struct actor *actor, int fd, uint64_t file,
                 enum handle_origin origin, int source_fd, uint16_t mode)
{
	struct event_fd_made event = {
	        .table = actor->table,
	        .file = file,
	        .stack = world->stack,
	        .inode = world->inode ? world->inode : file,
	        .fd = fd,
	        .source_fd = source_fd,
	        .origin = (uint16_t)origin,
	        .mode = mode,
	};

	SEND(world, actor, EVENT_FD_MADE, event);
}

void events_open(struct world *world, const struct actor *actor, int fd, uint64_t file)
{
	events_made(world, actor, fd, file, HANDLE_ORIGIN_OPENAT, -1, S_IFREG | 0644);
}

void events_pair(struct world *world, const struct actor *actor, int fd, enum handle_origin origin,
                 uint16_t mode)
{
	uint64_t time_ns = world->now_ns + 1;

	for (int end = 0; end < 2; end++) {
		struct event_fd_made event = {
		        .header.time_ns = time_ns,
		        .table = actor->table,
		        .file = 0x5000 + (uint64_t)(fd + end),
		        .stack = world->stack,
		        .fd = fd + end,
		        .source_fd = -1,
		        .origin = (uint16_t)origin,
		        .mode = mode,
		};

		SEND(world, actor, EVENT_FD_MADE, event);
	}
}

void events_close(struct world *world, const struct actor *actor, int fd)
{
	struct event_fd_closed event = {.table = actor->table, .fd = fd};

	SEND(world, actor, EVENT_FD_CLOSED, event);
}

void events_close_range(struct world *world, const struct actor *actor, uint32_t first, uint32_t last)
{
	struct event_fd_range_closed event = {.table = actor->table, .first = first, .last = last};

	SEND(world, actor, EVENT_FD_RANGE_CLOSED, event);
}

void events_numbers_chunk(struct world *world, const struct actor *actor, enum table_cause cause,
                          const struct table_entry *entries, size_t count, bool first, bool last)
{
	static struct event_table_numbers event;

	memset(&event, 0, sizeof(event));
	event.table = actor->table;
	event.copied_from = actor->copied_from;
	event.cause = cause;
	event.first = first;
	event.last = last;
	event.count = (uint32_t)count;
	if (count)
		memcpy(event.entries, entries, count * sizeof(*entries));
	events_send(world, actor, EVENT_TABLE_NUMBERS, &event.header,
	            offsetof(struct event_table_numbers, entries) + count * sizeof(*entries));
}

void events_numbers(struct world *world, const struct actor *actor, enum table_cause cause,
                    const struct table_entry *entries, size_t count)
{
	size_t at = 0;

	do {
		size_t some = count - at < world->chunk ? count - at : world->chunk;

		events_numbers_chunk(world, actor, cause, entries + at, some, at == 0, at + some == count);
		at += some;
	} while (at < count);
}

void events_numbers_same(struct world *world, const struct actor *actor, uint64_t table,
                         enum table_cause cause)
{
	const struct fd_table *known = points_table_find(world->model, table);
	struct table_entry *entries;
	size_t count = 0;

	cr_assert_not_null(known);
	entries = calloc(known->live + 1, sizeof(*entries));
	cr_assert_not_null(entries);
	for (size_t fd = 0; fd < known->capacity; fd++) {
		const struct handle *handle = known->slots[fd].handle;

		if (handle)
			entries[count++] = (struct table_entry){handle->file, (int)fd, handle->mode};
	}
	events_numbers(world, actor, cause, entries, count);
	free(entries);
}

struct actor events_unshare(struct world *world, const struct actor *actor, uint32_t thread_id,
                            const struct table_entry *entries, size_t count)
{
	struct actor thread = *actor;

	thread.thread_id = thread_id;
	thread.copied_from = actor->table;
	thread.table = world->next_table++;
	events_numbers(world, &thread, TABLE_UNSHARED, entries, count);
	return thread;
}

void events_left(struct world *world, const struct actor *actor)
{
	struct event_table_left event = {.table = actor->table};

	SEND(world, actor, EVENT_TABLE_LEFT, event);
}

/* @return bytes of a path of one name */
static size_t fill_name(struct event_path *path, char *names, const char *name, enum path_state state)
{
	size_t bytes = strlen(name) + 1;

	cr_assert_leq(bytes, PATH_NAMES_BYTES);
	path->bytes = (uint32_t)bytes;
	path->state = state;
	memcpy(names, name, bytes);
	return bytes;
}

void events_target(struct world *world, const struct actor *actor, int fd, uint64_t file, uint32_t mode,
                   const char *name)
{
	static struct event_fd_target event;
	size_t bytes;

	memset(&event, 0, sizeof(event));
	event.table = actor->table;
	event.file = file;
	event.fd = fd;
	event.mode = mode;
	bytes = fill_name(&event.path, event.names, name, S_ISREG(mode) ? PATH_COMPLETE : PATH_BARE);
	events_send(world, actor, EVENT_FD_TARGET, &event.header,
	            offsetof(struct event_fd_target, names) + bytes);
}

void events_map(struct world *world, const struct actor *actor, uint64_t page, uint64_t pages, uint32_t flags,
                uint64_t inode)
{
	struct event_map_made event = {
	        .space = actor->space,
	        .address = page * PAGE,
	        .length_bytes = pages * PAGE,
	        .stack = world->stack,
	        .key = {.inode = inode},
	        .flags = flags,
	        .origin = HANDLE_ORIGIN_MMAP,
	        .mode = inode ? S_IFREG | 0644 : 0,
	};

	SEND(world, actor, EVENT_MAP_MADE, event);
}

static void send_range(struct world *world, const struct actor *actor, enum event_type type, uint64_t page,
                       uint64_t pages)
{
	struct event_map_released event = {
	        .space = actor->space, .address = page * PAGE, .length_bytes = pages * PAGE};

	SEND(world, actor, type, event);
}

void events_unmap(struct world *world, const struct actor *actor, uint64_t page, uint64_t pages)
{
	send_range(world, actor, EVENT_MAP_RELEASED, page, pages);
}

void events_unmap_failed(struct world *world, const struct actor *actor, uint64_t page, uint64_t pages)
{
	send_range(world, actor, EVENT_MAP_RELEASE_FAILED, page, pages);
}

void events_move_begin(struct world *world, const struct actor *actor, uint64_t page, uint64_t pages)
{
	send_range(world, actor, EVENT_MAP_MOVE_BEGUN, page, pages);
}

void events_move_end(struct world *world, const struct actor *actor, uint64_t page, uint64_t pages,
                     int64_t to, uint64_t new_pages, uint64_t flags)
{
	struct event_map_moved event = {
	        .space = actor->space,
	        .result = to < 0 ? to : to * (int64_t)PAGE,
	        .old_address = page * PAGE,
	        .old_length_bytes = pages * PAGE,
	        .new_length_bytes = new_pages * PAGE,
	        .flags = flags,
	        .stack = world->stack,
	};

	SEND(world, actor, EVENT_MAP_MOVED, event);
}

struct actor events_fork_only(struct world *world, const struct actor *parent, uint32_t process_id,
                              enum fork_sharing sharing)
{
	struct actor child = {
	        .process_id = process_id,
	        .thread_id = process_id,
	        .start_ns = world->now_ns + 1,
	        .table = sharing & FORK_SHARES_TABLE ? parent->table : world->next_table++,
	        .space = sharing & FORK_SHARES_SPACE ? parent->space : world->next_space++,
	        .copied_from = parent->table,
	};
	struct event_process_forked event = {
	        .parent_table = parent->table,
	        .parent_space = parent->space,
	        .table = child.table,
	        .space = child.space,
	        .start_ns = child.start_ns,
	        .process_id = process_id,
	        .fd_limit = 1024,
	        .comm = "child",
	};

	SEND(world, parent, EVENT_PROCESS_FORKED, event);
	return child;
}

struct actor events_fork(struct world *world, const struct actor *parent, uint32_t process_id,
                         enum fork_sharing sharing)
{
	struct actor child = events_fork_only(world, parent, process_id, sharing);

	if (child.table != parent->table)
		events_numbers_same(world, &child, parent->table, TABLE_FORKED);
	return child;
}

void events_exec(struct world *world, struct actor *actor)
{
	struct event_process_execed event = {
	        .table = actor->table,
	        .space = world->next_space++,
	        .fd_limit = 1024,
	        .exe = {.inode = 77},
	        .parent_id = 50,
	        .comm = "program",
	};

	actor->space = event.space;
	SEND(world, actor, EVENT_PROCESS_EXECED, event);
}

void events_mark(struct world *world, const struct actor *actor, enum shutdown_mark mark)
{
	struct event_mark event = {
	        .table = actor->table, .space = actor->space, .mark = mark, .vmas = 12, .fd_limit = 1024};

	SEND(world, actor, EVENT_MARK, event);
}

void events_exit(struct world *world, const struct actor *actor, int status)
{
	struct event_process_exited event = {.table = actor->table, .status = status, .fd_limit = 1024};

	SEND(world, actor, EVENT_PROCESS_EXITED, event);
}

void events_test(struct world *world, const struct actor *actor, const char *name)
{
	events_test_from(world, actor, TEST_ANNOUNCED, name);
}

void events_test_from(struct world *world, const struct actor *actor, enum test_source source,
                      const char *name)
{
	static struct event_test event;
	size_t bytes = strlen(name) + 1;

	memset(&event, 0, sizeof(event));
	cr_assert_leq(bytes, TEST_NAME_BYTES);
	event.bytes = (uint32_t)bytes;
	event.source = source;
	memcpy(event.name, name, bytes);
	events_send(world, actor, EVENT_TEST, &event.header, offsetof(struct event_test, name) + bytes);
}

void events_file(struct world *world, const struct actor *actor, uint64_t inode, const char *name)
{
	static struct event_file event;
	size_t bytes;

	memset(&event, 0, sizeof(event));
	event.key.inode = inode;
	event.cause = FILE_MAPPED;
	bytes = fill_name(&event.path, event.names, name, PATH_COMPLETE);
	events_send(world, actor, EVENT_FILE, &event.header, offsetof(struct event_file, names) + bytes);
}

void events_stack(struct world *world, uint64_t id, const struct stack_frame *frames, size_t count)
{
	static const struct actor kernel;
	static struct event_stack event;

	memset(&event, 0, sizeof(event));
	event.id = id;
	event.count = (uint32_t)count;
	if (count)
		memcpy(event.frames, frames, count * sizeof(*frames));
	events_send(world, &kernel, EVENT_STACK, &event.header,
	            offsetof(struct event_stack, frames) + count * sizeof(*frames));
}

const struct process *world_process(const struct world *world, uint32_t process_id)
{
	const struct process *found = NULL;

	for (const struct process *process = world->model->first; process; process = process->next)
		if (process->process_id == process_id)
			found = process;
	return found;
}

uint64_t world_file(const struct world *world, const struct actor *actor, int fd)
{
	const struct process *process = process_find(world->model, actor->process_id);
	const struct point_slot *slot;

	cr_assert_not_null(process);
	slot = process->table ? points_slot(process->table, fd) : NULL;
	return slot && slot->handle ? slot->handle->file : 0;
}

uint64_t world_live(const struct world *world, const struct actor *actor)
{
	const struct process *process = process_find(world->model, actor->process_id);

	cr_assert_not_null(process);
	return process->table ? process->table->live : 0;
}

static uint64_t sum_groups(const struct world *world, uint32_t process_id, enum handle_kind kind,
                           bool released)
{
	const struct process *process = world_process(world, process_id);
	uint64_t sum = 0;

	cr_assert_not_null(process);
	cr_assert_neq(process->ended_ns, 0, "the process is gone");
	for (size_t i = 0; i < process->groups.count; i++) {
		const struct model_group *group = &process->groups.items[i];

		cr_assert_eq(group->count, group->never + group->at_shutdown);
		if (group->kind == kind)
			sum += released ? group->at_shutdown : group->count;
	}
	return sum;
}

uint64_t world_left_open(const struct world *world, uint32_t process_id, enum handle_kind kind)
{
	return sum_groups(world, process_id, kind, false);
}

uint64_t world_released(const struct world *world, uint32_t process_id, enum handle_kind kind)
{
	return sum_groups(world, process_id, kind, true);
}
