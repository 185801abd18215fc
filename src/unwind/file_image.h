/*
 * As much of an ELF file in memory as unwind tables are made of. The file is read, not mapped: whoever maps
 * one that is cut meanwhile gets a SIGBUS. Inputs: files that anybody may have written, and may be writing.
 */
#ifndef LEFTOPEN_UNWIND_FILE_IMAGE_H
#define LEFTOPEN_UNWIND_FILE_IMAGE_H

#include <stddef.h>

struct file_image {
	void *bytes; /* as the file has them where headers and .eh_frame are, else 0 */
	size_t size_bytes;
};

/**
 * Reads a file's headers and its .eh_frame, to where they are in it.
 * @param fd of a regular file; stays the caller's
 * @return 0; -ENOEXEC, -EINVAL, -E2BIG, -ENOENT as elf_image_read() and elf_image_eh_frame(); -ENOMEM; -errno
 * of reading
 */
int file_image_read(int fd, struct file_image *ret_image);

/** Gives the memory back. */
void file_image_free(struct file_image *image);

#endif
