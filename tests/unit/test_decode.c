/*
 * consume/decode.c: what is accepted can be read without a further look, whatever a broken or hostile sender
 * put into it; paths as the kernel walked them.
 */
#include <criterion/criterion.h>

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "consume/decode.h"
#include "handle_kinds.h"
#include "model/targets.h"
#include "event_examples.h"
#include "random_numbers.h"
#include "symbols/python_codes.h"

/* Events are read where a byte too far is a crash: before a page that cannot be read, or, under
 * AddressSanitizer, in memory of just their size. */
#define ROOM_BYTES 32768

static unsigned char *room;
static void *piece;

static void setup(void)
{
	room = mmap(NULL, ROOM_BYTES + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	cr_assert_neq(room, MAP_FAILED);
	cr_assert_eq(mprotect(room + ROOM_BYTES, 4096, PROT_NONE), 0);
}

static void teardown(void)
{
	free(piece);
	piece = NULL;
	(void)munmap(room, ROOM_BYTES + 4096);
}

TestSuite(decode, .init = setup, .fini = teardown);

static const struct event_header *decode(const void *event, size_t bytes)
{
	void *at;

#ifdef __SANITIZE_ADDRESS__
	free(piece);
	at = piece = malloc(bytes ? bytes : 1);
#else
	at = room + ROOM_BYTES - (bytes + 7) / 8 * 8;
#endif
	memcpy(at, event, bytes);
	return decode_event(at, bytes);
}

#define EACH_TYPE(type) (enum event_type type = 1; type < EVENT_TYPE_COUNT; type++)

static bool is_fixed(enum event_type type)
{
	switch (type) {
	case EVENT_FD_TARGET:
	case EVENT_TABLE_NUMBERS:
	case EVENT_PROCESS_ARGUMENTS:
	case EVENT_STACK:
	case EVENT_STACK_COPY:
	case EVENT_PYTHON_CODE:
	case EVENT_FILE:
	case EVENT_TEST:
	case EVENT_SPACE_RANGES:
		return false;
	default:
		return true;
	}
}

static volatile uint64_t sink;

static void read_bytes(const void *from, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		sink += ((const volatile unsigned char *)from)[i];
}

static void read_string(char *string)
{
	cr_assert_not_null(string);
	read_bytes(string, strlen(string) + 1);
	free(string);
}

static void read_code(const struct event_python_code *event)
{
	struct python_codes *codes;

	cr_assert_eq(python_codes_new(&codes), 0);
	cr_assert_eq(python_codes_add(codes, event), 0);
	python_codes_free(codes);
}

/* Reads of an accepted event all that its consumers read. */
static void read_through(const struct event_header *header)
{
	const union any_event *event = (const void *)header;

	read_bytes(header, header->size_bytes);
	switch (header->type) {
	case EVENT_FD_TARGET:
		read_string(decode_path(&event->fd_target.path, event->fd_target.names));
		read_string(targets_describe(&event->fd_target));
		break;
	case EVENT_TABLE_NUMBERS:
		read_bytes(event->numbers.entries, event->numbers.count * sizeof(struct table_entry));
		for (uint32_t i = 1; i < event->numbers.count; i++)
			cr_assert_lt(event->numbers.entries[i - 1].fd, event->numbers.entries[i].fd);
		break;
	case EVENT_PROCESS_FORKED:
		read_bytes(event->forked.comm, strlen(event->forked.comm) + 1);
		break;
	case EVENT_PROCESS_EXECED:
		read_bytes(event->execed.comm, strlen(event->execed.comm) + 1);
		break;
	case EVENT_PROCESS_ARGUMENTS:
		read_bytes(event->arguments.arguments, event->arguments.bytes);
		break;
	case EVENT_STACK:
		read_bytes(event->stack.frames, event->stack.count * sizeof(struct stack_frame));
		break;
	case EVENT_STACK_COPY:
		read_bytes(event->copy.ranges, event->copy.range_count * sizeof(event->copy.ranges[0]));
		read_bytes(event->copy.words, event->copy.word_count * sizeof(event->copy.words[0]));
		break;
	case EVENT_PYTHON_CODE:
		read_code(&event->code);
		break;
	case EVENT_FILE:
		read_string(decode_path(&event->file.path, event->file.names));
		break;
	case EVENT_TEST:
		read_bytes(event->test.name, strlen(event->test.name) + 1);
		break;
	default:
		break;
	}
}

Test(decode, every_type)
{
	static union any_event event;

	for
		EACH_TYPE(type)
		{
			size_t bytes = event_example(type, &event);
			const struct event_header *header = decode(&event, bytes);

			cr_assert_not_null(header, "type %d", type);
			cr_assert_eq(header->type, type);
			read_through(header);
		}
}

Test(decode, cut_at_every_length)
{
	static union any_event event;

	for
		EACH_TYPE(type)
		{
			size_t bytes = event_example(type, &event);

			for (size_t cut = 0; cut < bytes; cut++) {
				event.header.size_bytes = (uint32_t)bytes;
				cr_assert_null(decode(&event, cut), "type %d, %zu bytes of %zu", type, cut,
				               bytes);
			}
		}
}

/* The size that it claims is another than its type's, or than what its counts need. */
Test(decode, claims_another_size)
{
	static union any_event event;

	for
		EACH_TYPE(type)
		{
			size_t bytes = event_example(type, &event);

			for (size_t claimed = 0; claimed < bytes; claimed++) {
				event.header.size_bytes = (uint32_t)claimed;
				if (type == EVENT_PYTHON_CODE &&
				    claimed >= offsetof(struct event_python_code, line_table))
					continue; /* a line table may be cut: its reader takes what was sent
					           */
				cr_assert_null(decode(&event, claimed), "type %d, %zu of %zu", type, claimed,
				               bytes);
				cr_assert_null(decode(&event, bytes), "type %d, %zu of %zu", type, claimed,
				               bytes);
			}
			event.header.size_bytes = (uint32_t)bytes + 1;
			cr_assert_null(decode(&event, bytes), "more than there is");
			cr_assert_eq(!decode(&event, bytes + 1), is_fixed(type), "type %d", type);
			event.header.size_bytes = UINT32_MAX;
			cr_assert_null(decode(&event, bytes));
			event.header.size_bytes = (uint32_t)sizeof(event) + 8;
			memset(room, 0, ROOM_BYTES);
			memcpy(room, &event, bytes);
			cr_assert_null(decode_event(room, ROOM_BYTES), "type %d, larger than any", type);
		}
}

Test(decode, unknown_types)
{
	static union any_event event;
	static const unsigned int types[] = {0, EVENT_TYPE_COUNT, EVENT_TYPE_COUNT + 1, 0xffff};

	for
		EACH_TYPE(type)
		{
			size_t bytes = event_example(type, &event);

			for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
				event.header.type = (uint16_t)types[i];
				cr_assert_null(decode(&event, bytes));
			}
		}
	cr_assert_null(decode(&event, 0));
}

/* Changes one member of a good event. */
#define REFUSED(type, member, value)                                                     \
	do {                                                                             \
		size_t bytes_ = event_example(type, &event);                             \
                                                                                         \
		event.member = (value);                                                  \
		cr_assert_null(decode(&event, bytes_), #type ": " #member " = " #value); \
	} while (0)
#define ACCEPTED(type, member, value)                                                        \
	do {                                                                                 \
		size_t bytes_ = event_example(type, &event);                                 \
                                                                                             \
		event.member = (value);                                                      \
		cr_assert_not_null(decode(&event, bytes_), #type ": " #member " = " #value); \
	} while (0)

Test(decode, descriptors_out_of_range)
{
	static union any_event event;

	REFUSED(EVENT_FD_MADE, fd_made.fd, -1);
	REFUSED(EVENT_FD_MADE, fd_made.fd, INT32_MIN);
	ACCEPTED(EVENT_FD_MADE, fd_made.fd, INT32_MAX);
	ACCEPTED(EVENT_FD_MADE, fd_made.source_fd, INT32_MIN);
	ACCEPTED(EVENT_FD_MADE, fd_made.late, 1);
	REFUSED(EVENT_FD_MADE, fd_made.late, 2);
	REFUSED(EVENT_FD_MADE, fd_made.origin, HANDLE_ORIGIN_COUNT);
	REFUSED(EVENT_FD_MADE, fd_made.origin, 0xffff);
	/* A descriptor that mmap made would have a type that no table has a name for. */
	REFUSED(EVENT_FD_MADE, fd_made.origin, HANDLE_ORIGIN_MMAP);
	REFUSED(EVENT_FD_CLOSED, fd_closed.fd, -1);
	REFUSED(EVENT_FD_TARGET, fd_target.fd, -7);
	REFUSED(EVENT_FD_TARGET, fd_target.path.state, PATH_STATE_COUNT);
	REFUSED(EVENT_FD_TARGET, fd_target.path.bytes, EVENT_EXAMPLE_NAMES_BYTES + 1);
	REFUSED(EVENT_FD_TARGET, fd_target.path.bytes, UINT32_MAX);
	REFUSED(EVENT_FD_TARGET, fd_target.names[EVENT_EXAMPLE_NAMES_BYTES - 1], 'x');
	ACCEPTED(EVENT_FD_TARGET, fd_target.path.bytes, 0);
	REFUSED(EVENT_TABLE_NUMBERS, numbers.count, 4);
	REFUSED(EVENT_TABLE_NUMBERS, numbers.count, TABLE_CHUNK_MAX + 1);
	REFUSED(EVENT_TABLE_NUMBERS, numbers.count, UINT32_MAX);
	REFUSED(EVENT_TABLE_NUMBERS, numbers.cause, TABLE_CAUSE_COUNT);
	REFUSED(EVENT_TABLE_NUMBERS, numbers.entries[0].fd, -1);
	REFUSED(EVENT_TABLE_NUMBERS, numbers.entries[2].fd, -1);
	REFUSED(EVENT_TABLE_NUMBERS, numbers.entries[1].fd, 0);
	REFUSED(EVENT_TABLE_NUMBERS, numbers.entries[1].fd, 5);
	REFUSED(EVENT_TABLE_NUMBERS, numbers.entries[0].fd, INT32_MAX);
	ACCEPTED(EVENT_TABLE_NUMBERS, numbers.entries[2].fd, INT32_MAX);
	ACCEPTED(EVENT_TABLE_NUMBERS, numbers.count, 0);
	REFUSED(EVENT_SPACE_RANGES, ranges.count, 4);
	REFUSED(EVENT_SPACE_RANGES, ranges.count, SPACE_CHUNK_MAX + 1);
	REFUSED(EVENT_SPACE_RANGES, ranges.entries[0].end, 4096);
	REFUSED(EVENT_SPACE_RANGES, ranges.entries[1].start, 4096);
	REFUSED(EVENT_SPACE_RANGES, ranges.entries[2].role, SPACE_ROLE_COUNT);
	ACCEPTED(EVENT_SPACE_RANGES, ranges.entries[1].start, 2 * 4096);
	ACCEPTED(EVENT_SPACE_RANGES, ranges.count, 0);
}

static bool half_moved_accepted(uint64_t new_address, uint64_t moved_bytes)
{
	static union any_event event;
	size_t bytes = event_example(EVENT_MAP_MOVED, &event);

	event.map_moved.result = -EPERM;
	event.map_moved.old_address = 4096;
	event.map_moved.old_length_bytes = 3 * 4096;
	event.map_moved.new_address = new_address;
	event.map_moved.moved_bytes = moved_bytes;
	return decode(&event, bytes);
}

Test(decode, move_in_part_out_of_range)
{
	cr_assert(half_moved_accepted(0, 0));
	cr_assert(half_moved_accepted(4096, 3 * 4096));
	cr_assert_not(half_moved_accepted(4096, 4 * 4096));
	cr_assert_not(half_moved_accepted(4096, UINT64_MAX));
	cr_assert_not(half_moved_accepted(UINT64_MAX - 4095, 4096));
	cr_assert_not(half_moved_accepted(1ULL << 63, 4096));
	/* In vain it may ask for any address. */
	cr_assert(half_moved_accepted(UINT64_MAX, 0));
}

Test(decode, mappings_out_of_range)
{
	static union any_event event;

	REFUSED(EVENT_MAP_MADE, map_made.origin, HANDLE_ORIGIN_COUNT);
	REFUSED(EVENT_MAP_MADE, map_made.origin, HANDLE_ORIGIN_OPENAT);
	REFUSED(EVENT_MAP_MADE, map_made.length_bytes, 0);
	REFUSED(EVENT_MAP_MADE, map_made.length_bytes, UINT64_MAX);
	ACCEPTED(EVENT_MAP_MADE, map_made.address, UINT64_MAX - 4096);
	REFUSED(EVENT_MAP_MADE, map_made.address, UINT64_MAX - 4095);
	/* What a process asked for in vain may be anything. */
	ACCEPTED(EVENT_MAP_RELEASED, map_released.length_bytes, UINT64_MAX);
	ACCEPTED(EVENT_MAP_RELEASE_FAILED, map_released.length_bytes, UINT64_MAX);
	ACCEPTED(EVENT_MAP_MOVE_BEGUN, map_released.length_bytes, UINT64_MAX);
	ACCEPTED(EVENT_MAP_DONTFORK, map_released.length_bytes, UINT64_MAX);
	ACCEPTED(EVENT_MAP_DOFORK, map_released.length_bytes, UINT64_MAX);
	ACCEPTED(EVENT_MAP_MOVED, map_moved.result, -EFAULT);
	ACCEPTED(EVENT_MAP_MOVED, map_moved.result, -4095);
	REFUSED(EVENT_MAP_MOVED, map_moved.result, -4096);
	REFUSED(EVENT_MAP_MOVED, map_moved.result, INT64_MIN);
	REFUSED(EVENT_MAP_MOVED, map_moved.new_length_bytes, 0);
	REFUSED(EVENT_MAP_MOVED, map_moved.new_length_bytes, UINT64_MAX);
	REFUSED(EVENT_MAP_MOVED, map_moved.old_address, UINT64_MAX);
	ACCEPTED(EVENT_MAP_MOVED, map_moved.old_length_bytes, 0);
}

Test(decode, others_out_of_range)
{
	static union any_event event;
	size_t bytes;

	REFUSED(EVENT_PROCESS_FORKED, forked.process_id, 100);
	REFUSED(EVENT_PROCESS_EXECED, execed.comm[COMM_BYTES - 1], 'x');
	REFUSED(EVENT_MARK, mark.comm[COMM_BYTES - 1], 'x');
	bytes = event_example(EVENT_PROCESS_FORKED, &event);
	memset(event.forked.comm, 'x', COMM_BYTES);
	cr_assert_null(decode(&event, bytes));
	REFUSED(EVENT_PROCESS_ARGUMENTS, arguments.bytes, 11);
	REFUSED(EVENT_PROCESS_ARGUMENTS, arguments.bytes, UINT32_MAX);
	ACCEPTED(EVENT_PROCESS_ARGUMENTS, arguments.bytes, 9);
	REFUSED(EVENT_MARK, mark.mark, SHUTDOWN_NONE);
	REFUSED(EVENT_MARK, mark.mark, SHUTDOWN_COUNT);
	REFUSED(EVENT_MARK, mark.mark, UINT32_MAX);
	REFUSED(EVENT_STACK, stack.count, 5);
	REFUSED(EVENT_STACK, stack.count, STACK_FRAMES_SENT_MAX + 1);
	REFUSED(EVENT_STACK, stack.count, UINT32_MAX);
	REFUSED(EVENT_STACK, stack.end, STACK_END_COUNT);
	REFUSED(EVENT_STACK, stack.frames[2].kind, FRAME_KIND_COUNT);
	ACCEPTED(EVENT_STACK, stack.count, 0);
	REFUSED(EVENT_STACK_COPY, copy.range_count, STACK_COPY_RANGES + 1);
	REFUSED(EVENT_STACK_COPY, copy.range_count, UINT32_MAX);
	REFUSED(EVENT_STACK_COPY, copy.word_count, 4);
	REFUSED(EVENT_STACK_COPY, copy.word_count, STACK_COPY_WORDS + 1);
	REFUSED(EVENT_STACK_COPY, copy.word_count, UINT32_MAX);
	ACCEPTED(EVENT_STACK_COPY, copy.word_count, 0);
	ACCEPTED(EVENT_PYTHON_CODE, code.line_table_bytes, UINT32_MAX);
	ACCEPTED(EVENT_PYTHON_CODE, code.filename_length, UINT32_MAX);
	REFUSED(EVENT_FILE, file.cause, FILE_CAUSE_COUNT);
	REFUSED(EVENT_FILE, file.path.state, PATH_STATE_COUNT);
	REFUSED(EVENT_FILE, file.path.bytes, EVENT_EXAMPLE_NAMES_BYTES + 1);
	REFUSED(EVENT_FILE, file.names[EVENT_EXAMPLE_NAMES_BYTES - 1], 'x');
	ACCEPTED(EVENT_TEST, test.source, TEST_SOURCE_COUNT - 1);
	REFUSED(EVENT_TEST, test.source, TEST_SOURCE_COUNT);
	REFUSED(EVENT_TEST, test.bytes, 0);
	REFUSED(EVENT_TEST, test.bytes, 8);
	REFUSED(EVENT_TEST, test.bytes, UINT32_MAX);
	REFUSED(EVENT_TEST, test.name[6], 'x');
}

/* Random bytes; good events with a few bytes changed; random contents under a good head. */
Test(decode, random_bytes)
{
	enum { ROUNDS = 120000 };
	static union any_event event;
	uint64_t state = 1;
	size_t accepted = 0, refused = 0;

	for (size_t round = 0; round < ROUNDS; round++) {
		enum event_type type = 1 + (enum event_type)random_below(&state, EVENT_TYPE_COUNT - 1);
		size_t bytes = event_example(type, &event);
		struct event_header header = event.header;
		const struct event_header *decoded;

		switch (round % 3) {
		case 0:
			bytes = random_below(&state, 300);
			random_fill(&state, &event, bytes);
			break;
		case 1:
			for (size_t changes = 1 + random_below(&state, 4); changes; changes--)
				((unsigned char *)&event)[random_below(&state, bytes)] =
				        (unsigned char)random_next(&state);
			break;
		default:
			bytes = bytes > 600 ? 600 + bytes % 100 : bytes;
			random_fill(&state, &event, bytes);
			event.header = header;
			break;
		}
		decoded = decode(&event, bytes);
		refused += !decoded;
		accepted += decoded != NULL;
		if (decoded)
			read_through(decoded);
	}
	cr_assert_gt(accepted, ROUNDS / 10, "%zu", accepted);
	cr_assert_gt(refused, ROUNDS / 10, "%zu", refused);
}

static void check_path(enum path_state state, const char *names, size_t bytes, const char *expected)
{
	struct event_path path = {.bytes = (uint32_t)bytes, .state = state};
	char *text = decode_path(&path, names);

	cr_assert_str_eq(text, expected);
	free(text);
}

Test(decode, paths)
{
	check_path(PATH_COMPLETE, event_example_names, EVENT_EXAMPLE_NAMES_BYTES, "/srv/data/app.db");
	check_path(PATH_TRUNCATED, event_example_names, EVENT_EXAMPLE_NAMES_BYTES, ".../srv/data/app.db");
	check_path(PATH_COMPLETE, "etc", 4, "/etc");
	check_path(PATH_BARE, "[eventpoll]", 12, "[eventpoll]");
	check_path(PATH_BARE, "memfd:a/b", 10, "memfd:a/b");
	check_path(PATH_COMPLETE, "", 0, "/");
	check_path(PATH_TRUNCATED, "", 0, "...");
	check_path(PATH_BARE, "", 0, "");
	check_path(PATH_BARE, "", 1, "");
	/* Names of no bytes, and of bytes that are no characters. */
	check_path(PATH_COMPLETE, "\0\0", 3, "///");
	check_path(PATH_COMPLETE, "\xff\n\033[31m\0a", 10, "/a/\xff\n\033[31m");
	check_path(PATH_DETACHED, "tmpfs", 6, "[detached tmpfs]/");
	check_path(PATH_DETACHED, "b\0a\0ext4", 9, "[detached ext4]/a/b");
	check_path(PATH_DETACHED, "", 0, "");
	check_path(PATH_DETACHED, "\0", 1, "[detached ]/");
	/* More names in no folder than one: nothing that the kernel sends. */
	check_path(PATH_BARE, "b\0a", 4, "ab");
}

Test(decode, deep_path)
{
	static char names[PATH_NAMES_BYTES], expected[PATH_NAMES_BYTES + 1];
	size_t depth = sizeof(names) / 2;

	for (size_t i = 0; i < depth; i++) {
		names[2 * i] = (char)('a' + i % 26);
		expected[2 * (depth - 1 - i)] = '/';
		expected[2 * (depth - 1 - i) + 1] = (char)('a' + i % 26);
	}
	check_path(PATH_COMPLETE, names, sizeof(names), expected);
}

Test(decode, longest_name)
{
	static char names[PATH_NAMES_BYTES], expected[PATH_NAMES_BYTES + 4];

	memset(names, 'n', sizeof(names) - 1);
	(void)snprintf(expected, sizeof(expected), ".../%s", names);
	check_path(PATH_TRUNCATED, names, sizeof(names), expected);
}
