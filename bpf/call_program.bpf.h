/*
 * A program at a system call's tracepoint.
 * Since 7.2 (trace_call_bpf_faultable) such a program can be preempted, and while the thread that is in it
 * waits the kernel leaves the same program out on that CPU (prog->active): for milliseconds, in which others
 * make thousands of calls. There stand-ins (stand_ins.bpf.c) are attached behind it: the first that finds
 * that nothing before it ran for this thread calls the program.
 */
#ifndef LEFTOPEN_BPF_CALL_PROGRAM_H
#define LEFTOPEN_BPF_CALL_PROGRAM_H

#include "maps.bpf.h"
#include "capture.bpf.h"
#include "core_compat.bpf.h"

/* By the thread's lowest bits: who has come by last, a program or a stand-in, and for what. Chosen by: while
 * a thread waits in one, another of the same place would have to make a call on that CPU; then the first
 * one's is told twice. */
#define TURNS_COUNT 1024

struct turn {
	u32 thread_id;
	u32 number; /* of the stand-in; 0: the program itself */
	/* The call, its first argument, and its result or what is there as it begins: one that follows
	 * differs in one of these. */
	u64 call, argument, result;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, TURNS_COUNT); /* 1 where there are no stand-ins */
	__type(key, u32);
	__type(value, struct turn);
} turns __weak SEC(".maps");

/* @return whether nobody with a lower number has come by for this call */
static __always_inline bool turn_take(u32 number)
{
	u32 thread_id = bpf_get_current_task_btf()->pid, place = thread_id & (TURNS_COUNT - 1);
	struct turn *turn = bpf_map_lookup_elem(&turns, &place);
	struct pt_regs *registers = saved_registers();
	bool is_done;

	if (!turn)
		return !number;
	is_done = turn->thread_id == thread_id && turn->number < number && turn->call == registers->orig_ax &&
	          turn->argument == registers->di && turn->result == registers->ax;
	turn->thread_id = thread_id;
	turn->number = number;
	turn->call = registers->orig_ax;
	turn->argument = registers->di;
	turn->result = registers->ax;
	return !is_done;
}

/* A stand-in may call the program while another thread waits in it. */
static __always_inline void call_begin(void *ctx)
{
	(void)turn_take(0);
	compat_use_thread_stack(ctx, &capture_programs);
}

/* Begins a program's definition, as BPF_PROG does. */
#define CALL_PROGRAM(section, name, context)                        \
	static __always_inline int name##_run(struct context *ctx); \
	SEC(section) int name(struct context *ctx)                  \
	{                                                           \
		if (config_stand_ins)                               \
			call_begin(ctx);                            \
		return name##_run(ctx);                             \
	}                                                           \
	static __always_inline int name##_run(struct context *ctx)

#endif
