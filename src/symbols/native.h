/*
 * Names of native code: an ELF file's debug information (libdw) or symbol table, by file offset.
 * Inputs: open descriptors of files that anybody may have written. Outputs: function, file, line, inline
 * frames.
 */
#ifndef LEFTOPEN_SYMBOLS_NATIVE_H
#define LEFTOPEN_SYMBOLS_NATIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "symbols/native_name.h"

/* Chosen by: a browser's engine has 2 GiB. */
#define NATIVE_FILE_BYTES_MAX ((uint64_t)8 << 30)

struct debug_opener;
struct native_object;

/**
 * Opens an ELF file for naming, with its separate debug file where one is installed
 * (/usr/lib/debug/.build-id, then .gnu_debuglink beside it and below /usr/lib/debug). No network is asked.
 * @param fd readable descriptor of a regular file; stays the caller's
 * @param opener of debug files; is asked in this call only
 * @return 0; -ENOEXEC: not an ELF file that can be read, or one of more than NATIVE_FILE_BYTES_MAX; -ENOMEM;
 *	-errno of fcntl(2): no descriptor is left; -errno of the opener
 */
int native_object_open(int fd, const struct debug_opener *opener, struct native_object **ret_object);

/** Frees the object. NULL-safe. */
void native_object_free(struct native_object *object);

/**
 * Names the code at a file offset: innermost inlined function first, the function that holds the code last.
 * An address outside its symbol's size gets no name (one record with empty strings).
 * @param file_offset offset of the instruction in the file
 * @param is_return_address true: the instruction before it is meant
 * @param ret_names at most NATIVE_INLINE_MAX records, for native_names_free()
 * @return 0; -ENOENT: no loaded segment holds the offset; -ENOMEM
 */
int native_object_name(struct native_object *object, uint64_t file_offset, bool is_return_address,
                       struct native_name **ret_names, size_t *ret_count);

#endif
