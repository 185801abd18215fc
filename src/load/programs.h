/*
 * Which of the programs are loaded, by what the running kernel has.
 */
#ifndef LEFTOPEN_LOAD_PROGRAMS_H
#define LEFTOPEN_LOAD_PROGRAMS_H

struct leftopen_bpf;

/**
 * Before loading: leaves programs out that do not fit the kernel, and sizes the maps of those that do. Takes
 * some 20 ms, as all of the kernel's types are read.
 * @return 0; -ENOMEM; -errno of the kernel's BTF; -ESRCH: a program of a table is not in the object
 */
int programs_choose(struct leftopen_bpf *skeleton);

#endif
