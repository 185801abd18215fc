/*
 * Validation of what comes out of the ring. See decode.h.
 */
#include "consume/decode.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "handle_kinds.h"
#include "unwind_abi.h"

struct event_size {
	size_t least, most;
};

#define FIXED(type)                                      \
	{                                                \
		sizeof(struct type), sizeof(struct type) \
	}
#define UP_TO(type, member)                                        \
	{                                                          \
		offsetof(struct type, member), sizeof(struct type) \
	}

static const struct event_size event_sizes[EVENT_TYPE_COUNT] = {
        [EVENT_FD_MADE] = FIXED(event_fd_made),
        [EVENT_FD_CLOSED] = FIXED(event_fd_closed),
        [EVENT_FD_RANGE_CLOSED] = FIXED(event_fd_range_closed),
        [EVENT_FD_TARGET] = UP_TO(event_fd_target, names),
        [EVENT_TABLE_NUMBERS] = UP_TO(event_table_numbers, entries),
        [EVENT_TABLE_LEFT] = FIXED(event_table_left),
        [EVENT_MAP_MADE] = FIXED(event_map_made),
        [EVENT_MAP_RELEASED] = FIXED(event_map_released),
        [EVENT_MAP_RELEASE_FAILED] = FIXED(event_map_released),
        [EVENT_MAP_MOVE_BEGUN] = FIXED(event_map_released),
        [EVENT_MAP_DONTFORK] = FIXED(event_map_released),
        [EVENT_MAP_DOFORK] = FIXED(event_map_released),
        [EVENT_MAP_MOVED] = FIXED(event_map_moved),
        [EVENT_PROCESS_FORKED] = FIXED(event_process_forked),
        [EVENT_PROCESS_EXECED] = FIXED(event_process_execed),
        [EVENT_PROCESS_ARGUMENTS] = UP_TO(event_process_arguments, arguments),
        [EVENT_PROCESS_EXITED] = FIXED(event_process_exited),
        [EVENT_MARK] = FIXED(event_mark),
        [EVENT_STACK] = UP_TO(event_stack, frames),
        [EVENT_STACK_COPY] = UP_TO(event_stack_copy, words),
        [EVENT_PYTHON_CODE] = UP_TO(event_python_code, line_table),
        [EVENT_FILE] = UP_TO(event_file, names),
        [EVENT_TEST] = UP_TO(event_test, name),
        [EVENT_PROCESS_FOUND] = FIXED(event_process_found),
        [EVENT_SPACE_RANGES] = UP_TO(event_space_ranges, entries),
};

/* Each name ends with a NUL that is inside. */
static bool names_valid(const struct event_path *path, const char *names, size_t room)
{
	return path->bytes <= room && path->state < PATH_STATE_COUNT &&
	       (!path->bytes || !names[path->bytes - 1]);
}

static bool comm_valid(const char *comm)
{
	return memchr(comm, '\0', COMM_BYTES);
}

static const enum handle_kind origin_kinds[HANDLE_ORIGIN_COUNT] = {
#define HANDLE_ORIGIN(id, kind, name, type) [HANDLE_ORIGIN_##id] = HANDLE_KIND_##kind,
#include "handle_kinds.def"
};

/* The type of a handle follows from its origin, so one of another kind has none. */
static bool origin_valid(uint16_t origin, enum handle_kind kind)
{
	return origin < HANDLE_ORIGIN_COUNT && origin_kinds[origin] == kind;
}

static bool fd_made_valid(const struct event_fd_made *event)
{
	return event->fd >= 0 && event->late <= 1 && origin_valid(event->origin, HANDLE_KIND_FD);
}

static bool map_valid(uint64_t address, uint64_t length_bytes)
{
	return address + length_bytes >= address;
}

static bool map_made_valid(const struct event_map_made *event)
{
	/* A heap may shrink to nothing. */
	return origin_valid(event->origin, HANDLE_KIND_MAP) &&
	       (event->length_bytes || event->origin == HANDLE_ORIGIN_BRK) &&
	       map_valid(event->address, event->length_bytes);
}

static bool map_moved_valid(const struct event_map_moved *event)
{
	/* A call that failed may have asked for anything. include/linux/err.h, MAX_ERRNO */
	if (event->result < 0)
		return event->result >= -4095 &&
		       (!event->moved_bytes || (event->moved_bytes <= event->old_length_bytes &&
		                                map_valid(event->old_address, event->moved_bytes) &&
		                                (int64_t)event->new_address >= 0 &&
		                                map_valid(event->new_address, event->moved_bytes)));
	return map_valid(event->old_address, event->old_length_bytes) && event->new_length_bytes &&
	       map_valid((uint64_t)event->result, event->new_length_bytes);
}

static bool numbers_valid(const struct event_table_numbers *event, size_t bytes)
{
	if (event->count > TABLE_CHUNK_MAX || event->cause >= TABLE_CAUSE_COUNT ||
	    bytes < offsetof(struct event_table_numbers, entries) + event->count * sizeof(struct table_entry))
		return false;
	/* In ascending order, as the kernel's bit set is read. */
	for (size_t i = 0; i < event->count; i++)
		if (event->entries[i].fd < (i ? event->entries[i - 1].fd + 1LL : 0))
			return false;
	return true;
}

static bool ranges_valid(const struct event_space_ranges *event, size_t bytes)
{
	if (event->count > SPACE_CHUNK_MAX ||
	    bytes < offsetof(struct event_space_ranges, entries) + event->count * sizeof(struct space_entry))
		return false;
	for (size_t i = 0; i < event->count; i++) {
		const struct space_entry *entry = &event->entries[i];

		if (entry->start >= entry->end || (i && entry->start < event->entries[i - 1].end) ||
		    entry->role >= SPACE_ROLE_COUNT)
			return false;
	}
	return true;
}

static bool stack_valid(const struct event_stack *event, size_t bytes)
{
	if (event->count > STACK_FRAMES_SENT_MAX || event->end >= STACK_END_COUNT ||
	    bytes < offsetof(struct event_stack, frames) + event->count * sizeof(struct stack_frame))
		return false;
	for (size_t i = 0; i < event->count; i++)
		if (event->frames[i].kind >= FRAME_KIND_COUNT)
			return false;
	return true;
}

static bool copy_valid(const struct event_stack_copy *event, size_t bytes)
{
	return event->range_count <= STACK_COPY_RANGES && event->word_count <= STACK_COPY_WORDS &&
	       bytes >=
	               offsetof(struct event_stack_copy, words) + event->word_count * sizeof(event->words[0]);
}

static bool contents_valid(const struct event_header *header, size_t bytes)
{
	const void *event = header;

	switch (header->type) {
	case EVENT_FD_MADE:
		return fd_made_valid(event);
	case EVENT_FD_CLOSED:
		return ((const struct event_fd_closed *)event)->fd >= 0;
	case EVENT_FD_TARGET: {
		const struct event_fd_target *target = event;

		return target->fd >= 0 && names_valid(&target->path, target->names,
		                                      bytes - offsetof(struct event_fd_target, names));
	}
	case EVENT_TABLE_NUMBERS:
		return numbers_valid(event, bytes);
	case EVENT_SPACE_RANGES:
		return ranges_valid(event, bytes);
	case EVENT_PROCESS_FOUND:
		return comm_valid(((const struct event_process_found *)event)->comm);
	case EVENT_MAP_MADE:
		return map_made_valid(event);
	case EVENT_MAP_MOVED:
		return map_moved_valid(event);
	case EVENT_PROCESS_FORKED: {
		const struct event_process_forked *forked = event;

		return comm_valid(forked->comm) && forked->process_id != header->process_id;
	}
	case EVENT_PROCESS_EXECED:
		return comm_valid(((const struct event_process_execed *)event)->comm);
	case EVENT_PROCESS_ARGUMENTS:
		return ((const struct event_process_arguments *)event)->bytes <=
		       bytes - offsetof(struct event_process_arguments, arguments);
	case EVENT_MARK: {
		const struct event_mark *mark = event;

		return mark->mark > SHUTDOWN_NONE && mark->mark < SHUTDOWN_COUNT && comm_valid(mark->comm);
	}
	case EVENT_STACK_COPY:
		return copy_valid(event, bytes);
	case EVENT_STACK:
		return stack_valid(event, bytes);
	case EVENT_FILE: {
		const struct event_file *file = event;

		return file->cause < FILE_CAUSE_COUNT &&
		       names_valid(&file->path, file->names, bytes - offsetof(struct event_file, names));
	}
	case EVENT_TEST: {
		const struct event_test *test = event;

		return test->source < TEST_SOURCE_COUNT && test->bytes >= 1 &&
		       test->bytes <= bytes - offsetof(struct event_test, name) &&
		       !test->name[test->bytes - 1];
	}
	default:
		return true;
	}
}

const struct event_header *decode_event(const void *data, size_t bytes)
{
	const struct event_header *header = data;

	if (bytes < sizeof(*header) || header->type == 0 || header->type >= EVENT_TYPE_COUNT ||
	    header->size_bytes > bytes || header->size_bytes < event_sizes[header->type].least ||
	    header->size_bytes > event_sizes[header->type].most ||
	    !contents_valid(header, header->size_bytes))
		return NULL;
	return header;
}

/* @return where the outermost of the names begins */
static size_t outermost_name(const char *names, size_t end)
{
	size_t start = end - 1;

	while (start > 0 && names[start - 1])
		start--;
	return start;
}

char *decode_path(const struct event_path *path, const char *names)
{
	static const char longest[] = "[detached ]/";
	size_t end = path->bytes, at = 0;
	size_t room = sizeof(longest) + path->bytes + 1;
	char *text = malloc(room);

	if (!text)
		return NULL;
	if (path->state == PATH_TRUNCATED) {
		at = (size_t)snprintf(text, room, "...");
	} else if (path->state == PATH_COMPLETE && !end) {
		text[at++] = '/';
	} else if (path->state == PATH_DETACHED && end) {
		size_t start = outermost_name(names, end);

		at = (size_t)snprintf(text, room, "[detached %s]%s", names + start, start ? "" : "/");
		end = start;
	}
	/* Innermost first: the last name is the outermost. */
	while (end > 0) {
		size_t start = outermost_name(names, end), length = end - 1 - start;

		if (path->state != PATH_BARE)
			text[at++] = '/';
		memcpy(text + at, names + start, length);
		at += length;
		end = start;
	}
	text[at] = '\0';
	return text;
}
