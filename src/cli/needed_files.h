/*
 * Which files the loader maps for a program: its interpreter (PT_INTERP), the libraries that it names
 * (DT_NEEDED), and those that these name. Found as ld.so(8) finds them for a program that is not setuid;
 * nothing is run. Inputs: ELF files and settings that anybody may have written.
 */
#ifndef LEFTOPEN_CLI_NEEDED_FILES_H
#define LEFTOPEN_CLI_NEEDED_FILES_H

#include "cli/file_set.h"

/**
 * Adds the files, the program itself first.
 * @param path of the program; one that is no ELF file needs none
 * @param library_path LD_LIBRARY_PATH, or NULL
 * @return 0, or -ENOMEM
 */
int needed_files_add(struct file_set *set, const char *path, const char *library_path);

#endif
