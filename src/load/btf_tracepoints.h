/*
 * Which tracepoints the kernel has for programs of typed arguments, and with which arguments.
 */
#ifndef LEFTOPEN_LOAD_BTF_TRACEPOINTS_H
#define LEFTOPEN_LOAD_BTF_TRACEPOINTS_H

struct btf;

/**
 * @param kernel the kernel's own types
 * @param name without its group: "sched_process_fork"
 * @return how many arguments a program gets; -ENOENT: this kernel has no such tracepoint; -EINVAL: the type
 * is not a tracepoint's
 */
int btf_tracepoint_arguments(const struct btf *kernel, const char *name);

#endif
