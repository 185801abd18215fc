/*
 * An index of DWARF by address: which unit and which function hold it, and in what a declaration is nested.
 * Inputs: DWARF that anybody may have written, opened by libdw. Outputs: its entries (DIEs).
 */
#ifndef LEFTOPEN_SYMBOLS_DWARF_INDEX_H
#define LEFTOPEN_SYMBOLS_DWARF_INDEX_H

#include <elfutils/libdw.h>
#include <stdbool.h>
#include <stdint.h>

#include "symbols/elf_segments.h"

/* Chosen by: three times the nesting seen in optimised C++; also bounds recursion. */
#define DWARF_DEPTH_MAX 128

struct dwarf_index;

/**
 * Indexes the units by address. Functions are indexed unit by unit when they are asked for.
 * @param dwarf, segments stay the caller's and must outlive the index
 * @param alternate what dwarf_setalt() was given, or NULL
 * @return 0; -ENOMEM
 */
int dwarf_index_new(Dwarf *dwarf, Dwarf *alternate, const struct elf_segments *segments,
                    struct dwarf_index **ret_index);

/**
 * Takes one from the number of entries and ranges that may be looked at in this file. References to siblings
 * and children can be made to share what follows them, so that a small file takes exponential time.
 * @return false: none is left, whoever looks for something takes it for absent
 */
bool dwarf_index_spend(struct dwarf_index *index);

/** Do an entry's ranges hold an address? */
bool dwarf_index_die_holds(struct dwarf_index *index, Dwarf_Die *die, uint64_t address);

/** Frees the index. NULL-safe. */
void dwarf_index_free(struct dwarf_index *index);

/**
 * Finds the unit that holds an address, and the innermost function there that is not inlined.
 * The first question about a unit reads all of its entries.
 * @param ret_has_function false: the unit names no function there, ret_function is not set
 * @return 0; -ENOENT: no unit holds the address; -ENOMEM
 */
int dwarf_index_find(struct dwarf_index *index, uint64_t address, Dwarf_Die *ret_unit,
                     Dwarf_Die *ret_function, bool *ret_has_function);

/**
 * Finds the namespace, type or function that a function or type is declared in.
 * @return 0; -ENOENT: it is not nested, or in a type unit of DWARF 4; -ENOMEM
 */
int dwarf_index_scope(struct dwarf_index *index, const Dwarf_Die *die, Dwarf_Die *ret_scope);

#endif
