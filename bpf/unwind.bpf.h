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

#define UNWIND_PAGE_SHIFT 12
#define UNWIND_EBUSY      16
/* Chosen by: while three threads map and unmap all the time, one descent in fifty meets a change; none of
 * 4,000 stacks met four. */
#define FIND_ATTEMPTS 4
/* include/linux/mm.h */
#define VM_EXEC 4

static __always_inline u64 hash_mix(u64 hash, u64 value)
{
	hash ^= value;
	hash *= 0x9E3779B97F4A7C15ULL;
	return hash ^ hash >> 29;
}

static long find_vma_callback(struct task_struct *task, struct vm_area_struct *vma, struct mapped_at *at)
{
	at->start = vma->vm_start;
	at->end = vma->vm_end;
	at->page_offset = vma->vm_pgoff;
	at->flags = vma->vm_flags;
	/* Not as a member: the verifier would search all of the kernel's types for each pointer that is
	 * loaded so. */
	bpf_core_read(&at->file, sizeof(at->file), &vma->vm_file);
	return 0;
}

/* include/linux/maple_tree.h: kinds of node and where their slots begin, in words; 64-bit layouts. */
enum maple_kind { MAPLE_LEAF = 1, MAPLE_RANGE = 2, MAPLE_ALLOCATION_RANGE = 3 };
#define MAPLE_NODE_WORDS          32
#define MAPLE_RANGE_PIVOTS        15
#define MAPLE_RANGE_SLOTS_AT      16
#define MAPLE_ALLOCATION_PIVOTS   9
#define MAPLE_ALLOCATION_SLOTS_AT 10
#define MAPLE_HEIGHT_MAX          8

/* Descends the current process's tree of mappings under RCU, for when bpf_find_vma cannot take the lock that
 * a sibling thread holds. Not static: the verifier looks at it once, and not once in each state of each
 * caller.
 * @return 0: it is in scratch->mapped; -1: not mapped; -UNWIND_EBUSY: the tree changed meanwhile */
__weak __noinline int find_vma_lockless(u64 address)
{
	struct capture_scratch *scratch = capture_scratch_get();
	struct mm_struct *mm = bpf_get_current_task_btf()->mm;
	struct mapped_at *at;
	u64 entry = 0;

	if (!scratch || !mm)
		return -1;
	at = &scratch->mapped;
	if (bpf_core_read(&entry, sizeof(entry), &mm->mm_mt.ma_root))
		return -1;
	for (u32 depth = 0; depth < MAPLE_HEIGHT_MAX; depth++) {
		u64 node = entry & ~0xffULL;
		u32 kind = entry >> 3 & 15, pivots, slots_at, i;

		if (entry < 4096 || (!depth && (entry & 3) != 2))
			return -1;
		if (bpf_probe_read_kernel(scratch->node, sizeof(scratch->node), (void *)node))
			return -UNWIND_EBUSY;
		/* A dead node's parent points to itself. */
		if ((scratch->node[0] & ~0xffULL) == node)
			return -UNWIND_EBUSY;
		if (kind == MAPLE_ALLOCATION_RANGE) {
			pivots = MAPLE_ALLOCATION_PIVOTS;
			slots_at = MAPLE_ALLOCATION_SLOTS_AT;
		} else if (kind == MAPLE_LEAF || kind == MAPLE_RANGE) {
			pivots = MAPLE_RANGE_PIVOTS;
			slots_at = MAPLE_RANGE_SLOTS_AT;
		} else {
			return -1;
		}
		for (i = 0; i < MAPLE_RANGE_PIVOTS; i++) {
			u64 pivot;

			if (i >= pivots)
				break;
			pivot = scratch->node[1 + i];
			if (pivot >= address || (i && !pivot))
				break;
		}
		/* Read back from a map it is any number to the verifier, which would else go on from here
		 * once for each. */
		*(volatile u32 *)&scratch->node_slot = slots_at + i;
		slots_at = *(volatile u32 *)&scratch->node_slot;
		entry = scratch->node[slots_at & (MAPLE_NODE_WORDS - 1)];
		if (kind == MAPLE_LEAF) {
			struct vm_area_struct *vma = (void *)entry;

			if (entry < 4096 || entry & 3)
				return -1;
			at->start = BPF_CORE_READ(vma, vm_start);
			at->end = BPF_CORE_READ(vma, vm_end);
			at->page_offset = BPF_CORE_READ(vma, vm_pgoff);
			at->flags = BPF_CORE_READ(vma, vm_flags);
			at->file = BPF_CORE_READ(vma, vm_file);
			if (BPF_CORE_READ(vma, vm_mm) != mm || address < at->start || address >= at->end)
				return -UNWIND_EBUSY;
			return 0;
		}
	}
	return -1;
}

static __always_inline void stack_begin(struct capture_scratch *scratch)
{
	scratch->stack.count = 0;
	scratch->stack.end = STACK_END_COMPLETE;
	scratch->stack.id = 0x6c6566746f70656eULL;
}

/* @return the next frame to fill, or NULL: as many as are kept are there */
static __always_inline struct stack_frame *stack_next(struct capture_scratch *scratch)
{
	u32 at = scratch->stack.count;

	if (at >= STACK_FRAMES_MAX) {
		scratch->stack.end = STACK_END_DEPTH;
		return NULL;
	}
	scratch->stack.count = at + 1;
	asm volatile("" : "+r"(at));
	return &scratch->stack.frames[at & (STACK_FRAMES_MAX - 1)];
}

/* Looks the address up among the mappings, into scratch->found.
 * @return 0, or -1: it could not be, and that must not be kept */
static __always_inline int native_find(struct capture_scratch *scratch, u64 address)
{
	struct native_position *found = &scratch->found;
	struct task_struct *task = bpf_get_current_task_btf();
	struct file_use use = {.start_ns = scratch->process_start_ns, .cause = FILE_CALLED, .executable = 1};
	struct mapped_at at = {};
	long error;

	error = bpf_find_vma(task, address, find_vma_callback, &at, 0);
	if (error == -UNWIND_EBUSY) {
		for (u32 i = 0; i < FIND_ATTEMPTS && error == -UNWIND_EBUSY; i++)
			error = find_vma_lockless(address);
		at = scratch->mapped;
	}
	found->is_code = error == -UNWIND_EBUSY || (!error && at.flags & VM_EXEC);
	found->position = address;
	found->file.inode = 0;
	found->file.device = 0;
	found->file.generation = 0;
	if (!error && found->is_code && at.file) {
		found->position = address - at.start + (at.page_offset << UNWIND_PAGE_SHIFT);
		compat_file_key(at.file, &found->file);
		use.address = at.start;
		use.length_bytes = at.end - at.start;
		use.file_offset = at.page_offset << UNWIND_PAGE_SHIFT;
		if (file_send_once(at.file, &found->file, &use))
			return -1;
	}
	return error == -UNWIND_EBUSY ? -1 : 0;
}

/* Looking an address up costs as much as all else that is done for a handle, and most callers call again.
 * Not static: the verifier looks at it once, and not once in each state of each caller.
 * @return whether it is an address of code, which is then in scratch->found */
__weak __noinline int native_remember(u64 address)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct capture_scratch *scratch = capture_scratch_get();
	struct native_known *known;
	u32 place, mappings = compat_mappings_sequence(), execs = task->self_exec_id, process_id = task->tgid;
	u64 start_ns;

	if (!scratch)
		return 0;
	start_ns = scratch->process_start_ns;
	/* Whoever maps has just changed them: what is kept for one call is of no use to the next. */
	if (scratch->pending.kind == EVENT_MAP_MADE || scratch->pending.kind == EVENT_MAP_MOVED ||
	    mappings & 1) {
		(void)native_find(scratch, address);
		return scratch->found.is_code;
	}
	place = hash_mix(start_ns, address) & (NATIVE_KNOWN_COUNT - 1);
	known = bpf_map_lookup_elem(&native_known, &place);
	if (!known)
		return 0;
	if (known->of.address == address && known->of.mappings == mappings &&
	    known->of.start_ns == start_ns && known->of.process_id == process_id &&
	    known->of.execs == execs) {
		scratch->found = known->found;
		return scratch->found.is_code;
	}
	/* A sibling thread may change them meanwhile. */
	if (!native_find(scratch, address) && compat_mappings_sequence() == mappings) {
		known->of.start_ns = start_ns;
		known->of.address = address;
		known->of.process_id = process_id;
		known->of.execs = execs;
		known->of.mappings = mappings;
		known->found = scratch->found;
	}
	return scratch->found.is_code;
}

/* @return 0, or -1: that is no address of code, so that what led to it was no frame either */
static __always_inline int stack_push_native(struct capture_scratch *scratch, u64 address)
{
	struct stack_frame *frame;

	if (!native_remember(address))
		return -1;
	frame = stack_next(scratch);
	if (!frame)
		return -1;
	frame->kind = FRAME_NATIVE;
	frame->flags = 0;
	frame->code = 0;
	frame->file = scratch->found.file;
	frame->position = scratch->found.position;
	scratch->stack.id =
	        hash_mix(hash_mix(scratch->stack.id, frame->position),
	                 frame->file.inode ^ (u64)frame->file.device << 32 ^ frame->file.generation);
	return 0;
}

/* Sends the stack where it is new, then the handle under its id. */
static __always_inline void stack_finish(struct capture_scratch *scratch)
{
	u32 count = scratch->stack.count, bytes = offsetof(struct event_stack, frames);
	u64 id = hash_mix(scratch->stack.id, scratch->stack.end << 16 | count);
	struct sent_place *place = sent_place_find(&stacks_sent, id);

	scratch->stack.id = id;
	if (!sent_before(place, id)) {
		if (count > STACK_FRAMES_MAX)
			count = STACK_FRAMES_MAX;
		bytes += count * sizeof(struct stack_frame);
		fill_header(&scratch->stack.header, EVENT_STACK, bytes, scratch->process_start_ns);
		if (bytes <= sizeof(scratch->stack) &&
		    !send_bulk_event(&scratch->stack, bytes, LOSS_RING_FULL_STACKS))
			sent_note(place, id);
	}
	capture_send(scratch, id);
}

#endif
