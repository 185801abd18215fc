/*
 * What this kernel and this user can do: a table of features, each probed and never deduced from a version
 * number, because distributions carry features back and administrators switch them off.
 */
#ifndef LEFTOPEN_LOAD_FEATURES_H
#define LEFTOPEN_LOAD_FEATURES_H

#include <stdbool.h>
#include <stddef.h>

#define FEATURE_DETAIL_BYTES 160

enum feature_id {
	FEATURE_ROOT = 0,
	FEATURE_CAP_BPF,
	FEATURE_CAP_PERFMON,
	FEATURE_CAP_SYS_PTRACE,
	FEATURE_CAP_DAC_READ_SEARCH,
	FEATURE_CAP_SYS_RESOURCE,
	FEATURE_PROC,
	FEATURE_KERNEL_READS, /* before what a lockdown takes, too, so that it is what is named first */
	FEATURE_KERNEL_BTF,
	FEATURE_TRACEFS,
	FEATURE_TRACEPOINTS,
	FEATURE_NEWER_TRACEPOINTS,
	FEATURE_TRACEPOINT_ATTACH,
	FEATURE_UNPREEMPTED,
	FEATURE_UPROBES,
	FEATURE_BTF_TRACEPOINTS,
	FEATURE_URING_TRACEPOINTS,
	FEATURE_ITERATOR_TASK,
	FEATURE_ITERATOR_TASK_VMA,
	FEATURE_FENTRY,
	FEATURE_MAP_HASH,
	FEATURE_MAP_LRU_HASH,
	FEATURE_MAP_PERCPU_ARRAY,
	FEATURE_MAP_PROG_ARRAY,
	FEATURE_MAP_ARRAY_OF_MAPS,
	FEATURE_MAP_ARRAY_MMAP,
	FEATURE_RING_BUFFER,
	FEATURE_HELPER_LOOP,
	FEATURE_HELPER_GET_STACK,
	FEATURE_HELPER_TASK_PT_REGS,
	FEATURE_HELPER_CURRENT_TASK,
	FEATURE_COUNT
};

struct feature {
	const char *name;
	bool required; /* false: leftopen does with less */
	const char *purpose;
	const char *remedy; /* what to do where it is missing: a clause without a full stop */
};

enum feature_state {
	FEATURE_OK = 0,
	FEATURE_MISSING,
	FEATURE_UNKNOWN, /* could not be asked, for want of rights or of descriptors or memory */
	FEATURE_STATE_COUNT
};

struct feature_result {
	enum feature_state state;
	int error;                         /* -errno of the probe, 0 where it is ok */
	char detail[FEATURE_DETAIL_BYTES]; /* what was seen, for the user; may be empty */
};

struct feature_results {
	struct feature_result of[FEATURE_COUNT];
};

/** A tracepoint of the group "syscalls" that the caller means to attach to. */
struct feature_tracepoint {
	const char *name; /* "sys_exit_openat" */
	bool required;    /* false: a kernel without that call makes no such handles, and is followed all the
	                     same */
	int error;        /* result: 0, -ENOENT: the kernel lacks it, other -errno: it could not be asked */
};

/** @return the table's row; never NULL for an id below FEATURE_COUNT */
const struct feature *features_find(enum feature_id id);

/**
 * Probes every feature by using it: maps and programs are made and dropped, one tracepoint and one function
 * are attached to for a moment. libbpf's own log is silenced meanwhile, for the whole process. Takes about
 * half a second, as the kernel waits for grace periods. Changes nothing that lasts; needs no rights (without
 * them it learns less).
 * @param tracepoints each row's error is set
 * @param ret_results filled in completely
 */
void features_probe(struct feature_tracepoint *tracepoints, size_t count,
                    struct feature_results *ret_results);

/** What features are asked for. */
enum feature_user { FEATURE_USER_RUN, FEATURE_USER_WATCH };

/** @return whether that cannot do without the feature: watch needs all that are required */
bool features_is_needed(enum feature_id id, enum feature_user user);

/** @return whether every feature is there that it needs */
bool features_suffice(const struct feature_results *results, enum feature_user user);

#endif
