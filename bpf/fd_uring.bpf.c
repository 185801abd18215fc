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
/* io_uring/io_uring.h, IORING_MAX_ENTRIES */
#define SUBMISSION_MAX 32768
/* struct io_uring_sqe */
#define SQE_SHIFT 6

/* By its ring and what the program calls it by, as completions without their request tell no more (multishot,
 * overflow). A program may call several the same: those are kept by the request's address. */
struct uring_key {
	u64 ring; /* struct io_ring_ctx *, or struct io_kiocb * */
	u64 user_data;
};

struct uring_request {
	u64 request; /* struct io_kiocb * */
	u64 table;
	u64 start_ns;
	u64 stack;
	u64 memory; /* of the process: where numbers will be written */
	u32 memory_bytes;
	u32 process_id;
	u32 thread_id;
	u32 opcode;
};

/* Requests under way that may give descriptors. One more is counted as LOSS_URING_REQUESTS. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct uring_key);
	__type(value, struct uring_request);
} uring_requests SEC(".maps");

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
	before = bpf_map_lookup_elem(&uring_submissions, &thread_id);
	if (before)
		before->ring = 0;
	ring = ring_of(ctx->args[0], ctx->args[3]);
	flags = ring ? BPF_CORE_READ(ring, flags) : IORING_SETUP_SQPOLL;
	/* There the kernel's own thread submits, whenever it likes. */
	if (flags & IORING_SETUP_SQPOLL || !submission_makes(ring, flags))
		return 0;
	scratch = capture_scratch_get();
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

static __always_inline void remember(const struct uring_key *key, const struct uring_request *request)
{
	if (bpf_map_update_elem(&uring_requests, key, request, BPF_ANY))
		count_loss(LOSS_URING_REQUESTS);
}

static __always_inline int submitted(struct io_kiocb *request)
{
	struct task_struct *task;
	struct uring_request entry = {};
	struct uring_key key;
	struct uring_submission *submission;
	struct followed_process *process;
	struct io_ring_ctx *ring;
	u32 opcode = request->opcode, thread_id;

	if (!uring_makes(opcode) || !(process = followed_current()) || is_direct(request, opcode))
		return 0;
	ring = request->ctx;
	task = bpf_get_current_task_btf();
	thread_id = task->pid;
	submission = bpf_map_lookup_elem(&uring_submissions, &thread_id);
	if (submission && submission->ring == (u64)ring && !(ring->flags & IORING_SETUP_SQPOLL))
		entry.stack = submission->stack;
	entry.request = (u64)request;
	entry.table = (u64)task->files;
	entry.start_ns = process->start_ns;
	entry.process_id = task->tgid;
	entry.thread_id = thread_id;
	entry.opcode = opcode;
	key.ring = (u64)ring;
	key.user_data = request->cqe.user_data;
	remember(&key, &entry);
	return 0;
}

SEC("tp_btf/io_uring_submit_req")
int BPF_PROG(uring_submitted, struct io_kiocb *request)
{
	return submitted(request);
}

/* Until 6.3 (commit 2ad57931db64). */
SEC("tp_btf/io_uring_submit_sqe")
int BPF_PROG(uring_submitted_sqe, struct io_kiocb *request)
{
	return submitted(request);
}

/* The remembered table is not the current task's. Until its process's last thread has ended it is followed.
 */
static __always_inline struct file *table_file(u64 table, u32 fd)
{
	struct fdtable *numbers = BPF_CORE_READ((struct files_struct *)table, fdt);
	struct file *file = NULL;

	if (fd < BPF_CORE_READ(numbers, max_fds))
		bpf_probe_read_kernel(&file, sizeof(file), BPF_CORE_READ(numbers, fd) + fd);
	return file;
}

static __always_inline void tell_made(const struct uring_request *request, s32 fd, u64 time_ns)
{
	struct followed_process *process = bpf_map_lookup_elem(&followed, &request->process_id);
	struct event_fd_made event = {};
	struct inode_head inode;
	struct file *file;

	if (!process || process->start_ns != request->start_ns)
		return;
	file = table_file(request->table, fd);
	if (!file)
		return;
	if (process->marked)
		process->made_after_mark = 1;
	event.header.type = EVENT_FD_MADE;
	event.header.size_bytes = sizeof(event);
	event.header.time_ns = time_ns;
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
}

static __always_inline int completed(u64 ring, u64 request, u64 user_data, s32 result)
{
	struct uring_key key = {.ring = ring, .user_data = user_data};
	struct uring_request *found, done;

	if (request && !uring_makes(BPF_CORE_READ((struct io_kiocb *)request, opcode)))
		return 0;
	found = bpf_map_lookup_elem(&uring_requests, &key);
	if (!found)
		return 0;
	done = *found;
	bpf_map_delete_elem(&uring_requests, &key);
	if (result < 0)
		return 0;
	tell_made(&done, result, bpf_ktime_get_boot_ns());
	return 0;
}

SEC("tp_btf/io_uring_complete")
int BPF_PROG(uring_completed, struct io_ring_ctx *ring, void *request, struct io_uring_cqe *completion)
{
	return completed((u64)ring, (u64)request, completion->user_data, completion->res);
}
