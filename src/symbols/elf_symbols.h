/*
 * Function names from an ELF file's symbol tables, by virtual address.
 * Inputs: ELF files that anybody may have written, opened by libelf. Outputs: names as the table has them.
 */
#ifndef LEFTOPEN_SYMBOLS_ELF_SYMBOLS_H
#define LEFTOPEN_SYMBOLS_ELF_SYMBOLS_H

#include <libelf.h>
#include <stdint.h>

#include "symbols/elf_segments.h"

struct elf_symbols;

/**
 * Reads the functions of one symbol table.
 * @param elf stays the caller's and must outlive the symbols
 * @param section_type SHT_SYMTAB or SHT_DYNSYM
 * @param segments of the file that is loaded (its separate debug file has the same addresses); symbols
 *	outside its executable ones are left out
 * @param ret_symbols NULL where the file has no such table, or a broken or impossibly large one
 * @return 0; -ENOMEM
 */
int elf_symbols_read(Elf *elf, uint32_t section_type, const struct elf_segments *segments,
                     struct elf_symbols **ret_symbols);

/** Frees the symbols. NULL-safe. */
void elf_symbols_free(struct elf_symbols *symbols);

/**
 * The name of the function at an address. A symbol without a size reaches to the next one of its section.
 * @param symbols NULL: no name
 * @return the mangled name for free(), without a symbol version; NULL: none holds the address, or out of
 * memory
 */
char *elf_symbols_find(const struct elf_symbols *symbols, uint64_t address);

#endif
