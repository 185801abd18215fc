/*
 * The probes behind the table of features (features.c), each a use of what it asks for.
 */
#ifndef LEFTOPEN_LOAD_FEATURE_PROBES_H
#define LEFTOPEN_LOAD_FEATURE_PROBES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct btf;
struct feature_tracepoint;

/** What several probes need, found once. */
struct feature_probe {
	uint64_t capabilities; /* effective, bit by number */
	bool may_use_bpf;
	struct btf *kernel_btf; /* NULL: none */
	int kernel_btf_error;
	int tracefs_fd; /* -1: none */
	int tracefs_error;
	const struct feature_tracepoint *tracepoints;
	size_t tracepoint_count;
	uint64_t tracepoint_id; /* of the first that is there; 0: none is */
};

/**
 * A probe.
 * @param argument the row's own
 * @param ret_detail room for FEATURE_DETAIL_BYTES; what was seen, untouched where there is nothing to say
 * @return 0, or the -errno that says why the feature is not there
 */
typedef int feature_probe_function(const struct feature_probe *probe, int argument, char *ret_detail);

/** Is the process root? */
feature_probe_function feature_probe_root;
/** Is a capability effective, or one that includes it? Argument: CAP_*. */
feature_probe_function feature_probe_capability;
/** Does /proc show the pid namespace that leftopen is in? */
feature_probe_function feature_probe_proc;
/** Does the kernel describe its types? */
feature_probe_function feature_probe_kernel_btf;
/** Can tracefs be opened? */
feature_probe_function feature_probe_tracefs;
/** Are all tracepoints there that the caller wants? Argument: those with `required` of that value. */
feature_probe_function feature_probe_tracepoints;
/** Can a program be attached to a tracepoint? */
feature_probe_function feature_probe_tracepoint_attach;
/** Does the kernel keep programs at system calls from being preempted? */
feature_probe_function feature_probe_unpreempted;
/** Has the kernel uprobes, and loads programs for them? */
feature_probe_function feature_probe_uprobes;
/** Can a program be loaded for a tracepoint with typed arguments? */
feature_probe_function feature_probe_btf_tracepoints;
/** Are io_uring's tracepoints there, with arguments that are known? */
feature_probe_function feature_probe_uring_tracepoints;
/** Can an iterator be loaded? Argument: FEATURE_ITERATOR_*. */
feature_probe_function feature_probe_iterator;
/** Can a program be attached to a kernel function's entry? */
feature_probe_function feature_probe_fentry;
/** Can a map be made? Argument: enum bpf_map_type. */
feature_probe_function feature_probe_map;
/** Can a map be made and mapped into memory? Argument: enum bpf_map_type. */
feature_probe_function feature_probe_map_mmap;
/** May a program on a tracepoint call a helper? Argument: enum bpf_func_id. */
feature_probe_function feature_probe_helper;
/** As feature_probe_helper(); the detail says how the kernel is locked down. */
feature_probe_function feature_probe_kernel_reads;

/** Formats a detail, cut at FEATURE_DETAIL_BYTES. */
void feature_describe(char *ret_detail, const char *format, ...) __attribute__((format(printf, 2, 3)));

/** @param number CAP_* @return whether the process has it effectively */
bool feature_has_capability(const struct feature_probe *probe, int number);

#endif
