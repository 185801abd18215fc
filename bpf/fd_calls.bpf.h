/*
 * What the programs for calls that make descriptors share: which call it was, and the pending handle.
 * Makers run at exit, when the result is known; arguments come from the saved registers: no map from entry to
 * exit (facts: tracing cost).
 */
#ifndef LEFTOPEN_BPF_FD_CALLS_H
#define LEFTOPEN_BPF_FD_CALLS_H

#include <asm/unistd_64.h>
#include "capture.bpf.h"
#include "fd_calls.h"
#include "maps.bpf.h"

/* Younger than the headers of the oldest system that this is built on. */
#ifndef __NR_open_tree_attr
#define __NR_open_tree_attr 467
#endif

#define FD_CALL_NUMBERS 512

struct fd_call {
	u8 origin; /* enum handle_origin */
	u8 gives;  /* enum fd_gives */
};

static const struct fd_call fd_calls[FD_CALL_NUMBERS] = {
#define FD_CALL(call, origin, gives) [__NR_##call] = {HANDLE_ORIGIN_##origin, FD_GIVES_##gives},
#include "fd_calls.def"
        [__NR_clone] = {HANDLE_ORIGIN_CLONE, FD_GIVES_WITH_CHILD},
        [__NR_clone3] = {HANDLE_ORIGIN_CLONE3, FD_GIVES_WITH_CHILD},
};

/* The upper half of ctx->id is not filled in (kernel/trace/trace_syscalls.c, perf_call_bpf_exit). */
static __always_inline const struct fd_call *fd_call_by_number(u32 number)
{
	return &fd_calls[number & (FD_CALL_NUMBERS - 1)];
}

static __always_inline const struct fd_call *fd_call_of(const struct trace_event_raw_sys_exit *ctx)
{
	return fd_call_by_number(ctx->id);
}

/* Fills in what the numbers of one call have in common. The numbers themselves are the caller's to put into
 * scratch->pending.numbers.
 * @param files the thread's table */
static __always_inline void fd_pending(struct capture_scratch *scratch, struct followed_process *process,
                                       const struct fd_call *call, struct files_struct *files, s32 source_fd)
{
	struct event_fd_made *event = &scratch->pending.fd;

	if (process->marked)
		process->made_after_mark = 1;
	fill_header(&event->header, EVENT_FD_MADE, sizeof(*event), process->start_ns);
	event->table = (u64)files;
	event->file = 0;
	event->source_fd = source_fd;
	event->origin = call->origin;
	event->late = 0;
	scratch->pending.kind = EVENT_FD_MADE;
}

#endif
