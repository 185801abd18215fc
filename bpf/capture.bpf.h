/*
 * The one capture function: what a maker calls when it has filled the pending handle. Stacks are taken by
 * programs of their own behind a tail call, so that they are verified once and not once in each maker.
 * For the same reason functions that are called from several places are not static: those the verifier looks
 * at once in each state of each caller. It takes a millisecond over each pointer that is loaded as a member
 * of a task it knows (kernel/bpf/verifier.c, type_is_trusted, searches all of the kernel's types by name), so
 * only what runs for every handle loads them so; elsewhere BPF_CORE_READ does.
 */
#ifndef LEFTOPEN_BPF_CAPTURE_H
#define LEFTOPEN_BPF_CAPTURE_H

#include "maps.bpf.h"
#include "core_compat.bpf.h"

/* Of the current call: its arguments, also at its exit. */
static __always_inline struct pt_regs *saved_registers(void)
{
	return (struct pt_regs *)bpf_task_pt_regs(bpf_get_current_task_btf());
}

/* @return that of this thread, or NULL: it has none */
static __always_inline struct capture_scratch *capture_scratch_get(void)
{
	u32 thread_id = bpf_get_current_task_btf()->pid;

	for (u32 i = 0; i < CAPTURE_SCRATCHES_PREEMPTIBLE; i++) {
		u32 index = i;
		struct capture_scratch *scratch = bpf_map_lookup_elem(&capture_scratch, &index);

		if (!config_preemptible || (scratch && scratch->thread_id == thread_id))
			return scratch;
	}
	return NULL;
}

/* Takes a scratch for a handle of this thread: two in one would get each other's stacks.
 * @return NULL: none is left, the handle is lost and counted; else it goes back by capture_send() or
 * capture_scratch_return() */
static __always_inline struct capture_scratch *capture_scratch_take(void)
{
	u32 thread_id = bpf_get_current_task_btf()->pid;

	if (!config_preemptible)
		return capture_scratch_get();
	for (u32 i = 0; i < CAPTURE_SCRATCHES_PREEMPTIBLE; i++) {
		u32 index = i;
		struct capture_scratch *scratch = bpf_map_lookup_elem(&capture_scratch, &index);

		if (scratch && !__sync_val_compare_and_swap(&scratch->thread_id, 0, thread_id)) {
			scratch->index = i;
			return scratch;
		}
	}
	count_loss(LOSS_SCRATCH_BUSY);
	return NULL;
}

static __always_inline void capture_scratch_return(struct capture_scratch *scratch)
{
	if (config_preemptible)
		__sync_lock_test_and_set(&scratch->thread_id, 0);
}

struct pending_numbers {
	struct capture_scratch *scratch;
	struct files_struct *files;
};

/* Between the call's work and this a sibling thread may have closed the number, and have been given it again:
 * that is then told by the sibling's own events. */
static long capture_send_number(u32 index, struct pending_numbers *numbers)
{
	struct capture_scratch *scratch = numbers->scratch;
	struct event_fd_made *event = &scratch->pending.fd;
	struct inode_head inode;
	struct file *file;

	if (index >= scratch->pending.count)
		return 1;
	event->fd = scratch->pending.numbers[index & (FD_NUMBERS_MAX - 1)];
	file = compat_table_file(numbers->files, event->fd);
	if (!file || (event->file && event->file != (u64)file))
		return 0;
	compat_inode_head(BPF_CORE_READ(file, f_inode), &inode);
	event->inode = inode.number;
	event->mode = inode.mode;
	event->file = (u64)file;
	send_fd_event(event, sizeof(*event), 1ULL << (event->fd & 63));
	event->file = 0;
	return 0;
}

static __always_inline void capture_keep_submission(u64 ring, u64 stack)
{
	struct uring_submission submission = {.ring = ring, .stack = stack};
	u32 thread_id = bpf_get_current_task_btf()->pid;

	/* Without it the requests have no stack, and say so. */
	(void)bpf_map_update_elem(&uring_submissions, &thread_id, &submission, BPF_ANY);
	uring_submissions_kept = 1;
}

/* Sends the pending handle under a stack's id, and returns the scratch. */
__weak __noinline int capture_send(u64 stack)
{
	struct capture_scratch *scratch = capture_scratch_get();
	struct pending_numbers numbers = {.scratch = scratch};
	struct pending_handle *pending;

	if (!scratch)
		return 0;
	pending = &scratch->pending;
	switch (pending->kind) {
	case EVENT_FD_MADE:
		pending->fd.stack = stack;
		numbers.files = bpf_get_current_task_btf()->files;
		if (pending->count == 1)
			capture_send_number(0, &numbers);
		else
			bpf_loop(FD_NUMBERS_MAX, capture_send_number, &numbers, 0);
		break;
	case EVENT_MAP_MADE:
		pending->map.stack = stack;
		send_map_event(&pending->map, sizeof(pending->map));
		break;
	case EVENT_MAP_MOVED:
		pending->moved.stack = stack;
		send_map_event(&pending->moved, sizeof(pending->moved));
		break;
	case PENDING_SUBMISSION:
		capture_keep_submission(pending->ring, stack);
		break;
	}
	capture_scratch_return(scratch);
	return 0;
}

/* Finds the interpreter that the daemon was asked about when this process mapped a file not seen before. */
static __always_inline void capture_take_python_hint(struct followed_process *process)
{
	u32 process_id = ids_process(bpf_get_current_task_btf());
	u32 version = python_hints_version;
	struct python_hint *hint;

	if (process->hints_version == version)
		return;
	process->hints_version = version;
	hint = bpf_map_lookup_elem(&python_hints, &process_id);
	if (hint && hint->start_ns == process->start_ns && !process->python_runtime) {
		process->python_minor = hint->minor;
		process->python_runtime = hint->runtime;
	}
}

/* Captures the stack of the pending handle's maker and sends both. */
static __always_inline void capture_and_send_by(void *ctx, struct followed_process *process,
                                                struct capture_scratch *scratch, void *programs)
{
	if (config_stacks == STACKS_MODE_NONE) {
		capture_send(0);
		return;
	}
	if (!process->python_runtime)
		capture_take_python_hint(process);
	scratch->frames_wanted = 0;
	scratch->process_start_ns = process->start_ns;
	scratch->python_runtime = process->python_runtime;
	scratch->python_minor = process->python_minor;
	/* Where native frames are unwound they come first. */
	if (scratch->python_runtime && config_stacks == STACKS_MODE_FP)
		bpf_tail_call(ctx, programs, CAPTURE_PYTHON);
	else
		bpf_tail_call(ctx, programs, CAPTURE_NATIVE);
	count_loss(LOSS_TAIL_CALL);
	capture_send(0);
}

static __always_inline void capture_and_send(void *ctx, struct followed_process *process,
                                             struct capture_scratch *scratch)
{
	capture_and_send_by(ctx, process, scratch, &capture_programs);
}

#endif
