/*
 * The interpreter of call frame information: each instruction, by hand-made bytes, and programs that make no
 * sense.
 */
#include "unwind/cfi_program.h"

#include <criterion/criterion.h>
#include <dwarf.h>
#include <errno.h>
#include <stdlib.h>

#define START     0x1000
#define END       0x2000
#define ROWS_MAX  64
#define LEB_BYTES 10

TestSuite(cfi_program, .timeout = 60);

struct told_row {
	uint64_t vaddr;
	bool valid;
	struct cfi_state state;
};

static struct told {
	struct told_row rows[ROWS_MAX];
	size_t count;
	int error; /* to return at the second row */
} told;

static const struct cfi_factors factors = {
        .code = 4, .data = (uint64_t)-8, .address_encoding = DW_EH_PE_absptr};

static int tell(void *context, uint64_t vaddr, const struct cfi_state *state)
{
	cr_assert_eq(context, &told);
	cr_assert_lt(told.count, (size_t)ROWS_MAX);
	told.rows[told.count].vaddr = vaddr;
	told.rows[told.count].valid = state;
	if (state)
		told.rows[told.count].state = *state;
	told.count++;
	return told.count == 2 ? told.error : 0;
}

/* In memory of just that size, so that the sanitizers see what is read beyond it. */
static struct byte_reader program_of(const uint8_t *bytes, size_t count)
{
	static uint8_t *last;

	free(last);
	last = malloc(count ? count : 1);
	if (count)
		memcpy(last, bytes, count);
	return (struct byte_reader){.at = last, .end = last + count, .end_vaddr = 0x5000 + count};
}

/* After def_cfa(rsp, 8), offset(return address, -8): what a call leaves. */
static struct cfi_state initial_state(void)
{
	static const uint8_t bytes[] = {DW_CFA_def_cfa, CFI_RSP, 8, DW_CFA_offset | CFI_RETURN_ADDRESS, 1};
	struct cfi_state state;

	cr_assert(cfi_program_begin(&factors, program_of(bytes, sizeof(bytes)), &state));
	return state;
}

static int run_bytes(const uint8_t *bytes, size_t count)
{
	struct cfi_state initial = initial_state();

	told.count = 0;
	return cfi_program_run(&factors, program_of(bytes, count), &initial, START, END, tell, &told);
}

#define RUN(...)                                                                  \
	do {                                                                      \
		const uint8_t program_bytes[] = {__VA_ARGS__};                    \
		cr_assert_eq(run_bytes(program_bytes, sizeof(program_bytes)), 0); \
	} while (0)

static void assert_rows(size_t count, const uint64_t *vaddrs)
{
	cr_assert_eq(told.count, count, "%zu rows", told.count);
	for (size_t i = 0; i < count; i++) {
		cr_assert_eq(told.rows[i].vaddr, vaddrs[i], "row %zu: %lx", i, told.rows[i].vaddr);
		cr_assert(told.rows[i].valid);
	}
}

#define ASSERT_ROWS(...)                                                 \
	do {                                                             \
		const uint64_t vaddrs[] = {__VA_ARGS__};                 \
		assert_rows(sizeof(vaddrs) / sizeof(vaddrs[0]), vaddrs); \
	} while (0)

/* The state of the only row. */
static const struct cfi_state *only_state(void)
{
	ASSERT_ROWS(START);
	return &told.rows[0].state;
}

static void assert_cfa(const struct cfi_state *state, uint32_t register_number, int64_t offset)
{
	cr_assert_eq(state->cfa.kind, CFI_CFA_REGISTER);
	cr_assert_eq(state->cfa.register_number, register_number);
	cr_assert_eq(state->cfa.offset, offset, "%ld", state->cfa.offset);
}

static void assert_rule(const struct cfi_rule *rule, enum cfi_rule_kind kind, int64_t offset)
{
	cr_assert_eq(rule->kind, kind, "%d", rule->kind);
	cr_assert_eq(rule->offset, offset, "%ld", rule->offset);
}

static void assert_invalid_at(size_t row, uint64_t vaddr)
{
	cr_assert_eq(told.count, row + 1, "%zu rows", told.count);
	cr_assert_eq(told.rows[row].vaddr, vaddr);
	cr_assert_not(told.rows[row].valid);
	for (size_t i = 0; i < row; i++)
		cr_assert(told.rows[i].valid);
}

Test(cfi_program, nothing_is_the_initial_state)
{
	cr_assert_eq(run_bytes(NULL, 0), 0);
	assert_cfa(only_state(), CFI_RSP, 8);
	assert_rule(&told.rows[0].state.return_address, CFI_AT_CFA, -8);
	assert_rule(&told.rows[0].state.rbp, CFI_SAME, 0);
	assert_rule(&told.rows[0].state.rsp, CFI_SAME, 0);
	RUN(DW_CFA_nop, DW_CFA_nop);
	assert_cfa(only_state(), CFI_RSP, 8);
}

Test(cfi_program, advance)
{
	RUN(DW_CFA_advance_loc | 1, DW_CFA_def_cfa_offset, 16, DW_CFA_advance_loc1, 2, DW_CFA_def_cfa_offset,
	    24, DW_CFA_advance_loc2, 0, 1, DW_CFA_def_cfa_offset, 32, DW_CFA_advance_loc4, 1, 0, 0, 0,
	    DW_CFA_def_cfa_offset, 40, DW_CFA_MIPS_advance_loc8, 1, 0, 0, 0, 0, 0, 0, 0,
	    DW_CFA_def_cfa_offset, 48);
	ASSERT_ROWS(START, START + 4, START + 12, START + 0x40c, START + 0x410, START + 0x414);
	for (size_t i = 0; i < told.count; i++)
		assert_cfa(&told.rows[i].state, CFI_RSP, (int64_t)(8 * (i + 1)));
}

Test(cfi_program, advance_by_nothing_is_one_row)
{
	RUN(DW_CFA_advance_loc, DW_CFA_def_cfa_offset, 16, DW_CFA_advance_loc1, 0, DW_CFA_def_cfa_offset, 24);
	assert_cfa(only_state(), CFI_RSP, 24);
}

Test(cfi_program, advance_to_the_end_and_beyond)
{
	RUN(DW_CFA_advance_loc2, 0, 4, DW_CFA_def_cfa_offset, 16);
	assert_cfa(only_state(), CFI_RSP, 8);
	RUN(DW_CFA_advance_loc2, 0xff, 3, DW_CFA_def_cfa_offset, 16);
	ASSERT_ROWS(START, END - 4);
	RUN(DW_CFA_advance_loc4, 0xff, 0xff, 0xff, 0xff, 0x3f);
	assert_cfa(only_state(), CFI_RSP, 8);
	RUN(DW_CFA_MIPS_advance_loc8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x3f);
	assert_cfa(only_state(), CFI_RSP, 8);
	/* 2^62 times 4 wraps to 0. */
	RUN(DW_CFA_MIPS_advance_loc8, 0, 0, 0, 0, 0, 0, 0, 0x40, 0x3f);
	assert_cfa(only_state(), CFI_RSP, 8);
}

Test(cfi_program, set_location)
{
	RUN(DW_CFA_set_loc, 0x20, 0x10, 0, 0, 0, 0, 0, 0, DW_CFA_def_cfa_offset, 16);
	ASSERT_ROWS(START, START + 0x20);
	RUN(DW_CFA_advance_loc | 2, DW_CFA_set_loc, 0, 0x10, 0, 0, 0, 0, 0, 0, DW_CFA_def_cfa_offset, 16);
	assert_invalid_at(1, START + 8);
}

Test(cfi_program, set_location_relative_to_itself)
{
	static const struct cfi_factors relative = {
	        .code = 1,
	        .data = 1,
	        .address_encoding = DW_EH_PE_pcrel | DW_EH_PE_sdata4,
	};
	/* The number stands at 0x5001: program_of(). */
	static const uint8_t bytes[] = {DW_CFA_set_loc, 0x0f, 0xc0, 0xff, 0xff, DW_CFA_def_cfa_offset, 16};
	struct cfi_state initial = initial_state();

	told.count = 0;
	cr_assert_eq(cfi_program_run(&relative, program_of(bytes, sizeof(bytes)), &initial, START, END, tell,
	                             &told),
	             0);
	ASSERT_ROWS(START, 0x1010);
}

Test(cfi_program, define_cfa)
{
	RUN(DW_CFA_def_cfa, CFI_RBP, 16);
	assert_cfa(only_state(), CFI_RBP, 16);
	RUN(DW_CFA_def_cfa_sf, CFI_RBP, 0x7e);
	assert_cfa(only_state(), CFI_RBP, 16);
	RUN(DW_CFA_def_cfa_register, CFI_RBP);
	assert_cfa(only_state(), CFI_RBP, 8);
	RUN(DW_CFA_def_cfa_offset, 0x80, 0x80, 0x20);
	assert_cfa(only_state(), CFI_RSP, 0x80000);
	RUN(DW_CFA_def_cfa_offset_sf, 0x7d);
	assert_cfa(only_state(), CFI_RSP, 24);
	RUN(DW_CFA_def_cfa_register, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f);
	assert_cfa(only_state(), UINT32_MAX, 8);
	/* Not rsp, however many bits are left away. */
	RUN(DW_CFA_def_cfa, 0x87, 0x80, 0x80, 0x80, 0x10, 8);
	assert_cfa(only_state(), UINT32_MAX, 8);
}

Test(cfi_program, define_cfa_by_expression)
{
	const struct byte_reader *expression = NULL;

	RUN(DW_CFA_def_cfa_expression, 3, DW_OP_breg6, 0x78, DW_OP_deref);
	cr_assert_eq(only_state()->cfa.kind, CFI_CFA_EXPRESSION);
	expression = &told.rows[0].state.cfa.expression;
	cr_assert_eq(byte_reader_left(expression), 3);
	cr_assert_eq(expression->at[0], DW_OP_breg6);
	RUN(DW_CFA_def_cfa_expression, 1, DW_OP_lit0, DW_CFA_def_cfa, CFI_RSP, 24);
	assert_cfa(only_state(), CFI_RSP, 24);
	/* Half a sum, where there is no sum. */
	RUN(DW_CFA_def_cfa_expression, 1, DW_OP_lit0, DW_CFA_def_cfa_offset, 24);
	assert_invalid_at(0, START);
	RUN(DW_CFA_def_cfa_expression, 1, DW_OP_lit0, DW_CFA_def_cfa_register, CFI_RBP);
	assert_invalid_at(0, START);
	RUN(DW_CFA_def_cfa_expression, 1, DW_OP_lit0, DW_CFA_def_cfa_offset_sf, 1);
	assert_invalid_at(0, START);
}

Test(cfi_program, places_of_registers)
{
	RUN(DW_CFA_offset | CFI_RBP, 2);
	assert_rule(&only_state()->rbp, CFI_AT_CFA, -16);
	RUN(DW_CFA_offset_extended, CFI_RBP, 3);
	assert_rule(&only_state()->rbp, CFI_AT_CFA, -24);
	RUN(DW_CFA_offset_extended_sf, CFI_RBP, 0x7d);
	assert_rule(&only_state()->rbp, CFI_AT_CFA, 24);
	RUN(DW_CFA_GNU_negative_offset_extended, CFI_RBP, 2);
	assert_rule(&only_state()->rbp, CFI_AT_CFA, 16);
	RUN(DW_CFA_val_offset, CFI_RSP, 2);
	assert_rule(&only_state()->rsp, CFI_CFA_VALUE, -16);
	RUN(DW_CFA_val_offset_sf, CFI_RSP, 0x7d);
	assert_rule(&only_state()->rsp, CFI_CFA_VALUE, 24);
	RUN(DW_CFA_undefined, CFI_RETURN_ADDRESS);
	assert_rule(&only_state()->return_address, CFI_UNDEFINED, 0);
	RUN(DW_CFA_same_value, CFI_RETURN_ADDRESS);
	assert_rule(&only_state()->return_address, CFI_SAME, 0);
	RUN(DW_CFA_register, CFI_RBP, CFI_RBX);
	assert_rule(&only_state()->rbp, CFI_OTHER, 0);
	RUN(DW_CFA_val_expression, CFI_RBP, 1, DW_OP_lit0);
	assert_rule(&only_state()->rbp, CFI_OTHER, 0);
	RUN(DW_CFA_expression, CFI_RBP, 2, DW_OP_breg6, 0);
	assert_rule(&only_state()->rbp, CFI_AT_EXPRESSION, 0);
	cr_assert_eq(byte_reader_left(&told.rows[0].state.rbp.expression), 2);
}

Test(cfi_program, other_registers_change_nothing)
{
	RUN(DW_CFA_offset | CFI_RBX, 2, DW_CFA_offset_extended, 12, 3, DW_CFA_undefined, 0, DW_CFA_register,
	    13, 1, DW_CFA_expression, 14, 1, DW_OP_lit0, DW_CFA_restore | CFI_RBX, DW_CFA_offset_extended,
	    0x86, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1, 2);
	assert_cfa(only_state(), CFI_RSP, 8);
	assert_rule(&told.rows[0].state.rbp, CFI_SAME, 0);
	assert_rule(&told.rows[0].state.rsp, CFI_SAME, 0);
	assert_rule(&told.rows[0].state.return_address, CFI_AT_CFA, -8);
}

Test(cfi_program, restore)
{
	RUN(DW_CFA_offset | CFI_RBP, 2, DW_CFA_restore | CFI_RBP);
	assert_rule(&only_state()->rbp, CFI_SAME, 0);
	RUN(DW_CFA_offset | CFI_RBP, 2, DW_CFA_restore_extended, CFI_RBP);
	assert_rule(&only_state()->rbp, CFI_SAME, 0);
	RUN(DW_CFA_undefined, CFI_RETURN_ADDRESS, DW_CFA_restore | CFI_RETURN_ADDRESS);
	assert_rule(&only_state()->return_address, CFI_AT_CFA, -8);
	RUN(DW_CFA_undefined, CFI_RSP, DW_CFA_restore | CFI_RSP);
	assert_rule(&only_state()->rsp, CFI_SAME, 0);
}

Test(cfi_program, remember_and_restore_state)
{
	RUN(DW_CFA_def_cfa_offset, 16, DW_CFA_offset | CFI_RBP, 2, DW_CFA_remember_state,
	    DW_CFA_advance_loc | 1, DW_CFA_def_cfa, CFI_RBP, 24, DW_CFA_restore | CFI_RBP,
	    DW_CFA_advance_loc | 1, DW_CFA_restore_state);
	ASSERT_ROWS(START, START + 4, START + 8);
	assert_cfa(&told.rows[1].state, CFI_RBP, 24);
	assert_rule(&told.rows[1].state.rbp, CFI_SAME, 0);
	assert_cfa(&told.rows[2].state, CFI_RSP, 16);
	assert_rule(&told.rows[2].state.rbp, CFI_AT_CFA, -16);
	RUN(DW_CFA_remember_state);
	assert_cfa(only_state(), CFI_RSP, 8);
	RUN(DW_CFA_advance_loc | 1, DW_CFA_restore_state);
	assert_invalid_at(1, START + 4);
}

Test(cfi_program, remembered_states_are_bounded)
{
	uint8_t bytes[CFI_REMEMBERED_MAX + 1];

	memset(bytes, DW_CFA_remember_state, sizeof(bytes));
	cr_assert_eq(run_bytes(bytes, CFI_REMEMBERED_MAX), 0);
	assert_cfa(only_state(), CFI_RSP, 8);
	cr_assert_eq(run_bytes(bytes, CFI_REMEMBERED_MAX + 1), 0);
	assert_invalid_at(0, START);
}

Test(cfi_program, size_of_arguments_is_passed_over)
{
	RUN(DW_CFA_GNU_args_size, 0x80, 1, DW_CFA_def_cfa_offset, 16);
	assert_cfa(only_state(), CFI_RSP, 16);
}

Test(cfi_program, unknown_instructions)
{
	static const uint8_t unknown[] = {0x17, 0x1b, 0x1c, 0x1e, 0x2c, DW_CFA_GNU_window_save, 0x30, 0x3f};

	for (size_t i = 0; i < sizeof(unknown); i++) {
		RUN(DW_CFA_advance_loc | 1, unknown[i], 0, 0, 0);
		assert_invalid_at(1, START + 4);
	}
}

/* Each instruction that has operands, without its last byte. */
Test(cfi_program, cut_instructions)
{
	static const uint8_t whole[][LEB_BYTES + 1] = {
	        {2, DW_CFA_advance_loc1, 1},
	        {3, DW_CFA_advance_loc2, 1, 0},
	        {5, DW_CFA_advance_loc4, 1, 0, 0, 0},
	        {9, DW_CFA_MIPS_advance_loc8, 1, 0, 0, 0, 0, 0, 0, 0},
	        {9, DW_CFA_set_loc, 8, 0x10, 0, 0, 0, 0, 0, 0},
	        {2, DW_CFA_offset | CFI_RBP, 1},
	        {3, DW_CFA_offset_extended, CFI_RBP, 1},
	        {3, DW_CFA_offset_extended_sf, CFI_RBP, 1},
	        {3, DW_CFA_GNU_negative_offset_extended, CFI_RBP, 1},
	        {3, DW_CFA_val_offset, CFI_RBP, 1},
	        {3, DW_CFA_val_offset_sf, CFI_RBP, 1},
	        {2, DW_CFA_undefined, CFI_RBP},
	        {2, DW_CFA_same_value, CFI_RBP},
	        {3, DW_CFA_register, CFI_RBP, CFI_RBX},
	        {4, DW_CFA_expression, CFI_RBP, 1, DW_OP_lit0},
	        {4, DW_CFA_val_expression, CFI_RBP, 1, DW_OP_lit0},
	        {2, DW_CFA_restore_extended, CFI_RBP},
	        {3, DW_CFA_def_cfa, CFI_RBP, 8},
	        {3, DW_CFA_def_cfa_sf, CFI_RBP, 8},
	        {2, DW_CFA_def_cfa_register, CFI_RBP},
	        {2, DW_CFA_def_cfa_offset, 8},
	        {2, DW_CFA_def_cfa_offset_sf, 8},
	        {3, DW_CFA_def_cfa_expression, 1, DW_OP_lit0},
	        {2, DW_CFA_GNU_args_size, 8},
	};

	for (size_t i = 0; i < sizeof(whole) / sizeof(whole[0]); i++) {
		size_t count = whole[i][0];

		cr_assert_eq(run_bytes(&whole[i][1], count), 0);
		for (size_t row = 0; row < told.count; row++)
			cr_assert(told.rows[row].valid, "opcode %x", whole[i][1]);
		cr_assert_eq(run_bytes(&whole[i][1], count - 1), 0);
		assert_invalid_at(0, START);
	}
}

Test(cfi_program, numbers_without_end)
{
	uint8_t bytes[1 + LEB_BYTES + 2] = {DW_CFA_def_cfa_offset};

	memset(bytes + 1, 0x80, LEB_BYTES - 1);
	cr_assert_eq(run_bytes(bytes, 1 + LEB_BYTES), 0);
	assert_cfa(only_state(), CFI_RSP, 0);
	bytes[LEB_BYTES] = 0x80;
	cr_assert_eq(run_bytes(bytes, sizeof(bytes)), 0);
	assert_invalid_at(0, START);
}

/* -1 in one byte, and in up to ten. */
Test(cfi_program, negative_numbers_of_every_length)
{
	for (size_t length = 1; length <= LEB_BYTES; length++) {
		uint8_t bytes[1 + LEB_BYTES] = {DW_CFA_def_cfa_offset_sf};

		memset(bytes + 1, 0xff, length - 1);
		bytes[length] = length == LEB_BYTES ? 1 : 0x7f;
		cr_assert_eq(run_bytes(bytes, 1 + length), 0);
		assert_cfa(only_state(), CFI_RSP, 8);
	}
}

Test(cfi_program, block_longer_than_the_program)
{
	RUN(DW_CFA_def_cfa_expression, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, DW_OP_lit0);
	assert_invalid_at(0, START);
}

/* What stands in a CIE and may not. */
Test(cfi_program, initial_instructions)
{
	static const uint8_t bad[][2] = {
	        {DW_CFA_advance_loc | 1, DW_CFA_nop},
	        {DW_CFA_restore | CFI_RBP, DW_CFA_nop},
	        {DW_CFA_restore_extended, CFI_RBP},
	        {DW_CFA_restore_state, DW_CFA_nop},
	        {DW_CFA_def_cfa_offset, 8},
	        {0x3f, 0},
	        {DW_CFA_def_cfa, CFI_RSP},
	};
	struct cfi_state state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_assert_not(cfi_program_begin(&factors, program_of(bad[i], sizeof(bad[i])), &state), "%zu",
		              i);
	cr_assert(cfi_program_begin(&factors, program_of(NULL, 0), &state));
	cr_assert_eq(state.cfa.kind, CFI_CFA_NONE);
}

Test(cfi_program, error_of_the_receiver_ends_it)
{
	static const uint8_t bytes[] = {DW_CFA_advance_loc | 1, DW_CFA_advance_loc | 1,
	                                DW_CFA_advance_loc | 1};

	told.error = -E2BIG;
	cr_assert_eq(run_bytes(bytes, sizeof(bytes)), -E2BIG);
	cr_assert_eq(told.count, 2);
}
