/*
 * Stand-ins of the programs at system calls (bpf/call_program.bpf.h): for kernels that preempt these, and
 * leave the same program out on that CPU meanwhile.
 */
#ifndef LEFTOPEN_LOAD_STAND_INS_H
#define LEFTOPEN_LOAD_STAND_INS_H

#include <stdbool.h>

struct bpf_object;
struct bpf_program;
struct btf;

/** @param kernel the kernel's own types @return whether it preempts programs at system calls */
bool stand_ins_are_needed(const struct btf *kernel);

/** Before loading: has each be loaded with its program. */
void stand_ins_choose(struct bpf_object *object);

/** @return whether the program is one */
bool stand_ins_include(const struct bpf_program *program);

/** @return that of the program, or NULL: it has none, or it is not loaded */
struct bpf_program *stand_ins_find(const struct bpf_object *object, const struct bpf_program *program);

#endif
