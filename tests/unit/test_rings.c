/*
 * The reader of the ring's shards, on memory that is written as the kernel writes a ring.
 */
#include <criterion/criterion.h>

#include <linux/bpf.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "event_abi.h"
#include "load/rings.h"
#include "random_numbers.h"

#define RINGS       4
#define RING_BYTES  4096
#define EVENT_BYTES sizeof(struct event_header)
/* Each with the kernel's header before it. */
#define RECORD_BYTES (BPF_RINGBUF_HDR_SZ + EVENT_BYTES)

struct shard {
	unsigned long consumed, produced;
	_Alignas(8) char data[2 * RING_BYTES];
};

static struct shard shards[RINGS];
static struct rings *rings;

static struct ring_memory memory_of(struct shard *shard)
{
	return (struct ring_memory){
	        .consumed = &shard->consumed,
	        .produced = &shard->produced,
	        .data = shard->data,
	        .bytes = RING_BYTES,
	};
}

static void begin(size_t count)
{
	struct ring_memory memory[RINGS];

	memset(shards, 0, sizeof(shards));
	for (size_t i = 0; i < count; i++)
		memory[i] = memory_of(&shards[i]);
	cr_assert_eq(rings_new(memory, count, &rings), 0);
}

static void end(void)
{
	rings_free(rings);
	rings = NULL;
}

TestSuite(rings, .fini = end);

/* The kernel maps the data twice. */
static void put(struct shard *shard, unsigned long at, const void *bytes, size_t count)
{
	const char *from = bytes;

	for (size_t i = 0; i < count; i++) {
		size_t place = (at + i) & (RING_BYTES - 1);

		shard->data[place] = shard->data[place + RING_BYTES] = from[i];
	}
}

static unsigned long reserve(struct shard *shard)
{
	unsigned long at = shard->produced;
	uint32_t length = (uint32_t)EVENT_BYTES | BPF_RINGBUF_BUSY_BIT;

	put(shard, at, &length, sizeof(length));
	shard->produced += RECORD_BYTES;
	return at;
}

static void commit(struct shard *shard, unsigned long at, uint64_t time_ns, uint32_t flags)
{
	struct event_header header = {.time_ns = time_ns};
	uint32_t length = (uint32_t)EVENT_BYTES | flags;

	put(shard, at + BPF_RINGBUF_HDR_SZ, &header, sizeof(header));
	put(shard, at, &length, sizeof(length));
}

static void write_event(struct shard *shard, uint64_t time_ns)
{
	commit(shard, reserve(shard), time_ns, 0);
}

/* @return the next event's time, 0: there is none */
static uint64_t next(void)
{
	size_t bytes;
	const struct event_header *header = rings_next(rings, &bytes);

	if (!header)
		return 0;
	cr_assert_eq(bytes, EVENT_BYTES);
	return header->time_ns;
}

Test(rings, one_is_read_in_its_own_order)
{
	begin(1);
	cr_assert_eq(next(), 0);
	write_event(&shards[0], 30);
	write_event(&shards[0], 10);
	write_event(&shards[0], 20);
	cr_assert_eq(next(), 30);
	cr_assert_eq(next(), 10);
	cr_assert_eq(shards[0].consumed, RECORD_BYTES, "the one that is being read is not free yet");
	cr_assert_eq(next(), 20);
	cr_assert_eq(next(), 0);
	cr_assert_eq(shards[0].consumed, 3 * RECORD_BYTES);
}

Test(rings, an_event_can_be_given_back_early)
{
	begin(1);
	write_event(&shards[0], 30);
	cr_assert_eq(next(), 30);
	rings_done(rings);
	cr_assert_eq(shards[0].consumed, RECORD_BYTES);
	rings_done(rings);
	cr_assert_eq(shards[0].consumed, RECORD_BYTES);
}

Test(rings, what_is_discarded_is_passed_over)
{
	begin(1);
	commit(&shards[0], reserve(&shards[0]), 10, BPF_RINGBUF_DISCARD_BIT);
	write_event(&shards[0], 20);
	cr_assert_eq(next(), 20);
	cr_assert_eq(next(), 0);
}

Test(rings, several_are_read_by_time)
{
	begin(3);
	write_event(&shards[0], 10);
	write_event(&shards[0], 40);
	write_event(&shards[1], 30);
	write_event(&shards[2], 20);
	for (uint64_t time_ns = 10; time_ns <= 40; time_ns += 10)
		cr_assert_eq(next(), time_ns);
	cr_assert_eq(next(), 0);
}

Test(rings, what_is_being_written_is_waited_for)
{
	unsigned long at;

	begin(2);
	at = reserve(&shards[0]);
	write_event(&shards[1], 20);
	cr_assert_eq(next(), 0);
	commit(&shards[0], at, 10, 0);
	cr_assert_eq(next(), 10);
	cr_assert_eq(next(), 20);
}

/* Two CPUs that write into one ring may have taken their times in the other order. */
Test(rings, times_within_a_ring_only_grow)
{
	begin(2);
	write_event(&shards[0], 30);
	write_event(&shards[0], 10);
	write_event(&shards[1], 20);
	cr_assert_eq(next(), 20);
	cr_assert_eq(next(), 30);
	cr_assert_eq(next(), 10);
}

static struct shard *second;

/* The reader has found the first ring empty and comes to the second: only now both are written. */
static void write_both(int signal_number)
{
	(void)signal_number;
	(void)mprotect(second, sizeof(*second), PROT_READ | PROT_WRITE);
	write_event(&shards[0], 10);
	write_event(second, 20);
}

Test(rings, what_comes_while_others_are_looked_at)
{
	struct sigaction action = {.sa_handler = write_both};
	struct ring_memory memory[2];

	second = mmap(NULL, sizeof(*second), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	cr_assert_neq(second, MAP_FAILED);
	memory[0] = memory_of(&shards[0]);
	memory[1] = memory_of(second);
	(void)mprotect(second, sizeof(*second), PROT_READ | PROT_WRITE);
	cr_assert_eq(rings_new(memory, 2, &rings), 0);
	(void)mprotect(second, sizeof(*second), PROT_NONE);
	cr_assert_eq(sigaction(SIGSEGV, &action, NULL), 0);
	cr_assert_eq(next(), 10);
	cr_assert_eq(next(), 20);
	cr_assert_eq(next(), 0);
}

/* Several threads write as programs on several CPUs do: each event says by `process_start_ns` which one had
 * been written before its program began, and that one is read before it. */
#define WRITERS     4
#define EVENTS_EACH 20000
#define EVENTS_MOST (WRITERS * EVENTS_EACH + 1)

static pthread_mutex_t locks[RINGS] = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER,
                                       PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER};
static uint64_t last_time_ns, last_written_ns, writers_left;

static bool reserve_locked(size_t index, unsigned long *ret_at)
{
	struct shard *shard = &shards[index];
	uint32_t busy = (uint32_t)EVENT_BYTES | BPF_RINGBUF_BUSY_BIT;
	bool fits;

	(void)pthread_mutex_lock(&locks[index]);
	*ret_at = shard->produced;
	fits = *ret_at + RECORD_BYTES - __atomic_load_n(&shard->consumed, __ATOMIC_ACQUIRE) <= RING_BYTES;
	if (fits) {
		put(shard, *ret_at, &busy, sizeof(busy));
		__atomic_store_n(&shard->produced, *ret_at + RECORD_BYTES, __ATOMIC_RELEASE);
	}
	(void)pthread_mutex_unlock(&locks[index]);
	return fits;
}

static void *write_many(void *context)
{
	uint64_t random = (uint64_t)(uintptr_t)context;

	for (int i = 0; i < EVENTS_EACH; i++) {
		struct event_header header = {.process_start_ns =
		                                      __atomic_load_n(&last_written_ns, __ATOMIC_ACQUIRE)};
		size_t index = random_below(&random, RINGS);
		unsigned long at;

		header.time_ns = __atomic_add_fetch(&last_time_ns, 1, __ATOMIC_SEQ_CST);
		while (!reserve_locked(index, &at))
			(void)sched_yield();
		put(&shards[index], at + BPF_RINGBUF_HDR_SZ, &header, sizeof(header));
		__atomic_store_n((uint32_t *)&shards[index].data[at & (RING_BYTES - 1)],
		                 (uint32_t)EVENT_BYTES, __ATOMIC_RELEASE);
		__atomic_store_n(&last_written_ns, header.time_ns, __ATOMIC_RELEASE);
	}
	__atomic_sub_fetch(&writers_left, 1, __ATOMIC_RELEASE);
	return NULL;
}

Test(rings, nothing_is_read_before_what_caused_it)
{
	static bool read_already[EVENTS_MOST];
	pthread_t writers[WRITERS];
	size_t bytes, count = 0;
	bool left = true;

	begin(RINGS);
	writers_left = WRITERS;
	read_already[0] = true;
	for (uintptr_t i = 0; i < WRITERS; i++)
		cr_assert_eq(pthread_create(&writers[i], NULL, write_many, (void *)(i + 1)), 0);
	while (left) {
		const struct event_header *header;

		left = __atomic_load_n(&writers_left, __ATOMIC_ACQUIRE);
		while ((header = rings_next(rings, &bytes))) {
			cr_assert(read_already[header->process_start_ns], "%llu before %llu",
			          (unsigned long long)header->time_ns,
			          (unsigned long long)header->process_start_ns);
			read_already[header->time_ns] = true;
			count++;
		}
		(void)sched_yield();
	}
	for (size_t i = 0; i < WRITERS; i++)
		(void)pthread_join(writers[i], NULL);
	cr_assert_eq(count, WRITERS * EVENTS_EACH);
}
