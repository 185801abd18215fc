/*
 * The row that tells a state.
 * Inputs: rules, and expressions of any content, which are compared with the few that compilers, linkers and
 * the C library write. Outputs: a row that says the same, or that it is not supported.
 */
#include "unwind/unwind_row.h"

#include <dwarf.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <ucontext.h>

#include "unwind/cfi_program.h"

#define WORD_BYTES 8
/* The CFA of a frame whose size needs more than the 16 bits of cfa. */
#define FAR_WORDS_MAX ((1 << (16 + UNWIND_FAR_BITS)) - 1)

enum expression_kind {
	EXPRESSION_OTHER = 0,
	EXPRESSION_SUM,   /* register + offset */
	EXPRESSION_DEREF, /* what is there, and a number */
};

/* What an expression says that is one of those which are told. */
struct expression {
	enum expression_kind kind;
	unsigned register_number;
	int64_t offset;
	uint64_t added; /* 0 but with EXPRESSION_DEREF */
};

static struct expression expression_read(struct byte_reader reader)
{
	struct expression expression = {0};
	uint64_t opcode = byte_reader_unsigned(&reader, 1);

	if (opcode < DW_OP_breg0 || opcode > DW_OP_breg31)
		return expression;
	expression.register_number = (unsigned)(opcode - DW_OP_breg0);
	expression.offset = (int64_t)byte_reader_leb128(&reader, true);
	if (reader.failed)
		return expression;
	if (!byte_reader_left(&reader)) {
		expression.kind = EXPRESSION_SUM;
		return expression;
	}
	if (byte_reader_unsigned(&reader, 1) != DW_OP_deref)
		return expression;
	if (byte_reader_left(&reader)) {
		if (byte_reader_unsigned(&reader, 1) != DW_OP_plus_uconst)
			return expression;
		expression.added = byte_reader_leb128(&reader, false);
	}
	if (!reader.failed && !byte_reader_left(&reader))
		expression.kind = EXPRESSION_DEREF;
	return expression;
}

/*
 * What linkers write for .plt: each entry of 16 bytes jumps, pushes 8 bytes, and jumps:
 * rsp + 8 + ((rip & 15) >= after the push) * 8.
 * @source binutils' bfd/elfxx-x86.h elf_x86_64_lazy_plt_eh_frame: 11, with IBT 10
 */
static bool expression_is_plt(const struct byte_reader *expression, int16_t *ret_after_push)
{
	static const uint8_t before[] = {DW_OP_breg7, 8, DW_OP_breg16, 0, DW_OP_lit15, DW_OP_and};
	static const uint8_t behind[] = {DW_OP_ge, DW_OP_lit3, DW_OP_shl, DW_OP_plus};
	const uint8_t *at = expression->at;
	uint8_t literal = 0;

	if (byte_reader_left(expression) != sizeof(before) + 1 + sizeof(behind))
		return false;
	literal = at[sizeof(before)];
	if (memcmp(at, before, sizeof(before)) != 0 || literal < DW_OP_lit0 || literal > DW_OP_lit15 ||
	    memcmp(at + sizeof(before) + 1, behind, sizeof(behind)) != 0)
		return false;
	*ret_after_push = (int16_t)(literal - DW_OP_lit0);
	return true;
}

static bool offset_is_words(int64_t offset, int64_t words_min, int64_t words_max)
{
	return offset % WORD_BYTES == 0 && offset / WORD_BYTES >= words_min &&
	       offset / WORD_BYTES <= words_max;
}

static bool rule_is_at(const struct cfi_rule *rule, int64_t offset)
{
	return rule->kind == CFI_AT_CFA && rule->offset == offset;
}

/*
 * Is the register in the context of the kernel's frame, to which rsp points once the handler has returned?
 * @source Linux arch/x86/include/asm/sigframe.h, struct rt_sigframe
 */
static bool rule_is_context(const struct cfi_rule *rule, int greg)
{
	struct expression expression = {0};

	if (rule->kind != CFI_AT_EXPRESSION)
		return false;
	expression = expression_read(rule->expression);
	return expression.kind == EXPRESSION_SUM && expression.register_number == CFI_RSP &&
	       expression.offset == (int64_t)offsetof(ucontext_t, uc_mcontext.gregs) + WORD_BYTES * greg;
}

static bool state_is_kernel_frame(const struct cfi_state *state)
{
	struct cfi_rule cfa = {.kind = CFI_AT_EXPRESSION, .expression = state->cfa.expression};
	struct byte_reader *expression = &cfa.expression;

	/* The CFA is the interrupted rsp: what is there, and not where it is. */
	if (state->cfa.kind != CFI_CFA_EXPRESSION || !byte_reader_left(expression) ||
	    expression->end[-1] != DW_OP_deref)
		return false;
	expression->end--;
	return rule_is_context(&cfa, REG_RSP) && rule_is_context(&state->return_address, REG_RIP) &&
	       rule_is_context(&state->rbp, REG_RBP);
}

static uint8_t rule_of_register(uint32_t register_number)
{
	switch (register_number) {
	case CFI_RSP:
		return UNWIND_RSP;
	case CFI_RBP:
		return UNWIND_RBP;
	case CFI_RBX:
		return UNWIND_RBX;
	default:
		return UNWIND_UNSUPPORTED;
	}
}

/* Where a register of the caller is, in three bits. */
static uint8_t place_of(const struct cfi_rule *rule)
{
	if (rule->kind == CFI_SAME)
		return UNWIND_PLACE_SAME;
	if (rule->kind != CFI_AT_CFA ||
	    !offset_is_words(rule->offset, UNWIND_PLACE_WORDS(UNWIND_PLACE_LOST - 1),
	                     UNWIND_PLACE_WORDS(UNWIND_PLACE_SAME + 1)))
		return UNWIND_PLACE_LOST;
	return (uint8_t)(UNWIND_PLACE_WORDS(0) - rule->offset / WORD_BYTES);
}

/* A frame of more than 256 KiB: rbp has some bits of the size, and those that are left are its place. */
static bool row_set_far(struct unwind_row *row, const struct cfi_state *state, int64_t offset)
{
	uint32_t words = 0;

	if (!offset_is_words(offset, INT16_MAX + 1, FAR_WORDS_MAX))
		return false;
	words = (uint32_t)(offset / WORD_BYTES);
	row->rule = UNWIND_RSP_FAR;
	row->cfa = (int16_t)(uint16_t)words;
	row->rbp = (int8_t)(uint8_t)(words >> 16 | (uint32_t)place_of(&state->rbp) << UNWIND_FAR_BITS);
	return true;
}

/* The CFA is what is in memory, or a few words more. */
static bool row_set_deref(struct unwind_row *row, const struct expression *expression)
{
	if (!offset_is_words(expression->offset, UNWIND_DEREF_AT_MIN, UNWIND_DEREF_AT_MAX) ||
	    expression->added % WORD_BYTES || expression->added / WORD_BYTES > UNWIND_DEREF_ADDED_MAX)
		return false;
	if (expression->register_number == CFI_RSP)
		row->rule = UNWIND_DEREF_RSP;
	else if (expression->register_number == CFI_RBP)
		row->rule = UNWIND_DEREF_RBP;
	else
		return false;
	row->cfa = UNWIND_DEREF_CFA(expression->offset / WORD_BYTES, (int64_t)expression->added / WORD_BYTES);
	return true;
}

/* How the CFA is found. @return whether a row can tell it */
static bool row_set_cfa(struct unwind_row *row, const struct cfi_cfa *cfa)
{
	struct expression expression = {
	        .kind = EXPRESSION_SUM,
	        .register_number = cfa->register_number,
	        .offset = cfa->offset,
	};

	if (cfa->kind == CFI_CFA_EXPRESSION) {
		if (expression_is_plt(&cfa->expression, &row->cfa)) {
			row->rule = UNWIND_PLT;
			return true;
		}
		expression = expression_read(cfa->expression);
	}
	if (expression.kind == EXPRESSION_DEREF)
		return row_set_deref(row, &expression);
	if (cfa->kind == CFI_CFA_NONE || expression.kind == EXPRESSION_OTHER ||
	    !offset_is_words(expression.offset, INT16_MIN, INT16_MAX))
		return false;
	row->cfa = (int16_t)(expression.offset / WORD_BYTES);
	row->rule = rule_of_register(expression.register_number);
	return row->rule != UNWIND_UNSUPPORTED;
}

/* How the caller's rbp is found. */
static void row_set_rbp(struct unwind_row *row, const struct cfi_rule *rbp)
{
	struct expression expression = {0};

	row->rbp = UNWIND_RBP_UNSUPPORTED;
	switch (rbp->kind) {
	case CFI_SAME:
		row->rbp = UNWIND_RBP_SAME;
		break;
	case CFI_UNDEFINED:
		row->rbp = UNWIND_RBP_UNDEFINED;
		break;
	case CFI_AT_CFA:
		if (rbp->offset && offset_is_words(rbp->offset, INT8_MIN, UNWIND_RBP_UNDEFINED - 1))
			row->rbp = (int8_t)(rbp->offset / WORD_BYTES);
		break;
	case CFI_AT_EXPRESSION:
		expression = expression_read(rbp->expression);
		if (expression.kind == EXPRESSION_SUM && expression.register_number == CFI_RBP &&
		    offset_is_words(expression.offset, INT8_MIN, UNWIND_RBP_UNDEFINED - 1)) {
			row->rbp = (int8_t)(expression.offset / WORD_BYTES);
			row->rule |= UNWIND_RBP_BY_RBP;
		}
		break;
	default:
		break;
	}
}

struct unwind_row unwind_row_make(const struct cfi_state *state, bool is_signal)
{
	static const struct unwind_row unsupported = {.rule = UNWIND_UNSUPPORTED};
	struct unwind_row row = {0};

	if (!state)
		return unsupported;
	if (state->return_address.kind == CFI_UNDEFINED)
		return (struct unwind_row){.rule = UNWIND_END};
	if (is_signal && state_is_kernel_frame(state))
		return (struct unwind_row){.rule = UNWIND_SIGNAL};
	if (!rule_is_at(&state->return_address, -WORD_BYTES) ||
	    (state->rsp.kind != CFI_SAME && !(state->rsp.kind == CFI_CFA_VALUE && state->rsp.offset == 0)))
		return unsupported;
	if (!(state->cfa.kind == CFI_CFA_REGISTER && state->cfa.register_number == CFI_RSP &&
	      row_set_far(&row, state, state->cfa.offset))) {
		if (!row_set_cfa(&row, &state->cfa))
			return unsupported;
		row_set_rbp(&row, &state->rbp);
	}
	row.rule |= (uint8_t)(place_of(&state->rbx) << UNWIND_RBX_SHIFT);
	return row;
}
