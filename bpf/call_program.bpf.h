/*
 * A program at a system call's tracepoint, and its stand-in.
 * Since 7.2 (trace_call_bpf_faultable) such a program can be preempted, and while the thread that is in it
 * waits the kernel leaves the same program out on that CPU (prog->active): for milliseconds, in which others
 * make thousands of calls. There the stand-in is attached behind it, finds that the program did not run for
 * this thread, and does the same.
 */
#ifndef LEFTOPEN_BPF_CALL_PROGRAM_H
#define LEFTOPEN_BPF_CALL_PROGRAM_H

#include "maps.bpf.h"

/* Runs of stand-ins in a program's place. */
extern __u64 stood_in;

/* By the thread's lowest bits: who is in a program, or has just been. Chosen by: while it waits in there
 * another thread of the same place would have to make a call on that CPU; then the first one's is told twice.
 */
#define TURNS_TAKEN_COUNT 1024

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, TURNS_TAKEN_COUNT);
	__type(key, u32);
	__type(value, u32);
} turns_taken __weak SEC(".maps");

static __always_inline void turn_take(void)
{
	u32 thread_id = bpf_get_current_task_btf()->pid, place = thread_id & (TURNS_TAKEN_COUNT - 1), *turn;

	if (!config_stand_ins)
		return;
	turn = bpf_map_lookup_elem(&turns_taken, &place);
	if (turn)
		*turn = thread_id;
}

/* @return whether the program was left out */
static __always_inline bool turn_is_left(void)
{
	u32 thread_id = bpf_get_current_task_btf()->pid, place = thread_id & (TURNS_TAKEN_COUNT - 1);
	u32 *turn = bpf_map_lookup_elem(&turns_taken, &place);

	if (!turn)
		return false;
	if (*turn == thread_id) {
		*turn = 0;
		return false;
	}
	__sync_fetch_and_add(&stood_in, 1);
	return true;
}

/* Begins a program's definition, as BPF_PROG does. A stand-in is loaded where load/stand_ins.c says so. */
#define CALL_PROGRAM(section, name, context)                        \
	static __always_inline int name##_run(struct context *ctx); \
	SEC(section) int name(struct context *ctx)                  \
	{                                                           \
		turn_take();                                        \
		return name##_run(ctx);                             \
	}                                                           \
	SEC("?" section) int name##_instead(struct context *ctx)    \
	{                                                           \
		return turn_is_left() ? name##_run(ctx) : 0;        \
	}                                                           \
	static __always_inline int name##_run(struct context *ctx)

#endif
