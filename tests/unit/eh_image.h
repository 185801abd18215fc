/*
 * Small ELF files with an .eh_frame of hand-made bytes: for tests of what reads it. One executable segment
 * has the whole file; .eh_frame is found through PT_GNU_EH_FRAME, or through a section where that is asked
 * for.
 */
#ifndef LEFTOPEN_TESTS_UNIT_EH_IMAGE_H
#define LEFTOPEN_TESTS_UNIT_EH_IMAGE_H

#include <criterion/criterion.h>
#include <dwarf.h>
#include <elf.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "unwind/cfi_program.h"

/* Its code: from EH_IMAGE_CODE to EH_IMAGE_HEADER, by file offset; addresses are EH_IMAGE_VADDR more. */
#define EH_IMAGE_VADDR  0x400000
#define EH_IMAGE_CODE   0x1000
#define EH_IMAGE_HEADER 0x2000
#define EH_IMAGE_FRAME  0x2008
#define EH_IMAGE_ROOM   ((size_t)4 << 20)

#define EH_PCREL_SDATA4 (DW_EH_PE_pcrel | DW_EH_PE_sdata4)

struct eh_image {
	uint8_t *bytes;
	size_t count;
	uint32_t cie; /* where the last one begins */
};

static inline void eh_put(struct eh_image *image, const void *bytes, size_t count)
{
	cr_assert_leq(image->count + count, EH_IMAGE_ROOM);
	if (count)
		memcpy(image->bytes + image->count, bytes, count);
	image->count += count;
}

static inline void eh_put_u8(struct eh_image *image, uint8_t value)
{
	eh_put(image, &value, sizeof(value));
}

static inline void eh_put_u32(struct eh_image *image, uint32_t value)
{
	eh_put(image, &value, sizeof(value));
}

static inline void eh_put_u64(struct eh_image *image, uint64_t value)
{
	eh_put(image, &value, sizeof(value));
}

static inline Elf64_Ehdr *eh_elf(struct eh_image *image)
{
	return (Elf64_Ehdr *)image->bytes;
}

static inline Elf64_Phdr *eh_programs(struct eh_image *image)
{
	return (Elf64_Phdr *)(image->bytes + sizeof(Elf64_Ehdr));
}

static inline struct eh_image eh_image_begin(void)
{
	struct eh_image image = {.bytes = calloc(1, EH_IMAGE_ROOM), .count = EH_IMAGE_HEADER};

	*eh_elf(&image) = (Elf64_Ehdr){
	        .e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
	        .e_type = ET_DYN,
	        .e_machine = EM_X86_64,
	        .e_phoff = sizeof(Elf64_Ehdr),
	        .e_phentsize = sizeof(Elf64_Phdr),
	        .e_phnum = 2,
	        .e_shentsize = sizeof(Elf64_Shdr),
	};
	eh_programs(&image)[0] =
	        (Elf64_Phdr){.p_type = PT_LOAD, .p_flags = PF_R | PF_X, .p_vaddr = EH_IMAGE_VADDR};
	eh_programs(&image)[1] = (Elf64_Phdr){
	        .p_type = PT_GNU_EH_FRAME,
	        .p_offset = EH_IMAGE_HEADER,
	        .p_vaddr = EH_IMAGE_VADDR + EH_IMAGE_HEADER,
	        .p_filesz = EH_IMAGE_FRAME - EH_IMAGE_HEADER,
	};
	/* Version, encoding of the pointer, and of a table that is not there. */
	eh_put(&image, (uint8_t[]){1, EH_PCREL_SDATA4, DW_EH_PE_omit, DW_EH_PE_omit}, 4);
	eh_put_u32(&image, EH_IMAGE_FRAME - EH_IMAGE_HEADER - 4);
	return image;
}

/* Begins an entry; its length is set by eh_entry_end(). */
static inline size_t eh_entry_begin(struct eh_image *image)
{
	eh_put_u32(image, 0);
	return image->count;
}

static inline void eh_entry_end(struct eh_image *image, size_t begin)
{
	uint32_t length = (uint32_t)(image->count - begin);

	memcpy(image->bytes + begin - sizeof(length), &length, sizeof(length));
}

/* Of version 1, code factor 1, data factor -8. @param data of the augmentation, without its size */
static inline void eh_put_cie(struct eh_image *image, const char *letters, const void *data,
                              size_t data_bytes, const void *program, size_t program_bytes)
{
	size_t begin = eh_entry_begin(image);

	image->cie = (uint32_t)begin - 4;
	eh_put_u32(image, 0);
	eh_put_u8(image, 1);
	eh_put(image, letters, strlen(letters) + 1);
	eh_put(image, (uint8_t[]){1, 0x78, CFI_RETURN_ADDRESS}, 3);
	if (*letters == 'z')
		eh_put_u8(image, (uint8_t)data_bytes);
	eh_put(image, data, data_bytes);
	eh_put(image, program, program_bytes);
	eh_entry_end(image, begin);
}

/* A CIE as compilers write it: addresses relative to themselves, the CFA at rsp + 8. */
static inline void eh_put_usual_cie(struct eh_image *image)
{
	static const uint8_t program[] = {DW_CFA_def_cfa, CFI_RSP, 8, DW_CFA_offset | CFI_RETURN_ADDRESS, 1};
	static const uint8_t encoding = EH_PCREL_SDATA4;

	eh_put_cie(image, "zR", &encoding, 1, program, sizeof(program));
}

/* Begins an FDE of the last CIE. */
static inline size_t eh_fde_begin(struct eh_image *image)
{
	size_t begin = eh_entry_begin(image);

	eh_put_u32(image, (uint32_t)begin - image->cie);
	return begin;
}

/* An FDE of a usual CIE, of code at a file offset. */
static inline void eh_put_fde(struct eh_image *image, uint32_t offset, uint32_t size, const void *program,
                              size_t program_bytes)
{
	size_t begin = eh_fde_begin(image);

	eh_put_u32(image, offset - (uint32_t)image->count);
	eh_put_u32(image, size);
	eh_put_u8(image, 0);
	eh_put(image, program, program_bytes);
	eh_entry_end(image, begin);
}

/* Describes .eh_frame by a section, from EH_IMAGE_FRAME to here, and nothing else does. */
static inline void eh_put_section(struct eh_image *image)
{
	static const char names[] = "\0.eh_frame";
	size_t end = image->count;
	Elf64_Shdr sections[2] = {
	        {.sh_type = SHT_STRTAB, .sh_offset = end, .sh_size = sizeof(names)},
	        {
	                .sh_name = 1,
	                .sh_type = SHT_PROGBITS,
	                .sh_addr = EH_IMAGE_VADDR + EH_IMAGE_FRAME,
	                .sh_offset = EH_IMAGE_FRAME,
	                .sh_size = end - EH_IMAGE_FRAME,
	        },
	};

	eh_put(image, names, sizeof(names));
	image->count += -image->count % sizeof(uint64_t);
	eh_elf(image)->e_shoff = image->count;
	eh_elf(image)->e_shnum = 2;
	eh_put(image, sections, sizeof(sections));
	eh_programs(image)[1].p_type = PT_NULL;
}

/* Completes it: memory of just its size, so that the sanitizers see what is read beyond; for free(). */
static inline uint8_t *eh_image_end(struct eh_image *image)
{
	eh_programs(image)[0].p_filesz = image->count;
	image->bytes = realloc(image->bytes, image->count);
	return image->bytes;
}

#endif
