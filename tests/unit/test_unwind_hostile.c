/*
 * Unwind tables of files that were made to break what reads them: cut anywhere, changed at random, or made of
 * what takes the most work. Under the sanitizers a read beyond the file ends the test.
 */
#include "unwind/unwind_table.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <sys/mman.h>
#include <time.h>

#include "eh_image.h"
#include "random_numbers.h"
#include "unwind/eh_frame.h"

TestSuite(unwind_hostile, .timeout = 60);

#define MIB ((size_t)1 << 20)
/* Of CPU: a hundred times what it takes without the sanitizers. What is not linear takes minutes. */
#define MAKE_SECONDS_MAX 10.0
#define CHANGES          3000

static double cpu_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Whatever comes out: it is a table in order, or one of the errors, soon. */
static int make(const uint8_t *bytes, size_t count, size_t *ret_rows)
{
	struct unwind_table *table = NULL;
	double start = cpu_seconds();
	int error = unwind_table_make(bytes, count, &table);

	cr_assert_lt(cpu_seconds() - start, MAKE_SECONDS_MAX);
	*ret_rows = 0;
	if (error == 0) {
		const struct unwind_row *rows = unwind_table_rows(table, ret_rows);

		cr_assert_gt(*ret_rows, 0);
		for (size_t i = 0; i < *ret_rows; i++) {
			cr_assert_lt(rows[i].rule & UNWIND_RULE_MASK, UNWIND_RULE_COUNT);
			cr_assert(i == 0 || rows[i].file_offset > rows[i - 1].file_offset);
		}
	} else {
		cr_assert(error == -ENOEXEC || error == -ENOENT || error == -EINVAL || error == -E2BIG, "%d",
		          error);
	}
	unwind_table_free(table);
	return error;
}

static size_t make_image(struct eh_image *image)
{
	size_t rows = 0;
	const uint8_t *bytes = eh_image_end(image);
	int error = make(bytes, image->count, &rows);

	cr_assert_eq(error, 0, "%d", error);
	free(image->bytes);
	return rows;
}

/* Entries of several kinds, by program header or by section. */
static struct eh_image small_image(bool by_section)
{
	static const uint8_t program[] = {
	        DW_CFA_advance_loc | 1,
	        DW_CFA_def_cfa_offset,
	        16,
	        DW_CFA_offset | CFI_RBP,
	        2,
	        DW_CFA_remember_state,
	        DW_CFA_advance_loc1,
	        4,
	        DW_CFA_restore_state,
	        DW_CFA_advance_loc2,
	        8,
	        0,
	        DW_CFA_def_cfa_expression,
	        3,
	        DW_OP_breg6,
	        0x78,
	        DW_OP_deref,
	        DW_CFA_expression,
	        CFI_RBP,
	        2,
	        DW_OP_breg6,
	        0,
	};
	static const uint8_t augmentation[] = {
	        DW_EH_PE_indirect | EH_PCREL_SDATA4, 1, 2, 3, 4, EH_PCREL_SDATA4, EH_PCREL_SDATA4};
	struct eh_image image = eh_image_begin();

	eh_put_usual_cie(&image);
	eh_put_fde(&image, EH_IMAGE_CODE, 0x40, program, sizeof(program));
	eh_put_fde(&image, EH_IMAGE_CODE + 0x80, 0x40, program, sizeof(program));
	eh_put_cie(&image, "zPLRS", augmentation, sizeof(augmentation), "\x0c\x07\x08", 3);
	eh_put_fde(&image, EH_IMAGE_CODE + 0x100, 0x40, program, sizeof(program));
	eh_put_u32(&image, 0);
	if (by_section)
		eh_put_section(&image);
	return image;
}

/* The segment as large as the cut file, as if it had been made so, and as it was. */
Test(unwind_hostile, cut_at_every_byte)
{
	size_t good = 0;

	for (int by_section = 0; by_section < 2; by_section++) {
		struct eh_image image = small_image(by_section);
		size_t whole = image.count;

		eh_image_end(&image);
		for (size_t count = 0; count < whole; count += count == sizeof(Elf64_Ehdr) * 4 ? 0x1e00 : 1) {
			uint8_t *cut = malloc(count ? count : 1);
			size_t rows = 0;

			memcpy(cut, image.bytes, count);
			cr_assert_neq(make(cut, count, &rows), 0);
			if (count > sizeof(Elf64_Ehdr) + sizeof(Elf64_Phdr)) {
				((Elf64_Phdr *)(cut + sizeof(Elf64_Ehdr)))->p_filesz = count;
				good += make(cut, count, &rows) == 0;
			}
			free(cut);
		}
		free(image.bytes);
	}
	/* By the program header, what is there counts. */
	cr_assert_gt(good, 0);
}

Test(unwind_hostile, changed_at_random)
{
	struct eh_image images[2] = {small_image(false), small_image(true)};
	uint64_t state = 1;
	size_t good = 0;

	for (size_t i = 0; i < 2; i++)
		eh_image_end(&images[i]);
	for (size_t i = 0; i < CHANGES; i++) {
		size_t count = images[i % 2].count;
		uint8_t *changed = malloc(count);
		size_t rows = 0;

		memcpy(changed, images[i % 2].bytes, count);
		for (uint64_t n = random_below(&state, 8) + 1; n > 0; n--) {
			size_t at =
			        random_below(&state, 4)
			                ? EH_IMAGE_HEADER + random_below(&state, count - EH_IMAGE_HEADER)
			                : random_below(&state, sizeof(Elf64_Ehdr) + 2 * sizeof(Elf64_Phdr));

			changed[at] = (uint8_t)random_next(&state);
		}
		good += make(changed, count, &rows) == 0;
		free(changed);
	}
	cr_assert_gt(good, CHANGES / 10);
	cr_assert_lt(good, CHANGES - CHANGES / 10);
	for (size_t i = 0; i < 2; i++)
		free(images[i].bytes);
}

/* A program of a MiB of one instruction. */
static size_t make_repeated(const uint8_t *instruction, size_t bytes)
{
	struct eh_image image = eh_image_begin();
	size_t begin = 0;

	eh_put_usual_cie(&image);
	begin = eh_fde_begin(&image);
	eh_put_u32(&image, EH_IMAGE_CODE - (uint32_t)image.count);
	eh_put_u32(&image, 2 * MIB);
	eh_put_u8(&image, 0);
	for (size_t i = 0; i < MIB / bytes; i++)
		eh_put(&image, instruction, bytes);
	eh_entry_end(&image, begin);
	/* The function ends with the file. */
	image.count += MIB;
	return make_image(&image);
}

#define MAKE_REPEATED(...) make_repeated((uint8_t[]){__VA_ARGS__}, sizeof((uint8_t[]){__VA_ARGS__}))

Test(unwind_hostile, long_programs)
{
	cr_assert_eq(MAKE_REPEATED(DW_CFA_nop), 2);
	cr_assert_eq(MAKE_REPEATED(DW_CFA_advance_loc | 1), 2);
	cr_assert_eq(MAKE_REPEATED(DW_CFA_remember_state), 2);
	cr_assert_eq(MAKE_REPEATED(DW_CFA_remember_state, DW_CFA_restore_state), 2);
	cr_assert_eq(MAKE_REPEATED(DW_CFA_def_cfa_expression, 1, DW_OP_lit0, DW_CFA_advance_loc | 1), 2);
	cr_assert_eq(MAKE_REPEATED(DW_CFA_advance_loc | 1, DW_CFA_def_cfa_offset, 16, DW_CFA_advance_loc | 1,
	                           DW_CFA_def_cfa_offset, 24),
	             2 * (MIB / 6) + 2);
}

/* An expression of half a MiB, and as many rows that it is of. */
Test(unwind_hostile, long_expression_of_many_rows)
{
	struct eh_image image = eh_image_begin();
	size_t begin = 0;

	eh_put_usual_cie(&image);
	begin = eh_fde_begin(&image);
	eh_put_u32(&image, EH_IMAGE_CODE - (uint32_t)image.count);
	eh_put_u32(&image, 2 * MIB);
	eh_put_u8(&image, 0);
	eh_put(&image, (uint8_t[]){DW_CFA_def_cfa_expression, 0x80, 0x80, 0x20, DW_OP_breg7}, 5);
	memset(image.bytes + image.count, 0x80, MIB / 2 - 1);
	image.count += MIB / 2 - 1;
	for (size_t i = 0; i < MIB / 2; i++)
		eh_put_u8(&image, DW_CFA_advance_loc | 1);
	eh_entry_end(&image, begin);
	image.count += MIB;
	cr_assert_eq(make_image(&image), 2);
}

/* As many CIEs as FDEs, each of which is another one's; backwards, all at the same place or nested. */
Test(unwind_hostile, many_entries)
{
	for (int shape = 0; shape < 3; shape++) {
		struct eh_image image = eh_image_begin();
		uint32_t first = (uint32_t)image.count;
		uint32_t pairs = 0;
		uint32_t size = 0;

		for (; image.count < MIB / 2; pairs++)
			eh_put_usual_cie(&image);
		size = (uint32_t)(image.count - first) / pairs;
		for (uint32_t i = 0; i < pairs; i++) {
			image.cie = first + size * (uint32_t)(i * 7919ULL % pairs);
			eh_put_fde(&image,
			           shape == 0   ? EH_IMAGE_CODE + pairs - i
			           : shape == 1 ? EH_IMAGE_CODE
			                        : EH_IMAGE_CODE + i,
			           shape == 2 ? 2 * pairs - 2 * i : 1, NULL, 0);
		}
		eh_put_u32(&image, 0);
		cr_assert_gt(pairs, 10000);
		cr_assert_eq(make_image(&image), 2, "shape %d", shape);
	}
}

/* Distances to what may look like a CIE: nothing is read there. */
Test(unwind_hostile, many_pointers_into_one_long_cie)
{
	struct eh_image image = eh_image_begin();
	size_t begin = 0;
	uint32_t first = 0;

	eh_put_usual_cie(&image);
	eh_put_fde(&image, EH_IMAGE_CODE, 0x10, NULL, 0);
	begin = eh_entry_begin(&image);
	first = (uint32_t)image.count;
	eh_put_u32(&image, 0);
	image.count += MIB / 2;
	eh_entry_end(&image, begin);
	for (uint32_t i = 0; image.count < 3 * MIB / 2; i++) {
		image.cie = first + i;
		eh_put_fde(&image, EH_IMAGE_CODE + 0x20, 1, NULL, 0);
	}
	eh_put_u32(&image, 0);
	cr_assert_eq(make_image(&image), 2);
}

Test(unwind_hostile, more_cies_than_are_read)
{
	for (size_t beyond = 0; beyond < 2; beyond++) {
		struct eh_image image = eh_image_begin();
		size_t rows = 0;

		for (size_t i = 0; i < EH_FRAME_CIES_MAX + beyond; i++)
			eh_put_usual_cie(&image);
		eh_put_fde(&image, EH_IMAGE_CODE, 1, NULL, 0);
		eh_put_u32(&image, 0);
		eh_image_end(&image);
		cr_assert_eq(make(image.bytes, image.count, &rows), beyond ? -E2BIG : 0);
		free(image.bytes);
	}
}

/* 9 million rows, in a file of 27 MB. */
Test(unwind_hostile, more_rows_than_a_table_may_have)
{
	size_t advances = UNWIND_TABLE_ROWS_MAX + 2;
	size_t bytes = EH_IMAGE_ROOM + advances * 3;
	uint8_t *content = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct eh_image image = eh_image_begin();
	size_t begin = 0;
	size_t rows = 0;
	uint32_t length = 0;
	struct unwind_table *table = NULL;

	eh_put_usual_cie(&image);
	begin = eh_fde_begin(&image);
	eh_put_u32(&image, EH_IMAGE_CODE - (uint32_t)image.count);
	eh_put_u32(&image, (uint32_t)bytes);
	eh_put_u8(&image, 0);
	cr_assert_neq(content, MAP_FAILED);
	memcpy(content, image.bytes, image.count);
	for (size_t i = 0; i < advances; i++)
		memcpy(content + image.count + 3 * i,
		       (uint8_t[]){DW_CFA_advance_loc | 1, DW_CFA_def_cfa_offset, i % 2 ? 16 : 24}, 3);
	length = (uint32_t)(image.count - begin + 3 * advances);
	memcpy(content + begin - sizeof(length), &length, sizeof(length));
	((Elf64_Phdr *)(content + sizeof(Elf64_Ehdr)))->p_filesz = bytes;
	cr_assert_eq(unwind_table_make(content, bytes, &table), -E2BIG);
	/* And just as many as it may: the last one is the gap behind them. */
	memset(content + image.count + 3 * (UNWIND_TABLE_ROWS_MAX - 2), DW_CFA_nop, 3 * 4);
	cr_assert_eq(make(content, bytes, &rows), 0);
	cr_assert_eq(rows, UNWIND_TABLE_ROWS_MAX);
	munmap(content, bytes);
	free(image.bytes);
}

/* File offsets have 32 bits in a row. */
Test(unwind_hostile, code_beyond_4_gib)
{
	size_t bytes = (size_t)5 << 30;
	uint8_t *content =
	        mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	struct eh_image image = small_image(false);
	Elf64_Phdr *programs = (Elf64_Phdr *)(content + sizeof(Elf64_Ehdr));
	struct unwind_table *table = NULL;

	cr_assert_neq(content, MAP_FAILED);
	memcpy(content, image.bytes, image.count);
	/* The code is far behind, .eh_frame where it was: segments by address. */
	programs[0].p_filesz = EH_IMAGE_FRAME + 0x200;
	programs[0].p_flags = PF_R;
	programs[2] = (Elf64_Phdr){
	        .p_type = PT_LOAD,
	        .p_flags = PF_R | PF_X,
	        .p_offset = bytes - 0x1000,
	        .p_vaddr = EH_IMAGE_VADDR + EH_IMAGE_CODE,
	        .p_filesz = 0x1000,
	};
	((Elf64_Ehdr *)content)->e_phnum = 3;
	cr_assert_eq(unwind_table_make(content, bytes, &table), -ENOENT);
	programs[2].p_offset = UINT32_MAX - 0xffffUL;
	cr_assert_eq(unwind_table_make(content, bytes, &table), 0);
	cr_assert_eq(unwind_table_left_out(table), 0);
	unwind_table_free(table);
	munmap(content, bytes);
	free(image.bytes);
}
