/*
 * Names of tests, from the memory of the process that says which one runs. Outputs: EVENT_TEST.
 */
#ifndef LEFTOPEN_BPF_TEST_NAME_H
#define LEFTOPEN_BPF_TEST_NAME_H

#include "maps.bpf.h"
#include "core_compat.bpf.h"

static const char pytest_variable[] = "PYTEST_CURRENT_TEST";
static const char leftopen_variable[] = "LEFTOPEN_TEST";
#define TEST_VARIABLE_MAX (sizeof(pytest_variable) - 1)

/* Reads of TEST_NAME_BYTES at most, one a variable or more. Chosen by: an environment has some fifty
 * variables; each costs the exec 50 ns or so. */
#define ENVIRONMENT_READS_MAX 1024

/* @return the bytes with the NUL, 1 at least, the string cut where there is no more room; -errno */
static __always_inline long read_string(char *text, u32 size, u64 address)
{
	long length = bpf_probe_read_user_str(text, size, (void *)address);

	/* 6.1 says so of an empty one (mm/maccess.c, strncpy_from_user_nofault). */
	if (length)
		return length;
	text[0] = '\0';
	return 1;
}

/* A name that is too long is cut. */
static __always_inline int test_send(struct followed_process *process, u64 name, enum test_source source)
{
	struct walk_scratch *scratch = walk_scratch_borrow();
	struct event_test *event;
	long length;
	u32 bytes;

	if (!scratch)
		return 0;
	event = &scratch->test;
	event->source = source;
	length = read_string(event->name, sizeof(event->name), name);
	if (length < 1) {
		walk_scratch_return(scratch);
		return 0;
	}
	event->bytes = length;
	bytes = offsetof(struct event_test, name) + (u32)length;
	fill_header(&event->header, EVENT_TEST, bytes, process->start_ns);
	if (bytes <= sizeof(*event))
		send_process_event(event, bytes, LOSS_RING_FULL_PROCESSES);
	walk_scratch_return(scratch);
	return 0;
}

static __always_inline bool begins_with(const char *text, const char *name, u32 length, char after)
{
	for (u32 i = 0; i < length; i++)
		if (text[i] != name[i])
			return false;
	return text[length] == after;
}

/* @param after what follows the variable's name: its end, or '='
 * @return the length of the name of the variable that is at this address, 0: it names no test */
static __always_inline u32 test_variable(u64 address, char after)
{
	char text[TEST_VARIABLE_MAX + 2] = {};

	if (read_string(text, sizeof(text), address) < (long)sizeof(leftopen_variable))
		return 0;
	if (begins_with(text, pytest_variable, sizeof(pytest_variable) - 1, after))
		return sizeof(pytest_variable) - 1;
	if (begins_with(text, leftopen_variable, sizeof(leftopen_variable) - 1, after))
		return sizeof(leftopen_variable) - 1;
	return 0;
}

struct environment_walk {
	struct walk_scratch *scratch;
	u64 at, end;
	u64 found;  /* where the value begins */
	u32 inside; /* of a variable that is longer than the room for it */
};

static long environment_step(u32 index, struct environment_walk *walk)
{
	struct event_test *test = &walk->scratch->test;
	long length;

	if (walk->at >= walk->end)
		return 1;
	length = read_string(test->name, sizeof(test->name), walk->at);
	if (length < 1)
		return 1;
	if (!walk->inside && length > (long)sizeof(leftopen_variable) &&
	    begins_with(test->name, leftopen_variable, sizeof(leftopen_variable) - 1, '=')) {
		walk->found = walk->at + sizeof(leftopen_variable);
		return 1;
	}
	/* One that is cut has its last byte in the next read. */
	walk->inside = length == sizeof(test->name);
	walk->at += walk->inside ? length - 1 : length;
	return 0;
}

/* A program begins with LEFTOPEN_TEST in its environment: then its test has that name. */
static __noinline int test_send_inherited(struct followed_process *process, u64 start, u64 end)
{
	struct walk_scratch *scratch = walk_scratch_borrow();
	struct environment_walk walk = {.scratch = scratch,
	                                .at = start,
	                                .end = end,
	                                .found = compat_loop_zero(),
	                                .inside = compat_loop_zero()};

	if (!scratch)
		return 0;
	bpf_loop(ENVIRONMENT_READS_MAX, environment_step, &walk, 0);
	walk_scratch_return(scratch);
	return walk.found ? test_send(process, walk.found, TEST_INHERITED) : 0;
}

#endif
