/*
 * Native frames that are found in a copy of the stack.
 */
#include <criterion/criterion.h>
#include <stdint.h>
#include <string.h>

#include "random_numbers.h"
#include "stack_hash.h"
#include "unwind/stack_copy.h"

#define STACK_ADDRESS 0x7ffd0000ULL
#define PROGRAM       0x400000ULL
#define LIBRARY       0x7f0000000000ULL
#define CODE_BYTES    0x10000ULL

static const struct file_key program = {.inode = 7, .device = 8}, library = {.inode = 9, .device = 8};
/* The program: a frame of two words, from 0x2000 on the outermost one. The library: of three words. */
static const struct unwind_row program_rows[] = {{.file_offset = 0x1000, .cfa = 2, .rule = UNWIND_RSP},
                                                 {.file_offset = 0x2000, .rule = UNWIND_END},
                                                 {.file_offset = 0x3000, .rule = UNWIND_GAP}};
static const struct unwind_row library_rows[] = {{.file_offset = 0x1000, .cfa = 3, .rule = UNWIND_RSP}};

static const struct unwind_row *rows_of(void *context, const struct file_key *key, size_t *ret_count)
{
	const bool *no_library = context;

	if (!memcmp(key, &program, sizeof(*key))) {
		*ret_count = sizeof(program_rows) / sizeof(program_rows[0]);
		return program_rows;
	}
	if (memcmp(key, &library, sizeof(*key)) || *no_library)
		return NULL;
	*ret_count = 1;
	return library_rows;
}

static struct event_stack_copy copy;
static struct event_stack sent, completed;
static bool no_library;

/* open() of the library, called by the program's outermost function but one. Python's frames come behind. */
static void begin(void)
{
	memset(&copy, 0, sizeof(copy));
	memset(&sent, 0, sizeof(sent));
	no_library = false;
	copy.registers = (struct unwind_registers){.ip = LIBRARY + 0x1100, .sp = STACK_ADDRESS};
	copy.range_count = 3;
	copy.ranges[0] = (struct stack_copy_range){LIBRARY, LIBRARY + CODE_BYTES, LIBRARY, library, 1};
	copy.ranges[1] = (struct stack_copy_range){PROGRAM, PROGRAM + CODE_BYTES, PROGRAM, program, 1};
	copy.ranges[2] = (struct stack_copy_range){.start = STACK_ADDRESS, .end = STACK_ADDRESS + 0x1000};
	copy.word_count = 8;
	copy.words[2] = PROGRAM + 0x1010;
	copy.words[4] = PROGRAM + 0x2020;
	sent.end = STACK_END_NO_TABLE;
	sent.copy = copy.number = 5;
	sent.count = 3;
	sent.frames[0] = (struct stack_frame){.kind = FRAME_NATIVE, .file = library, .position = 0x1100};
	sent.frames[1] = (struct stack_frame){.kind = FRAME_PYTHON, .position = 4, .code = 77};
	sent.frames[2] = (struct stack_frame){.kind = FRAME_PYTHON, .position = 6, .code = 78};
}

static void complete(void)
{
	stack_copy_complete(&sent, &copy, rows_of, &no_library, &completed);
}

static void expect_native(uint32_t at, const struct file_key *file, uint64_t position)
{
	cr_expect_eq(completed.frames[at].kind, FRAME_NATIVE);
	cr_expect_arr_eq(&completed.frames[at].file, file, sizeof(*file));
	cr_expect_eq(completed.frames[at].position, position);
}

Test(stack_copy, frames_that_were_missing)
{
	uint64_t hash = STACK_HASH_BEGIN;

	begin();
	complete();
	cr_assert_eq(completed.count, 5);
	cr_expect_eq(completed.end, STACK_END_COMPLETE);
	cr_expect_eq(completed.copy, 0);
	expect_native(0, &library, 0x1100);
	expect_native(1, &program, 0x1010);
	expect_native(2, &program, 0x2020);
	cr_expect_eq(completed.frames[3].code, 77);
	cr_expect_eq(completed.frames[4].code, 78);
	/* As the programs make it of a stack whose tables are all there. */
	hash = stack_hash_native(hash, &library, 0x1100);
	hash = stack_hash_native(hash, &program, 0x1010);
	hash = stack_hash_native(hash, &program, 0x2020);
	hash = stack_hash_python(stack_hash_python(hash, 77, 4), 78, 6);
	cr_expect_eq(completed.id, stack_hash_end(hash, 5, STACK_END_COMPLETE, 0));
}

Test(stack_copy, why_it_ends)
{
	begin();
	no_library = true;
	complete();
	cr_expect_eq(completed.count, 3);
	cr_expect_eq(completed.end, STACK_END_NO_TABLE, "it has not come yet");

	begin();
	copy.word_count = 2;
	complete();
	cr_expect_eq(completed.count, 3);
	cr_expect_eq(completed.end, STACK_END_FAULT, "the stack is deeper than its copy");

	begin();
	copy.words[2] = 0x123456;
	complete();
	cr_expect_eq(completed.count, 3);
	cr_expect_eq(completed.end, STACK_END_NO_CODE);

	begin();
	copy.words[2] = STACK_ADDRESS + 0x20;
	complete();
	cr_expect_eq(completed.count, 3);
	cr_expect_eq(completed.end, STACK_END_NO_CODE, "the stack itself");

	begin();
	copy.words[4] = PROGRAM + 0x3020;
	complete();
	cr_expect_eq(completed.count, 5);
	cr_expect_eq(completed.end, STACK_END_NO_ROW);

	begin();
	sent.end = STACK_END_PYTHON_UNKNOWN;
	complete();
	cr_expect_eq(completed.count, 5);
	cr_expect_eq(completed.end, STACK_END_PYTHON_UNKNOWN, "of Python's frames, and it stays");
}

/* Its frame pointer leads on, and what comes after is as sure as that. */
Test(stack_copy, code_of_no_file)
{
	begin();
	copy.ranges[2].is_code = 1;
	copy.words[2] = STACK_ADDRESS + 0x20;
	copy.registers.bp = STACK_ADDRESS + 5 * 8;
	copy.words[6] = PROGRAM + 0x2020;
	sent.image = 99;
	complete();
	cr_assert_eq(completed.count, 5);
	cr_expect_eq(completed.frames[1].code, 99);
	cr_expect_eq(completed.frames[1].position, STACK_ADDRESS + 0x20);
	expect_native(2, &program, 0x2020);
	cr_expect_eq(completed.frames[2].flags, FRAME_GUESSED);
	cr_expect_eq(completed.end, STACK_END_FRAME_POINTERS);
	cr_expect_eq(completed.image, 99);

	begin();
	sent.image = 99;
	complete();
	cr_expect_eq(completed.image, 0, "the stack does not lead there");
}

Test(stack_copy, more_frames_than_are_kept)
{
	begin();
	copy.word_count = STACK_COPY_WORDS;
	for (size_t i = 2; i < STACK_COPY_WORDS; i++)
		copy.words[i] = PROGRAM + 0x1010;
	complete();
	cr_expect_eq(completed.count, STACK_FRAMES_MAX + 2);
	cr_expect_eq(completed.end, STACK_END_DEPTH);
}

/* A process writes its stack as it likes, while it is copied. */
Test(stack_copy, random_words)
{
	uint64_t state = 1;

	for (int turn = 0; turn < 20000; turn++) {
		begin();
		copy.word_count = (uint32_t)random_below(&state, STACK_COPY_WORDS + 1);
		for (size_t i = 0; i < copy.word_count; i++) {
			const uint64_t bases[] = {PROGRAM, LIBRARY, STACK_ADDRESS, random_next(&state)};

			copy.words[i] = bases[random_below(&state, 4)] + random_below(&state, 0x4000);
		}
		copy.registers.bp = STACK_ADDRESS + random_below(&state, 0x8000);
		copy.registers.bx = random_next(&state);
		copy.registers.is_return = (uint32_t)random_below(&state, 2);
		complete();
		cr_assert_leq(completed.count, STACK_FRAMES_SENT_MAX);
		cr_assert_lt(completed.end, STACK_END_COUNT);
	}
}
