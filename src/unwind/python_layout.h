/*
 * CPython as a file on disk: is this ELF file a CPython runtime, of which version, and where do its
 * structures keep what the walker in bpf/unwind_python.bpf.c reads (facts: python frames).
 */
#ifndef LEFTOPEN_UNWIND_PYTHON_LAYOUT_H
#define LEFTOPEN_UNWIND_PYTHON_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

#include "map_abi.h"

/**
 * The layout of a version.
 * @param minor of 3.minor
 * @return the layout, or NULL: that version is not known
 */
const struct python_layout *python_layout_find(uint32_t minor);

/**
 * Looks for a CPython runtime in an ELF file (an interpreter that holds it, or libpython).
 * Reads .dynsym first, .symtab only where that has nothing, and may search 256 MiB for the version's name.
 * @param fd readable descriptor of a regular file, of any content; stays the caller's
 * @param ret_file filled in on success; the evaluator's fields are 0 where its code is not found
 * @return 0; -ENOENT: an ELF file without CPython; -ENOEXEC: not a 64-bit x86-64 ELF file or a broken one;
 *	-ENOTSUP: a CPython of a version or build that is not known (*ret_minor says which, 0: it does not
 *	tell); -ENOMEM; -errno of reading
 */
int python_layout_probe(int fd, struct known_file *ret_file, uint32_t *ret_minor);

/**
 * The source line of a bytecode offset, as traceback gives it.
 * @param minor of 3.minor: tables differ (lnotab up to 3.9, pairs in 3.10, location table from 3.11)
 * @param first_line co_firstlineno
 * @param table the line table, of any content; may be cut
 * @param offset f_lasti as kept up to 3.10, bytes from the first instruction from 3.11; negative: not begun
 * @return the line, 0: the code has none there
 */
uint32_t python_line_find(uint32_t minor, int32_t first_line, const uint8_t *table, size_t table_bytes,
                          int32_t offset);

/**
 * CPython's own string storage as UTF-8 (a lone surrogate is encoded as its three bytes).
 * @param kind bytes a character: 1, 2 or 4
 * @return a string for free(), or NULL: out of memory; a kind that CPython does not have gives "?"
 */
char *python_string_decode(const char *data, size_t data_bytes, uint32_t length, uint32_t kind);

#endif
