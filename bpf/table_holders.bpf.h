/*
 * Which threads of a process hold a descriptor table, where they do not all hold the same one.
 * Outputs: EVENT_TABLE_NUMBERS of a table that a thread took itself, EVENT_TABLE_LEFT.
 */
#ifndef LEFTOPEN_BPF_TABLE_HOLDERS_H
#define LEFTOPEN_BPF_TABLE_HOLDERS_H

#include "maps.bpf.h"
#include "table.bpf.h"

/* include/linux/sched.h */
#define PF_EXITING 0x00000004
/* Chosen by: the kernel's own maximum of threads, FUTEX_TID_MASK being above it (kernel/fork.c). */
#define HOLDERS_THREADS_MAX 4194304

/* By thread: the table that it has as it begins to unshare. Such calls are rare, so that a map from entry to
 * exit costs nothing here, and at exit nothing tells any more which table it was. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, u64);
	__type(value, u64);
} unsharing __weak SEC(".maps");

struct holders_walk {
	struct list_head *head;
	struct list_head *at;
	struct task_struct *self;
	struct files_struct *files;
	u32 found;
	u32 reserved;
};

static long holders_step(u32 index, struct holders_walk *walk)
{
	struct list_head *at = walk->at;
	struct task_struct *task = (void *)at - bpf_core_field_offset(struct task_struct, thread_node);

	if (!at || at == walk->head)
		return 1;
	if (task != walk->self && BPF_CORE_READ(task, files) == walk->files &&
	    !(BPF_CORE_READ(task, flags) & PF_EXITING)) {
		walk->found = 1;
		return 1;
	}
	walk->at = BPF_CORE_READ(at, next);
	return 0;
}

/* Whether another thread of the current one's process goes on holding the table. Those that exit are marked
 * before they come by sched_process_exit (kernel/exit.c, do_exit), so that of two that exit at once at least
 * one finds no other. */
static __always_inline bool holders_another(struct files_struct *files)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct signal_struct *signal = BPF_CORE_READ(task, signal);
	struct list_head *head = (void *)signal + bpf_core_field_offset(struct signal_struct, thread_head);
	struct holders_walk walk = {
	        .head = head, .at = BPF_CORE_READ(head, next), .self = task, .files = files};

	bpf_loop(HOLDERS_THREADS_MAX, holders_step, &walk, 0);
	return walk.found;
}

static __always_inline void holders_send_left(struct followed_process *process, u64 table)
{
	struct event_table_left event = {};

	fill_header(&event.header, EVENT_TABLE_LEFT, sizeof(event), process->start_ns);
	event.table = table;
	send_process_event(&event, sizeof(event), LOSS_RING_FULL_PROCESSES);
}

/* At a call's entry that gives the thread a table of its own where it shares the one that it has. */
static __always_inline void holders_begin_unshare(void)
{
	u64 thread = bpf_get_current_pid_tgid();
	u64 table = (u64)compat_own_files();

	bpf_map_update_elem(&unsharing, &thread, &table, BPF_ANY);
}

/* At its exit.
 * @param changed whether the table holds other numbers also where it was shared with nobody */
static __always_inline void holders_end_unshare(struct followed_process *process, bool changed)
{
	struct files_struct *files = compat_own_files();
	u64 thread = bpf_get_current_pid_tgid(), before, *known = bpf_map_lookup_elem(&unsharing, &thread);

	if (!known)
		return;
	before = *known;
	bpf_map_delete_elem(&unsharing, &thread);
	if (before == (u64)files && !changed)
		return;
	process->tables_apart = 1;
	table_send_numbers((u64)files, before, TABLE_UNSHARED, thread >> 32);
	if (before != (u64)files && !holders_another((struct files_struct *)before))
		holders_send_left(process, before);
}

#endif
