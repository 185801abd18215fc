/*
 * Rows and tables of hand-made .eh_frame: each rule, the shape of a table, and files that claim too much.
 */
#include "unwind/unwind_table.h"

#include <criterion/criterion.h>
#include <errno.h>

#include "eh_image.h"

TestSuite(unwind_rows, .timeout = 60);

#define ROWS_MAX 16

static struct unwind_row rows[ROWS_MAX];
static size_t row_count;
static size_t left_out;

static int make(struct eh_image *image)
{
	struct unwind_table *table = NULL;
	const uint8_t *bytes = eh_image_end(image);
	int error = unwind_table_make(bytes, image->count, &table);

	if (error == 0) {
		const struct unwind_row *made = unwind_table_rows(table, &row_count);

		cr_assert_leq(row_count, (size_t)ROWS_MAX);
		memcpy(rows, made, row_count * sizeof(*made));
		left_out = unwind_table_left_out(table);
	}
	unwind_table_free(table);
	free(image->bytes);
	return error;
}

static void assert_row(size_t index, uint32_t file_offset, uint8_t rule, int16_t cfa, int8_t rbp)
{
	cr_assert_lt(index, row_count);
	cr_assert(rows[index].file_offset == file_offset && rows[index].rule == rule &&
	                  rows[index].cfa == cfa && rows[index].rbp == rbp,
	          "row %zu: offset %x rule %x cfa %d rbp %d", index, rows[index].file_offset,
	          rows[index].rule, rows[index].cfa, rows[index].rbp);
}

/* The row of a function of one state. */
static void assert_program(const uint8_t *program, size_t bytes, uint8_t rule, int16_t cfa, int8_t rbp)
{
	struct eh_image image = eh_image_begin();

	eh_put_usual_cie(&image);
	eh_put_fde(&image, EH_IMAGE_CODE, 0x10, program, bytes);
	cr_assert_eq(make(&image), 0);
	cr_assert_eq(row_count, 2);
	assert_row(0, EH_IMAGE_CODE, rule, cfa, rbp);
	assert_row(1, EH_IMAGE_CODE + 0x10, UNWIND_GAP, 0, 0);
}

#define ASSERT_PROGRAM(rule, cfa, rbp, ...)                           \
	do {                                                          \
		const uint8_t bytes[] = {__VA_ARGS__};                \
		assert_program(bytes, sizeof(bytes), rule, cfa, rbp); \
	} while (0)

Test(unwind_rows, cfa_by_register)
{
	ASSERT_PROGRAM(UNWIND_RSP, 1, UNWIND_RBP_SAME, DW_CFA_nop);
	ASSERT_PROGRAM(UNWIND_RSP, 3, UNWIND_RBP_SAME, DW_CFA_def_cfa_offset, 24);
	ASSERT_PROGRAM(UNWIND_RBP, 2, UNWIND_RBP_SAME, DW_CFA_def_cfa, CFI_RBP, 16);
	ASSERT_PROGRAM(UNWIND_RBX, 2, UNWIND_RBP_SAME, DW_CFA_def_cfa, CFI_RBX, 16);
	ASSERT_PROGRAM(UNWIND_RSP, -1, UNWIND_RBP_SAME, DW_CFA_def_cfa_offset_sf, 1);
	ASSERT_PROGRAM(UNWIND_UNSUPPORTED, 0, 0, DW_CFA_def_cfa, 10, 0);
	ASSERT_PROGRAM(UNWIND_UNSUPPORTED, 0, 0, DW_CFA_def_cfa, 0x87, 0x80, 0x80, 0x80, 0x10, 8);
	ASSERT_PROGRAM(UNWIND_UNSUPPORTED, 0, 0, DW_CFA_def_cfa_offset, 12);
	ASSERT_PROGRAM(UNWIND_RBP, 32767, UNWIND_RBP_SAME, DW_CFA_def_cfa, CFI_RBP, 0xf8, 0xff, 0x0f);
	ASSERT_PROGRAM(UNWIND_UNSUPPORTED, 0, 0, DW_CFA_def_cfa, CFI_RBP, 0x80, 0x80, 0x10);
}

Test(unwind_rows, cfa_far)
{
	ASSERT_PROGRAM(UNWIND_RSP, 32767, UNWIND_RBP_SAME, DW_CFA_def_cfa_offset, 0xf8, 0xff, 0x0f);
	/* 32768 words, with rbp untouched, pushed, pushed last of six, and where such a row cannot tell it.
	 */
	ASSERT_PROGRAM(UNWIND_RSP_FAR, -32768, 0, DW_CFA_def_cfa_offset, 0x80, 0x80, 0x10);
	ASSERT_PROGRAM(UNWIND_RSP_FAR, -32768, 1 << UNWIND_FAR_BITS, DW_CFA_def_cfa_offset, 0x80, 0x80, 0x10,
	               DW_CFA_offset | CFI_RBP, 2);
	ASSERT_PROGRAM(UNWIND_RSP_FAR, -32768, (int8_t)(6 << UNWIND_FAR_BITS), DW_CFA_def_cfa_offset, 0x80,
	               0x80, 0x10, DW_CFA_offset | CFI_RBP, 7);
	ASSERT_PROGRAM(UNWIND_RSP_FAR, -32768, (int8_t)(7 << UNWIND_FAR_BITS), DW_CFA_def_cfa_offset, 0x80,
	               0x80, 0x10, DW_CFA_offset | CFI_RBP, 8);
	ASSERT_PROGRAM(UNWIND_RSP_FAR, -32768, (int8_t)(7 << UNWIND_FAR_BITS), DW_CFA_def_cfa_offset, 0x80,
	               0x80, 0x10, DW_CFA_undefined, CFI_RBP);
	/* 2^21 - 1 words, and one more. */
	ASSERT_PROGRAM(UNWIND_RSP_FAR, -1, 31, DW_CFA_def_cfa_offset, 0xf8, 0xff, 0xff, 0x07);
	ASSERT_PROGRAM(UNWIND_UNSUPPORTED, 0, 0, DW_CFA_def_cfa_offset, 0x80, 0x80, 0x80, 0x08);
	ASSERT_PROGRAM(UNWIND_UNSUPPORTED, 0, 0, DW_CFA_def_cfa_offset, 0x84, 0x80, 0x10);
}

Test(unwind_rows, cfa_by_expression)
{
	ASSERT_PROGRAM(UNWIND_DEREF_RBP, -16, 0, DW_CFA_def_cfa_expression, 3, DW_OP_breg6, 0x78,
	               DW_OP_deref);
	ASSERT_PROGRAM(UNWIND_DEREF_RSP, 32, 0, DW_CFA_def_cfa_expression, 3, DW_OP_breg7, 16, DW_OP_deref);
	ASSERT_PROGRAM(UNWIND_RSP, 2, 0, DW_CFA_def_cfa_expression, 2, DW_OP_breg7, 16);
	ASSERT_PROGRAM(UNWIND_UNSUPPORTED, 0, 0, DW_CFA_def_cfa_expression, 3, DW_OP_breg3, 16, DW_OP_deref);
	ASSERT_PROGRAM(UNWIND_UNSUPPORTED, 0, 0, DW_CFA_def_cfa_expression, 3, DW_OP_breg7, 12, DW_OP_deref);
	ASSERT_PROGRAM(UNWIND_UNSUPPORTED, 0, 0, DW_CFA_def_cfa_expression, 4, DW_OP_breg7, 8, DW_OP_deref,
	               DW_OP_deref);
	ASSERT_PROGRAM(UNWIND_UNSUPPORTED, 0, 0, DW_CFA_def_cfa_expression, 1, DW_OP_breg7);
	ASSERT_PROGRAM(UNWIND_UNSUPPORTED, 0, 0, DW_CFA_def_cfa_expression, 0);
	ASSERT_PROGRAM(UNWIND_UNSUPPORTED, 0, 0, DW_CFA_def_cfa_expression, 1, DW_OP_call_frame_cfa);
	/* A number that does not end. */
	ASSERT_PROGRAM(UNWIND_UNSUPPORTED, 0, 0, DW_CFA_def_cfa_expression, 12, DW_OP_breg7, 0x80, 0x80, 0x80,
	               0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0);
}

#define DEREF(...) DW_CFA_def_cfa_expression, sizeof((uint8_t[]){__VA_ARGS__}), __VA_ARGS__

/* What libcrypto's assembler says: a word of memory, and some more. */
Test(unwind_rows, cfa_in_memory_and_more)
{
	ASSERT_PROGRAM(UNWIND_DEREF_RSP, 5 * 16 + 1, 0,
	               DEREF(DW_OP_breg7, 40, DW_OP_deref, DW_OP_plus_uconst, 8));
	ASSERT_PROGRAM(UNWIND_DEREF_RBP, -16 + 15, 0,
	               DEREF(DW_OP_breg6, 0x78, DW_OP_deref, DW_OP_plus_uconst, 120));
	/* Numbers with bytes that say nothing more. */
	ASSERT_PROGRAM(
	        UNWIND_DEREF_RSP, 19 * 16 + 1, 0,
	        DEREF(DW_OP_breg7, 0x98, 0x81, 0x80, 0, DW_OP_deref, DW_OP_plus_uconst, 0x88, 0x80, 0x80, 0));
	/* The farthest both ways, and one word farther. */
	ASSERT_PROGRAM(UNWIND_DEREF_RSP, 2047 * 16, 0, DEREF(DW_OP_breg7, 0xf8, 0xff, 0, DW_OP_deref));
	ASSERT_PROGRAM(UNWIND_UNSUPPORTED, 0, 0, DEREF(DW_OP_breg7, 0x80, 0x80, 1, DW_OP_deref));
	ASSERT_PROGRAM(UNWIND_DEREF_RSP, INT16_MIN, 0, DEREF(DW_OP_breg7, 0x80, 0x80, 0x7f, DW_OP_deref));
	ASSERT_PROGRAM(UNWIND_UNSUPPORTED, 0, 0, DEREF(DW_OP_breg7, 0xf8, 0xff, 0x7e, DW_OP_deref));
	/* More than is told, no words, another register, another operation, one more, a number that is cut.
	 */
	ASSERT_PROGRAM(UNWIND_UNSUPPORTED, 0, 0,
	               DEREF(DW_OP_breg7, 40, DW_OP_deref, DW_OP_plus_uconst, 0x80, 1));
	ASSERT_PROGRAM(UNWIND_UNSUPPORTED, 0, 0, DEREF(DW_OP_breg7, 40, DW_OP_deref, DW_OP_plus_uconst, 12));
	ASSERT_PROGRAM(UNWIND_UNSUPPORTED, 0, 0, DEREF(DW_OP_breg3, 40, DW_OP_deref, DW_OP_plus_uconst, 8));
	ASSERT_PROGRAM(UNWIND_UNSUPPORTED, 0, 0, DEREF(DW_OP_breg7, 40, DW_OP_deref, DW_OP_const1u, 8));
	ASSERT_PROGRAM(UNWIND_UNSUPPORTED, 0, 0,
	               DEREF(DW_OP_breg7, 40, DW_OP_deref, DW_OP_plus_uconst, 8, DW_OP_deref));
	ASSERT_PROGRAM(UNWIND_UNSUPPORTED, 0, 0, DEREF(DW_OP_breg7, 40, DW_OP_deref, DW_OP_plus_uconst));
	ASSERT_PROGRAM(UNWIND_UNSUPPORTED, 0, 0,
	               DEREF(DW_OP_breg7, 40, DW_OP_deref, DW_OP_plus_uconst, 0x88));
}

#define PLT(after_push)                                                                                     \
	DW_CFA_def_cfa_expression, 11, DW_OP_breg7, 8, DW_OP_breg16, 0, DW_OP_lit15, DW_OP_and, after_push, \
	        DW_OP_ge, DW_OP_lit3, DW_OP_shl, DW_OP_plus

Test(unwind_rows, cfa_of_plt)
{
	ASSERT_PROGRAM(UNWIND_PLT, 11, 0, PLT(DW_OP_lit11));
	ASSERT_PROGRAM(UNWIND_PLT, 10, 0, PLT(DW_OP_lit10));
	ASSERT_PROGRAM(UNWIND_PLT, 0, 0, PLT(DW_OP_lit0));
	ASSERT_PROGRAM(UNWIND_UNSUPPORTED, 0, 0, PLT(DW_OP_lit16));
	ASSERT_PROGRAM(UNWIND_UNSUPPORTED, 0, 0, PLT(DW_OP_and));
	ASSERT_PROGRAM(UNWIND_UNSUPPORTED, 0, 0, DW_CFA_def_cfa_expression, 11, DW_OP_breg7, 16, DW_OP_breg16,
	               0, DW_OP_lit15, DW_OP_and, DW_OP_lit11, DW_OP_ge, DW_OP_lit3, DW_OP_shl, DW_OP_plus);
}

Test(unwind_rows, rbp)
{
	ASSERT_PROGRAM(UNWIND_RSP, 1, -2, DW_CFA_offset | CFI_RBP, 2);
	ASSERT_PROGRAM(UNWIND_RSP, 1, -128, DW_CFA_offset | CFI_RBP, 0x80, 1);
	ASSERT_PROGRAM(UNWIND_RSP, 1, UNWIND_RBP_UNSUPPORTED, DW_CFA_offset | CFI_RBP, 0x81, 1);
	ASSERT_PROGRAM(UNWIND_RSP, 1, 125, DW_CFA_offset_extended_sf, CFI_RBP, 0x83, 0x7f);
	/* What would be the marks of no distance, or of the caller's own. */
	ASSERT_PROGRAM(UNWIND_RSP, 1, UNWIND_RBP_UNSUPPORTED, DW_CFA_offset_extended_sf, CFI_RBP, 0x82, 0x7f);
	ASSERT_PROGRAM(UNWIND_RSP, 1, UNWIND_RBP_UNSUPPORTED, DW_CFA_offset_extended_sf, CFI_RBP, 0x81, 0x7f);
	ASSERT_PROGRAM(UNWIND_RSP, 1, UNWIND_RBP_UNSUPPORTED, DW_CFA_offset | CFI_RBP, 0);
	ASSERT_PROGRAM(UNWIND_RSP, 1, UNWIND_RBP_UNDEFINED, DW_CFA_undefined, CFI_RBP);
	ASSERT_PROGRAM(UNWIND_RSP, 1, UNWIND_RBP_UNSUPPORTED, DW_CFA_register, CFI_RBP, CFI_RBX);
	ASSERT_PROGRAM(UNWIND_RSP, 1, UNWIND_RBP_UNSUPPORTED, DW_CFA_val_offset, CFI_RBP, 2);
	ASSERT_PROGRAM(UNWIND_RSP | UNWIND_RBP_BY_RBP, 1, 0, DW_CFA_expression, CFI_RBP, 2, DW_OP_breg6, 0);
	ASSERT_PROGRAM(UNWIND_RSP | UNWIND_RBP_BY_RBP, 1, -2, DW_CFA_expression, CFI_RBP, 2, DW_OP_breg6,
	               0x70);
	ASSERT_PROGRAM(UNWIND_RSP, 1, UNWIND_RBP_UNSUPPORTED, DW_CFA_expression, CFI_RBP, 2, DW_OP_breg6, 4);
	ASSERT_PROGRAM(UNWIND_RSP, 1, UNWIND_RBP_UNSUPPORTED, DW_CFA_expression, CFI_RBP, 2, DW_OP_breg7, 8);
	ASSERT_PROGRAM(UNWIND_RSP, 1, UNWIND_RBP_UNSUPPORTED, DW_CFA_expression, CFI_RBP, 3, DW_OP_breg6, 8,
	               DW_OP_deref);
}

#define RBX_IN(place) (UNWIND_RSP | (place) << UNWIND_RBX_SHIFT)

Test(unwind_rows, rbx)
{
	ASSERT_PROGRAM(RBX_IN(1), 1, 0, DW_CFA_offset | CFI_RBX, 2);
	ASSERT_PROGRAM(RBX_IN(6), 1, 0, DW_CFA_offset | CFI_RBX, 7);
	ASSERT_PROGRAM(UNWIND_RSP_FAR | 6 << UNWIND_RBX_SHIFT, -32768, 0, DW_CFA_def_cfa_offset, 0x80, 0x80,
	               0x10, DW_CFA_offset | CFI_RBX, 7);
	ASSERT_PROGRAM(UNWIND_RSP, 1, 0, DW_CFA_offset | CFI_RBX, 2, DW_CFA_restore | CFI_RBX);
	/* The return address, what is beyond six, what is no word, and what is told otherwise. */
	ASSERT_PROGRAM(RBX_IN(7), 1, 0, DW_CFA_offset | CFI_RBX, 1);
	ASSERT_PROGRAM(RBX_IN(7), 1, 0, DW_CFA_offset | CFI_RBX, 8);
	ASSERT_PROGRAM(RBX_IN(7), 1, 0, DW_CFA_offset_extended_sf, CFI_RBX, 0x7f);
	ASSERT_PROGRAM(RBX_IN(7), 1, 0, DW_CFA_undefined, CFI_RBX);
	ASSERT_PROGRAM(RBX_IN(7), 1, 0, DW_CFA_register, CFI_RBX, 12);
	ASSERT_PROGRAM(RBX_IN(7), 1, 0, DW_CFA_expression, CFI_RBX, 2, DW_OP_breg6, 0x70);
	/* A row that is none of a frame has no places. */
	ASSERT_PROGRAM(UNWIND_END, 0, 0, DW_CFA_offset | CFI_RBX, 2, DW_CFA_undefined, CFI_RETURN_ADDRESS);
	ASSERT_PROGRAM(UNWIND_UNSUPPORTED, 0, 0, DW_CFA_offset | CFI_RBX, 2, DW_CFA_def_cfa, 10, 0);
}

Test(unwind_rows, return_address)
{
	ASSERT_PROGRAM(UNWIND_END, 0, 0, DW_CFA_undefined, CFI_RETURN_ADDRESS);
	ASSERT_PROGRAM(UNWIND_UNSUPPORTED, 0, 0, DW_CFA_same_value, CFI_RETURN_ADDRESS);
	ASSERT_PROGRAM(UNWIND_UNSUPPORTED, 0, 0, DW_CFA_offset | CFI_RETURN_ADDRESS, 2);
	ASSERT_PROGRAM(UNWIND_UNSUPPORTED, 0, 0, DW_CFA_register, CFI_RETURN_ADDRESS, 2);
}

/* The caller's rsp is the CFA, or rows cannot tell it: setcontext(). */
Test(unwind_rows, stack_pointer)
{
	ASSERT_PROGRAM(UNWIND_RSP, 1, 0, DW_CFA_val_offset, CFI_RSP, 0);
	ASSERT_PROGRAM(UNWIND_UNSUPPORTED, 0, 0, DW_CFA_val_offset, CFI_RSP, 1);
	ASSERT_PROGRAM(UNWIND_UNSUPPORTED, 0, 0, DW_CFA_offset | CFI_RSP, 3);
	ASSERT_PROGRAM(UNWIND_UNSUPPORTED, 0, 0, DW_CFA_undefined, CFI_RSP);
}

static void assert_signal(const uint8_t *program, size_t bytes, const char *letters, uint8_t rule,
                          int16_t cfa)
{
	struct eh_image image = eh_image_begin();

	eh_put_cie(&image, letters, (uint8_t[]){EH_PCREL_SDATA4}, 1, NULL, 0);
	eh_put_fde(&image, EH_IMAGE_CODE, 0x10, program, bytes);
	cr_assert_eq(make(&image), 0);
	assert_row(0, EH_IMAGE_CODE, rule, cfa, 0);
}

#define KERNEL_FRAME(rip)                                                                               \
	DW_CFA_def_cfa_expression, 4, DW_OP_breg7, 0xa0, 1, DW_OP_deref, DW_CFA_expression, CFI_RBP, 3, \
	        DW_OP_breg7, 0xf8, 0, DW_CFA_expression, CFI_RETURN_ADDRESS, 3, DW_OP_breg7, rip, 1

Test(unwind_rows, signal_frame)
{
	static const uint8_t kernel[] = {KERNEL_FRAME(0xa8)};
	static const uint8_t other[] = {KERNEL_FRAME(0xb0)};
	static const uint8_t call[] = {DW_CFA_def_cfa, CFI_RSP, 8, DW_CFA_offset | CFI_RETURN_ADDRESS, 1};

	assert_signal(kernel, sizeof(kernel), "zRS", UNWIND_SIGNAL, 0);
	assert_signal(kernel, sizeof(kernel), "zR", UNWIND_UNSUPPORTED, 0);
	assert_signal(other, sizeof(other), "zRS", UNWIND_UNSUPPORTED, 0);
	assert_signal(call, sizeof(call), "zRS", UNWIND_RSP, 1);
	assert_signal(NULL, 0, "zRS", UNWIND_UNSUPPORTED, 0);
}

/* From where a program makes no sense on nothing is known; what was told before stays. */
Test(unwind_rows, invalid_program)
{
	static const uint8_t program[] = {DW_CFA_advance_loc | 4, DW_CFA_def_cfa_offset, 16,
	                                  DW_CFA_advance_loc | 4, 0x3f};
	struct eh_image image = eh_image_begin();

	eh_put_usual_cie(&image);
	eh_put_fde(&image, EH_IMAGE_CODE, 0x10, program, sizeof(program));
	cr_assert_eq(make(&image), 0);
	cr_assert_eq(row_count, 4);
	assert_row(1, EH_IMAGE_CODE + 4, UNWIND_RSP, 2, 0);
	assert_row(2, EH_IMAGE_CODE + 8, UNWIND_UNSUPPORTED, 0, 0);
	assert_row(3, EH_IMAGE_CODE + 0x10, UNWIND_GAP, 0, 0);
}

struct function {
	uint32_t offset;
	uint32_t size;
	uint8_t cfa; /* in words */
};

static struct eh_image image_of(const struct function *functions, size_t count)
{
	struct eh_image image = eh_image_begin();

	eh_put_usual_cie(&image);
	for (size_t i = 0; i < count; i++)
		eh_put_fde(&image, EH_IMAGE_CODE + functions[i].offset, functions[i].size,
		           (uint8_t[]){DW_CFA_def_cfa_offset, (uint8_t)(functions[i].cfa * 8)}, 2);
	return image;
}

static void make_of(const struct function *functions, size_t count)
{
	struct eh_image image = image_of(functions, count);

	cr_assert_eq(make(&image), 0);
}

#define MAKE_OF(...)                              \
	make_of((struct function[]){__VA_ARGS__}, \
	        sizeof((struct function[]){__VA_ARGS__}) / sizeof(struct function))

#define AT(offset) (EH_IMAGE_CODE + (offset))

Test(unwind_rows, padding_and_gaps)
{
	MAKE_OF({0, 0x11, 1}, {0x20, 0x10, 2}, {0x40, 0x10, 3});
	cr_assert_eq(row_count, 5);
	assert_row(0, AT(0), UNWIND_RSP, 1, 0);
	assert_row(1, AT(0x20), UNWIND_RSP, 2, 0);
	assert_row(2, AT(0x30), UNWIND_GAP, 0, 0);
	assert_row(3, AT(0x40), UNWIND_RSP, 3, 0);
	assert_row(4, AT(0x50), UNWIND_GAP, 0, 0);
}

Test(unwind_rows, equal_neighbours_are_one)
{
	MAKE_OF({0, 0x10, 1}, {0x10, 0x10, 1}, {0x28, 8, 1});
	cr_assert_eq(row_count, 2);
	assert_row(1, AT(0x30), UNWIND_GAP, 0, 0);
}

Test(unwind_rows, order_of_the_file_does_not_matter)
{
	MAKE_OF({0x40, 0x10, 3}, {0, 0x20, 1}, {0x20, 0x20, 2});
	cr_assert_eq(row_count, 4);
	for (uint32_t i = 0; i < 3; i++)
		assert_row(i, AT(i * 0x20), UNWIND_RSP, (int16_t)(i + 1), 0);
}

/* The last that begins counts, and behind its end there is none. */
Test(unwind_rows, overlapping_functions)
{
	MAKE_OF({0, 0x100, 1}, {0x40, 0x20, 2});
	cr_assert_eq(row_count, 3);
	assert_row(0, AT(0), UNWIND_RSP, 1, 0);
	assert_row(1, AT(0x40), UNWIND_RSP, 2, 0);
	assert_row(2, AT(0x60), UNWIND_GAP, 0, 0);
	/* Of two that begin together the longer one. */
	MAKE_OF({0, 0x40, 1}, {0, 0x20, 2});
	cr_assert_eq(row_count, 2);
	assert_row(0, AT(0), UNWIND_RSP, 1, 0);
	assert_row(1, AT(0x40), UNWIND_GAP, 0, 0);
}

static struct eh_image entry_image(uint32_t entry)
{
	struct eh_image image =
	        image_of((struct function[]){{0x10, 0x10, 1}, {0x28, 8, 2}, {0x80, 0x10, 3}}, 3);

	eh_elf(&image)->e_entry = entry ? EH_IMAGE_VADDR + AT(entry) : 0;
	return image;
}

Test(unwind_rows, entry)
{
	struct eh_image image = entry_image(0x50);

	cr_assert_eq(make(&image), 0);
	cr_assert_eq(row_count, 5);
	assert_row(2, AT(0x30), UNWIND_END, 0, 0);
	assert_row(4, AT(0x90), UNWIND_GAP, 0, 0);
	/* In what would be padding. */
	image = entry_image(0x24);
	cr_assert_eq(make(&image), 0);
	cr_assert_eq(row_count, 6);
	assert_row(1, AT(0x20), UNWIND_END, 0, 0);
	/* In a function, which says itself what is so. */
	image = entry_image(0x10);
	cr_assert_eq(make(&image), 0);
	assert_row(0, AT(0x10), UNWIND_RSP, 1, 0);
	/* Before all functions, and behind them. */
	image = entry_image(0x8);
	cr_assert_eq(make(&image), 0);
	assert_row(0, AT(0x8), UNWIND_END, 0, 0);
	assert_row(1, AT(0x10), UNWIND_RSP, 1, 0);
	image = entry_image(0x200);
	cr_assert_eq(make(&image), 0);
	assert_row(4, AT(0x90), UNWIND_END, 0, 0);
	/* In no segment. */
	image = entry_image(0x10000000);
	cr_assert_eq(make(&image), 0);
	assert_row(4, AT(0x90), UNWIND_GAP, 0, 0);
}

Test(unwind_rows, outside_of_segments)
{
	struct eh_image image = image_of((struct function[]){{0, 0x10, 1}, {0x10000000, 0x10, 2}}, 2);

	cr_assert_eq(make(&image), 0);
	cr_assert_eq(row_count, 2);
	cr_assert_eq(left_out, 1);
	image = image_of((struct function[]){{0, 0x10, 1}}, 1);
	eh_programs(&image)[0].p_flags = PF_R;
	cr_assert_eq(make(&image), -ENOENT);
	/* Out at its end: what is in counts. */
	image = image_of((struct function[]){{0, 0x10000000, 1}}, 1);
	cr_assert_eq(make(&image), 0);
	cr_assert_eq(left_out, 0);
	cr_assert_eq(row_count, 2);
	cr_assert_eq(rows[1].file_offset, image.count);
}

/* The second half of the code in a segment of its own, at addresses far from the first. */
Test(unwind_rows, segments_at_other_distances)
{
	struct eh_image image = image_of((struct function[]){{0x7000000 + 0x800, 0x10, 1}, {0, 0x10, 2}}, 2);

	eh_elf(&image)->e_phnum = 3;
	eh_programs(&image)[2] = (Elf64_Phdr){
	        .p_type = PT_LOAD,
	        .p_flags = PF_R | PF_X,
	        .p_offset = AT(0x800),
	        .p_vaddr = EH_IMAGE_VADDR + 0x7000000 + AT(0x800),
	        .p_filesz = 0x800,
	};
	cr_assert_eq(make(&image), 0);
	cr_assert_eq(row_count, 4);
	assert_row(0, AT(0), UNWIND_RSP, 2, 0);
	assert_row(1, AT(0x10), UNWIND_GAP, 0, 0);
	assert_row(2, AT(0x800), UNWIND_RSP, 1, 0);
	assert_row(3, AT(0x810), UNWIND_GAP, 0, 0);
}

Test(unwind_rows, errors_leave_the_result_alone)
{
	struct unwind_table *table = (void *)&rows;

	cr_assert_eq(unwind_table_make("#!/bin/sh\n", 10, &table), -ENOEXEC);
	cr_assert_eq(unwind_table_make(NULL, 0, &table), -ENOEXEC);
	cr_assert_eq(table, (void *)&rows);
	unwind_table_free(NULL);
}
