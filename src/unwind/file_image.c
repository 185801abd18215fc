/*
 * As much of an ELF file in memory as unwind tables are made of. See file_image.h.
 * Memory is taken for all of the file, and only what is read is ever touched.
 */
#include "unwind/file_image.h"

#include <elf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "unwind/elf_image.h"

/* Of what the first read takes: programs' headers follow the file's. */
#define FIRST_BYTES 4096
/* Of .eh_frame_hdr: what comes before its table. */
#define EH_FRAME_HEADER_BYTES 64
/* Of section headers, and of sections' names. Chosen by: a hundred times those of the largest libraries. */
#define HEADERS_BYTES_MAX ((uint64_t)16 << 20)

/* Reads a part of the file to its place, as much as there is. @return 0, or -errno of pread(2) */
static int copy_part(int fd, struct file_image *image, uint64_t offset, uint64_t bytes)
{
	ssize_t got;

	if (offset >= image->size_bytes)
		return 0;
	if (bytes > image->size_bytes - offset)
		bytes = image->size_bytes - offset;
	got = fd_read_at(fd, (char *)image->bytes + offset, bytes, offset);
	return got < 0 ? (int)got : 0;
}

/* What is beyond the largest that is held is left out, as if the file had none. */
static int copy_headers(int fd, struct file_image *image, uint64_t offset, uint64_t bytes)
{
	return bytes > HEADERS_BYTES_MAX ? 0 : copy_part(fd, image, offset, bytes);
}

/* What says where .eh_frame is: the names of sections, and the beginning of PT_GNU_EH_FRAME. */
static int copy_signposts(int fd, struct file_image *image, const Elf64_Ehdr *header)
{
	const struct elf_image all = {.bytes = image->bytes, .size_bytes = image->size_bytes};
	Elf64_Shdr names;
	Elf64_Phdr program;
	int error = 0;

	if (elf_image_names(&all, header, &names))
		error = copy_headers(fd, image, names.sh_offset, names.sh_size);
	if (!error && elf_image_find_program(&all, PT_GNU_EH_FRAME, &program))
		error = copy_part(fd, image, program.p_offset, EH_FRAME_HEADER_BYTES);
	return error;
}

static int copy_all_headers(int fd, struct file_image *image)
{
	Elf64_Ehdr header;
	int error = copy_part(fd, image, 0, FIRST_BYTES);

	if (error || image->size_bytes < sizeof(header))
		return error;
	memcpy(&header, image->bytes, sizeof(header));
	if (memcmp(header.e_ident, ELFMAG, SELFMAG))
		return -ENOEXEC;
	error = copy_headers(fd, image, header.e_phoff, (uint64_t)header.e_phnum * sizeof(Elf64_Phdr));
	if (!error)
		error = copy_headers(fd, image, header.e_shoff,
		                     (uint64_t)header.e_shnum * sizeof(Elf64_Shdr));
	return error ? error : copy_signposts(fd, image, &header);
}

static int copy_eh_frame(int fd, struct file_image *image)
{
	struct elf_image headers;
	struct byte_reader reader;
	bool is_section;
	int error = elf_image_read(image->bytes, image->size_bytes, &headers);

	if (!error)
		error = elf_image_eh_frame(&headers, &reader, &is_section);
	return error ? error
	             : copy_part(fd, image, (uint64_t)(reader.at - headers.bytes), byte_reader_left(&reader));
}

int file_image_read(int fd, struct file_image *ret_image)
{
	struct file_image image;
	struct stat status;
	int error;

	if (fstat(fd, &status))
		return -errno;
	if (!S_ISREG(status.st_mode) || !status.st_size)
		return -ENOEXEC;
	image.size_bytes = (size_t)status.st_size;
	image.bytes = mmap(NULL, image.size_bytes, PROT_READ | PROT_WRITE,
	                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (image.bytes == MAP_FAILED)
		return -ENOMEM;
	error = copy_all_headers(fd, &image);
	if (!error)
		error = copy_eh_frame(fd, &image);
	if (error) {
		file_image_free(&image);
		return error;
	}
	*ret_image = image;
	return 0;
}

void file_image_free(struct file_image *image)
{
	(void)munmap(image->bytes, image->size_bytes);
}
