/*
 * Descriptors made and released by requests to io_uring. A request is remembered as it is submitted, with the
 * stack of the thread that is in io_uring_enter, and told of as it is done: by then the current task may be a
 * kernel's worker or somebody else who looks for completions.
 * The programs of requests are preemptible: they touch nothing that is one a CPU.
 * A completion comes later than its work, so that the number is looked up in the table as it is then, and
 * told as late. Outputs: EVENT_FD_MADE, EVENT_FD_CLOSED.
 */
#include "maps.bpf.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include "capture.bpf.h"
#include "core_compat.bpf.h"
#include "messages.bpf.h"
#include "uring_closes.bpf.h"

/* include/uapi/linux/io_uring.h */
#define URING_RECVMSG           10
#define URING_ACCEPT            13
#define URING_OPENAT            18
#define URING_CLOSE             19
#define URING_OPENAT2           28
#define URING_SOCKET            45
#define URING_FIXED_FD_INSTALL  54
#define URING_PIPE              62
#define IORING_SETUP_SQPOLL     (1U << 1)
#define IORING_SETUP_SQE128     (1U << 10)
#define IORING_ENTER_REGISTERED (1U << 4)
#define REGISTERED_RINGS        16
#define BIT(number)             (1ULL << (number))
#define URING_MAKERS                                                                       \
	(BIT(URING_RECVMSG) | BIT(URING_ACCEPT) | BIT(URING_OPENAT) | BIT(URING_OPENAT2) | \
	 BIT(URING_SOCKET) | BIT(URING_FIXED_FD_INSTALL) | BIT(URING_PIPE))
#define IOSQE_CQE_SKIP_SUCCESS (1U << 6)
#define IORING_RECV_MULTISHOT  (1U << 1)
#define IORING_CQE_F_MORE      (1U << 1)
/* Any number that no hash of frames is likely to be. */
#define KERNEL_THREAD_STACK 0x6b7468726561643fULL
/* Chosen by: more control data than 253 descriptors with credentials and a label have. */
#define CONTROL_BYTES_MAX 65536
/* Chosen by: what takes a millisecond. */
#define TABLE_NUMBERS_MAX 4096
/* io_uring/io_uring.h, IORING_MAX_ENTRIES */
#define SUBMISSION_MAX 32768
/* struct io_uring_sqe */
#define SQE_SHIFT 6

/* By its ring and what the program calls it by, as completions without their request tell no more (multishot,
 * overflow). A program may call several the same: the others are kept by their addresses. */
struct uring_key {
	u64 ring; /* struct io_ring_ctx *, or struct io_kiocb * */
	u64 user_data;
};

struct uring_request {
	u64 request; /* struct io_kiocb * */
	u64 table;
	u64 space;
	u64 start_ns;
	u64 stack;
	u64 memory;  /* of the process: where numbers will be: a pipe's two, or control data */
	u64 message; /* of the process: struct user_message */
	u32 memory_bytes;
	u32 process_id;
	u32 thread_id;
	u16 opcode;
	u8 multishot; /* 1: it may be done more than once */
	u8 shares;    /* 1: others of its ring bear its name */
};

/* Requests under way that may give descriptors. One more is counted as LOSS_URING_REQUESTS. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct uring_key);
	__type(value, struct uring_request);
} uring_requests SEC(".maps");

__s32 uring_closes_waiting = 0;

struct submission_walk {
	u8 *entries; /* struct io_uring_sqe, of one or two times that size */
	u32 *order;
	u32 head;
	u32 count;
	u32 mask;
	u32 shift;
	u32 makes;
};

static __always_inline bool uring_makes(u32 opcode)
{
	return opcode < 64 && URING_MAKERS >> opcode & 1;
}

static long submission_step(u32 index, struct submission_walk *walk)
{
	u32 at = (walk->head + index) & walk->mask;
	u8 opcode = 0;

	if (index >= walk->count)
		return 1;
	if (walk->order && bpf_probe_read_kernel(&at, sizeof(at), walk->order + at))
		return 1;
	if (bpf_probe_read_kernel(&opcode, sizeof(opcode),
	                          walk->entries + ((u64)(at & walk->mask) << walk->shift)))
		return 1;
	walk->makes = uring_makes(opcode);
	return walk->makes;
}

/* What waits to be submitted: all of it, as another thread may be submitting what lies before.
 * @return whether one of the requests may make a descriptor */
static __always_inline bool submission_makes(struct io_ring_ctx *ring, u32 flags)
{
	struct submission_walk walk = {
	        .entries = (u8 *)BPF_CORE_READ(ring, sq_sqes),
	        .order = BPF_CORE_READ(ring, sq_array),
	        .head = BPF_CORE_READ(ring, cached_sq_head),
	        .mask = BPF_CORE_READ(ring, sq_entries) - 1,
	        .shift = flags & IORING_SETUP_SQE128 ? SQE_SHIFT + 1 : SQE_SHIFT,
	};

	walk.count = BPF_CORE_READ(ring, rings, sq.tail) - walk.head;
	/* The tail is the program's, and may be anything. */
	if (walk.count > walk.mask + 1)
		walk.count = walk.mask + 1;
	bpf_loop(SUBMISSION_MAX, submission_step, &walk, 0);
	return walk.makes;
}

static __always_inline struct io_ring_ctx *ring_of(u32 fd, u32 flags)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct file *file = NULL;

	if (flags & IORING_ENTER_REGISTERED) {
		struct io_uring_task *rings = BPF_CORE_READ(task, io_uring);

		if (rings && fd < REGISTERED_RINGS)
			bpf_probe_read_kernel(
			        &file, sizeof(file),
			        (void *)rings +
			                bpf_core_field_offset(struct io_uring_task, registered_rings) +
			                fd * sizeof(file));
	} else {
		file = compat_table_file(task->files, fd);
	}
	return file ? BPF_CORE_READ(file, private_data) : NULL;
}

/* Takes the stack of a thread whose requests will make descriptors. */
SEC("tracepoint/syscalls/sys_enter_io_uring_enter")
int enter_io_uring_enter(struct trace_event_raw_sys_enter *ctx)
{
	u32 thread_id, flags;
	struct followed_process *process;
	struct uring_submission *before;
	struct capture_scratch *scratch;
	struct io_ring_ctx *ring;

	if (!(u32)ctx->args[1] || !(process = followed_current()))
		return 0;
	thread_id = bpf_get_current_task_btf()->pid;
	uring_closes_settle();
	before = bpf_map_lookup_elem(&uring_submissions, &thread_id);
	if (before)
		before->ring = 0;
	ring = ring_of(ctx->args[0], ctx->args[3]);
	flags = ring ? BPF_CORE_READ(ring, flags) : IORING_SETUP_SQPOLL;
	/* There the kernel's own thread submits, whenever it likes. */
	if (flags & IORING_SETUP_SQPOLL || !submission_makes(ring, flags))
		return 0;
	scratch = capture_scratch_take();
	if (!scratch)
		return 0;
	scratch->pending.kind = PENDING_SUBMISSION;
	scratch->pending.ring = (u64)ring;
	capture_and_send(ctx, process, scratch);
	return 0;
}

/* @return whether the request puts what it makes into a slot of its ring */
static __always_inline bool is_direct(struct io_kiocb *request, u32 opcode)
{
	u32 slot = 0;

	switch (opcode) {
	case URING_OPENAT:
	case URING_OPENAT2:
		slot = BPF_CORE_READ((struct io_open *)request, file_slot);
		break;
	case URING_ACCEPT:
		slot = BPF_CORE_READ((struct io_accept *)request, file_slot);
		break;
	case URING_SOCKET:
		slot = BPF_CORE_READ((struct io_socket *)request, file_slot);
		break;
	}
	return slot;
}

static __always_inline void keep(const struct uring_key *key, const struct uring_request *request)
{
	if (bpf_map_update_elem(&uring_requests, key, request, BPF_ANY))
		count_loss(LOSS_URING_REQUESTS);
}

/* A ring's requests are submitted one after the other (uring_lock). */
static __always_inline void remember(u64 ring, u64 user_data, struct uring_request *request)
{
	struct uring_key key = {.ring = ring, .user_data = user_data}, own = {.ring = request->request};
	struct uring_request *before = bpf_map_lookup_elem(&uring_requests, &key), moved;

	if (!before || before->request == request->request) {
		keep(&key, request);
		return;
	}
	before->shares = 1;
	if (before->multishot || !request->multishot) {
		keep(&own, request);
		return;
	}
	moved = *before;
	request->shares = 1;
	own.ring = moved.request;
	keep(&own, &moved);
	keep(&key, request);
}

/* Where the kernel will write numbers into the process's memory.
 * @return whether it can bring any */
static __always_inline bool find_memory(struct io_kiocb *request, struct uring_request *entry)
{
	struct io_sr_msg *received = (struct io_sr_msg *)request;
	struct user_message message;

	switch (entry->opcode) {
	case URING_PIPE:
		if (!bpf_core_field_exists(((struct io_pipe *)request)->fds))
			return false;
		entry->memory = (u64)BPF_CORE_READ((struct io_pipe *)request, fds);
		return true;
	case URING_RECVMSG:
		entry->message = (u64)BPF_CORE_READ(received, umsg);
		if (bpf_probe_read_user(&message, sizeof(message), (void *)entry->message)) {
			count_loss(LOSS_NUMBERS);
			return false;
		}
		entry->memory = message.control;
		entry->memory_bytes = bounded_bytes(message.control_bytes, CONTROL_BYTES_MAX);
		entry->multishot = !!(BPF_CORE_READ(received, flags) & IORING_RECV_MULTISHOT);
		return message.control_bytes >= sizeof(struct user_control);
	default:
		return true;
	}
}

/* A stack of no frames that says why. */
static __always_inline u64 stack_of_kernel_thread(const struct followed_process *process)
{
	struct {
		struct event_header header;
		u64 id;
		u32 count;
		u32 end;
	} event = {.id = KERNEL_THREAD_STACK, .end = STACK_END_KERNEL_THREAD};
	struct sent_place *place = sent_place_find(&stacks_sent, event.id);

	_Static_assert(sizeof(event) == offsetof(struct event_stack, frames), "the beginning of event_stack");
	if (sent_before(place, event.id))
		return event.id;
	fill_header(&event.header, EVENT_STACK, sizeof(event), process->start_ns);
	if (!send_bulk_event(&event, sizeof(event), LOSS_RING_FULL_STACKS))
		sent_note(place, event.id);
	return event.id;
}

static __always_inline void close_submitted(struct io_kiocb *request, const struct followed_process *process)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct files_struct *files = task->files;
	struct uring_close_key key = {.table = (u64)files};
	struct uring_close close = {
	        .start_ns = process->start_ns, .process_id = task->tgid, .thread_id = task->pid};

	if (!(request->flags & IOSQE_CQE_SKIP_SUCCESS) ||
	    BPF_CORE_READ((struct io_close *)request, file_slot))
		return;
	key.fd = (u32)BPF_CORE_READ((struct io_close *)request, fd);
	close.file = (u64)compat_table_file(files, key.fd);
	if (close.file && !bpf_map_update_elem(&uring_closes, &key, &close, BPF_NOEXIST))
		__sync_fetch_and_add(&uring_closes_waiting, 1);
}

static __always_inline int submitted(struct io_kiocb *request)
{
	struct uring_request entry = {.opcode = request->opcode};
	struct uring_submission *submission;
	struct followed_process *process;
	struct io_ring_ctx *ring;
	struct task_struct *task;
	u32 thread_id;

	if ((!uring_makes(entry.opcode) && entry.opcode != URING_CLOSE) || !(process = followed_current()))
		return 0;
	if (entry.opcode == URING_CLOSE) {
		close_submitted(request, process);
		return 0;
	}
	if (is_direct(request, entry.opcode) || !find_memory(request, &entry))
		return 0;
	ring = request->ctx;
	task = bpf_get_current_task_btf();
	thread_id = task->pid;
	submission = bpf_map_lookup_elem(&uring_submissions, &thread_id);
	if (ring->flags & IORING_SETUP_SQPOLL)
		entry.stack = stack_of_kernel_thread(process);
	else if (submission && submission->ring == (u64)ring)
		entry.stack = submission->stack;
	/* A multishot one stands under its name: it is done by that. */
	if (entry.opcode == URING_ACCEPT)
		entry.multishot = 1;
	entry.request = (u64)request;
	entry.table = (u64)task->files;
	entry.space = (u64)task->mm;
	entry.start_ns = process->start_ns;
	entry.process_id = task->tgid;
	entry.thread_id = thread_id;
	remember((u64)ring, request->cqe.user_data, &entry);
	return 0;
}

SEC("tp_btf/io_uring_submit_req")
int BPF_PROG(uring_submitted, struct io_kiocb *request)
{
	return submitted(request);
}

/* Until 6.4 (commit 2ad57931db64). */
SEC("tp_btf/io_uring_submit_sqe")
int BPF_PROG(uring_submitted_sqe, struct io_kiocb *request)
{
	return submitted(request);
}

/* The descriptors of a request that is done. */
struct uring_done {
	struct uring_request of;
	u64 time_ns;
	u64 numbers; /* in the process's memory */
	u32 count;
};

/* @return whether the number is there */
static __always_inline bool tell_made(const struct uring_done *done, s32 fd)
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
	done->time_ns = bpf_ktime_get_boot_ns();
	if (!done->of.message && !done->of.memory) {
		tell_made(done, result);
	} else if ((u64)bpf_get_current_task_btf()->mm != done->of.space) {
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
	u32 process_id = BPF_CORE_READ(task, tgid);
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
	now_ns = bpf_ktime_get_boot_ns();
	if (!compat_other_table_file(key.table, key.fd))
		uring_close_tell(key.table, key.fd, process_id, BPF_CORE_READ(task, pid), process->start_ns,
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
