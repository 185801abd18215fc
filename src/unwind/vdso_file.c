/*
 * The kernel's code in each process. See vdso_file.h.
 * Inputs: the image in this process, which is the kernel's and complete. Outputs: a file.
 */
#include "unwind/vdso_file.h"

#include <elf.h>
#include <errno.h>
#include <stddef.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fd.h"

int vdso_file_open(int *ret_fd)
{
	const Elf64_Ehdr *header = (const void *)getauxval(AT_SYSINFO_EHDR);
	FD_OWNED int fd = -1;
	size_t bytes;
	ssize_t written;

	if (!header)
		return -ENOENT;
	/* Sections' headers come last. */
	bytes = header->e_shoff + (size_t)header->e_shnum * sizeof(Elf64_Shdr);
	fd = memfd_create("vdso", MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	written = write(fd, header, bytes);
	if (written < 0)
		return -errno;
	if ((size_t)written != bytes)
		return -ENOSPC;
	*ret_fd = fd_take(&fd);
	return 0;
}
