/*
 * Native stacks: by unwind tables, or what the kernel's own walk by frame pointers gives, as (file, offset).
 * Inputs: the pending handle. Outputs: EVENT_STACK where it is new, then the handle.
 */
#include "unwind_tables.bpf.h"

const volatile __u32 config_stacks = STACKS_MODE_FP;
const volatile __u32 config_memo = MEMO_USE;
const volatile __u32 config_ring_bytes = 16 << 20;
const volatile __u32 config_ring_shards = 1;
const volatile __u64 config_huge_page_bytes = 2 << 20;
const volatile __u32 config_preemptible = 0;
__u32 switched_on = 0;
__u32 survey_follows = SURVEY_FOLLOWS_NONE;
__u32 own_process_id = 0, holder_process_id = 0, worker_process_id = 0, left_out_process_id = 0;
__u32 python_hints_version = 0;
__u64 losses[LOSS_COUNT] = {};
__u64 last_event_ns = 0;
__u64 always_zero = 0;
__u64 copies_since_ns = 0;
__u32 copies_taken = 0, copies_made = 0;
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

static __always_inline void walk_frame_pointers(void *ctx, struct capture_scratch *scratch,
                                                const struct pt_regs *registers)
{
	struct native_walk walk = {.scratch = scratch};
	long bytes;

	scratch->stack.end = STACK_END_FRAME_POINTERS;
	if (!has_frame_pointers(registers)) {
		(void)stack_push_native(scratch, registers->ip);
		return;
	}
	bytes = bpf_get_stack(ctx, scratch->addresses, sizeof(scratch->addresses), BPF_F_USER_STACK);
	if (bytes < 0)
		scratch->stack.end = STACK_END_FAULT;
	if (bytes > 0) {
		walk.count = (u64)bytes / sizeof(u64);
		bpf_loop(STACK_NATIVE_MAX, native_step, &walk, 0);
	}
}

static __always_inline int capture_native_by(void *ctx, void *programs)
{
	struct pt_regs *registers = (struct pt_regs *)bpf_task_pt_regs(bpf_get_current_task_btf());
	struct capture_scratch *scratch = capture_scratch_get();

	if (!scratch)
		return 0;
	compat_use_thread_stack(ctx, programs);
	stack_begin(scratch);
	if (config_stacks == STACKS_MODE_FP)
		walk_frame_pointers(ctx, scratch, registers);
	else
		unwind_by_tables(scratch, registers);
	if (scratch->copy_wanted) {
		bpf_tail_call(ctx, programs, CAPTURE_COPY);
		count_loss(LOSS_TAIL_CALL);
	}
	stack_go_on(ctx, scratch, programs);
	return 0;
}

SEC("tracepoint")
int capture_native(void *ctx)
{
	return capture_native_by(ctx, &capture_programs);
}

SEC("?fexit/fd_install")
int installed_native(void *ctx)
{
	return capture_native_by(ctx, &installed_capture_programs);
}
