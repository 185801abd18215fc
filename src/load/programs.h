/*
 * Which of the programs are loaded, by what the running kernel has, and what they are given.
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

/**
 * After loading: fills the maps that programs read and call through.
 * @return 0; -errno of a map's update or of a program's run; -EIO: leftopen's own pid namespace was not found
 */
int programs_fill(struct leftopen_bpf *skeleton);

#endif
