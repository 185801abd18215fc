/*
 * One input for the makers of unwind tables: what `make fuzz` calls with what it invents, and `make check`
 * with what is in tests/fuzz/corpus. Inputs: any bytes. Aborts where a table is not as include/unwind_abi.h
 * has it.
 */
#ifndef LEFTOPEN_TESTS_FUZZ_UNWIND_TABLE_INPUT_H
#define LEFTOPEN_TESTS_FUZZ_UNWIND_TABLE_INPUT_H

#include <dwarf.h>
#include <elf.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "unwind/unwind_table.h"

/* The first byte: the rest is a whole file, or .eh_frame. */
#define INPUT_IS_FILE 'F'
/* What .eh_frame is put into: the addresses of its functions are to be in it. */
#define INPUT_IMAGE_BYTES 65536
#define INPUT_VADDR       0x400000

struct input_image {
	Elf64_Ehdr header;
	Elf64_Phdr programs[2];
	uint8_t eh_frame_hdr[8];
	uint8_t eh_frame[INPUT_IMAGE_BYTES];
};

static inline void input_must(int holds)
{
	if (!holds)
		abort();
}

static inline void input_check_row(const struct unwind_row *row)
{
	unsigned rule = row->rule & UNWIND_RULE_MASK;

	input_must(rule < UNWIND_RULE_COUNT);
	if (rule == UNWIND_GAP || rule == UNWIND_SIGNAL || rule == UNWIND_END || rule == UNWIND_UNSUPPORTED)
		input_must(row->rule == rule && !row->cfa && !row->rbp);
	if (rule == UNWIND_PLT)
		input_must(row->cfa >= 0 && row->cfa < 16);
	if (rule == UNWIND_RSP_FAR)
		input_must(!(row->rule & UNWIND_RBP_BY_RBP) &&
		           ((uint16_t)row->cfa >= 32768 || row->rbp & ((1 << UNWIND_FAR_BITS) - 1)));
	else if (row->rule & UNWIND_RBP_BY_RBP)
		input_must(row->rbp < UNWIND_RBP_UNDEFINED);
}

static inline void input_check_table(const struct unwind_table *table)
{
	size_t count = 0;
	const struct unwind_row *rows = unwind_table_rows(table, &count);

	input_must(count > 0);
	for (size_t i = 0; i < count; i++) {
		input_check_row(&rows[i]);
		if (i > 0)
			input_must(rows[i].file_offset > rows[i - 1].file_offset &&
			           (rows[i].rule != rows[i - 1].rule || rows[i].cfa != rows[i - 1].cfa ||
			            rows[i].rbp != rows[i - 1].rbp));
	}
}

static inline void input_make(const void *image, size_t bytes)
{
	struct unwind_table *table = NULL;

	if (unwind_table_make(image, bytes, &table) == 0)
		input_check_table(table);
	else
		input_must(!table);
	unwind_table_free(table);
}

static inline void input_make_of_eh_frame(const uint8_t *eh_frame, size_t bytes)
{
	size_t before = offsetof(struct input_image, eh_frame);
	struct input_image *image = NULL;

	if (bytes > INPUT_IMAGE_BYTES)
		return;
	image = calloc(1, sizeof(*image));
	input_must(image != NULL);
	image->header = (Elf64_Ehdr){
	        .e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
	        .e_type = ET_DYN,
	        .e_machine = EM_X86_64,
	        .e_entry = INPUT_VADDR + before,
	        .e_phoff = offsetof(struct input_image, programs),
	        .e_phentsize = sizeof(Elf64_Phdr),
	        .e_phnum = 2,
	};
	image->programs[0] = (Elf64_Phdr){
	        .p_type = PT_LOAD,
	        .p_flags = PF_R | PF_X,
	        .p_vaddr = INPUT_VADDR,
	        .p_filesz = sizeof(*image),
	};
	image->programs[1] = (Elf64_Phdr){
	        .p_type = PT_GNU_EH_FRAME,
	        .p_offset = offsetof(struct input_image, eh_frame_hdr),
	        .p_vaddr = INPUT_VADDR + offsetof(struct input_image, eh_frame_hdr),
	        .p_filesz = sizeof(image->eh_frame_hdr),
	};
	/* The pointer to .eh_frame stands 4 bytes before it. */
	memcpy(image->eh_frame_hdr, (uint8_t[]){1, DW_EH_PE_pcrel | DW_EH_PE_sdata4, 0xff, 0xff, 4, 0, 0, 0},
	       8);
	memcpy(image->eh_frame, eh_frame, bytes);
	input_make(image, sizeof(*image));
	free(image);
}

static inline void unwind_table_input(const uint8_t *data, size_t bytes)
{
	uint8_t *exact = NULL;

	if (!bytes)
		return;
	if (data[0] != INPUT_IS_FILE) {
		input_make_of_eh_frame(data + 1, bytes - 1);
		return;
	}
	/* Memory of that size alone, so that a read beyond is seen. */
	exact = malloc(bytes > 1 ? bytes - 1 : 1);
	input_must(exact != NULL);
	memcpy(exact, data + 1, bytes - 1);
	input_make(exact, bytes - 1);
	free(exact);
}

#endif
