/*
 * Where an address of the current process is mapped.
 */
#ifndef LEFTOPEN_BPF_VMA_H
#define LEFTOPEN_BPF_VMA_H

#include "maps.bpf.h"
#include <bpf/bpf_core_read.h>
#include "capture.bpf.h"

#define VMA_EBUSY 16
/* Chosen by: while three threads map and unmap all the time, one descent in fifty meets a change; none of
 * 4,000 stacks met four. */
#define VMA_FIND_ATTEMPTS 4

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

struct vma_descent {
	struct mm_struct *mm;
	u64 address;
	u64 entry; /* of the node above */
	u64 last;  /* address that the node above has there */
	s64 result;
};

/* @return 0, or -VMA_EBUSY: it is there no more */
static __always_inline int vma_read(const struct vma_descent *descent, struct mapped_at *at)
{
	struct vm_area_struct *vma = (void *)descent->entry;

	at->start = BPF_CORE_READ(vma, vm_start);
	at->end = BPF_CORE_READ(vma, vm_end);
	at->page_offset = BPF_CORE_READ(vma, vm_pgoff);
	at->flags = BPF_CORE_READ(vma, vm_flags);
	at->file = BPF_CORE_READ(vma, vm_file);
	return BPF_CORE_READ(vma, vm_mm) == descent->mm && descent->address >= at->start &&
	                       descent->address < at->end
	               ? 0
	               : -VMA_EBUSY;
}

static long vma_descend(u32 depth, struct vma_descent *descent)
{
	struct capture_scratch *scratch = capture_scratch_get();
	u64 node = descent->entry & ~0xffULL;
	u32 kind = descent->entry >> 3 & 15, pivots, slots_at, i;

	if (!scratch || descent->entry < 4096 || (!depth && (descent->entry & 3) != 2))
		return 1;
	descent->result = -VMA_EBUSY;
	if (bpf_probe_read_kernel(scratch->node, sizeof(scratch->node), (void *)node))
		return 1;
	/* A dead node's parent points to itself. */
	if ((scratch->node[0] & ~0xffULL) == node)
		return 1;
	descent->result = -1;
	if (kind == MAPLE_ALLOCATION_RANGE) {
		pivots = MAPLE_ALLOCATION_PIVOTS;
		slots_at = MAPLE_ALLOCATION_SLOTS_AT;
	} else if (kind == MAPLE_LEAF || kind == MAPLE_RANGE) {
		pivots = MAPLE_RANGE_PIVOTS;
		slots_at = MAPLE_RANGE_SLOTS_AT;
	} else {
		return 1;
	}
	for (i = 0; i < MAPLE_RANGE_PIVOTS; i++) {
		u64 pivot;

		if (i >= pivots)
			break;
		pivot = scratch->node[1 + i];
		if (pivot >= descent->address || (i && !pivot)) {
			if (pivot)
				descent->last = pivot;
			break;
		}
	}
	/* Read back from a map it is any number to the verifier, which would else go on from here once for
	 * each. */
	*(volatile u32 *)&scratch->node_slot = slots_at + i;
	slots_at = *(volatile u32 *)&scratch->node_slot;
	descent->entry = scratch->node[slots_at & (MAPLE_NODE_WORDS - 1)];
	if (kind != MAPLE_LEAF)
		return 0;
	if (!descent->entry)
		scratch->mapped.start = descent->last + 1;
	if (descent->entry >= 4096 && !(descent->entry & 3))
		descent->result = vma_read(descent, &scratch->mapped);
	return 1;
}

/* Descends the current process's tree of mappings under RCU, for when bpf_find_vma cannot take the lock that
 * a sibling thread holds.
 * @return 0: it is in scratch->mapped; -1: not mapped, and scratch->mapped.start is where the next mapping
 * begins, at least, where that
 * was found: no leaf ends with nothing (lib/maple_tree.c, mab_no_null_split); -VMA_EBUSY: the tree
 * changed meanwhile */
__weak __noinline int find_vma_lockless(u64 address)
{
	struct mm_struct *mm = BPF_CORE_READ(bpf_get_current_task_btf(), mm);
	struct vma_descent descent = {.mm = mm, .address = address, .last = ~0ULL, .result = -1};

	if (!mm || bpf_core_read(&descent.entry, sizeof(descent.entry), &mm->mm_mt.ma_root))
		return -1;
	bpf_loop(MAPLE_HEIGHT_MAX, vma_descend, &descent, 0);
	return descent.result;
}

static __always_inline long find_vma_again(struct capture_scratch *scratch, u64 address)
{
	long error = -VMA_EBUSY;

	for (u32 i = 0; i < VMA_FIND_ATTEMPTS && error == -VMA_EBUSY; i++) {
		scratch->mapped.start = address;
		error = find_vma_lockless(address);
	}
	return error;
}

/* @return 0: it is in *at; -VMA_EBUSY: the mappings change all the time; else it is not mapped */
static __always_inline long vma_find(struct capture_scratch *scratch, u64 address, struct mapped_at *at)
{
	long error = bpf_find_vma(bpf_get_current_task_btf(), address, find_vma_callback, at, 0);

	if (error != -VMA_EBUSY)
		return error;
	error = find_vma_again(scratch, address);
	*at = scratch->mapped;
	return error;
}

/* @return of so many bytes from an address on, how many come before the first that is mapped; 0 also where
 * that cannot be told */
static __always_inline u64 vma_gap(struct capture_scratch *scratch, u64 address, u64 bytes)
{
	u64 gap;

	if (find_vma_again(scratch, address) != -1)
		return 0;
	gap = scratch->mapped.start - address;
	return gap < bytes ? gap : bytes;
}

#endif
