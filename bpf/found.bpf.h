/*
 * A process that was running before it was followed, or that a survey comes by. Outputs: EVENT_PROCESS_FOUND.
 */
#ifndef LEFTOPEN_BPF_FOUND_H
#define LEFTOPEN_BPF_FOUND_H

#include "maps.bpf.h"
#include <bpf/bpf_core_read.h>
#include "core_compat.bpf.h"

/* By process: whom to follow from now on, where it is not all. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, u32);
	__type(value, u8);
} survey_wanted __weak SEC(".maps");

/* Neither leftopen nor the children that hold its programs, read files for it and write its reports are ever
 * followed. */
static __always_inline bool found_is_wanted(struct task_struct *task, u32 process_id)
{
	u32 left_out = left_out_process_id;

	if (process_id == own_process_id || process_id == holder_process_id ||
	    process_id == worker_process_id)
		return false;
	if (left_out && (process_id == left_out || ids_process(task->real_parent) == left_out))
		return false;
	return survey_follows == SURVEY_FOLLOWS_ALL ||
	       (survey_follows == SURVEY_FOLLOWS_WANTED && bpf_map_lookup_elem(&survey_wanted, &process_id));
}

/* What is told of a process comes before its own events: so it is followed after that.
 * @return whether it is followed */
static __always_inline bool found_process(struct task_struct *task, struct task_struct *leader,
                                          struct files_struct *files)
{
	u32 process_id = ids_process(task);
	struct followed_process *process = bpf_map_lookup_elem(&followed, &process_id);
	struct followed_process entry = {.start_ns = BPF_CORE_READ(leader, start_boottime)};
	struct event_process_found event = {};
	struct mm_struct *mm = BPF_CORE_READ(task, mm);
	struct known_file *known = NULL;
	struct file *exe;

	if (!process_id || (!process && !found_is_wanted(task, process_id)))
		return false;
	fill_header(&event.header, EVENT_PROCESS_FOUND, sizeof(event),
	            process ? process->start_ns : entry.start_ns);
	event.header.process_id = process_id;
	event.header.thread_id = ids_thread(task);
	event.table = (u64)files;
	event.space = (u64)mm;
	event.fd_limit = BPF_CORE_READ(task, signal, rlim[RLIMIT_NOFILE].rlim_cur);
	event.parent_id = ids_other_process(BPF_CORE_READ(task, real_parent));
	event.vmas = BPF_CORE_READ(mm, map_count);
	event.begins = !process;
	exe = BPF_CORE_READ(mm, exe_file);
	if (exe) {
		compat_file_key(exe, &event.exe);
		known = bpf_map_lookup_elem(&known_files, &event.exe);
	}
	/* What it makes before its mappings are come by has Python's frames, too. */
	if (known && known->python_minor) {
		entry.python_minor = known->python_minor;
		entry.python_runtime =
		        known_file_runtime(known, FILE_EXECED, BPF_CORE_READ(mm, start_code), 0);
	}
	bpf_probe_read_kernel_str(event.comm, sizeof(event.comm), leader->comm);
	if (send_process_event(&event, sizeof(event), LOSS_RING_FULL_PROCESSES))
		return false;
	if (!process && bpf_map_update_elem(&followed, &process_id, &entry, BPF_NOEXIST)) {
		count_loss(LOSS_PROCESS_MAP_FULL);
		return false;
	}
	return true;
}

#endif
