/*
 * What both capture programs share: a native address as (file, offset), the frames' list, its hash and
 * sending.
 */
#ifndef LEFTOPEN_BPF_UNWIND_H
#define LEFTOPEN_BPF_UNWIND_H

#include "maps.bpf.h"
#include <bpf/bpf_core_read.h>
#include "capture.bpf.h"
#include "core_compat.bpf.h"
#include "path.bpf.h"
#include "stack_hash.h"
#include "vma.bpf.h"

#define UNWIND_PAGE_SHIFT 12
/* include/linux/mm.h */
#define VM_EXEC       4
#define VM_DONTEXPAND 0x00040000

static __always_inline void stack_begin(struct capture_scratch *scratch)
{
	scratch->stack.count = 0;
	scratch->stack.image = 0;
	scratch->stack.copy = 0;
	scratch->copy_wanted = 0;
	scratch->is_recalled = 0;
	scratch->stack_part = 0;
	scratch->stack.end = STACK_END_COMPLETE;
	scratch->stack.id = STACK_HASH_BEGIN;
}

/* @return the next frame to fill, or NULL: as many as are kept are there */
static __always_inline struct stack_frame *stack_next(struct capture_scratch *scratch)
{
	u32 at = scratch->stack.count;

	if (at - scratch->stack_part >= STACK_FRAMES_MAX) {
		scratch->stack.end = STACK_END_DEPTH;
		return NULL;
	}
	scratch->stack.count = at + 1;
	asm volatile("" : "+r"(at));
	return &scratch->stack.frames[at & (STACK_FRAMES_SENT_MAX - 1)];
}

/* What the process is, from one exec to the next: the same address is another's code after it. */
static __always_inline u64 stack_image(const struct capture_scratch *scratch)
{
	struct task_struct *task = bpf_get_current_task_btf();

	/* 0 is kept for none. */
	return hash_mix(hash_mix(scratch->process_start_ns, task->tgid), task->self_exec_id) | 1;
}

/* Who made the code that is from no file, and where names of it would be: told while that can be known. */
static __always_inline void stack_tell_image(struct event_stack *stack)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct pid *pid = BPF_CORE_READ(task, signal, pids[PIDTYPE_TGID]);
	struct upid *number = ids_number(pid, BPF_CORE_READ(pid, level));

	stack->user_id = BPF_CORE_READ(task, cred, fsuid.val);
	stack->mount_namespace = BPF_CORE_READ(task, nsproxy, mnt_ns, ns.inum);
	stack->own_process_id = BPF_CORE_READ(number, nr);
}

/* Adds a native frame. @return 0, or -1: as many as are kept are there */
static __always_inline int stack_push(struct capture_scratch *scratch, const struct file_key *file,
                                      u64 position, u32 flags)
{
	struct stack_frame *frame = stack_next(scratch);

	if (!frame)
		return -1;
	frame->kind = FRAME_NATIVE;
	frame->flags = flags;
	frame->code = 0;
	frame->file = *file;
	frame->position = position;
	if (!file->inode) {
		frame->code = stack_image(scratch);
		scratch->stack.image = frame->code;
	}
	scratch->stack.id = stack_hash_native(scratch->stack.id, &frame->file, position);
	return 0;
}

/* It is moved as a whole, and the address with it (arch/x86/entry/vdso/vma.c, vdso_mremap; mm/mmap.c,
 * special_mapping_split). Who unmaps it may map anonymous memory there, which is never VM_DONTEXPAND. */
static __always_inline bool mapped_is_vdso(const struct mapped_at *at)
{
	struct mm_struct *mm = BPF_CORE_READ(bpf_get_current_task_btf(), mm);

	return at->flags & VM_DONTEXPAND && at->start == (u64)BPF_CORE_READ(mm, context.vdso);
}

/* Tells of the file that code is mapped from, where that is new.
 * @param ret_key inode 0: it is from no file
 * @return as file_send_once() */
static __always_inline int code_file_tell(const struct capture_scratch *scratch, const struct mapped_at *at,
                                          struct file_key *ret_key)
{
	struct file_use use = {.start_ns = scratch->process_start_ns, .cause = FILE_CALLED, .executable = 1};

	ret_key->inode = 0;
	ret_key->device = 0;
	ret_key->generation = 0;
	if (!at->file) {
		if (mapped_is_vdso(at))
			ret_key->inode = FILE_KEY_VDSO_INODE;
		return 0;
	}
	use.address = at->start;
	use.length_bytes = at->end - at->start;
	use.file_offset = at->page_offset << UNWIND_PAGE_SHIFT;
	compat_file_key(at->file, ret_key);
	return file_send_once(at->file, ret_key, &use);
}

/* Looks the address up among the mappings, into scratch->found.
 * @return 0, or -1: it could not be, and that must not be kept */
static __always_inline int native_find(struct capture_scratch *scratch, u64 address)
{
	struct native_position *found = &scratch->found;
	struct mapped_at at = {};
	long error = vma_find(scratch, address, &at);
	int told = 0;

	found->is_code = error == -VMA_EBUSY || (!error && at.flags & VM_EXEC);
	found->position = address;
	found->start = at.start;
	found->end = at.end;
	found->file = (struct file_key){};
	if (!error && found->is_code)
		told = code_file_tell(scratch, &at, &found->file);
	if (found->file.inode)
		found->position = address - at.start + (at.page_offset << UNWIND_PAGE_SHIFT);
	return told || error == -VMA_EBUSY ? -1 : 0;
}

static __always_inline bool native_is_of(const struct native_known *known, const struct native_address *of)
{
	return known->of.address == of->address && known->of.mappings == of->mappings &&
	       known->of.start_ns == of->start_ns && known->of.process_id == of->process_id &&
	       known->of.execs == of->execs;
}

/* A thread that is preempted in here has others find nothing. */
static __always_inline void native_keep(struct native_known *known, const struct native_address *of,
                                        const struct native_position *found)
{
	if (__sync_val_compare_and_swap(&known->busy, 0, 1))
		return;
	known->of = *of;
	known->found = *found;
	__sync_lock_test_and_set(&known->busy, 0);
}

/* @return whether it is in *ret_found; a thread that was preempted in here may have taken over half of
 * another's */
static __always_inline bool native_recall(struct native_known *known, const struct native_address *of,
                                          struct native_position *ret_found)
{
	if (known->busy || !native_is_of(known, of))
		return false;
	*ret_found = known->found;
	if (!config_preemptible)
		return true;
	asm volatile("" ::: "memory");
	return !known->busy && native_is_of(known, of);
}

/* Looking an address up costs as much as all else that is done for a handle, and most callers call again.
 * @return whether it is an address of code, which is then in scratch->found */
__weak __noinline int native_remember(u64 address)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct capture_scratch *scratch = capture_scratch_get();
	struct native_known *known;
	struct mm_struct *mm = task->mm;
	struct native_address of = {
	        .address = address,
	        .process_id = task->tgid,
	        .execs = task->self_exec_id,
	        .mappings = compat_mappings_sequence(mm),
	};
	u32 place;

	if (!scratch)
		return 0;
	of.start_ns = scratch->process_start_ns;
	/* Whoever maps has just changed them: what is kept for one call is of no use to the next. */
	if (scratch->pending.kind == EVENT_MAP_MADE || scratch->pending.kind == EVENT_MAP_MOVED ||
	    of.mappings & 1) {
		(void)native_find(scratch, address);
		return scratch->found.is_code;
	}
	place = hash_mix(of.start_ns, address) & (NATIVE_KNOWN_COUNT - 1);
	known = bpf_map_lookup_elem(&native_known, &place);
	if (!known)
		return 0;
	if (native_recall(known, &of, &scratch->found))
		return scratch->found.is_code;
	/* A sibling thread may change them meanwhile. */
	if (!native_find(scratch, address) && compat_mappings_sequence(mm) == of.mappings)
		native_keep(known, &of, &scratch->found);
	return scratch->found.is_code;
}

/* @return 0, or -1: that is no address of code, so that what led to it was no frame either */
static __always_inline int stack_push_native(struct capture_scratch *scratch, u64 address)
{
	if (!native_remember(address))
		return -1;
	return stack_push(scratch, &scratch->found.file, scratch->found.position, 0);
}

/* Sends the stack where it is new, then the handle under its id. One whose frames are not there is unwound.
 */
static __always_inline void stack_finish(void *ctx, struct capture_scratch *scratch, void *programs)
{
	u32 count = scratch->stack.count, bytes = offsetof(struct event_stack, frames);
	u64 id = stack_hash_end(scratch->stack.id, count, scratch->stack.end, scratch->stack.image);
	struct sent_place *place;

	place = sent_place_find(&stacks_sent, id);
	scratch->stack.id = id;
	if (!sent_before(place, id)) {
		if (scratch->is_recalled) {
			scratch->frames_wanted = 1;
			bpf_tail_call(ctx, programs, CAPTURE_NATIVE);
			count_loss(LOSS_TAIL_CALL);
			capture_send(0);
			return;
		}
		if (scratch->stack.image)
			stack_tell_image(&scratch->stack);
		if (count > STACK_FRAMES_SENT_MAX)
			count = STACK_FRAMES_SENT_MAX;
		bytes += count * sizeof(struct stack_frame);
		fill_header(&scratch->stack.header, EVENT_STACK, bytes, scratch->process_start_ns);
		if (bytes <= sizeof(scratch->stack) &&
		    !send_bulk_event(&scratch->stack, bytes, LOSS_RING_FULL_STACKS))
			sent_note(place, id);
	}
	capture_send(id);
}

/* After native frames, those that come next, or the end. */
static __always_inline void stack_go_on(void *ctx, struct capture_scratch *scratch, void *programs)
{
	if (config_stacks == STACKS_MODE_FULL && scratch->python_runtime) {
		bpf_tail_call(ctx, programs, CAPTURE_PYTHON);
		count_loss(LOSS_TAIL_CALL);
	}
	stack_finish(ctx, scratch, programs);
}

#endif
