/*
 * Names from DWARF: function, file and line of an address, with the functions inlined there.
 * Inputs: DWARF that anybody may have written, opened by libdw. Outputs: records of native_name.h.
 */
#ifndef LEFTOPEN_SYMBOLS_DWARF_NAMES_H
#define LEFTOPEN_SYMBOLS_DWARF_NAMES_H

#include <stddef.h>
#include <stdint.h>

#include "symbols/dwarf_index.h"
#include "symbols/native_name.h"

/**
 * Names an address: innermost inlined function first, the function that holds the code last. Where the debug
 * information has a line but no function there is one record without a function.
 * @param ret_names at most NATIVE_INLINE_MAX records, for native_names_free()
 * @return 0; -ENOENT: no unit holds the address; -ENOMEM
 */
int dwarf_names_find(struct dwarf_index *index, uint64_t address, struct native_name **ret_names,
                     size_t *ret_count);

#endif
