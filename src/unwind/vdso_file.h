/*
 * The code that the kernel maps into each process (vdso(7)), as a file.
 */
#ifndef LEFTOPEN_UNWIND_VDSO_FILE_H
#define LEFTOPEN_UNWIND_VDSO_FILE_H

/**
 * Copies this process's own, which is that of all 64-bit processes, into a file in memory.
 * @param ret_fd the caller's to close
 * @return 0; -ENOENT: this kernel maps none; -errno of memfd_create(2) or write(2)
 * @source Linux arch/x86/entry/vdso/vma.c: one image for each ABI
 */
int vdso_file_open(int *ret_fd);

#endif
