/*
 * Differences between kernels, one shim each, with the commit that made it necessary.
 */
#ifndef LEFTOPEN_BPF_CORE_COMPAT_H
#define LEFTOPEN_BPF_CORE_COMPAT_H

#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include "event_abi.h"
#include "ids.bpf.h"

/* arch/x86/include/asm/segment.h, __USER32_CS: code of a 32-bit program, whose calls have other numbers. */
#define USER32_CS 0x23

/* A file's descriptor table is reached through files_struct.fdt, and fd[n] may
 * be NULL while the bit set already has n (fs/file.c, alloc_fd reserves before fd_install).
 * @param files as bpf_get_current_task_btf() has it: the verifier knows its type, so that members are plain
 * loads
 * @return the file, or NULL: the number is out of range or not installed */
static __always_inline struct file *compat_table_file(struct files_struct *files, u32 fd)
{
	struct fdtable *table = files->fdt;
	struct file *file = NULL;

	if (fd >= table->max_fds)
		return NULL;
	if (bpf_probe_read_kernel(&file, sizeof(file), table->fd + fd))
		return NULL;
	return file;
}

/* The current thread's table, where a handle more or less makes no difference (see capture.bpf.h). */
static __always_inline struct files_struct *compat_own_files(void)
{
	return BPF_CORE_READ(bpf_get_current_task_btf(), files);
}

/* Never written. */
extern __u64 always_zero;

/* What a number in bpf_loop's context begins with where the callback changes and compares it. Before 6.7
 * (commit ab5cfac139ab; 6.6 has it too) the verifier followed a callback once only, from the state in which
 * the loop begins: a comparison that a known number decides in the first round lost its other branch for all
 * rounds.
 * @return 0, which the verifier takes for any number, as the memory may be written */
static __always_inline u64 compat_loop_zero(void)
{
	return *(volatile u64 *)&always_zero;
}

/* Since 6.13 (commit a76ab5731e32) the verifier gives programs a stack of their own a CPU, where what leaves
 * a program out that is active on a CPU keeps two threads from being in it. Nothing does so for a program
 * that others tail-call, nor, up to 7.1, for one at a uprobe (include/linux/bpf.h,
 * bpf_prog_run_array_uprobe), though both can be preempted. One that may make a tail call itself runs on its
 * thread's stack.
 * @param programs a map of programs of that type; none is called */
static __always_inline void compat_use_thread_stack(void *ctx, void *programs)
{
	if (*(volatile __u64 *)&always_zero)
		bpf_tail_call(ctx, programs, 0);
}

/* The same of a table that is not the current task's own, and that may be gone: then there is nothing, or
 * what is not one. */
static __always_inline struct file *compat_other_table_file(u64 files, u32 fd)
{
	struct fdtable *table = BPF_CORE_READ((struct files_struct *)files, fdt);
	struct file *file = NULL;

	if (fd < BPF_CORE_READ(table, max_fds))
		bpf_probe_read_kernel(&file, sizeof(file), BPF_CORE_READ(table, fd) + fd);
	return file;
}

/* What an inode begins with (include/linux/fs.h): read at once where the members lie within it, because each
 * read costs as much as the rest of an event's member. */
#define INODE_HEAD_BYTES 72

struct inode_head {
	u64 number;
	u16 mode;
};

static __always_inline void compat_inode_head(struct inode *inode, struct inode_head *ret_head)
{
	u64 head[INODE_HEAD_BYTES / sizeof(u64)];
	u32 number_at = bpf_core_field_offset(struct inode, i_ino);
	u32 mode_at = bpf_core_field_offset(struct inode, i_mode);

	if (number_at <= sizeof(head) - sizeof(u64) && mode_at <= sizeof(head) - sizeof(u16)) {
		bpf_probe_read_kernel(head, sizeof(head), inode);
		ret_head->number = *(u64 *)((void *)head + number_at);
		ret_head->mode = *(u16 *)((void *)head + mode_at);
	} else {
		ret_head->number = BPF_CORE_READ(inode, i_ino);
		ret_head->mode = BPF_CORE_READ(inode, i_mode);
	}
}

static __always_inline void compat_file_key(struct file *file, struct file_key *key)
{
	struct inode *inode = BPF_CORE_READ(file, f_inode);

	key->inode = BPF_CORE_READ(inode, i_ino);
	key->device = BPF_CORE_READ(inode, i_sb, s_dev);
	key->generation = BPF_CORE_READ(inode, i_generation);
}

/* Changes with the mappings of a space, and is odd while they change (include/linux/mmap_lock.h,
 * mm_lock_seqcount_begin). Before 6.13 (commit eb449bd96954) it was a number that followed the change, which
 * is of no use here.
 * @param mm as bpf_get_current_task_btf() has it
 * @return an even number; 1: they are changing, or this kernel does not say */
static __always_inline u32 compat_mappings_sequence(struct mm_struct *mm)
{
	struct mm_struct___sequence *space = (void *)mm;
	u32 sequence;

	if (!bpf_core_field_exists(space->mm_lock_seq.sequence) || !space)
		return 1;
	sequence = space->mm_lock_seq.sequence;
	return sequence & 1 ? 1 : sequence;
}

/* fs/mount.h: the mount that holds this vfsmount. */
static __always_inline struct mount *compat_mount(struct vfsmount *mount)
{
	return (void *)mount - bpf_core_field_offset(struct mount, mnt);
}

/* include/linux/mount.h: made by the kernel for itself */
#define MNT_INTERNAL 0x4000

/* Whether the topmost of some mounts hangs nowhere (fs/mount.h, is_anon_ns): made by fsmount or open_tree and
 * not moved to its place, or unmounted while in use. Those of the kernel itself (pipes, sockets, queues) have
 * an error for their namespace. That a namespace is such a mount's own is said by its sequence number, which
 * 6.18 moved to what all sorts of namespaces have, and from 6.19 by a boolean (commit d9a44089ac77). */
static __always_inline bool compat_is_detached(struct mount *top)
{
	struct mnt_namespace *namespace = BPF_CORE_READ(top, mnt_ns);
	struct mnt_namespace___boolean *after = (void *)namespace;
	struct mnt_namespace___sequence *before = (void *)namespace;
	struct ns_common___id *common;

	if ((u64) namespace >= (u64)-4095)
		return false;
	/* Until 6.17 that of the queues, though the kernel's own, had none (ipc/mqueue.c, mq_create_mount).
	 */
	if (!namespace)
		return !(BPF_CORE_READ(top, mnt.mnt_flags) & MNT_INTERNAL);
	if (bpf_core_field_exists(after->is_anon))
		return BPF_CORE_READ(after, is_anon);
	if (bpf_core_field_exists(before->seq))
		return !BPF_CORE_READ(before, seq);
	common = (void *)namespace + bpf_core_field_offset(struct mnt_namespace, ns);
	return bpf_core_field_exists(common->ns_id) && !BPF_CORE_READ(common, ns_id);
}

/* The task that submitted a request, which keeps it. Until 6.13 (commit b6f58a3f4aa8) the request had it
 * itself.
 */
static __always_inline struct task_struct *compat_request_task(struct io_kiocb *request)
{
	struct io_kiocb___task *before = (void *)request;

	if (bpf_core_field_exists(before->task))
		return BPF_CORE_READ(before, task);
	return BPF_CORE_READ(request, tctx, task);
}

/* A ring's queue of requests: read at once where its members follow each other, as they do in all kernels so
 * far.
 */
struct ring_queue {
	u64 order; /* u32 *; 0: one after the other */
	u64 entries;
	u32 head;
	u32 capacity;
};

static __always_inline void compat_ring_queue(struct io_ring_ctx *ring, struct ring_queue *ret_queue)
{
	u32 at = bpf_core_field_offset(struct io_ring_ctx, sq_array);

	if (bpf_core_field_offset(struct io_ring_ctx, sq_sqes) == at + offsetof(struct ring_queue, entries) &&
	    bpf_core_field_offset(struct io_ring_ctx, cached_sq_head) ==
	            at + offsetof(struct ring_queue, head) &&
	    bpf_core_field_offset(struct io_ring_ctx, sq_entries) ==
	            at + offsetof(struct ring_queue, capacity)) {
		bpf_probe_read_kernel(ret_queue, sizeof(*ret_queue), (void *)ring + at);
		return;
	}
	ret_queue->order = (u64)BPF_CORE_READ(ring, sq_array);
	ret_queue->entries = (u64)BPF_CORE_READ(ring, sq_sqes);
	ret_queue->head = BPF_CORE_READ(ring, cached_sq_head);
	ret_queue->capacity = BPF_CORE_READ(ring, sq_entries);
}

/* "[pidfd]" with its NUL, as a number: the compiler has no memcmp here. */
#define ANONYMOUS_PIDFD 0x005d64666469705bULL

/* What a pidfd refers to. Until 6.9 (commit cb12fd8e0dab) it was an anonymous inode.
 * @param name of the file, 8 bytes aligned to 8
 * @return the process's or thread's id in leftopen's pid namespace; 0: the file is no pidfd, or what it
 * refers to is not in there */
static __always_inline u32 compat_pidfd_process_id(struct file *file, u32 filesystem, const char *name)
{
	struct pid *pid = NULL;

	if (filesystem == FILESYSTEM_PIDFS)
		pid = BPF_CORE_READ(file, f_inode, i_private);
	else if (filesystem == FILESYSTEM_ANONYMOUS && *(const u64 *)name == ANONYMOUS_PIDFD)
		pid = BPF_CORE_READ(file, private_data);
	return ids_of(pid);
}

#endif
