/*
 * Ids of processes and threads as leftopen itself knows them: those of its own pid namespace. In the initial
 * one they are the kernel's own, and asking for them costs nothing more. What is not in the namespace has
 * none.
 */
#ifndef LEFTOPEN_BPF_IDS_H
#define LEFTOPEN_BPF_IDS_H

#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

/* Set before loading: whether leftopen is in another one than the initial one. */
extern const volatile __u32 config_nested;
/* struct pid_namespace *, and how many it has around it: found by ids_find_own. */
extern __u64 own_pid_namespace;
extern __u32 own_pid_level;

static __always_inline struct upid *ids_number(struct pid *pid, u32 level)
{
	return (void *)pid + bpf_core_field_offset(struct pid, numbers) +
	       level * bpf_core_type_size(struct upid);
}

/* A function of its own, as what it needs of the stack would be too much for who asks.
 * @return the id in leftopen's namespace; 0: it has none there */
static __noinline u32 ids_of(struct pid *pid)
{
	struct upid *number;

	if (!config_nested)
		return pid ? BPF_CORE_READ(pid, numbers[0].nr) : 0;
	if (!pid || BPF_CORE_READ(pid, level) < own_pid_level)
		return 0;
	number = ids_number(pid, own_pid_level);
	return (u64)BPF_CORE_READ(number, ns) == own_pid_namespace ? BPF_CORE_READ(number, nr) : 0;
}

/* @param task as bpf_get_current_task_btf() has it, or a tracepoint or an iterator: the verifier knows its
 * type */
static __always_inline u32 ids_process(struct task_struct *task)
{
	return config_nested ? ids_of(BPF_CORE_READ(task, signal, pids[PIDTYPE_TGID])) : (u32)task->tgid;
}

static __always_inline u32 ids_thread(struct task_struct *task)
{
	return config_nested ? ids_of(BPF_CORE_READ(task, thread_pid)) : (u32)task->pid;
}

/* The same of a task whose type the verifier does not know. */
static __always_inline u32 ids_other_process(struct task_struct *task)
{
	return config_nested ? ids_of(BPF_CORE_READ(task, signal, pids[PIDTYPE_TGID]))
	                     : BPF_CORE_READ(task, tgid);
}

static __always_inline u32 ids_other_thread(struct task_struct *task)
{
	return config_nested ? ids_of(BPF_CORE_READ(task, thread_pid)) : BPF_CORE_READ(task, pid);
}

#endif
