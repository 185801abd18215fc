/*
 * Requests to io_uring as they are done. A completion comes later than its work, so that the number is looked
 * up in the table as it is then, and told as late. Outputs: EVENT_FD_MADE, EVENT_FD_CLOSED.
 */
#include "maps.bpf.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include "core_compat.bpf.h"
#include "uring.bpf.h"

/* Chosen by: what takes a millisecond. */
#define TABLE_NUMBERS_MAX 4096
#define IORING_CQE_F_MORE (1U << 1)

__s32 uring_closes_waiting = 0;

/* The descriptors of a request that is done. */
struct uring_done {
	struct uring_request of;
	u64 time_ns;
	u64 numbers; /* in the process's memory */
	u32 count;
};

/* Not inlined: kernels before 6.8 count a stack in steps of 32 bytes, and have no room for it there.
 * @return whether the number is there */
static __noinline bool tell_made(const struct uring_done *done, s32 fd)
{
	const struct uring_request *request = &done->of;
	struct event_fd_made event = {};
	struct inode_head inode;
	struct file *file = compat_other_table_file(request->table, fd);

	if (!file)
		return false;
	event.header.type = EVENT_FD_MADE;
	event.header.size_bytes = sizeof(event);
	event.header.time_ns = done->time_ns;
	event.header.process_id = request->process_id;
	event.header.thread_id = request->thread_id;
	event.header.process_start_ns = request->start_ns;
	compat_inode_head(BPF_CORE_READ(file, f_inode), &inode);
	event.table = request->table;
	event.file = (u64)file;
	event.stack = request->stack;
	event.inode = inode.number;
	event.fd = fd;
	event.source_fd = -1;
	event.origin = HANDLE_ORIGIN_IO_URING;
	event.mode = inode.mode;
	event.late = 1;
	send_fd_event(&event, sizeof(event), 1ULL << (fd & 63));
	return true;
}

static long number_step(u32 index, struct uring_done *done)
{
	s32 fd;

	if (index >= done->count)
		return 1;
	if (bpf_probe_read_user(&fd, sizeof(fd), (void *)(done->numbers + index * sizeof(fd)))) {
		count_loss(LOSS_NUMBERS);
		return 1;
	}
	if (fd >= 0)
		tell_made(done, fd);
	return 0;
}

/* Each number that the table has: the daemon takes those of which nobody told. */
static long table_step(u32 fd, struct uring_done *done)
{
	if (fd >= done->count)
		return 1;
	tell_made(done, fd);
	return 0;
}

static __always_inline void tell_table(struct uring_done *done)
{
	struct files_struct *table = (struct files_struct *)done->of.table;
	u32 count = BPF_CORE_READ(table, fdt, max_fds);

	if (count > TABLE_NUMBERS_MAX) {
		count_loss(LOSS_NUMBERS);
		count = TABLE_NUMBERS_MAX;
	}
	done->count = count;
	bpf_loop(TABLE_NUMBERS_MAX, table_step, done, 0);
}

static __always_inline void tell_received(struct uring_done *done)
{
	u64 memory = done->of.memory;
	struct user_message message;
	struct user_control control;
	u64 left;

	/* That of a multishot one lies in a buffer of the ring's choice. */
	if (done->of.multishot) {
		tell_table(done);
		return;
	}
	if (bpf_probe_read_user(&message, sizeof(message), (void *)done->of.message)) {
		count_loss(LOSS_NUMBERS);
		return;
	}
	left = message.control_bytes > done->of.memory_bytes ? done->of.memory_bytes : message.control_bytes;
	for (u32 i = 0; i < CONTROLS_MAX && left >= sizeof(control); i++) {
		u64 step;

		if (bpf_probe_read_user(&control, sizeof(control), (void *)memory)) {
			count_loss(LOSS_NUMBERS);
			return;
		}
		if (control.bytes < sizeof(control) || control.bytes > left)
			return;
		if (control_brings_fds(&control)) {
			done->numbers = memory + sizeof(control);
			done->count = (control.bytes - sizeof(control)) / sizeof(s32);
			bpf_loop(MESSAGE_FDS_MAX, number_step, done, 0);
		}
		step = control_step(&control);
		if (step > left)
			return;
		memory += step;
		left -= step;
	}
}

static __always_inline void tell(struct uring_done *done, s32 result)
{
	struct followed_process *process = bpf_map_lookup_elem(&followed, &done->of.process_id);

	/* It ends as it is told of, with what its table has then. */
	if (!process || process->start_ns != done->of.start_ns)
		return;
	if (process->marked)
		process->made_after_mark = 1;
	done->time_ns = event_time();
	if (!done->of.message && !done->of.memory) {
		tell_made(done, result);
	} else if ((u64)BPF_CORE_READ(bpf_get_current_task_btf(), mm) != done->of.space) {
		/* Whoever completes it for a thread that has ended has not its memory. */
		tell_table(done);
	} else if (done->of.opcode == URING_PIPE) {
		done->numbers = done->of.memory;
		done->count = 2;
		bpf_loop(2, number_step, done, 0);
	} else {
		tell_received(done);
	}
}

/* Others may have been given the number by now; who was tells. */
static __always_inline void closed(struct io_kiocb *request, s32 result)
{
	struct task_struct *task = compat_request_task(request);
	u32 process_id = ids_other_process(task);
	struct followed_process *process = bpf_map_lookup_elem(&followed, &process_id);
	struct uring_close_key key;
	u64 now_ns;

	if (!process || BPF_CORE_READ((struct io_close *)request, file_slot))
		return;
	key.table = (u64)BPF_CORE_READ(task, files);
	key.fd = (u32)BPF_CORE_READ((struct io_close *)request, fd);
	if (uring_closes_waiting)
		uring_close_forget(&key);
	if (result || !key.table)
		return;
	now_ns = event_time();
	if (!compat_other_table_file(key.table, key.fd))
		uring_close_tell(key.table, key.fd, process_id, ids_other_thread(task), process->start_ns,
		                 now_ns);
}

/* @param request 0: one that goes on */
static __always_inline int completed(u64 ring, u64 request, u64 user_data, s32 result)
{
	struct uring_key key = {.ring = ring, .user_data = user_data};
	struct uring_request *found;
	struct uring_done done = {};
	u32 opcode;

	if (!switched_on)
		return 0;
	if (request) {
		opcode = BPF_CORE_READ((struct io_kiocb *)request, opcode);
		if (opcode == URING_CLOSE)
			closed((struct io_kiocb *)request, result);
		if (!uring_makes(opcode))
			return 0;
	}
	found = bpf_map_lookup_elem(&uring_requests, &key);
	if (request && (!found || found->request != request)) {
		key.ring = request;
		key.user_data = 0;
		found = bpf_map_lookup_elem(&uring_requests, &key);
	}
	if (!found || (!request && !found->multishot))
		return 0;
	done.of = *found;
	if (request)
		bpf_map_delete_elem(&uring_requests, &key);
	if (result >= 0)
		tell(&done, result);
	return 0;
}

SEC("tp_btf/io_uring_complete")
int BPF_PROG(uring_completed, struct io_ring_ctx *ring, void *request, struct io_uring_cqe *completion)
{
	return completed((u64)ring, (u64)request, completion->user_data, completion->res);
}

/* Until 6.13 (commit 2946f08ae9ed). */
SEC("tp_btf/io_uring_complete")
int BPF_PROG(uring_completed_by_value, void *ring, void *request, u64 user_data, int result)
{
	return completed((u64)ring, (u64)request, user_data, result);
}

/* Done, but the ring of completions is full. Kernels before 6.13 may tell of that besides, and not instead.
 */
SEC("tp_btf/io_uring_cqe_overflow")
int BPF_PROG(uring_overflowed, void *ring, u64 user_data, s32 result, u32 flags)
{
	struct uring_key key = {.ring = (u64)ring, .user_data = user_data};
	struct uring_request *found;
	struct uring_done done = {};

	if (!switched_on || !(found = bpf_map_lookup_elem(&uring_requests, &key)))
		return 0;
	/* Which of several it is cannot be told. */
	if (found->shares) {
		count_loss(LOSS_URING_REQUESTS);
		return 0;
	}
	done.of = *found;
	if (!(flags & IORING_CQE_F_MORE))
		bpf_map_delete_elem(&uring_requests, &key);
	if (result >= 0)
		tell(&done, result);
	return 0;
}
