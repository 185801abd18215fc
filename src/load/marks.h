/*
 * The table of marks: which function of which kind of file says that a process begins to shut down, or that a
 * test begins. Inputs: open ELF files of any content. Outputs: attached marks.
 */
#ifndef LEFTOPEN_LOAD_MARKS_H
#define LEFTOPEN_LOAD_MARKS_H

#include <stddef.h>

struct loader;

/**
 * Attaches the marks that a file has functions for.
 * @param fd readable descriptor of a regular file; stays the caller's
 * @param ret_attached number of functions; may be NULL
 * @return 0, also where the file has none; -ENOEXEC: not an ELF file that can be read; -errno of attaching
 */
int marks_attach(struct loader *loader, int fd, size_t *ret_attached);

#endif
