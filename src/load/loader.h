/*
 * The BPF side as one object: opened, configured, loaded, attached, switched on and off.
 * Inputs: options. Outputs: a ring to read, maps to fill.
 */
#ifndef LEFTOPEN_LOAD_LOADER_H
#define LEFTOPEN_LOAD_LOADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "map_abi.h"
#include "unwind_abi.h"

struct loader;

/** Told of a file whose rows the programs no longer have. */
typedef void (*unwind_evicted_fn)(void *context, const struct file_key *key);

/* Ring sizes are powers of two between a page and 1 GiB (kernel/bpf/ringbuf.c). */
#define LOADER_RING_BYTES_DEFAULT (16U << 20)
#define LOADER_RING_BYTES_MIN     (64U << 10)
#define LOADER_RING_BYTES_MAX     (1U << 30)

struct loader_options {
	enum stacks_mode stacks;
	uint32_t ring_bytes; /* power of two */
	enum memo_mode memo;
	uint32_t ring_shards; /* rings of that size, a power of two; 0: as many as the CPUs need */
};

#define LOADER_ERROR_BYTES 512
struct loader_error {
	char text[LOADER_ERROR_BYTES]; /* what failed, on what, why; "" where nothing is known */
};

/** Programs that marks are made of: each is attached to any number of functions. */
enum mark_program {
	MARK_PROGRAM_EXIT = 0,
	MARK_PROGRAM_PYTHON_FINALIZE,
	MARK_PROGRAM_PYTHON_COLLECT,
	MARK_PROGRAM_SETENV,
	MARK_PROGRAM_PUTENV,
	MARK_PROGRAM_NAMED,
	MARK_PROGRAM_COUNT
};

/**
 * Opens and loads the programs; nothing is attached yet.
 * @param ret_error filled in on failure
 * @return 0; -EINVAL: ring_bytes is no power of two in range; -EPERM, -EACCES: a capability is missing;
 *	-errno of bpf(2)
 */
int loader_open(const struct loader_options *options, struct loader **ret_loader,
                struct loader_error *ret_error);

/**
 * Attaches every program that has a tracepoint. A tracepoint that this kernel lacks is left out.
 * @param tracefs_fd descriptor of a tracefs (tracefs_open); stays the caller's
 * @return 0, or -errno of perf_event_open(2) or bpf(2)
 */
int loader_attach(struct loader *loader, int tracefs_fd, struct loader_error *ret_error);

/**
 * Attaches a mark's program to a function of a file, in all processes that map it.
 * @param path by which the file can be opened now, /proc/self/fd/N included
 * @param file_offset of the function's first instruction
 * @return 0; -EINVAL: no such offset or no instruction that can be probed; -errno
 */
int loader_attach_mark(struct loader *loader, enum mark_program program, const char *path,
                       uint64_t file_offset);

/**
 * Hands all that is attached to a child of its own session, which lets go of it when this process ends,
 * however it ends. Detaching takes the kernel seconds: so nobody waits for it (facts: tracing cost). Call it
 * after loader_attach() and before any thread is started.
 * @return 0, or -errno of fork(2) or socketpair(2)
 */
int loader_hand_over(struct loader *loader);

/** Switches the programs on or off: they stay attached and do nothing while off. */
void loader_switch(struct loader *loader, bool on);

/** Follows a process, and with it all that descends from it. @return 0, or -errno of bpf(2) */
int loader_follow(struct loader *loader, uint32_t process_id, uint64_t start_ns);

/** Stops following a process. @return 0, or -errno of bpf(2) */
int loader_unfollow(struct loader *loader, uint32_t process_id);

/** @return whether the process is followed now */
bool loader_follows(const struct loader *loader, uint32_t process_id);

/**
 * Has surveys follow a process, with all that descends from it, or those to come no longer look for it, as
 * its id may be given out again.
 * @return 0, or -errno of bpf(2)
 */
int loader_want(struct loader *loader, uint32_t process_id, bool wanted);

/**
 * Comes by all running processes: those that are followed, and those that are to be followed from now on,
 * tell of themselves, their descriptors and their mappings through the ring, in order with the events. What
 * comes is handed to the consumer meanwhile. This process is never followed.
 * @return 0; what the consumer returned; -EOPNOTSUPP: this kernel does not iterate; -errno of bpf(2)
 */
int loader_survey(struct loader *loader, enum survey_follows follows);

/** Has surveys pass over a child of this process, and that one's children. @param process_id 0: there is none
 */
void loader_leave_out(struct loader *loader, uint32_t process_id);

/** No survey follows the process that reads files for this one. @param process_id 0: there is none */
void loader_leave_out_worker(struct loader *loader, uint32_t process_id);

/** Says what a file holds, so that the programs know it when it is mapped. @return 0, or -errno of bpf(2) */
int loader_know_file(struct loader *loader, const struct file_key *key, const struct known_file *known);

/**
 * Notes that processes run a file's code: its rows are no longer ones that were made ahead.
 * @return whether it was said how that file's code is unwound
 */
bool loader_wants_unwind_rows(struct loader *loader, const struct file_key *key);

/**
 * Says how a file's code is unwound. Nothing that is being followed is lost by it.
 * @param key of a file that has no rows yet
 * @param rows ascending; they are copied
 * @param ahead whether no process is known to run the file
 * @return 0; -EEXIST: it has rows; -E2BIG, -ENOSPC: there is no room for them; -ENOMEM; -errno of bpf(2) or
 *	mmap(2)
 */
int loader_add_unwind_rows(struct loader *loader, const struct file_key *key, const struct unwind_row *rows,
                           size_t count, bool ahead);

/** @return a file's rows, ascending, to be read until rows are added; NULL: it has none */
const struct unwind_row *loader_unwind_rows(const struct loader *loader, const struct file_key *key,
                                            size_t *ret_count);

/** Sets who is told of files that processes run, and whose rows made room for others'. */
void loader_set_evicted(struct loader *loader, unwind_evicted_fn evicted, void *context);

/** Makes the programs tell no more of a file that is mapped to be run: until then they tell each time.
 * @return 0, or -errno of bpf(2) */
int loader_file_learnt(struct loader *loader, const struct file_key *key);

/**
 * @param ret_known filled in with what loader_know_file() said of the file, if it did
 * @return whether loader_file_learnt() was said of the file
 */
bool loader_file_is_learnt(const struct loader *loader, const struct file_key *key,
                           struct known_file *ret_known);

/** Makes the programs tell of a file again when it is mapped next. @return 0, or -errno of bpf(2) */
int loader_forget_file(struct loader *loader, const struct file_key *key);

/** Says where a process has mapped a runtime whose file was not known then. @return 0, or -errno of bpf(2) */
int loader_hint_python(struct loader *loader, uint32_t process_id, uint64_t start_ns, uint64_t runtime,
                       uint32_t minor);

/** A consumer of events. @return 0, or negative: the ring's reader stops and returns that */
typedef int (*loader_event_fn)(void *context, const void *data, size_t bytes);

/** Sets who gets the events. @return 0, or -ENOMEM, -errno of mmap(2) */
int loader_set_consumer(struct loader *loader, loader_event_fn function, void *context);

/** @return the descriptor that is readable when much waits in the ring */
int loader_ring_fd(const struct loader *loader);

/** Hands all that waits in the ring to the consumer, and of what comes meanwhile at most a ring full.
 * @return 0, or what the consumer returned */
int loader_consume(struct loader *loader);

/** @return losses so far, LOSS_COUNT counters */
const uint64_t *loader_losses(const struct loader *loader);

/**
 * Begins or ends a measurement of what the programs cost. The kernel's clock costs about 20 ns a run, so
 * measure for moments only.
 * @return 0, or -errno of bpf(2)
 */
int loader_measure(struct loader *loader, bool on);

struct loader_cost {
	uint64_t runs;
	uint64_t run_ns;   /* 0: not measured */
	uint64_t left_out; /* runs that the kernel left out because a program was running on that CPU, and for
	                      which none stood in */
	struct memo_counts stacks;
};

/** Reads what the programs have cost. @return 0, or -errno of bpf(2) */
int loader_read_cost(const struct loader *loader, struct loader_cost *ret_cost);

/** Switches off and frees; what was handed over goes when this process ends. NULL-safe. */
void loader_free(struct loader *loader);

#endif
