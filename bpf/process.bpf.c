/*
 * Processes: fork, exec, exit. At each the descriptor table's own numbers are sent, because with one busy
 * sibling thread the order of events gives the wrong table of a child. Outputs: EVENT_PROCESS_*,
 * EVENT_TABLE_NUMBERS, EVENT_TABLE_LEFT, EVENT_FILE of an executable not seen before.
 */
#include "maps.bpf.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include "core_compat.bpf.h"
#include "found.bpf.h"
#include "mark.bpf.h"
#include "path.bpf.h"
#include "table_holders.bpf.h"
#include "test_name.bpf.h"

#define SIGNAL_GROUP_EXIT 4

SEC("tp_btf/sched_process_fork")
int BPF_PROG(process_forked, struct task_struct *parent, struct task_struct *child)
{
	struct followed_process *process = followed_current();
	struct event_process_forked event = {};
	struct followed_process entry;
	struct files_struct *parent_files, *files;
	u32 child_id = ids_process(child);

	if (!process)
		return 0;
	parent_files = BPF_CORE_READ(parent, files);
	files = BPF_CORE_READ(child, files);
	if (parent->tgid == child->tgid) {
		/* CLONE_THREAD without CLONE_FILES */
		if (files != parent_files) {
			process->tables_apart = 1;
			table_send_numbers((u64)files, (u64)parent_files, TABLE_UNSHARED, child_id);
		}
		return 0;
	}
	entry = *process;
	entry.start_ns = child->start_boottime;
	entry.finalizing_thread = 0;
	entry.marked = SHUTDOWN_NONE;
	entry.made_after_mark = 0;
	entry.exited = 0;
	entry.lost_fds = 0;
	entry.lost_maps_ns = 0;
	entry.tables_apart = 0;
	if (bpf_map_update_elem(&followed, &child_id, &entry, BPF_ANY)) {
		count_loss(LOSS_PROCESS_MAP_FULL);
		return 0;
	}
	fill_header(&event.header, EVENT_PROCESS_FORKED, sizeof(event), process->start_ns);
	event.parent_table = (u64)parent_files;
	event.parent_space = (u64)BPF_CORE_READ(parent, mm);
	event.table = (u64)files;
	event.space = (u64)BPF_CORE_READ(child, mm);
	event.start_ns = entry.start_ns;
	event.process_id = child_id;
	event.fd_limit = BPF_CORE_READ(child, signal, rlim[RLIMIT_NOFILE].rlim_cur);
	bpf_probe_read_kernel_str(event.comm, sizeof(event.comm), child->comm);
	if (send_process_event(&event, sizeof(event), LOSS_RING_FULL_PROCESSES))
		return 0;
	if (files != parent_files)
		table_send_numbers((u64)files, (u64)parent_files, TABLE_FORKED, child_id);
	return 0;
}

/* Where the executable is a known CPython, its runtime is at a fixed distance from its code. */
static __always_inline void note_executable(struct followed_process *process, struct mm_struct *mm,
                                            struct file_key *ret_key)
{
	struct file *file = BPF_CORE_READ(mm, exe_file);
	u64 start_code = BPF_CORE_READ(mm, start_code);
	struct file_use use = {.start_ns = process->start_ns, .cause = FILE_EXECED, .executable = 1};
	struct known_file *known;

	if (!file)
		return;
	compat_file_key(file, ret_key);
	known = bpf_map_lookup_elem(&known_files, ret_key);
	if (known && known->python_minor) {
		process->python_minor = known->python_minor;
		process->python_runtime = known_file_runtime(known, FILE_EXECED, start_code, 0);
	}
	use.address = start_code;
	file_send_once(file, ret_key, &use);
}

static __always_inline void send_arguments(struct followed_process *process, struct mm_struct *mm)
{
	struct walk_scratch *scratch = walk_scratch_borrow();
	u64 start = BPF_CORE_READ(mm, arg_start), bytes = BPF_CORE_READ(mm, arg_end) - start;
	struct event_process_arguments *event;
	u32 length, total;

	if (!scratch)
		return;
	event = &scratch->arguments;
	event->truncated = bytes > ARGUMENTS_BYTES;
	length = bounded_bytes(bytes, ARGUMENTS_BYTES);
	if (!bpf_probe_read_user(event->arguments, length, (void *)start)) {
		event->bytes = length;
		total = offsetof(struct event_process_arguments, arguments) + length;
		fill_header(&event->header, EVENT_PROCESS_ARGUMENTS, total, process->start_ns);
		if (total <= sizeof(*event))
			send_process_event(event, total, LOSS_RING_FULL_PROCESSES);
	}
	walk_scratch_return(scratch);
}

/* Not inlined: its stack is not needed any more when the table is told. A child of leftopen's own that runs
 * leftopen is known by its id after that only, and any other one comes with the next survey. */
static __noinline int found_as_it_execs(struct task_struct *task)
{
	if (ids_other_process(BPF_CORE_READ(task, real_parent)) == own_process_id)
		return 0;
	return found_process(task, task, BPF_CORE_READ(task, files));
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(process_execed, struct task_struct *task, pid_t old_thread_id, struct linux_binprm *binary)
{
	struct followed_process *process = followed_current();
	struct event_process_execed event = {};
	struct files_struct *files;
	struct mm_struct *mm;
	u32 process_id;

	/* Of a parent that is not followed: the kernel's own helpers. */
	if (!process && switched_on && survey_follows == SURVEY_FOLLOWS_ALL && found_as_it_execs(task)) {
		process_id = ids_process(task);
		process = bpf_map_lookup_elem(&followed, &process_id);
	}
	if (!process)
		return 0;
	files = BPF_CORE_READ(task, files);
	mm = BPF_CORE_READ(task, mm);
	event.table = (u64)files;
	event.space = (u64)mm;
	event.fd_limit = BPF_CORE_READ(task, signal, rlim[RLIMIT_NOFILE].rlim_cur);
	event.parent_id = ids_other_process(BPF_CORE_READ(task, real_parent));
	process->python_runtime = 0;
	process->python_minor = 0;
	process->finalizing_thread = 0;
	process->marked = SHUTDOWN_NONE;
	process->made_after_mark = 0;
	process->tables_apart = 0;
	if (((struct pt_regs *)bpf_task_pt_regs(task))->cs == USER32_CS)
		count_loss(LOSS_COMPAT_CALLS);
	fill_header(&event.header, EVENT_PROCESS_EXECED, sizeof(event), process->start_ns);
	/* Before the daemon is told of the file, of which it may give another hint. */
	bpf_map_delete_elem(&python_hints, &event.header.process_id);
	note_executable(process, mm, &event.exe);
	bpf_probe_read_kernel_str(event.comm, sizeof(event.comm), task->comm);
	send_process_event(&event, sizeof(event), LOSS_RING_FULL_PROCESSES);
	send_arguments(process, mm);
	test_send_inherited(process, BPF_CORE_READ(mm, env_start), BPF_CORE_READ(mm, env_end));
	table_send_numbers((u64)files, 0, TABLE_EXECED, event.header.process_id);
	return 0;
}

/* The kernel closes what is open in a table with the last thread that has it. As a process ends that is left
 * open: then the table's numbers are told now, as the process's own end tells only of the last thread's. */
static __always_inline void thread_exited(struct followed_process *process, struct files_struct *files,
                                          bool process_ends)
{
	if (holders_another(files))
		return;
	if (!process_ends) {
		holders_send_left(process, (u64)files);
		return;
	}
	mark_send_targets((u64)files, process->start_ns);
	table_send_numbers((u64)files, 0, TABLE_EXITED, ids_process(bpf_get_current_task_btf()));
}

struct others_walk {
	struct list_head *head;
	struct list_head *at;
	u64 own;  /* struct files_struct * */
	u64 last; /* that was told of */
	u64 start_ns;
	u32 process_id;
	u32 reserved;
};

static long others_step(u32 index, struct others_walk *walk)
{
	struct list_head *at = walk->at;
	struct task_struct *task = (void *)at - bpf_core_field_offset(struct task_struct, thread_node);
	u64 files;

	if (!at || at == walk->head)
		return 1;
	walk->at = BPF_CORE_READ(at, next);
	files = (u64)BPF_CORE_READ(task, files);
	if (!files || files == walk->own || files == walk->last)
		return 0;
	walk->last = files;
	mark_send_targets(files, walk->start_ns);
	table_send_numbers(files, 0, TABLE_EXITED, walk->process_id);
	return 0;
}

/* A thread that ends at the same time and has a table of its own may be about to tell of it, which must not
 * come after the process's end: what it still has is told of here, too. */
static __always_inline void others_exit(struct followed_process *process, struct signal_struct *signal,
                                        struct files_struct *own, u32 process_id)
{
	struct list_head *head = (void *)signal + bpf_core_field_offset(struct signal_struct, thread_head);
	struct others_walk walk = {.head = head,
	                           .at = BPF_CORE_READ(head, next),
	                           .own = (u64)own,
	                           .last = compat_loop_zero(),
	                           .start_ns = process->start_ns,
	                           .process_id = process_id};

	bpf_loop(HOLDERS_THREADS_MAX, others_step, &walk, 0);
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(process_exited, struct task_struct *task)
{
	struct followed_process *process = followed_current();
	struct event_process_exited event = {};
	struct signal_struct *signal;
	struct files_struct *files;
	u32 process_id = ids_process(task), signal_flags;

	/* signal->live counts the threads that have not come this far (kernel/exit.c, do_exit): the last ones
	 * can come together. */
	if (!process)
		return 0;
	files = BPF_CORE_READ(task, files);
	signal = BPF_CORE_READ(task, signal);
	signal_flags = BPF_CORE_READ(signal, flags);
	if (BPF_CORE_READ(signal, live.counter)) {
		if (process->tables_apart && files)
			thread_exited(process, files, signal_flags & SIGNAL_GROUP_EXIT);
		return 0;
	}
	if (__sync_val_compare_and_swap(&process->exited, 0, 1)) {
		/* The other one tells of its own table. */
		if (process->tables_apart && files)
			thread_exited(process, files, true);
		return 0;
	}
	if (!process->marked)
		mark_take(process, SHUTDOWN_LAST_THREAD);
	else if (process->made_after_mark || process->tables_apart)
		/* Code of the process ran after the mark, and what it made then is left open, too; or the
		 * mark was taken by a thread of another table. */
		mark_send_targets((u64)files, process->start_ns);
	if (files)
		table_send_numbers((u64)files, 0, TABLE_EXITED, process_id);
	if (process->tables_apart)
		others_exit(process, signal, files, process_id);
	fill_header(&event.header, EVENT_PROCESS_EXITED, sizeof(event), process->start_ns);
	event.table = (u64)files;
	event.space = (u64)BPF_CORE_READ(task, mm);
	event.status =
	        signal_flags & SIGNAL_GROUP_EXIT ? BPF_CORE_READ(signal, group_exit_code) : task->exit_code;
	event.fd_limit = BPF_CORE_READ(signal, rlim[RLIMIT_NOFILE].rlim_cur);
	send_process_event(&event, sizeof(event), LOSS_RING_FULL_PROCESSES);
	bpf_map_delete_elem(&followed, &process_id);
	return 0;
}
