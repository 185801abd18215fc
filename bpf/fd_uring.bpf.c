/*
 * Requests to io_uring as they are submitted, with the stack of the thread that is in io_uring_enter.
 * A maker whose completion the program asked not to see (IOSQE_CQE_SKIP_SUCCESS) is not told of by the
 * kernel: what it made is found by comparing with the kernel's table. Outputs: requests and closes that are
 * remembered, EVENT_STACK.
 */
#include "maps.bpf.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include "call_program.bpf.h"
#include "capture.bpf.h"
#include "core_compat.bpf.h"
#include "uring.bpf.h"

/* include/uapi/linux/io_uring.h */
/* io_uring/io_uring.h, IORING_MAX_ENTRIES */
#define SUBMISSION_MAX 32768
/* struct io_uring_sqe */
#define SQE_SHIFT 6
/* Any number that no hash of frames is likely to be. */
#define KERNEL_THREAD_STACK 0x6b7468726561643fULL
/* Chosen by: more control data than 253 descriptors with credentials and a label have. */
#define CONTROL_BYTES_MAX       65536
#define REGISTERED_RINGS        16
#define IORING_ENTER_REGISTERED (1U << 4)
#define IORING_SETUP_SQE128     (1U << 10)
#define IORING_SETUP_SQPOLL     (1U << 1)
#define IOSQE_CQE_SKIP_SUCCESS  (1U << 6)
#define IORING_RECV_MULTISHOT   (1U << 1)

struct submission_walk {
	u8 *entries; /* struct io_uring_sqe, of one or two times that size */
	u32 *order;
	u32 head;
	u32 count;
	u32 mask;
	u32 shift;
	u32 makes;
};

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
	        .shift = flags & IORING_SETUP_SQE128 ? SQE_SHIFT + 1 : SQE_SHIFT,
	};
	struct ring_queue queue = {};

	compat_ring_queue(ring, &queue);
	walk.entries = (u8 *)queue.entries;
	walk.order = (u32 *)queue.order;
	walk.head = queue.head;
	walk.mask = queue.capacity - 1;
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
		file = compat_other_table_file((u64)compat_own_files(), fd);
	}
	return file ? BPF_CORE_READ(file, private_data) : NULL;
}

/* Takes the stack of a thread whose requests will make descriptors. */
CALL_PROGRAM("tracepoint/syscalls/sys_enter_io_uring_enter", enter_io_uring_enter, trace_event_raw_sys_enter)
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
	before = uring_submissions_kept ? bpf_map_lookup_elem(&uring_submissions, &thread_id) : NULL;
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
		u64 image;
		u32 user_id, mount_namespace, own_process_id, copy;
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
	struct files_struct *files = compat_own_files();
	struct uring_close_key key = {.table = (u64)files};
	struct uring_close close = {.start_ns = process->start_ns,
	                            .process_id = ids_process(task),
	                            .thread_id = ids_thread(task)};

	if (!(request->flags & IOSQE_CQE_SKIP_SUCCESS) ||
	    BPF_CORE_READ((struct io_close *)request, file_slot))
		return;
	key.fd = (u32)BPF_CORE_READ((struct io_close *)request, fd);
	close.file = (u64)compat_other_table_file((u64)files, key.fd);
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
	ring = BPF_CORE_READ(request, ctx);
	task = bpf_get_current_task_btf();
	thread_id = task->pid;
	submission = bpf_map_lookup_elem(&uring_submissions, &thread_id);
	if (BPF_CORE_READ(ring, flags) & IORING_SETUP_SQPOLL)
		entry.stack = stack_of_kernel_thread(process);
	else if (submission && submission->ring == (u64)ring)
		entry.stack = submission->stack;
	/* A multishot one stands under its name: it is done by that. */
	if (entry.opcode == URING_ACCEPT)
		entry.multishot = 1;
	entry.request = (u64)request;
	entry.table = (u64)compat_own_files();
	entry.space = (u64)BPF_CORE_READ(task, mm);
	entry.start_ns = process->start_ns;
	entry.process_id = ids_process(task);
	entry.thread_id = ids_thread(task);
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
