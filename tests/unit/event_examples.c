/*
 * A good event of each type. See event_examples.h.
 */
#include "event_examples.h"

#include <criterion/criterion.h>

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include "handle_kinds.h"

const char event_example_names[EVENT_EXAMPLE_NAMES_BYTES] = "app.db\0data\0srv";

static void fill_path(struct event_path *path, char *names)
{
	path->bytes = EVENT_EXAMPLE_NAMES_BYTES;
	path->state = PATH_COMPLETE;
	memcpy(names, event_example_names, EVENT_EXAMPLE_NAMES_BYTES);
}

size_t event_example(enum event_type type, union any_event *event)
{
	size_t bytes = 0;

	memset(event, 0, sizeof(*event));
	switch (type) {
	case EVENT_FD_MADE:
		event->fd_made.fd = 5;
		event->fd_made.source_fd = -1;
		event->fd_made.origin = HANDLE_ORIGIN_OPENAT;
		bytes = sizeof(event->fd_made);
		break;
	case EVENT_FD_CLOSED:
		bytes = sizeof(event->fd_closed);
		break;
	case EVENT_FD_RANGE_CLOSED:
		event->fd_range_closed.last = UINT32_MAX;
		bytes = sizeof(event->fd_range_closed);
		break;
	case EVENT_FD_TARGET:
		event->fd_target.mode = S_IFREG;
		fill_path(&event->fd_target.path, event->fd_target.names);
		bytes = offsetof(struct event_fd_target, names) + EVENT_EXAMPLE_NAMES_BYTES;
		break;
	case EVENT_TABLE_NUMBERS:
		event->numbers.count = 3;
		for (int i = 0; i < 3; i++)
			event->numbers.entries[i].fd = i * 2;
		bytes = offsetof(struct event_table_numbers, entries) + 3 * sizeof(struct table_entry);
		break;
	case EVENT_TABLE_LEFT:
		bytes = sizeof(event->table_left);
		break;
	case EVENT_MAP_MADE:
		event->map_made.origin = HANDLE_ORIGIN_MMAP;
		event->map_made.address = 0x7f0000000000;
		event->map_made.length_bytes = 4096;
		bytes = sizeof(event->map_made);
		break;
	case EVENT_MAP_RELEASED:
	case EVENT_MAP_RELEASE_FAILED:
	case EVENT_MAP_MOVE_BEGUN:
	case EVENT_MAP_DONTFORK:
	case EVENT_MAP_DOFORK:
		event->map_released.address = 0x7f0000000000;
		event->map_released.length_bytes = 4096;
		bytes = sizeof(event->map_released);
		break;
	case EVENT_MAP_MOVED:
		event->map_moved.result = 0x7f0000000000;
		event->map_moved.old_length_bytes = 4096;
		event->map_moved.new_length_bytes = 8192;
		bytes = sizeof(event->map_moved);
		break;
	case EVENT_PROCESS_FORKED:
		event->forked.process_id = 101;
		bytes = sizeof(event->forked);
		break;
	case EVENT_PROCESS_EXECED:
		memcpy(event->execed.comm, "fifteen_letters", COMM_BYTES);
		bytes = sizeof(event->execed);
		break;
	case EVENT_PROCESS_ARGUMENTS:
		event->arguments.bytes = 10;
		memcpy(event->arguments.arguments, "pytest\0-q", 10);
		bytes = offsetof(struct event_process_arguments, arguments) + 10;
		break;
	case EVENT_PROCESS_EXITED:
		bytes = sizeof(event->exited);
		break;
	case EVENT_MARK:
		event->mark.mark = SHUTDOWN_FINALIZE;
		memcpy(event->mark.comm, "fifteen_letters", COMM_BYTES);
		bytes = sizeof(event->mark);
		break;
	case EVENT_STACK:
		event->stack.count = 4;
		event->stack.frames[3].kind = FRAME_PYTHON;
		bytes = offsetof(struct event_stack, frames) + 4 * sizeof(struct stack_frame);
		break;
	case EVENT_STACK_COPY:
		event->copy.range_count = 2;
		event->copy.word_count = 3;
		bytes = offsetof(struct event_stack_copy, words) + 3 * sizeof(event->copy.words[0]);
		break;
	case EVENT_PYTHON_CODE:
		event->code.filename_length = 5;
		event->code.filename_kind = 1;
		memcpy(event->code.filename, "a.py", 5);
		event->code.line_table_bytes = 7;
		bytes = offsetof(struct event_python_code, line_table) + 7;
		break;
	case EVENT_FILE:
		event->file.cause = FILE_MAPPED;
		fill_path(&event->file.path, event->file.names);
		bytes = offsetof(struct event_file, names) + EVENT_EXAMPLE_NAMES_BYTES;
		break;
	case EVENT_TEST:
		event->test.bytes = 7;
		memcpy(event->test.name, "test_a", 7);
		bytes = offsetof(struct event_test, name) + 7;
		break;
	case EVENT_PROCESS_FOUND:
		memcpy(event->found.comm, "fifteen_letters", COMM_BYTES);
		bytes = sizeof(event->found);
		break;
	case EVENT_SPACE_RANGES:
		event->ranges.count = 3;
		for (uint64_t i = 0; i < 3; i++) {
			event->ranges.entries[i].start = (1 + i * 2) * 4096;
			event->ranges.entries[i].end = (2 + i * 2) * 4096;
		}
		bytes = offsetof(struct event_space_ranges, entries) + 3 * sizeof(struct space_entry);
		break;
	case EVENT_TYPE_COUNT:
		break;
	}
	cr_assert_neq(bytes, 0, "type %d has an example", type);
	event->header.type = (uint16_t)type;
	event->header.size_bytes = (uint32_t)bytes;
	event->header.process_id = 100;
	return bytes;
}
