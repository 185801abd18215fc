/*
 * The loaded segments of an ELF file: between file offsets and virtual addresses.
 * Inputs: ELF files that anybody may have written, opened by libelf. Outputs: addresses.
 */
#ifndef LEFTOPEN_SYMBOLS_ELF_SEGMENTS_H
#define LEFTOPEN_SYMBOLS_ELF_SEGMENTS_H

#include <libelf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Chosen by: linkers make at most a dozen; the rest of a longer list is left out. */
#define ELF_SEGMENTS_MAX 256

struct elf_segment {
	uint64_t vaddr;
	uint64_t offset;
	uint64_t file_bytes;
	bool executable;
};

struct elf_segments {
	struct elf_segment items[ELF_SEGMENTS_MAX];
	size_t count;
};

/**
 * Reads the PT_LOAD segments.
 * @return 0; -ENOEXEC: none, or program headers that cannot be read
 */
int elf_segments_read(Elf *elf, struct elf_segments *ret_segments);

/**
 * The virtual address of a file offset; where several segments hold it, that of an executable one.
 * @return 0; -ENOENT: no segment holds it
 */
int elf_segments_vaddr(const struct elf_segments *segments, uint64_t file_offset, uint64_t *ret_vaddr);

/** Is this the virtual address of code that comes from the file? */
bool elf_segments_executable(const struct elf_segments *segments, uint64_t vaddr);

#endif
