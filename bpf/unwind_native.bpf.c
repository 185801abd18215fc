/*
 * Native stacks by frame pointers: what the kernel's own walk gives, as (file, offset).
 * Inputs: the pending handle. Outputs: EVENT_STACK where it is new, then the handle.
 */
#include "unwind.bpf.h"

const volatile __u32 config_stacks = STACKS_MODE_FP;
const volatile __u32 config_ring_bytes = 16 << 20;
const volatile __u32 config_ring_shards = 1;
const volatile __u64 config_huge_page_bytes = 2 << 20;
__u32 switched_on = 0;
__u32 survey_follows = SURVEY_FOLLOWS_NONE;
__u32 own_process_id = 0, holder_process_id = 0;
__u32 python_hints_version = 0;
__u64 losses[LOSS_COUNT] = {};
__u64 last_event_ns = 0;
__u64 always_zero = 0;
__u32 uring_submissions_kept = 0;
char LICENSE[] SEC("license") = "GPL";

struct native_walk {
	struct capture_scratch *scratch;
	u32 count;
};

static long native_step(u32 index, struct native_walk *walk)
{
	if (index >= walk->count)
		return 1;
	return !!stack_push_native(walk->scratch, walk->scratch->addresses[index & (STACK_NATIVE_MAX - 1)]);
}

/* Chosen by: stacks are 8 MiB unless their limit is raised; only what costs little to be wrong about. */
#define FRAME_DISTANCE_MAX (64ULL << 20)

/* Most of what distributions build keeps something else in that register: then the walk ends where it begins,
 * and the kernel, whose walk costs as much as all else here, need not be asked. Nor need memory be read where
 * no stack is: the fault costs a quarter of all. */
static __always_inline bool has_frame_pointers(const struct pt_regs *registers)
{
	u64 frame[2]; /* the caller's frame, the address in the caller */

	if (registers->bp - registers->sp > FRAME_DISTANCE_MAX || registers->bp % sizeof(u64))
		return false;
	if (bpf_probe_read_user(frame, sizeof(frame), (void *)registers->bp))
		return false;
	return native_remember(frame[1]);
}

SEC("tracepoint")
int capture_native(void *ctx)
{
	struct pt_regs *registers = (struct pt_regs *)bpf_task_pt_regs(bpf_get_current_task_btf());
	struct capture_scratch *scratch = capture_scratch_get();
	struct native_walk walk = {.scratch = scratch};
	long bytes;

	if (!scratch)
		return 0;
	stack_begin(scratch);
	if (!has_frame_pointers(registers)) {
		scratch->stack.end = STACK_END_FRAME_POINTERS;
		(void)stack_push_native(scratch, registers->ip);
		stack_finish(scratch);
		return 0;
	}
	bytes = bpf_get_stack(ctx, scratch->addresses, sizeof(scratch->addresses), BPF_F_USER_STACK);
	scratch->stack.end = bytes < 0 ? STACK_END_FAULT : STACK_END_FRAME_POINTERS;
	if (bytes > 0) {
		walk.count = (u64)bytes / sizeof(u64);
		bpf_loop(STACK_NATIVE_MAX, native_step, &walk, 0);
	}
	stack_finish(scratch);
	return 0;
}
