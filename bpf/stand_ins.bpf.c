/*
 * Stand-ins, attached behind each program at a system call's tracepoint where call_program.bpf.h says so. One
 * of them waits with the thread that it calls the program for, whichever call that is: so as many are needed
 * as threads wait on one CPU.
 */
#include "call_program.bpf.h"
#include "map_abi.h"

const volatile __u32 config_stand_ins = 0;
/* Runs of programs that were left out, and were called by one of these. */
__u64 stood_in = 0;

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, CALL_PROGRAMS_MAX);
	__type(key, u32);
	__type(value, u32);
} call_programs SEC(".maps");

/* The link says which program: its place in the array. */
static __always_inline int stand_in(void *ctx, u32 number)
{
	if (!turn_take(number))
		return 0;
	__sync_fetch_and_add(&stood_in, 1);
	bpf_tail_call(ctx, &call_programs, bpf_get_attach_cookie(ctx));
	__sync_fetch_and_sub(&stood_in, 1);
	return 0;
}

#define STAND_IN(number)                                    \
	SEC("?tracepoint") int stand_in_##number(void *ctx) \
	{                                                   \
		return stand_in(ctx, number);               \
	}

/* Chosen by: more threads that wait in programs on one CPU are rare; each costs every call some 40 ns. */
STAND_IN(1)
STAND_IN(2)
STAND_IN(3)
STAND_IN(4)
STAND_IN(5)
STAND_IN(6)
STAND_IN(7)
STAND_IN(8)
