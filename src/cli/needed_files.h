/*
 * Which files the loader maps for a program: its interpreter (PT_INTERP), the libraries that it names
 * (DT_NEEDED), and those that these name. Found as ld.so(8) finds them for a program that is not setuid;
 * nothing is run. Inputs: ELF files and settings that anybody may have written.
 */
#ifndef LEFTOPEN_CLI_NEEDED_FILES_H
#define LEFTOPEN_CLI_NEEDED_FILES_H

#include <stddef.h>

/* Programs with more libraries exist (desktops): the rest is learnt as it is mapped. */
#define NEEDED_FILES_MAX 256

/**
 * Lists the files, the program itself first.
 * @param path of the program; one that is no ELF file needs none
 * @param library_path LD_LIBRARY_PATH, or NULL
 * @param ret_paths for needed_files_free(); each file once
 * @return 0, or -ENOMEM
 */
int needed_files_list(const char *path, const char *library_path, char ***ret_paths, size_t *ret_count);

/** NULL-safe. */
void needed_files_free(char **paths, size_t count);

#endif
