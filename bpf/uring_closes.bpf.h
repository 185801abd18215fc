/*
 * Requests to close that tell nobody when they are done (IOSQE_CQE_SKIP_SUCCESS): remembered until the number
 * is found to be free, which is looked for as a thread of anybody submits again and before a mark is taken.
 * Outputs: EVENT_FD_CLOSED.
 */
#ifndef LEFTOPEN_BPF_URING_CLOSES_H
#define LEFTOPEN_BPF_URING_CLOSES_H

#include "maps.bpf.h"
#include "core_compat.bpf.h"

struct uring_close_key {
	u64 table;
	u64 fd;
};

struct uring_close {
	u64 file;
	u64 start_ns;
	u32 process_id;
	u32 thread_id;
};

/* One that is pushed out is found by the number's next use, or by comparing with the kernel's table. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct uring_close_key);
	__type(value, struct uring_close);
} uring_closes __weak SEC(".maps");

/* In there, so that nobody need look while there are none. */
extern __s32 uring_closes_waiting;

static __always_inline void uring_close_forget(const struct uring_close_key *key)
{
	if (!bpf_map_delete_elem(&uring_closes, key))
		__sync_fetch_and_add(&uring_closes_waiting, -1);
}

/* The number was found to be free at that time. */
static __always_inline void uring_close_tell(u64 table, s32 fd, u32 process_id, u32 thread_id, u64 start_ns,
                                             u64 time_ns)
{
	struct event_fd_closed event = {};

	event.header.type = EVENT_FD_CLOSED;
	event.header.size_bytes = sizeof(event);
	event.header.time_ns = time_ns;
	event.header.process_id = process_id;
	event.header.thread_id = thread_id;
	event.header.process_start_ns = start_ns;
	event.table = table;
	event.fd = fd;
	send_fd_event(&event, sizeof(event), 1ULL << (fd & 63));
}

static long uring_close_step(void *map, struct uring_close_key *key, struct uring_close *close, void *unused)
{
	struct uring_close_key of = *key;
	struct uring_close was = *close;
	u64 now_ns = event_time();
	struct file *file = compat_other_table_file(of.table, of.fd);

	if ((u64)file == was.file)
		return 0;
	/* Another file is there: its maker tells of it, and so of the end of this one. */
	if (!file)
		uring_close_tell(of.table, of.fd, was.process_id, was.thread_id, was.start_ns, now_ns);
	uring_close_forget(&of);
	return 0;
}

static __always_inline void uring_closes_settle(void)
{
	if (uring_closes_waiting)
		bpf_for_each_map_elem(&uring_closes, uring_close_step, NULL, 0);
}

#endif
