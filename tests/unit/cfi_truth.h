/*
 * What libdw, which has an interpreter of call frame information of its own, says of an address: as the row
 * of an unwind table that tells it. Written apart from src/unwind/, by libdw's operations and not by bytes.
 */
#ifndef LEFTOPEN_TESTS_UNIT_CFI_TRUTH_H
#define LEFTOPEN_TESTS_UNIT_CFI_TRUTH_H

#include <criterion/criterion.h>
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <fcntl.h>
#include <gelf.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "unwind_abi.h"

struct cfi_truth {
	int fd;
	Elf *elf;
	Dwarf_CFI *cfi;
	GElf_Ehdr header;
	Elf_Data *data; /* .eh_frame */
	uint64_t vaddr; /* of it */
};

static inline void cfi_truth_open(struct cfi_truth *truth, const char *path)
{
	Elf_Scn *section = NULL;
	GElf_Shdr header;
	size_t names = 0;

	elf_version(EV_CURRENT);
	truth->fd = open(path, O_RDONLY | O_CLOEXEC);
	cr_assert_geq(truth->fd, 0, "%s", path);
	truth->elf = elf_begin(truth->fd, ELF_C_READ, NULL);
	cr_assert_not_null(gelf_getehdr(truth->elf, &truth->header));
	truth->cfi = dwarf_getcfi_elf(truth->elf);
	cr_assert_not_null(truth->cfi, "%s", path);
	cr_assert_eq(elf_getshdrstrndx(truth->elf, &names), 0);
	truth->data = NULL;
	while ((section = elf_nextscn(truth->elf, section)))
		if (gelf_getshdr(section, &header) &&
		    strcmp(elf_strptr(truth->elf, names, header.sh_name), ".eh_frame") == 0) {
			truth->data = elf_rawdata(section, NULL);
			truth->vaddr = header.sh_addr;
		}
	cr_assert_not_null(truth->data, "%s", path);
}

static inline void cfi_truth_close(struct cfi_truth *truth)
{
	dwarf_cfi_end(truth->cfi);
	elf_end(truth->elf);
	close(truth->fd);
}

/* The file offset of code. @return false: it is not in the file */
static inline bool cfi_truth_offset(const struct cfi_truth *truth, uint64_t vaddr, uint64_t *ret_offset)
{
	GElf_Phdr program;

	for (int i = 0; gelf_getphdr(truth->elf, i, &program); i++)
		if (program.p_type == PT_LOAD && program.p_flags & PF_X && vaddr >= program.p_vaddr &&
		    vaddr < program.p_vaddr + program.p_filesz) {
			*ret_offset = vaddr - program.p_vaddr + program.p_offset;
			return true;
		}
	return false;
}

/* A sum of a register and a number, as one operation. */
static inline bool cfi_truth_sum(const Dwarf_Op *operation, uint64_t *ret_register, int64_t *ret_offset)
{
	if (operation->atom == DW_OP_bregx) {
		*ret_register = operation->number;
		*ret_offset = (int64_t)operation->number2;
	} else if (operation->atom >= DW_OP_breg0 && operation->atom <= DW_OP_breg31) {
		*ret_register = operation->atom - DW_OP_breg0;
		*ret_offset = (int64_t)operation->number;
	} else {
		return false;
	}
	return true;
}

enum cfi_truth_place {
	CFI_TRUTH_SAME,
	CFI_TRUTH_UNDEFINED,
	CFI_TRUTH_AT_CFA,
	CFI_TRUTH_AT_REGISTER,
	CFI_TRUTH_OTHER,
};

/* Where a register of the caller is. */
static inline enum cfi_truth_place cfi_truth_place(Dwarf_Frame *frame, int number, uint64_t *ret_register,
                                                   int64_t *ret_offset)
{
	Dwarf_Op memory[3];
	Dwarf_Op *operations = NULL;
	size_t count = 0;

	cr_assert_eq(dwarf_frame_register(frame, number, memory, &operations, &count), 0);
	if (!count)
		return operations ? CFI_TRUTH_UNDEFINED : CFI_TRUTH_SAME;
	*ret_offset = 0;
	/* libdw puts the CFA under what follows, and an expression may not look at it. */
	if (operations[0].atom != DW_OP_call_frame_cfa)
		return CFI_TRUTH_OTHER;
	if (count == 1)
		return CFI_TRUTH_AT_CFA;
	if (count == 2 && operations[1].atom == DW_OP_plus_uconst) {
		*ret_offset = (int64_t)operations[1].number;
		return CFI_TRUTH_AT_CFA;
	}
	if (count == 2 && cfi_truth_sum(&operations[1], ret_register, ret_offset))
		return CFI_TRUTH_AT_REGISTER;
	return CFI_TRUTH_OTHER;
}

static inline bool cfi_truth_is_plt(const Dwarf_Op *operations, size_t count, int16_t *ret_after_push)
{
	static const uint8_t atoms[] = {DW_OP_breg7, DW_OP_breg16, DW_OP_lit15, DW_OP_and, 0,
	                                DW_OP_ge,    DW_OP_lit3,   DW_OP_shl,   DW_OP_plus};

	if (count != sizeof(atoms) || operations[0].number != 8 || operations[1].number != 0)
		return false;
	for (size_t i = 0; i < count; i++)
		if (atoms[i] && operations[i].atom != atoms[i])
			return false;
	*ret_after_push = (int16_t)(operations[4].atom - DW_OP_lit0);
	return true;
}

static inline void cfi_truth_rbp(Dwarf_Frame *frame, struct unwind_row *row)
{
	uint64_t base = 0;
	int64_t offset = 0;
	enum cfi_truth_place place = cfi_truth_place(frame, 6, &base, &offset);

	row->rbp = UNWIND_RBP_UNSUPPORTED;
	if (place == CFI_TRUTH_SAME)
		row->rbp = UNWIND_RBP_SAME;
	else if (place == CFI_TRUTH_UNDEFINED)
		row->rbp = UNWIND_RBP_UNDEFINED;
	else if (place == CFI_TRUTH_AT_CFA && offset && offset % 8 == 0 && offset >= -1024 && offset < 1008)
		row->rbp = (int8_t)(offset / 8);
	else if (place == CFI_TRUTH_AT_REGISTER && base == 6 && offset % 8 == 0 && offset >= -1024 &&
	         offset < 1008) {
		row->rbp = (int8_t)(offset / 8);
		row->rule |= UNWIND_RBP_BY_RBP;
	}
}

/*
 * Where a register is, as far as three bits tell: the six words below the return address. libdw 0.188 has rax
 * (0) for rbx (3) in its list of registers that stay as they are where nothing is said
 * (backends/x86_64_cfi.c), and what it says of rbx then is what it says of one that is lost.
 */
static inline unsigned cfi_truth_bits(Dwarf_Frame *frame, int number)
{
	uint64_t base = 0;
	int64_t offset = 0;

	switch (cfi_truth_place(frame, number, &base, &offset)) {
	case CFI_TRUTH_SAME:
		return 0;
	case CFI_TRUTH_UNDEFINED:
		return number == 3 ? 0 : 7;
	case CFI_TRUTH_AT_CFA:
		return offset % 8 == 0 && offset <= -16 && offset >= -56 ? (unsigned)(-offset / 8 - 1) : 7;
	default:
		return 7;
	}
}

/*
 * The CFA is in memory, or the word there and some more: of libcrypto's assembler. In 16 bits: 4 for the
 * words that are added, above them where it is read.
 */
static inline bool cfi_truth_deref(const Dwarf_Op *operations, size_t count, struct unwind_row *row)
{
	uint64_t base = 0;
	uint64_t added = count == 3 ? operations[2].number : 0;
	int64_t offset = 0;

	if (count < 2 || count > 3 || operations[1].atom != DW_OP_deref ||
	    (count == 3 && operations[2].atom != DW_OP_plus_uconst) ||
	    !cfi_truth_sum(&operations[0], &base, &offset) || (base != 6 && base != 7))
		return false;
	if (offset % 8 || offset < -2048 * 8 || offset >= 2048 * 8 || added % 8 || added >= 16 * 8)
		return false;
	row->rule = base == 7 ? UNWIND_DEREF_RSP : UNWIND_DEREF_RBP;
	row->cfa = (int16_t)(offset / 8 * 16 + (int64_t)(added / 8));
	return true;
}

/* A frame of more than what 16 bits of words tell. */
static inline bool cfi_truth_far(Dwarf_Frame *frame, int64_t offset, struct unwind_row *row)
{
	if (offset % 8 || offset <= 8 * 32767 || offset >= 8 << 21)
		return false;
	row->rule = UNWIND_RSP_FAR;
	row->cfa = (int16_t)(offset / 8 % 65536);
	row->rbp = (int8_t)(uint8_t)(offset / 8 / 65536 + 32 * cfi_truth_bits(frame, 6));
	return true;
}

static inline struct unwind_row cfi_truth_row_without_rbx(Dwarf_Frame *frame, bool is_signal)
{
	struct unwind_row row = {.rule = UNWIND_UNSUPPORTED};
	Dwarf_Op *operations = NULL;
	size_t count = 0;
	uint64_t base = 0;
	int64_t offset = 0;
	enum cfi_truth_place place = cfi_truth_place(frame, 16, &base, &offset);

	if (place == CFI_TRUTH_UNDEFINED)
		return (struct unwind_row){.rule = UNWIND_END};
	/* The only such frame on x86-64 Linux that has not an ordinary return address. */
	if (is_signal && place == CFI_TRUTH_AT_REGISTER)
		return (struct unwind_row){.rule = UNWIND_SIGNAL};
	cr_assert_eq(dwarf_frame_cfa(frame, &operations, &count), 0);
	if (place != CFI_TRUTH_AT_CFA || offset != -8 || !count)
		return row;
	if (cfi_truth_is_plt(operations, count, &row.cfa)) {
		row.rule = UNWIND_PLT;
		cfi_truth_rbp(frame, &row);
		return row;
	}
	if (cfi_truth_deref(operations, count, &row)) {
		cfi_truth_rbp(frame, &row);
		return row;
	}
	if (count != 1 || !cfi_truth_sum(&operations[0], &base, &offset))
		return row;
	if (base == 7 && cfi_truth_far(frame, offset, &row))
		return row;
	if (offset % 8 || offset < 8 * INT16_MIN || offset > 8 * INT16_MAX ||
	    !(base == 7 || base == 6 || base == 3))
		return row;
	row.rule = base == 7 ? UNWIND_RSP : base == 6 ? UNWIND_RBP : UNWIND_RBX;
	row.cfa = (int16_t)(offset / 8);
	cfi_truth_rbp(frame, &row);
	return row;
}

static inline struct unwind_row cfi_truth_row_of(Dwarf_Frame *frame, bool is_signal)
{
	struct unwind_row row = cfi_truth_row_without_rbx(frame, is_signal);

	if (row.rule != UNWIND_END && row.rule != UNWIND_SIGNAL && row.rule != UNWIND_UNSUPPORTED)
		row.rule |= (uint8_t)(cfi_truth_bits(frame, 3) * 32);
	return row;
}

/*
 * The row of an address, and where it ends to hold, by virtual addresses. Where it begins is not told right
 * by libdw 0.188: after DW_CFA_restore_state it is where the remembered state began.
 * @return false: no function is there
 */
static inline bool cfi_truth_row(const struct cfi_truth *truth, uint64_t vaddr, uint64_t *ret_end,
                                 struct unwind_row *ret_row)
{
	Dwarf_Frame *frame = NULL;
	bool is_signal = false;

	if (dwarf_cfi_addrframe(truth->cfi, vaddr, &frame) != 0)
		return false;
	cr_assert_eq(dwarf_frame_info(frame, NULL, ret_end, &is_signal), 16);
	*ret_row = cfi_truth_row_of(frame, is_signal);
	free(frame);
	return true;
}

/* Goes to the next function; its addresses have to be encoded as all of Debian's are (relative, 4 bytes). */
static inline bool cfi_truth_next(const struct cfi_truth *truth, Dwarf_Off *offset, uint64_t *ret_start,
                                  uint64_t *ret_end)
{
	Dwarf_CFI_Entry entry;
	Dwarf_Off next = 0;
	int32_t numbers[2];

	while (dwarf_next_cfi((const unsigned char *)truth->header.e_ident, truth->data, true, *offset, &next,
	                      &entry) == 0) {
		*offset = next;
		if (dwarf_cfi_cie_p(&entry))
			continue;
		memcpy(numbers, entry.fde.start, sizeof(numbers));
		*ret_start = truth->vaddr +
		             (uint64_t)(entry.fde.start - (const uint8_t *)truth->data->d_buf) +
		             (uint64_t)(int64_t)numbers[0];
		*ret_end = *ret_start + (uint32_t)numbers[1];
		return true;
	}
	return false;
}

#endif
