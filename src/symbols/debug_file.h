/*
 * Separate debug files: where a stripped file's debug information is installed on this machine.
 * Inputs: build ids and names from files that anybody may have written. Outputs: open files that are checked
 * to belong to them. The network (debuginfod) is never asked.
 */
#ifndef LEFTOPEN_SYMBOLS_DEBUG_FILE_H
#define LEFTOPEN_SYMBOLS_DEBUG_FILE_H

#include <elfutils/libdw.h>
#include <libelf.h>

struct debug_file {
	char *path;
	int fd;
	Elf *elf;
};

/**
 * Finds the debug file of an ELF file: below /usr/lib/debug/.build-id with the same build id, else the name
 * in .gnu_debuglink with the same checksum: in the file's folder, in .debug there, and below /usr/lib/debug.
 * Reads the whole candidate where a checksum is compared.
 * @param path of the ELF file; NULL: only the build id is tried
 * @return 0; -ENOENT: none is installed, or none that belongs to it; -ENOMEM
 */
int debug_file_find(Elf *elf, const char *path, struct debug_file **ret_file);

/**
 * Finds the file that .gnu_debugaltlink names (made by dwz), checked by its build id.
 * @param path of the file that holds the debug information, its name may be relative to; NULL: unknown
 * @return 0; -ENODATA: the debug information needs none; -ENOENT: not installed; -ENOMEM
 */
int debug_file_find_alternate(Dwarf *dwarf, const char *path, struct debug_file **ret_file);

/** Closes and frees the file. NULL-safe. */
void debug_file_free(struct debug_file *file);

#endif
