/*
 * Memory mappings made, moved and released by system calls.
 * mmap at exit; munmap at entry (afterwards a sibling thread may have been given the range), and at exit only
 * where it failed; mremap at both, so that its old range is in transit between them and nobody else's mmap is
 * taken for it. shmat, io_setup: the length is that of what is mapped there then. Outputs: EVENT_MAP_MADE,
 * EVENT_MAP_RELEASED, EVENT_MAP_RELEASE_FAILED, EVENT_MAP_MOVE_BEGUN, EVENT_MAP_MOVED, EVENT_MAP_DONTFORK,
 * EVENT_MAP_DOFORK, EVENT_FILE for a mapped file that was not seen before.
 */
#include "maps.bpf.h"
#include <asm/unistd_64.h>
#include <bpf/bpf_tracing.h>
#include "call_program.bpf.h"
#include "capture.bpf.h"
#include "core_compat.bpf.h"
#include "path.bpf.h"
#include "vma.bpf.h"

/* Younger than the headers of the oldest system that this is built on. */
#ifndef __NR_map_shadow_stack
#define __NR_map_shadow_stack 453
#endif

#define PAGE_BYTES    4096ULL
#define PROT_EXEC     4
#define MAP_ANONYMOUS 0x20
#define MAP_HUGETLB   0x40000
#define MREMAP_FIXED  2
#define MADV_DONTFORK 10
#define MADV_DOFORK   11
#define ENOMEM        12
#define ERRNO_MAX     4095
/* include/uapi/asm-generic/hugetlb_encode.h: the binary logarithm of the page's size, 0: the machine's
 * default */
#define HUGETLB_SHIFT_AT   26
#define HUGETLB_SHIFT_MASK 63
/* include/uapi/linux/magic.h */
#define HUGETLBFS_MAGIC 0x958458f6

static __always_inline u64 aligned_up(u64 bytes, u64 alignment)
{
	return (bytes + alignment - 1) & ~(alignment - 1);
}

static __always_inline u64 whole_pages(u64 bytes)
{
	return aligned_up(bytes, PAGE_BYTES);
}

/* mm/mmap.c, ksys_mmap_pgoff: a mapping of huge pages is made of whole ones. */
static __always_inline u64 whole_huge_pages(u64 bytes, u32 flags)
{
	u32 shift = flags >> HUGETLB_SHIFT_AT & HUGETLB_SHIFT_MASK;

	return aligned_up(bytes, shift ? 1ULL << shift : config_huge_page_bytes);
}

static __always_inline bool failed(long result)
{
	return result < 0 && result >= -ERRNO_MAX;
}

/* Where a CPython runtime's file has just been mapped to run, the walker learns its address. */
static __always_inline void note_runtime(struct followed_process *process, const struct known_file *known,
                                         u64 address, u64 file_offset)
{
	u64 runtime = known_file_runtime(known, FILE_MAPPED, address, file_offset);

	if (!known->python_minor || !runtime)
		return;
	process->python_minor = known->python_minor;
	process->python_runtime = runtime;
}

static __always_inline void note_file(struct followed_process *process, struct event_map_made *event,
                                      struct file *file, u32 protection)
{
	struct file_use use = {
	        .start_ns = process->start_ns,
	        .cause = FILE_MAPPED,
	        .executable = !!(protection & PROT_EXEC),
	        .address = event->address,
	        .length_bytes = event->length_bytes,
	        .file_offset = event->file_offset,
	};
	struct known_file *known;

	compat_file_key(file, &event->key);
	event->mode = BPF_CORE_READ(file, f_inode, i_mode);
	if (BPF_CORE_READ(file, f_inode, i_sb, s_magic) == HUGETLBFS_MAGIC)
		event->length_bytes = aligned_up(event->length_bytes,
		                                 1ULL << (BPF_CORE_READ(file, f_inode, i_blkbits) & 63));
	if (protection & PROT_EXEC) {
		known = bpf_map_lookup_elem(&known_files, &event->key);
		if (known)
			note_runtime(process, known, event->address, event->file_offset);
	}
	file_send_once(file, &event->key, &use);
}

/* Fills in what all mappings have in common. */
static __always_inline struct event_map_made *map_pending(struct capture_scratch *scratch,
                                                          struct followed_process *process, u64 address,
                                                          u64 length_bytes, enum handle_origin origin)
{
	struct event_map_made *event = &scratch->pending.map;

	fill_header(&event->header, EVENT_MAP_MADE, sizeof(*event), process->start_ns);
	event->space = (u64)bpf_get_current_task_btf()->mm;
	event->address = address;
	event->length_bytes = length_bytes;
	event->file_offset = 0;
	event->protection = 0;
	event->flags = 0;
	event->origin = origin;
	event->mode = 0;
	event->reserved = 0;
	event->key.inode = 0;
	event->key.device = 0;
	event->key.generation = 0;
	scratch->pending.kind = EVENT_MAP_MADE;
	return event;
}

CALL_PROGRAM("tracepoint/syscalls/sys_exit_mmap", exit_mmap, trace_event_raw_sys_exit)
{
	struct followed_process *process;
	struct capture_scratch *scratch;
	struct event_map_made *event;
	struct task_struct *task;
	struct pt_regs *registers;
	struct file *file;

	if (failed(ctx->ret) || !(process = followed_current()))
		return 0;
	scratch = capture_scratch_take();
	if (!scratch)
		return 0;
	task = bpf_get_current_task_btf();
	registers = saved_registers();
	event = map_pending(scratch, process, ctx->ret, whole_pages(registers->si), HANDLE_ORIGIN_MMAP);
	event->file_offset = registers->r9;
	event->protection = registers->dx;
	event->flags = registers->r10;
	if (event->flags & MAP_ANONYMOUS) {
		if (event->flags & MAP_HUGETLB)
			event->length_bytes = whole_huge_pages(event->length_bytes, event->flags);
	} else {
		file = compat_table_file(task->files, (u32)registers->r8);
		if (file)
			note_file(process, event, file, event->protection);
	}
	capture_and_send(ctx, process, scratch);
	return 0;
}

/* What the kernel refuses before it looks at the mappings (mm/vma.c, do_vmi_munmap; mm/mremap.c,
 * check_mremap_params): neither entry nor exit of such a call says anything. */
static __always_inline bool refused(u64 address, u64 length_bytes)
{
	return address & (PAGE_BYTES - 1) || address + whole_pages(length_bytes) < address;
}

static __always_inline void send_range(struct followed_process *process, u16 type, u64 address,
                                       u64 length_bytes)
{
	struct event_map_released event = {};

	fill_untimed_header(&event.header, type, sizeof(event), process->start_ns);
	event.space = (u64)bpf_get_current_task_btf()->mm;
	event.address = address;
	event.length_bytes = whole_pages(length_bytes);
	send_map_event(&event, sizeof(event));
}

CALL_PROGRAM("tracepoint/syscalls/sys_enter_munmap", enter_munmap, trace_event_raw_sys_enter)
{
	struct followed_process *process = followed_current();

	if (!process || refused(ctx->args[0], ctx->args[1]))
		return 0;
	send_range(process, EVENT_MAP_RELEASED, ctx->args[0], ctx->args[1]);
	return 0;
}

CALL_PROGRAM("tracepoint/syscalls/sys_exit_munmap", exit_munmap, trace_event_raw_sys_exit)
{
	struct followed_process *process;
	struct pt_regs *registers;

	if (!ctx->ret || !(process = followed_current()))
		return 0;
	registers = saved_registers();
	if (refused(registers->di, registers->si))
		return 0;
	send_range(process, EVENT_MAP_RELEASE_FAILED, registers->di, registers->si);
	return 0;
}

CALL_PROGRAM("tracepoint/syscalls/sys_enter_mremap", enter_mremap, trace_event_raw_sys_enter)
{
	struct followed_process *process = followed_current();

	if (!process || refused(ctx->args[0], ctx->args[1]))
		return 0;
	send_range(process, EVENT_MAP_MOVE_BEGUN, ctx->args[0], ctx->args[1]);
	return 0;
}

static __always_inline void send_gap(struct followed_process *process, struct capture_scratch *scratch,
                                     u64 address, u64 bytes)
{
	u64 gap = bytes ? vma_gap(scratch, address, bytes) : 0;

	if (gap)
		send_range(process, EVENT_MAP_RELEASED, address, gap);
}

/* A move to a fixed place that fails has perhaps unmapped what was there and what it was to cut off, and
 * moved the first of several mappings (mm/mremap.c, mremap_to, remap_move). Sends no stack, as nothing was
 * made. */
static __always_inline void tell_move_failed(struct followed_process *process,
                                             struct capture_scratch *scratch, struct event_map_moved *event,
                                             u64 new_address)
{
	u64 kept = event->new_length_bytes,
	    moved = vma_gap(scratch, event->old_address, event->old_length_bytes);

	/* Else it was another thread that unmapped its start. */
	if (moved && find_vma_again(scratch, new_address))
		moved = 0;
	event->new_address = new_address;
	event->moved_bytes = moved;
	send_map_event(event, sizeof(*event));
	if (moved < kept)
		send_gap(process, scratch, new_address + moved, kept - moved);
	if (kept < event->old_length_bytes)
		send_gap(process, scratch, event->old_address + kept, event->old_length_bytes - kept);
}

CALL_PROGRAM("tracepoint/syscalls/sys_exit_mremap", exit_mremap, trace_event_raw_sys_exit)
{
	struct followed_process *process = followed_current();
	struct capture_scratch *scratch;
	struct event_map_moved *event;
	struct task_struct *task;
	struct pt_regs *registers;

	if (!process)
		return 0;
	task = bpf_get_current_task_btf();
	registers = saved_registers();
	if (refused(registers->di, registers->si))
		return 0;
	scratch = capture_scratch_take();
	if (!scratch)
		return 0;
	event = &scratch->pending.moved;
	fill_header(&event->header, EVENT_MAP_MOVED, sizeof(*event), process->start_ns);
	event->space = (u64)task->mm;
	event->result = ctx->ret;
	event->old_address = registers->di;
	event->old_length_bytes = whole_pages(registers->si);
	event->new_length_bytes = whole_pages(registers->dx);
	event->flags = registers->r10;
	event->stack = 0;
	event->new_address = 0;
	event->moved_bytes = 0;
	if (failed(ctx->ret) && event->flags & MREMAP_FIXED && !refused(registers->r8, registers->dx)) {
		tell_move_failed(process, scratch, event, registers->r8);
		capture_scratch_return(scratch);
		return 0;
	}
	scratch->pending.kind = EVENT_MAP_MOVED;
	capture_and_send(ctx, process, scratch);
	return 0;
}

/* ENOMEM: done, but for addresses where nothing is mapped (mm/madvise.c, madvise_walk_vmas). */
CALL_PROGRAM("tracepoint/syscalls/sys_exit_madvise", exit_madvise, trace_event_raw_sys_exit)
{
	struct pt_regs *registers = saved_registers();
	u32 advice = registers->dx;
	struct followed_process *process;

	if ((advice != MADV_DONTFORK && advice != MADV_DOFORK) || (ctx->ret && ctx->ret != -ENOMEM) ||
	    !(process = followed_current()))
		return 0;
	send_range(process, advice == MADV_DONTFORK ? EVENT_MAP_DONTFORK : EVENT_MAP_DOFORK, registers->di,
	           registers->si);
	return 0;
}

/* Where the kernel chose the length.
 * @param ret_file what is mapped there, NULL: no file
 * @return 0: nothing is mapped there any more */
static __always_inline u64 mapped_length(struct capture_scratch *scratch, u64 address, struct file **ret_file)
{
	struct mapped_at at = {};

	if (vma_find(scratch, address, &at) || at.start != address)
		return 0;
	*ret_file = at.file;
	return at.end - at.start;
}

static __always_inline int mapped_whole(void *ctx, u64 address, enum handle_origin origin)
{
	struct followed_process *process = followed_current();
	struct capture_scratch *scratch = process ? capture_scratch_take() : NULL;
	struct file *file = NULL;
	u64 length_bytes;

	if (!scratch)
		return 0;
	length_bytes = mapped_length(scratch, address, &file);
	if (!length_bytes) {
		capture_scratch_return(scratch);
		return 0;
	}
	(void)map_pending(scratch, process, address, length_bytes, origin);
	capture_and_send(ctx, process, scratch);
	return 0;
}

static __always_inline int released_whole(u16 type, u64 address)
{
	struct followed_process *process = followed_current();
	struct capture_scratch *scratch = process ? capture_scratch_take() : NULL;
	struct file *file = NULL;
	u64 length_bytes;

	if (!scratch)
		return 0;
	length_bytes = mapped_length(scratch, address, &file);
	capture_scratch_return(scratch);
	/* A segment is as long as its file, in however many pieces it is mapped by now (ipc/shm.c,
	 * ksys_shmdt). */
	if (length_bytes && file)
		length_bytes = whole_pages(BPF_CORE_READ(file, f_inode, i_size));
	if (length_bytes)
		send_range(process, type, address, length_bytes);
	return 0;
}

/* shmat, map_shadow_stack: where it is returned; io_setup: the id of the context is the address of its ring
 * (fs/aio.c, ioctx_alloc). */
CALL_PROGRAM("tracepoint", map_whole, trace_event_raw_sys_exit)
{
	enum handle_origin origin = HANDLE_ORIGIN_SHMAT;
	u64 address = ctx->ret;

	if (failed(ctx->ret))
		return 0;
	switch ((u32)ctx->id) {
	case __NR_io_setup:
		origin = HANDLE_ORIGIN_IO_SETUP;
		if (bpf_probe_read_user(&address, sizeof(address), (void *)saved_registers()->si))
			return 0;
		break;
	case __NR_map_shadow_stack:
		origin = HANDLE_ORIGIN_MAP_SHADOW_STACK;
		break;
	}
	return mapped_whole(ctx, address, origin);
}

/* shmdt, io_destroy */
CALL_PROGRAM("tracepoint", unmap_whole, trace_event_raw_sys_enter)
{
	return released_whole(EVENT_MAP_RELEASED, ctx->args[0]);
}

CALL_PROGRAM("tracepoint", unmap_whole_failed, trace_event_raw_sys_exit)
{
	return ctx->ret ? released_whole(EVENT_MAP_RELEASE_FAILED, saved_registers()->di) : 0;
}

/* The call returns where the heap ends, whether or not it could be moved. What it had grown to before, the
 * model knows. */
CALL_PROGRAM("tracepoint/syscalls/sys_exit_brk", exit_brk, trace_event_raw_sys_exit)
{
	struct followed_process *process = followed_current();
	struct capture_scratch *scratch;
	struct mm_struct *mm;
	u64 start;

	if (!process || !saved_registers()->di)
		return 0;
	scratch = capture_scratch_take();
	if (!scratch)
		return 0;
	mm = bpf_get_current_task_btf()->mm;
	start = whole_pages(BPF_CORE_READ(mm, start_brk));
	(void)map_pending(scratch, process, start, whole_pages(ctx->ret) - start, HANDLE_ORIGIN_BRK);
	capture_and_send(ctx, process, scratch);
	return 0;
}
