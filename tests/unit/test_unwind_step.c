/*
 * Steps of unwinding, each rule by itself, over a stack of a few words.
 */
#include <criterion/criterion.h>
#include <stdint.h>
#include <string.h>

#include "unwind_step.h"

#define STACK_ADDRESS 0x7ffd0000ULL
#define STACK_WORDS   64

struct stack_words {
	uint64_t words[STACK_WORDS];
};

static int read_words(void *memory, __u64 address, __u64 *to, __u32 words, enum unwind_part part)
{
	struct stack_words *stack = memory;
	uint64_t at = (address - STACK_ADDRESS) / sizeof(uint64_t);

	(void)part;
	if (address % sizeof(uint64_t) || at >= STACK_WORDS || words > STACK_WORDS - at)
		return -1;
	memcpy(to, stack->words + at, words * sizeof(*to));
	return 0;
}

static struct stack_words stack;

/* Words that tell where they are. */
static uint64_t word_at(uint64_t address)
{
	return 0xabc000 + address;
}

static struct unwind_registers registers_at(uint64_t sp)
{
	for (size_t i = 0; i < STACK_WORDS; i++)
		stack.words[i] = word_at(STACK_ADDRESS + i * sizeof(uint64_t));
	return (struct unwind_registers){.ip = 0x401000, .sp = sp, .bp = sp + 64, .bx = sp + 32};
}

static void expect_step(struct unwind_row row, uint64_t cfa, uint64_t bp)
{
	struct unwind_registers registers = registers_at(STACK_ADDRESS);

	cr_assert_eq(unwind_step(read_words, &stack, &registers, &row), UNWIND_STEPPED);
	cr_expect_eq(registers.sp, cfa);
	cr_expect_eq(registers.ip, word_at(cfa - 8));
	cr_expect_eq(registers.bp, bp);
	cr_expect_eq(registers.is_return, 1);
	cr_expect_eq(registers.bx, STACK_ADDRESS + 32, "nobody says that it was changed");
	cr_expect_eq(registers.bx_is_saved, 0);
}

Test(unwind_step, by_rsp)
{
	expect_step((struct unwind_row){.rule = UNWIND_RSP, .cfa = 3}, STACK_ADDRESS + 24,
	            STACK_ADDRESS + 64);
	expect_step((struct unwind_row){.rule = UNWIND_RSP, .cfa = 3, .rbp = -2}, STACK_ADDRESS + 24,
	            word_at(STACK_ADDRESS + 8));
	expect_step((struct unwind_row){.rule = UNWIND_RSP, .cfa = 3, .rbp = UNWIND_RBP_UNDEFINED},
	            STACK_ADDRESS + 24, 0);
	expect_step((struct unwind_row){.rule = UNWIND_RSP, .cfa = 3, .rbp = UNWIND_RBP_UNSUPPORTED},
	            STACK_ADDRESS + 24, 0);
}

Test(unwind_step, by_rbp)
{
	expect_step((struct unwind_row){.rule = UNWIND_RBP, .cfa = 2, .rbp = -2}, STACK_ADDRESS + 80,
	            word_at(STACK_ADDRESS + 64));
	expect_step((struct unwind_row){.rule = UNWIND_RBP | UNWIND_RBP_BY_RBP, .cfa = 2}, STACK_ADDRESS + 80,
	            word_at(STACK_ADDRESS + 64));
	expect_step((struct unwind_row){.rule = UNWIND_RBP | UNWIND_RBP_BY_RBP, .cfa = 2, .rbp = 1},
	            STACK_ADDRESS + 80, word_at(STACK_ADDRESS + 72));
}

/* A caller that needs what was lost on the way is not guessed at. */
Test(unwind_step, by_what_is_lost)
{
	const struct unwind_row loses = {.rule = UNWIND_RSP | UNWIND_PLACE_LOST << UNWIND_RBX_SHIFT,
	                                 .cfa = 3,
	                                 .rbp = UNWIND_RBP_UNDEFINED},
	                        by_rbp = {.rule = UNWIND_RBP, .cfa = 2},
	                        by_rbx = {.rule = UNWIND_RBX, .cfa = 2};
	struct unwind_registers registers = registers_at(STACK_ADDRESS), again;

	cr_assert_eq(unwind_step(read_words, &stack, &registers, &loses), UNWIND_STEPPED);
	again = registers;
	cr_expect_eq(unwind_step(read_words, &stack, &again, &by_rbp), UNWIND_NO_PROGRESS);
	again = registers;
	cr_expect_eq(unwind_step(read_words, &stack, &again, &by_rbx), UNWIND_NOT_KNOWN);
	cr_expect_eq(unwind_step_frame_pointer(read_words, &stack, &registers), UNWIND_NO_ROW);
}

Test(unwind_step, by_rbx)
{
	const struct unwind_row row = {.rule = UNWIND_RBX, .cfa = 2};

	expect_step(row, STACK_ADDRESS + 48, STACK_ADDRESS + 64);
}

/* Each place of rbx, and a step by what is there; a frame between that does not touch it. */
Test(unwind_step, by_rbx_that_was_saved)
{
	const struct unwind_row same = {.rule = UNWIND_RSP, .cfa = 1}, row = {.rule = UNWIND_RBX, .cfa = 2};

	for (unsigned place = 1; place < UNWIND_PLACE_LOST; place++) {
		struct unwind_row saves = {.rule = (uint8_t)(UNWIND_RSP | place << UNWIND_RBX_SHIFT),
		                           .cfa = 9};
		struct unwind_registers registers = registers_at(STACK_ADDRESS);

		stack.words[9 - 1 - place] = STACK_ADDRESS + 200;
		cr_assert_eq(unwind_step(read_words, &stack, &registers, &saves), UNWIND_STEPPED);
		cr_assert_eq(unwind_step(read_words, &stack, &registers, &same), UNWIND_STEPPED);
		cr_assert_eq(unwind_step(read_words, &stack, &registers, &row), UNWIND_STEPPED);
		cr_expect_eq(registers.sp, STACK_ADDRESS + 216, "%u", place);
	}
}

Test(unwind_step, in_the_plt)
{
	const struct unwind_row row = {.rule = UNWIND_PLT, .cfa = 11};
	struct unwind_registers registers = registers_at(STACK_ADDRESS);

	expect_step(row, STACK_ADDRESS + 8, STACK_ADDRESS + 64);
	registers.ip = 0x40100b;
	cr_assert_eq(unwind_step(read_words, &stack, &registers, &row), UNWIND_STEPPED);
	cr_expect_eq(registers.sp, STACK_ADDRESS + 16);
}

Test(unwind_step, by_what_memory_holds)
{
	const struct unwind_row by_rsp = {.rule = UNWIND_DEREF_RSP, .cfa = UNWIND_DEREF_CFA(1, 0)},
	                        by_rbp = {.rule = UNWIND_DEREF_RBP, .cfa = UNWIND_DEREF_CFA(-1, 0)},
	                        and_more = {.rule = UNWIND_DEREF_RSP, .cfa = UNWIND_DEREF_CFA(2, 15)},
	                        and_before = {.rule = UNWIND_DEREF_RBP, .cfa = UNWIND_DEREF_CFA(-3, 1)};
	struct unwind_registers registers = registers_at(STACK_ADDRESS);

	stack.words[1] = STACK_ADDRESS + 160;
	cr_assert_eq(unwind_step(read_words, &stack, &registers, &by_rsp), UNWIND_STEPPED);
	cr_expect_eq(registers.sp, STACK_ADDRESS + 160);
	registers = registers_at(STACK_ADDRESS);
	stack.words[7] = STACK_ADDRESS + 168;
	cr_assert_eq(unwind_step(read_words, &stack, &registers, &by_rbp), UNWIND_STEPPED);
	cr_expect_eq(registers.sp, STACK_ADDRESS + 168);
	registers = registers_at(STACK_ADDRESS);
	stack.words[2] = STACK_ADDRESS + 176;
	cr_assert_eq(unwind_step(read_words, &stack, &registers, &and_more), UNWIND_STEPPED);
	cr_expect_eq(registers.sp, STACK_ADDRESS + 176 + 120);
	registers = registers_at(STACK_ADDRESS);
	stack.words[5] = STACK_ADDRESS + 184;
	cr_assert_eq(unwind_step(read_words, &stack, &registers, &and_before), UNWIND_STEPPED);
	cr_expect_eq(registers.sp, STACK_ADDRESS + 184 + 8);
}

Test(unwind_step, of_a_large_frame)
{
	/* 0x20001 words from a stack pointer that lies as far below. */
	const uint64_t distance = 0x20001 * 8;
	struct unwind_row row = {.rule = UNWIND_RSP_FAR, .cfa = 1, .rbp = 2};
	struct unwind_registers registers = registers_at(STACK_ADDRESS + 80 - distance);

	cr_assert_eq(unwind_step(read_words, &stack, &registers, &row), UNWIND_STEPPED);
	cr_expect_eq(registers.sp, STACK_ADDRESS + 80);
	registers = registers_at(STACK_ADDRESS + 80 - distance);
	cr_expect_eq(registers.bp, STACK_ADDRESS + 80 - distance + 64);
	for (unsigned place = 1; place < UNWIND_PLACE_LOST; place++) {
		registers = registers_at(STACK_ADDRESS + 80 - distance);
		row.rbp = (int8_t)(2 | place << UNWIND_FAR_BITS);
		cr_assert_eq(unwind_step(read_words, &stack, &registers, &row), UNWIND_STEPPED);
		cr_expect_eq(registers.sp, STACK_ADDRESS + 80);
		cr_expect_eq(registers.bp, word_at(STACK_ADDRESS + 80 - 8 - 8 * place));
	}
	registers = registers_at(STACK_ADDRESS + 80 - distance);
	row.rbp = (int8_t)(2 | UNWIND_PLACE_LOST << UNWIND_FAR_BITS);
	cr_assert_eq(unwind_step(read_words, &stack, &registers, &row), UNWIND_STEPPED);
	cr_expect_eq(registers.bp, 0);
}

Test(unwind_step, of_a_signal)
{
	const struct unwind_row row = {.rule = UNWIND_SIGNAL};
	struct unwind_registers registers = registers_at(STACK_ADDRESS);

	registers.is_return = 1;
	registers.bx_is_saved = 1;
	cr_assert_eq(unwind_step(read_words, &stack, &registers, &row), UNWIND_STEPPED);
	cr_expect_eq(registers.bp, word_at(STACK_ADDRESS + 120));
	cr_expect_eq(registers.bx, word_at(STACK_ADDRESS + 128));
	cr_expect_eq(registers.sp, word_at(STACK_ADDRESS + 160));
	cr_expect_eq(registers.ip, word_at(STACK_ADDRESS + 168));
	cr_expect_eq(registers.is_return, 0, "the signal came before that instruction");
	cr_expect_eq(registers.bx_is_saved, 0);
}

Test(unwind_step, ends)
{
	static const struct {
		struct unwind_row row;
		int outcome;
	} cases[] = {
	        {{.rule = UNWIND_END}, UNWIND_ENDED},
	        {{.rule = UNWIND_GAP}, UNWIND_NO_ROW},
	        {{.rule = UNWIND_UNSUPPORTED}, UNWIND_NOT_KNOWN},
	        {{.rule = UNWIND_RULE_MASK}, UNWIND_NOT_KNOWN},
	        {{.rule = UNWIND_RSP, .cfa = 0}, UNWIND_NO_PROGRESS},
	        {{.rule = UNWIND_RSP, .cfa = -4}, UNWIND_NO_PROGRESS},
	        {{.rule = UNWIND_RSP, .cfa = STACK_WORDS + 1}, UNWIND_UNREADABLE},
	        {{.rule = UNWIND_RSP, .cfa = 2, .rbp = -3}, UNWIND_UNREADABLE},
	        {{.rule = UNWIND_DEREF_RSP, .cfa = UNWIND_DEREF_CFA(-1, 0)}, UNWIND_UNREADABLE},
	        {{.rule = UNWIND_RULE_MASK | UNWIND_PLACE_LOST << UNWIND_RBX_SHIFT}, UNWIND_NOT_KNOWN},
	        {{.rule = UNWIND_SIGNAL}, UNWIND_UNREADABLE},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct unwind_registers registers = registers_at(STACK_ADDRESS);

		if (cases[i].row.rule == UNWIND_SIGNAL)
			registers.sp = STACK_ADDRESS + 8 * (STACK_WORDS - 16);
		cr_expect_eq(unwind_step(read_words, &stack, &registers, &cases[i].row), cases[i].outcome,
		             "%zu", i);
	}
}

Test(unwind_step, a_return_to_nowhere_ends)
{
	const struct unwind_row row = {.rule = UNWIND_RSP, .cfa = 2};
	struct unwind_registers registers = registers_at(STACK_ADDRESS);

	stack.words[1] = 0;
	cr_expect_eq(unwind_step(read_words, &stack, &registers, &row), UNWIND_ENDED);
}

Test(unwind_step, by_a_frame_pointer)
{
	struct unwind_registers registers = registers_at(STACK_ADDRESS);

	cr_assert_eq(unwind_step_frame_pointer(read_words, &stack, &registers), UNWIND_STEPPED);
	cr_expect_eq(registers.bp, word_at(STACK_ADDRESS + 64));
	cr_expect_eq(registers.ip, word_at(STACK_ADDRESS + 72));
	cr_expect_eq(registers.sp, STACK_ADDRESS + 80);
	registers = registers_at(STACK_ADDRESS);
	registers.bp = STACK_ADDRESS - 8;
	cr_expect_eq(unwind_step_frame_pointer(read_words, &stack, &registers), UNWIND_NO_ROW,
	             "below the stack");
	registers.bp = STACK_ADDRESS + 63;
	cr_expect_eq(unwind_step_frame_pointer(read_words, &stack, &registers), UNWIND_NO_ROW, "not aligned");
	registers.bp = STACK_ADDRESS + 8 * STACK_WORDS;
	cr_expect_eq(unwind_step_frame_pointer(read_words, &stack, &registers), UNWIND_NO_ROW, "not there");
}
