/*
 * The headers of an ELF file that is in memory.
 * Inputs: bytes that anybody may have written: each header is copied out after its place was checked.
 * Outputs: segments that are in the file, and the bytes of .eh_frame. Not by libelf, which allocates what
 * section headers claim, and which needs a file's sections to be where they say.
 */
#include "unwind/elf_image.h"

#include <dwarf.h>
#include <elf.h>
#include <errno.h>
#include <string.h>

static const char eh_frame_name[] = ".eh_frame";

static bool image_holds(const struct elf_image *image, uint64_t offset, uint64_t bytes)
{
	return offset <= image->size_bytes && bytes <= image->size_bytes - offset;
}

/* Headers need not be aligned, so they are copied. */
static bool image_copy(const struct elf_image *image, uint64_t offset, void *ret_header, size_t bytes)
{
	if (!image_holds(image, offset, bytes))
		return false;
	memcpy(ret_header, image->bytes + offset, bytes);
	return true;
}

static bool header_is_known(const Elf64_Ehdr *header)
{
	return memcmp(header->e_ident, ELFMAG, SELFMAG) == 0 && header->e_ident[EI_CLASS] == ELFCLASS64 &&
	       header->e_ident[EI_DATA] == ELFDATA2LSB && header->e_machine == EM_X86_64 &&
	       (header->e_type == ET_EXEC || header->e_type == ET_DYN);
}

static int image_add_segment(struct elf_image *image, const Elf64_Phdr *program)
{
	if (!image_holds(image, program->p_offset, program->p_filesz) ||
	    program->p_vaddr + program->p_filesz < program->p_vaddr)
		return -EINVAL;
	if (image->segment_count == ELF_IMAGE_SEGMENTS_MAX)
		return -E2BIG;
	image->segments[image->segment_count++] = (struct elf_image_segment){
	        .vaddr = program->p_vaddr,
	        .offset = program->p_offset,
	        .file_bytes = program->p_filesz,
	        .executable = program->p_flags & PF_X,
	};
	return 0;
}

/* The program header of that number. */
static bool image_program(const struct elf_image *image, const Elf64_Ehdr *header, unsigned number,
                          Elf64_Phdr *ret_program)
{
	/* No sum of them wraps if the first is in the file. */
	return image_holds(image, header->e_phoff, 0) &&
	       image_copy(image, header->e_phoff + number * sizeof(*ret_program), ret_program,
	                  sizeof(*ret_program));
}

int elf_image_read(const void *bytes, size_t size_bytes, struct elf_image *ret_image)
{
	struct elf_image image = {.bytes = bytes, .size_bytes = size_bytes};
	Elf64_Ehdr header;

	if (!image_copy(&image, 0, &header, sizeof(header)) || !header_is_known(&header))
		return -ENOEXEC;
	if (header.e_phnum && header.e_phentsize != sizeof(Elf64_Phdr))
		return -EINVAL;
	image.entry = header.e_entry;
	for (unsigned i = 0; i < header.e_phnum; i++) {
		Elf64_Phdr program;
		int error = 0;

		if (!image_program(&image, &header, i, &program))
			return -EINVAL;
		if (program.p_type == PT_LOAD)
			error = image_add_segment(&image, &program);
		if (error < 0)
			return error;
	}
	if (!image.segment_count)
		return -ENOEXEC;
	*ret_image = image;
	return 0;
}

bool elf_image_find_program(const struct elf_image *image, uint32_t type, Elf64_Phdr *ret_program)
{
	Elf64_Ehdr header;

	if (!image_copy(image, 0, &header, sizeof(header)))
		return false;
	for (unsigned i = 0; i < header.e_phnum; i++)
		if (image_program(image, &header, i, ret_program) && ret_program->p_type == type)
			return true;
	return false;
}

static const struct elf_image_segment *image_segment(const struct elf_image *image, uint64_t vaddr,
                                                     bool executable)
{
	for (size_t i = 0; i < image->segment_count; i++) {
		const struct elf_image_segment *segment = &image->segments[i];

		if (vaddr >= segment->vaddr && vaddr - segment->vaddr < segment->file_bytes &&
		    (segment->executable || !executable))
			return segment;
	}
	return NULL;
}

int elf_image_code_offset(const struct elf_image *image, uint64_t vaddr,
                          const struct elf_image_segment **ret_segment, uint64_t *ret_offset)
{
	const struct elf_image_segment *segment = image_segment(image, vaddr, true);

	if (!segment)
		return -ENOENT;
	*ret_segment = segment;
	*ret_offset = segment->offset + (vaddr - segment->vaddr);
	return 0;
}

static struct byte_reader image_reader(const struct elf_image *image, uint64_t offset, uint64_t bytes,
                                       uint64_t vaddr)
{
	return (struct byte_reader){
	        .at = image->bytes + offset,
	        .end = image->bytes + offset + bytes,
	        .end_vaddr = vaddr + bytes,
	};
}

static bool section_is_eh_frame(const struct elf_image *image, const Elf64_Shdr *names,
                                const Elf64_Shdr *section)
{
	return section->sh_type != SHT_NOBITS && section->sh_type != SHT_NULL &&
	       section->sh_name <= names->sh_size &&
	       sizeof(eh_frame_name) <= names->sh_size - section->sh_name &&
	       memcmp(image->bytes + names->sh_offset + section->sh_name, eh_frame_name,
	              sizeof(eh_frame_name)) == 0;
}

bool elf_image_names(const struct elf_image *image, const Elf64_Ehdr *header, Elf64_Shdr *ret_names)
{
	return header->e_shoff && header->e_shentsize == sizeof(*ret_names) &&
	       image_holds(image, header->e_shoff, (uint64_t)header->e_shnum * sizeof(*ret_names)) &&
	       header->e_shstrndx < header->e_shnum &&
	       image_copy(image, header->e_shoff + header->e_shstrndx * sizeof(*ret_names), ret_names,
	                  sizeof(*ret_names)) &&
	       ret_names->sh_type != SHT_NOBITS &&
	       image_holds(image, ret_names->sh_offset, ret_names->sh_size);
}

/* Sections may be missing or broken in a file that runs well: then there is just none of that name. */
static bool image_section(const struct elf_image *image, const Elf64_Ehdr *header, Elf64_Shdr *ret_section)
{
	Elf64_Shdr names;
	Elf64_Shdr section;

	if (!elf_image_names(image, header, &names))
		return false;
	for (unsigned i = 0; i < header->e_shnum; i++)
		if (image_copy(image, header->e_shoff + i * sizeof(section), &section, sizeof(section)) &&
		    section_is_eh_frame(image, &names, &section)) {
			*ret_section = section;
			return true;
		}
	return false;
}

/* By the first pointer of .eh_frame_hdr. */
static int image_find_by_program(const struct elf_image *image, const Elf64_Phdr *program,
                                 struct byte_reader *ret_reader)
{
	const struct elf_image_segment *segment = NULL;
	struct byte_reader reader;
	uint64_t vaddr = 0;
	uint64_t inside = 0;
	uint8_t encoding = 0;

	if (!image_holds(image, program->p_offset, program->p_filesz))
		return -EINVAL;
	reader = image_reader(image, program->p_offset, program->p_filesz, program->p_vaddr);
	if (byte_reader_unsigned(&reader, 1) != 1)
		return -EINVAL;
	encoding = (uint8_t)byte_reader_unsigned(&reader, 1);
	if (encoding == DW_EH_PE_omit)
		return -ENOENT;
	/* The encodings of the table behind the pointer. */
	(void)byte_reader_unsigned(&reader, 2);
	vaddr = byte_reader_address(&reader, encoding);
	segment = reader.failed ? NULL : image_segment(image, vaddr, false);
	if (!segment)
		return -EINVAL;
	inside = vaddr - segment->vaddr;
	*ret_reader = image_reader(image, segment->offset + inside, segment->file_bytes - inside, vaddr);
	return 0;
}

int elf_image_eh_frame(const struct elf_image *image, struct byte_reader *ret_reader, bool *ret_is_section)
{
	Elf64_Ehdr header;
	Elf64_Shdr section;
	Elf64_Phdr program;
	int error;

	if (!image_copy(image, 0, &header, sizeof(header)))
		return -EINVAL;
	if (image_section(image, &header, &section)) {
		if (!image_holds(image, section.sh_offset, section.sh_size))
			return -EINVAL;
		*ret_reader = image_reader(image, section.sh_offset, section.sh_size, section.sh_addr);
		*ret_is_section = true;
		return 0;
	}
	if (!elf_image_find_program(image, PT_GNU_EH_FRAME, &program))
		return -ENOENT;
	error = image_find_by_program(image, &program, ret_reader);
	if (!error)
		*ret_is_section = false;
	return error;
}
