/*
 * The loaded segments of an ELF file: between file offsets and virtual addresses.
 * Inputs: program headers that anybody may have written; sums of them may wrap. Outputs: addresses.
 */
#include "symbols/elf_segments.h"

#include <errno.h>
#include <gelf.h>

int elf_segments_read(Elf *elf, struct elf_segments *ret_segments)
{
	struct elf_segments segments = {.count = 0};
	size_t headers = 0;

	if (elf_getphdrnum(elf, &headers) != 0)
		return -ENOEXEC;
	for (size_t i = 0; i < headers && segments.count < ELF_SEGMENTS_MAX; i++) {
		GElf_Phdr header;

		if (!gelf_getphdr(elf, (int)i, &header))
			return -ENOEXEC;
		if (header.p_type != PT_LOAD)
			continue;
		segments.items[segments.count++] = (struct elf_segment){
		        .vaddr = header.p_vaddr,
		        .offset = header.p_offset,
		        .file_bytes = header.p_filesz,
		        .executable = header.p_flags & PF_X,
		};
	}
	if (!segments.count)
		return -ENOEXEC;
	*ret_segments = segments;
	return 0;
}

int elf_segments_vaddr(const struct elf_segments *segments, uint64_t file_offset, uint64_t *ret_vaddr)
{
	const struct elf_segment *found = NULL;

	for (size_t i = 0; i < segments->count; i++) {
		const struct elf_segment *segment = &segments->items[i];

		if (file_offset >= segment->offset && file_offset - segment->offset < segment->file_bytes &&
		    (!found || (segment->executable && !found->executable)))
			found = segment;
	}
	if (!found)
		return -ENOENT;
	*ret_vaddr = found->vaddr + (file_offset - found->offset);
	return 0;
}

bool elf_segments_executable(const struct elf_segments *segments, uint64_t vaddr)
{
	for (size_t i = 0; i < segments->count; i++) {
		const struct elf_segment *segment = &segments->items[i];

		if (segment->executable && vaddr >= segment->vaddr &&
		    vaddr - segment->vaddr < segment->file_bytes)
			return true;
	}
	return false;
}
