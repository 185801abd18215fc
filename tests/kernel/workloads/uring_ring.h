/*
 * A ring of io_uring by its raw system calls: what workloads of requests share.
 */
#ifndef LEFTOPEN_WORKLOADS_URING_RING_H
#define LEFTOPEN_WORKLOADS_URING_RING_H

#include <linux/io_uring.h>
#include <sys/mman.h>

#include "makers.h"

/* include/uapi/linux/io_uring.h, since 6.8 and 6.16 */
#define OP_FIXED_FD_INSTALL 54
#define OP_PIPE             62

struct ring_done {
	int result;
	unsigned int flags;
};

struct ring {
	int fd;
	unsigned int tail; /* of what is filled in and not submitted yet */
	struct io_uring_params params;
	unsigned int *sq_tail, *sq_flags, *sq_order;
	unsigned int *cq_head, *cq_tail, *cq_overflow;
	struct io_uring_sqe *requests;
	struct io_uring_cqe *completions;
};

/* Requests go in by a call that the function makes itself. */
#define RING_ENTER(ring, submitted, awaited)                                                 \
	KERNEL_CALL4(SYS_io_uring_enter, (ring)->fd, ring_publish(ring, submitted), awaited, \
	             IORING_ENTER_GETEVENTS)

static inline void ring_open(struct ring *ring, unsigned int entries, unsigned int flags)
{
	struct io_uring_params *params = &ring->params;
	char *shared;
	size_t bytes;

	memset(ring, 0, sizeof(*ring));
	params->flags = flags;
	params->sq_thread_idle = 1000;
	ring->fd = (int)syscall(SYS_io_uring_setup, entries, params);
	MUST(ring->fd >= 0 && params->features & IORING_FEAT_SINGLE_MMAP);
	bytes = params->cq_off.cqes + params->cq_entries * sizeof(struct io_uring_cqe);
	if (bytes < params->sq_off.array + params->sq_entries * sizeof(unsigned int))
		bytes = params->sq_off.array + params->sq_entries * sizeof(unsigned int);
	shared = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd, IORING_OFF_SQ_RING);
	MUST(shared != MAP_FAILED);
	ring->sq_tail = (void *)(shared + params->sq_off.tail);
	ring->sq_flags = (void *)(shared + params->sq_off.flags);
	ring->sq_order = (void *)(shared + params->sq_off.array);
	ring->cq_head = (void *)(shared + params->cq_off.head);
	ring->cq_tail = (void *)(shared + params->cq_off.tail);
	ring->cq_overflow = (void *)(shared + params->cq_off.overflow);
	ring->completions = (void *)(shared + params->cq_off.cqes);
	ring->requests = mmap(NULL, params->sq_entries * sizeof(struct io_uring_sqe), PROT_READ | PROT_WRITE,
	                      MAP_SHARED, ring->fd, IORING_OFF_SQES);
	MUST(ring->requests != MAP_FAILED);
}

/* @return the next request, to be filled in further */
static inline struct io_uring_sqe *ring_next(struct ring *ring, int operation, int fd, const void *address,
                                             unsigned int length, uint64_t name)
{
	unsigned int at = ring->tail++ & (ring->params.sq_entries - 1);
	struct io_uring_sqe *request = &ring->requests[at];

	memset(request, 0, sizeof(*request));
	request->opcode = (unsigned char)operation;
	request->fd = fd;
	request->addr = (uintptr_t)address;
	request->len = length;
	request->user_data = name;
	ring->sq_order[at] = at;
	return request;
}

static inline unsigned int ring_publish(struct ring *ring, unsigned int submitted)
{
	__atomic_store_n(ring->sq_tail, ring->tail, __ATOMIC_RELEASE);
	return submitted;
}

/* To the kernel's own thread, which sleeps unless there was something to do of late (io_uring_enter(2)). */
static inline void ring_publish_to_thread(struct ring *ring, unsigned int submitted)
{
	(void)ring_publish(ring, submitted);
	__sync_synchronize();
	if (__atomic_load_n(ring->sq_flags, __ATOMIC_ACQUIRE) & IORING_SQ_NEED_WAKEUP)
		MUST(syscall(SYS_io_uring_enter, ring->fd, submitted, 0, IORING_ENTER_SQ_WAKEUP, NULL, 0) >=
		     0);
}

static inline bool ring_has(const struct ring *ring)
{
	return *ring->cq_head != __atomic_load_n(ring->cq_tail, __ATOMIC_ACQUIRE);
}

/* One must be there. */
static inline struct ring_done ring_take(struct ring *ring)
{
	const struct io_uring_cqe *completion =
	        &ring->completions[*ring->cq_head & (ring->params.cq_entries - 1)];
	struct ring_done done;

	MUST(ring_has(ring));
	done = (struct ring_done){.result = completion->res, .flags = completion->flags};
	__atomic_store_n(ring->cq_head, *ring->cq_head + 1, __ATOMIC_RELEASE);
	return done;
}

static inline int ring_result(struct ring *ring)
{
	return ring_take(ring).result;
}

/* Of a file that is there: to create one takes a worker (io_uring/openclose.c, io_openat_force_async). */
static inline struct io_uring_sqe *ring_openat(struct ring *ring, const char *name, uint64_t user_data)
{
	struct io_uring_sqe *request = ring_next(ring, IORING_OP_OPENAT, AT_FDCWD, name, 0600, user_data);

	request->open_flags = O_RDWR | O_CLOEXEC;
	return request;
}

/* Into a slot of the ring, counted from 1: a descriptor is not made. */
static inline void ring_openat_direct(struct ring *ring, const char *name, unsigned int slot)
{
	struct io_uring_sqe *request = ring_next(ring, IORING_OP_OPENAT, AT_FDCWD, name, 0600, 1);

	request->open_flags = O_RDWR;
	request->file_index = slot;
}

/* Slots of the ring's own for files. */
static inline void ring_add_slots(struct ring *ring, unsigned int count)
{
	int slots[16];

	MUST(count <= 16);
	memset(slots, -1, sizeof(slots));
	MUST(!syscall(SYS_io_uring_register, ring->fd, IORING_REGISTER_FILES, slots, count));
}

#endif
