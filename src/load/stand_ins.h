/*
 * Stand-ins of the programs at system calls (bpf/call_program.bpf.h): for kernels that preempt these, and
 * leave the same program out on that CPU meanwhile.
 */
#ifndef LEFTOPEN_LOAD_STAND_INS_H
#define LEFTOPEN_LOAD_STAND_INS_H

#include <stdbool.h>
#include <stdint.h>

struct bpf_object;
struct bpf_program;
struct btf;

/** @param kernel the kernel's own types @return whether it preempts programs at system calls */
bool stand_ins_are_needed(const struct btf *kernel);

/** Before loading: has them be loaded. */
void stand_ins_choose(struct bpf_object *object);

/**
 * After loading: gives them the programs that they call.
 * @param map_fd of the array of programs
 * @return 0; -E2BIG: the array is too small; -errno of bpf(2)
 */
int stand_ins_fill(const struct bpf_object *object, int map_fd);

/** @return whether the program is one */
bool stand_ins_include(const struct bpf_program *program);

/** @param number from 1 on: they have to run in this order @return NULL: there are no more, or none is loaded
 */
struct bpf_program *stand_ins_find(const struct bpf_object *object, unsigned int number);

/** @return the program's place in the array */
uint32_t stand_ins_place(const struct bpf_object *object, const struct bpf_program *called);

#endif
