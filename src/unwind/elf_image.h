/*
 * The headers of an ELF file that is in memory: its loaded segments, and where .eh_frame is.
 * Inputs: bytes that anybody may have written. Outputs: numbers that are checked against the size only.
 */
#ifndef LEFTOPEN_UNWIND_ELF_IMAGE_H
#define LEFTOPEN_UNWIND_ELF_IMAGE_H

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "unwind/byte_reader.h"

/* Chosen by: linkers make at most a dozen. */
#define ELF_IMAGE_SEGMENTS_MAX 64

struct elf_image_segment {
	uint64_t vaddr;
	uint64_t offset;
	uint64_t file_bytes; /* all of them are in the image, and neither end wraps */
	bool executable;
};

/* Points into the bytes it is of. */
struct elf_image {
	const uint8_t *bytes;
	size_t size_bytes;
	uint64_t entry; /* 0: none */
	struct elf_image_segment segments[ELF_IMAGE_SEGMENTS_MAX];
	size_t segment_count;
};

/**
 * Reads the headers.
 * @param bytes the whole file; has to stay, and no part of it may vanish: whoever maps a file that can be
 *	cut meanwhile gets a SIGBUS
 * @return 0; -ENOEXEC: no ELF file for x86-64 that can be loaded; -EINVAL: a broken one, or cut; -E2BIG: more
 *	segments than ELF_IMAGE_SEGMENTS_MAX
 */
int elf_image_read(const void *bytes, size_t size_bytes, struct elf_image *ret_image);

/**
 * Finds the first program header of a type, without the checks that its segment is in the image.
 * @return whether there is one
 */
bool elf_image_find_program(const struct elf_image *image, uint32_t type, Elf64_Phdr *ret_program);

/**
 * Finds the section that holds the names of all.
 * @param header that of the image
 * @return whether there is one, and it and all sections' headers are in the image
 */
bool elf_image_names(const struct elf_image *image, const Elf64_Ehdr *header, Elf64_Shdr *ret_names);

/**
 * The file offset of code.
 * @param ret_segment the executable segment that holds it
 * @return 0; -ENOENT: no executable segment has that address
 */
int elf_image_code_offset(const struct elf_image *image, uint64_t vaddr,
                          const struct elf_image_segment **ret_segment, uint64_t *ret_offset);

/**
 * Finds .eh_frame: by its section, or by PT_GNU_EH_FRAME where no section is called so.
 * @param ret_reader its bytes; without a section up to the end of their segment, as nothing says how many
 * @return 0; -ENOENT: there is none; -EINVAL: it is not in the file
 * @source Linux Standard Base Core 5.0, 10.6.2
 */
int elf_image_eh_frame(const struct elf_image *image, struct byte_reader *ret_reader, bool *ret_is_section);

#endif
