/*
 * The ring's reader. See rings.h.
 */
#include "load/rings.h"

#include <errno.h>
#include <linux/bpf.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "map_abi.h"

/* Writing an event takes a fraction of a microsecond, unless its program is kept off its CPU: it can be
 * preempted where it is at no system call's tracepoint. */
#define LOOKS_MAX          1000
#define UNFINISHED_WAIT_NS 100000
#define UNFINISHED_WAITS   10000

enum head_state { HEAD_NONE = 0, HEAD_UNFINISHED, HEAD_THERE };

struct ring {
	struct ring_memory memory;
	unsigned long consumed;
	/* The next event, once it was seen. */
	enum head_state state;
	const void *event;
	size_t bytes;      /* of the event */
	size_t step_bytes; /* to the one after it */
	/* No less than that of any event before it: an event's time is taken a moment before it comes into
	 * its ring, so that two may be in the other order there. Each is treated as if it had been written at
	 * this time. */
	uint64_t time_ns;
};

struct rings {
	int epoll_fd; /* -1: the rings are not this reader's */
	size_t count;
	struct ring *given; /* whose event is being read; NULL: none */
	struct ring rings[];
};

static size_t page_bytes(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

static int map_ring(int map_fd, size_t bytes, struct ring_memory *ret_memory)
{
	size_t page = page_bytes();
	void *consumed = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, map_fd, 0);
	char *produced;

	if (consumed == MAP_FAILED)
		return -errno;
	produced = mmap(NULL, page + 2 * bytes, PROT_READ, MAP_SHARED, map_fd, (off_t)page);
	if (produced == MAP_FAILED) {
		int error = -errno;

		(void)munmap(consumed, page);
		return error;
	}
	*ret_memory = (struct ring_memory){
	        .consumed = consumed,
	        .produced = (const unsigned long *)produced,
	        .data = produced + page,
	        .bytes = bytes,
	};
	return 0;
}

static void unmap_ring(const struct ring_memory *memory)
{
	(void)munmap(memory->consumed, page_bytes());
	(void)munmap((void *)((uintptr_t)memory->data - page_bytes()), page_bytes() + 2 * memory->bytes);
}

int rings_new(const struct ring_memory *memory, size_t count, struct rings **ret_rings)
{
	struct rings *rings = calloc(1, sizeof(*rings) + count * sizeof(rings->rings[0]));

	if (!rings)
		return -ENOMEM;
	rings->epoll_fd = -1;
	rings->count = count;
	for (size_t i = 0; i < count; i++) {
		rings->rings[i].memory = memory[i];
		rings->rings[i].consumed = *memory[i].consumed;
	}
	*ret_rings = rings;
	return 0;
}

static int wait_for_rings(struct rings *rings, const int *map_fds)
{
	struct epoll_event wanted = {.events = EPOLLIN};

	rings->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (rings->epoll_fd < 0)
		return -errno;
	for (size_t i = 0; i < rings->count; i++)
		if (epoll_ctl(rings->epoll_fd, EPOLL_CTL_ADD, map_fds[i], &wanted))
			return -errno;
	return 0;
}

int rings_open(const int *map_fds, size_t count, size_t bytes, struct rings **ret_rings)
{
	struct ring_memory memory[RING_SHARDS_MAX] = {{0}};
	struct rings *rings = NULL;
	size_t mapped = 0;
	int error = 0;

	while (mapped < count && !error) {
		error = map_ring(map_fds[mapped], bytes, &memory[mapped]);
		mapped += !error;
	}
	if (!error)
		error = rings_new(memory, count, &rings);
	if (error) {
		while (mapped)
			unmap_ring(&memory[--mapped]);
		return error;
	}
	error = wait_for_rings(rings, map_fds);
	if (error) {
		for (size_t i = 0; i < count; i++)
			unmap_ring(&memory[i]);
		fd_close(&rings->epoll_fd);
		free(rings);
		return error;
	}
	*ret_rings = rings;
	return 0;
}

int rings_fd(const struct rings *rings)
{
	return rings->epoll_fd;
}

/* A length with two flags precedes each event, and padding to 8 bytes follows it. */
static size_t record_bytes(uint32_t length)
{
	return (BPF_RINGBUF_HDR_SZ + (length & ~(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT)) + 7) / 8 *
	       8;
}

static void consume(struct ring *ring, size_t bytes)
{
	ring->consumed += bytes;
	ring->state = HEAD_NONE;
	__atomic_store_n(ring->memory.consumed, ring->consumed, __ATOMIC_RELEASE);
}

/* Looks for a ring's next event, where none was seen yet. */
static void look(struct ring *ring)
{
	while (ring->state != HEAD_THERE) {
		const char *record = ring->memory.data + (ring->consumed & (ring->memory.bytes - 1));
		const struct event_header *event = (const void *)(record + BPF_RINGBUF_HDR_SZ);
		uint32_t length;

		ring->state = HEAD_NONE;
		if (ring->consumed >= __atomic_load_n(ring->memory.produced, __ATOMIC_ACQUIRE))
			return;
		length = __atomic_load_n((const uint32_t *)record, __ATOMIC_ACQUIRE);
		if (length & BPF_RINGBUF_BUSY_BIT) {
			ring->state = HEAD_UNFINISHED;
			return;
		}
		if (length & BPF_RINGBUF_DISCARD_BIT) {
			consume(ring, record_bytes(length));
			continue;
		}
		ring->state = HEAD_THERE;
		ring->event = event;
		ring->bytes = length;
		ring->step_bytes = record_bytes(length);
		if (length >= sizeof(*event) && event->time_ns > ring->time_ns)
			ring->time_ns = event->time_ns;
	}
}

/* The ring whose next event is the earliest of those that were seen; NULL: none was.
 * @param ret_unfinished whether one is being written that may come before it */
static struct ring *find_earliest(struct rings *rings, bool *ret_unfinished)
{
	struct ring *earliest = NULL;

	*ret_unfinished = false;
	for (size_t i = 0; i < rings->count; i++) {
		struct ring *ring = &rings->rings[i];

		look(ring);
		*ret_unfinished |= ring->state == HEAD_UNFINISHED;
		if (ring->state == HEAD_THERE && (!earliest || ring->time_ns < earliest->time_ns))
			earliest = ring;
	}
	return earliest;
}

/* Whether a ring that had none has one by now. What comes before an event was there before it was: so it is
 * seen by who looks after having seen the event. */
static bool has_come(struct rings *rings)
{
	bool come = false;

	for (size_t i = 0; i < rings->count; i++) {
		struct ring *ring = &rings->rings[i];

		if (ring->state != HEAD_NONE)
			continue;
		look(ring);
		come |= ring->state != HEAD_NONE;
	}
	return come;
}

/* @return the ring whose event is the next of all; NULL: none waits, or one is being written that may come
 * before all that wait */
static struct ring *find_next(struct rings *rings, bool *ret_unfinished)
{
	struct ring *earliest = NULL;

	for (int looks = 0; looks < LOOKS_MAX; looks++) {
		earliest = find_earliest(rings, ret_unfinished);
		if (!*ret_unfinished && (!earliest || !has_come(rings)))
			return earliest;
	}
	*ret_unfinished = true;
	return NULL;
}

const void *rings_next(struct rings *rings, size_t *ret_bytes)
{
	const struct timespec wait = {.tv_nsec = UNFINISHED_WAIT_NS};
	bool unfinished = true;

	rings_done(rings);
	for (int waits = 0; unfinished && waits < UNFINISHED_WAITS; waits++) {
		rings->given = find_next(rings, &unfinished);
		if (unfinished)
			(void)nanosleep(&wait, NULL);
	}
	if (!rings->given)
		return NULL;
	*ret_bytes = rings->given->bytes;
	return rings->given->event;
}

void rings_done(struct rings *rings)
{
	if (rings->given)
		consume(rings->given, rings->given->step_bytes);
	rings->given = NULL;
}

void rings_free(struct rings *rings)
{
	if (!rings)
		return;
	for (size_t i = 0; i < rings->count && rings->epoll_fd >= 0; i++)
		unmap_ring(&rings->rings[i].memory);
	fd_close(&rings->epoll_fd);
	free(rings);
}
