/*
 * Which program runs at which system call, where several calls share one: it is verified once, and tells them
 * apart by their numbers.
 */
#ifndef LEFTOPEN_LOAD_CALLS_H
#define LEFTOPEN_LOAD_CALLS_H

#include <stddef.h>

struct bpf_program;
struct leftopen_bpf;

/**
 * @param index from 0 on
 * @param ret_event the tracepoint's name, "sys_exit_openat"; unchanged behind the end
 * @return the program, or NULL: there are no more
 */
struct bpf_program *calls_find(const struct leftopen_bpf *skeleton, size_t index, const char **ret_event);

#endif
