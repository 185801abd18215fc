/*
 * The table by which stacks are unwound in one file's code (include/unwind_abi.h), made of its .eh_frame.
 * Inputs: an ELF file in memory that anybody may have written. Outputs: rows by file offset, which hold for
 * each process that maps the file.
 */
#ifndef LEFTOPEN_UNWIND_UNWIND_TABLE_H
#define LEFTOPEN_UNWIND_UNWIND_TABLE_H

#include <stddef.h>

#include "unwind_abi.h"

/* Chosen by: 7 times Debian 12's librustc_driver, 1.14 M, the most that was found in /usr; 64 MiB. */
#define UNWIND_TABLE_ROWS_MAX ((size_t)8 << 20)
/* Between two functions, what is shorter is padding, and gets no row. Chosen by: functions begin at
 * multiples of 16. */
#define UNWIND_TABLE_GAP_BYTES 16

struct unwind_table;

/**
 * Makes the table of a file. Time n log n and memory linear in the size of .eh_frame: at most 350 MiB, where
 * all maxima are reached.
 *
 * Of functions that overlap, each ends where the next one begins, as gcc's unwinder has it
 * (unwind-dw2-fde-dip.c searches the last that begins at or before an address). Code that .eh_frame does not
 * have around the file's entry is where nothing called: UNWIND_END.
 * @param image the whole file, or the vdso as the kernel mapped it; no part of it may vanish meanwhile
 * @return 0; -ENOEXEC: no 64-bit x86-64 ELF file that can be loaded; -ENOENT: no .eh_frame, or one without
 *	code of this file; -EINVAL: broken; -E2BIG: more than UNWIND_TABLE_ROWS_MAX or another maximum;
 *	-ENOMEM
 */
int unwind_table_make(const void *image, size_t image_bytes, struct unwind_table **ret_table);

/** Frees. NULL-safe. */
void unwind_table_free(struct unwind_table *table);

/** The rows, ascending; the table's. Before the first there is no function either. */
const struct unwind_row *unwind_table_rows(const struct unwind_table *table, size_t *ret_count);

/** How many functions are missing: not understood, in no executable segment, or beyond 4 GiB of the file. */
size_t unwind_table_left_out(const struct unwind_table *table);

#endif
