/*
 * Separate debug files: where a stripped file's debug information is installed on this machine.
 * Inputs: build ids and names from files that anybody may have written. Outputs: open files that are checked
 * to belong to them. The network (debuginfod) is never asked.
 */
#ifndef LEFTOPEN_SYMBOLS_DEBUG_FILE_H
#define LEFTOPEN_SYMBOLS_DEBUG_FILE_H

#include <elfutils/libdw.h>
#include <libelf.h>

struct debug_opener;

struct debug_file {
	int fd;
	Elf *elf;
};

/**
 * Finds the debug file of an ELF file: by its build id, else by the name in .gnu_debuglink with the same
 * checksum: in the file's folder, in .debug there, and below /usr/lib/debug. Reads the whole candidate where
 * a checksum is compared.
 * @return 0; -ENOENT: none is installed, or none that belongs to it; -ENOMEM; -errno of the opener
 */
int debug_file_find(Elf *elf, const struct debug_opener *opener, struct debug_file **ret_file);

/**
 * Finds the file that .gnu_debugaltlink means (made by dwz), checked by its build id: where it is said to be
 * does not matter, only what it is called.
 * @return 0; -ENODATA: the debug information needs none; -ENOENT: not installed; -ENOMEM; -errno of the
 * opener
 */
int debug_file_find_alternate(Dwarf *dwarf, const struct debug_opener *opener, struct debug_file **ret_file);

/** Closes and frees the file. NULL-safe. */
void debug_file_free(struct debug_file *file);

#endif
