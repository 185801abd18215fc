/*
 * Which tracepoints and iterators the kernel has for programs of typed arguments, and with which arguments:
 * those of io_uring were renamed and changed, and a kernel may be without any.
 */
#ifndef LEFTOPEN_LOAD_BTF_TRACEPOINTS_H
#define LEFTOPEN_LOAD_BTF_TRACEPOINTS_H

#include <stdbool.h>

struct bpf_object;
struct btf;

/** What the optional ones are for. */
enum btf_tracepoints_role {
	BTF_TRACEPOINTS_SUBMIT = 0,
	BTF_TRACEPOINTS_COMPLETE,
	BTF_TRACEPOINTS_OVERFLOW,
	BTF_TRACEPOINTS_ROLE_COUNT
};

/**
 * @param kernel the kernel's own types
 * @param name without its group: "sched_process_fork"
 * @return how many arguments a program gets; -ENOENT: this kernel has no such tracepoint; -EINVAL: the type
 * is not a tracepoint's
 */
int btf_tracepoint_arguments(const struct btf *kernel, const char *name);

/** @return whether a program for that fits this kernel */
bool btf_tracepoints_have(const struct btf *kernel, enum btf_tracepoints_role role);

/**
 * Before loading: leaves those programs out whose tracepoint or iterator the kernel does not have.
 * @return 0; -ESRCH: the object has not the programs of the table
 */
int btf_tracepoints_choose(const struct btf *kernel, struct bpf_object *object);

#endif
