/*
 * The maps, switches and counters that all programs share, and how an event reaches the ring.
 * Maps are weak because each object that includes this header defines them and bpftool links the objects to
 * one.
 */
#ifndef LEFTOPEN_BPF_MAPS_H
#define LEFTOPEN_BPF_MAPS_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include "map_abi.h"
#include "handle_kinds.h"
#include "ids.bpf.h"
#include "unwind_maps.bpf.h"

/* Set before loading. */
extern const volatile __u32 config_stacks;          /* enum stacks_mode */
extern const volatile __u32 config_memo;            /* enum memo_mode */
extern const volatile __u32 config_ring_bytes;      /* of each shard */
extern const volatile __u32 config_ring_shards;     /* a power of two; 1: `events` is the only ring */
extern const volatile __u64 config_huge_page_bytes; /* the machine's default size */
extern const volatile __u32 config_preemptible;     /* 1: programs that capture can be preempted */
extern const volatile __u32 config_stand_ins;       /* 1: see call_program.bpf.h */
/* Set while running: programs stay attached for seconds after the daemon has finished, doing nothing. */
extern __u32 switched_on;
/* Whom a survey adds to what is followed: enum survey_follows. */
extern __u32 survey_follows;
extern __u32 own_process_id, holder_process_id, worker_process_id; /* never followed by a survey */
extern __u32 left_out_process_id; /* neither, nor its children; 0: there is none */
/* Bumped by the daemon after it wrote to python_hints. */
extern __u32 python_hints_version;
extern __u64 losses[LOSS_COUNT];
extern __u64 copies_since_ns;           /* in which period stacks are copied */
extern __u32 copies_taken, copies_made; /* in it, and in all */
extern __u64 last_event_ns;             /* the time of the last event, where there are several shards */
/* 1: there has been one, so that it is worth looking for. */
extern __u32 uring_submissions_kept;

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 16 << 20);
} events __weak SEC(".maps");

/* Where many CPUs would wait for one ring: events of one table or space are in one shard. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, RING_SHARDS_MAX);
	__uint(key_size, sizeof(u32));
	__array(
	        values, struct {
		        __uint(type, BPF_MAP_TYPE_RINGBUF);
		        __uint(max_entries, 4096);
	        });
} ring_shards __weak SEC(".maps");

/* By process. 65,536 processes at once; one more is counted as LOSS_PROCESS_MAP_FULL and not followed. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, u32);
	__type(value, struct followed_process);
} followed __weak SEC(".maps");

/* By process: runtimes that the daemon found where the file was not known yet as the process mapped it. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, u32);
	__type(value, struct python_hint);
} python_hints __weak SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct file_key);
	__type(value, struct known_file);
} known_files __weak SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, PYTHON_VERSIONS_MAX);
	__type(key, u32);
	__type(value, struct python_layout);
} python_layouts __weak SEC(".maps");

/* What was sent: the last few ids of each place, as looking one up in a hash that evicts costs ten times as
 * much. One that was pushed out is sent again, which the daemon takes as the same. */
#define SENT_PLACES      16384
#define SENT_PLACE_COUNT 4

struct sent_place {
	u64 ids[SENT_PLACE_COUNT];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SENT_PLACES);
	__type(key, u32);
	__type(value, struct sent_place);
} stacks_sent __weak SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SENT_PLACES);
	__type(key, u32);
	__type(value, struct sent_place);
} codes_sent __weak SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, struct file_key);
	__type(value, u8); /* enum file_sent */
} files_sent __weak SEC(".maps");

/* A process's address, while its mappings do not change. */
struct native_address {
	u64 start_ns;
	u64 address;
	u32 process_id;
	u32 execs;
	u32 mappings; /* compat_mappings_sequence() */
	u32 reserved;
};

struct native_position {
	u64 position;
	struct file_key file;
	u64 is_code;
	u64 start, end; /* of the mapping */
};

struct native_known {
	u64 busy; /* see native_keep() */
	struct native_address of;
	struct native_position found;
};

/* What was found for an address, at a place made of it: the next one there replaces it, because keeping it in
 * a hash costs more than finding it. One a CPU for the same reason as the scratch. Chosen by: some hundred
 * callers a program, 64 KiB a CPU. */
#define NATIVE_KNOWN_COUNT 1024

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, NATIVE_KNOWN_COUNT);
	__type(key, u32);
	__type(value, struct native_known);
} native_known __weak SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, CAPTURE_COUNT);
	__type(key, u32);
	__type(value, u32);
} capture_programs __weak SEC(".maps");

/* The same for the program at fd_install: programs of one array are of one type. */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, CAPTURE_COUNT);
	__type(key, u32);
	__type(value, u32);
} installed_capture_programs __weak SEC(".maps");

/* Numbers that one call gave. Chosen by: eight full messages of descriptors at once. */
#define FD_NUMBERS_MAX 2048

/* No handle yet: a thread that begins to submit requests. */
#define PENDING_SUBMISSION EVENT_TYPE_COUNT

/* A handle on its way through the capture programs. */
struct pending_handle {
	u32 kind;  /* enum event_type, or PENDING_SUBMISSION */
	u32 count; /* of numbers */
	s32 numbers[FD_NUMBERS_MAX];
	union {
		struct event_fd_made fd; /* what they have in common; file: 0, or that of the only number */
		struct event_map_made map;
		struct event_map_moved moved;
		u64 ring; /* of a submission */
	};
};

/* How much of a line table is hashed at once, by lanes of four words, and where it lies at most in its
 * object. */
#define PYTHON_IDENTITY_BYTES 512
#define PYTHON_BYTES_DATA_MAX 56
#define PYTHON_IDENTITY_WORDS                                                         \
	((PYTHON_IDENTITY_BYTES + PYTHON_BYTES_DATA_MAX) / 8 + 3) /* zeros at its end \
	                                                           */

/* Where an address is mapped. */
struct mapped_at {
	u64 start;
	u64 end;
	u64 page_offset;
	u64 flags;
	struct file *file;
};

/* Written and read within one run at a system call's tracepoint, with preemption off, so one a CPU is enough.
 * Where it is not off (call_program.bpf.h), and at fd_install, threads that wait have theirs meanwhile.
 * Chosen by: a program, its stand-ins and those of other calls rarely wait all on one CPU. */
#define CAPTURE_SCRATCHES_PREEMPTIBLE 16

struct capture_scratch {
	u64 thread_id; /* whose it is; 0: nobody's */
	u32 index;
	u32 reserved3;
	struct pending_handle pending;
	/* Of the maker's process: what the capture programs need of it, as finding it again costs more. */
	u64 process_start_ns;
	u64 python_runtime;
	u32 python_minor;
	u16 is_recalled;   /* the native frames were told by a memo: how many, and their hash, are there */
	u16 frames_wanted; /* no memo will do */
	u32 copy_wanted;   /* native frames end for want of a table */
	u32 reserved4;
	struct mapped_at mapped;
	struct native_position found;
	u64 addresses[STACK_NATIVE_MAX];
	struct native_unwind unwind;
	u64 node[32]; /* one node of the maple tree */
	u32 node_slot;
	u32 stack_part; /* index of the frame with which native ones, or Python's, begin */
	u8 frame[128];
	u8 code[256];
	u64 line_table[PYTHON_IDENTITY_WORDS]; /* part of one */
	struct event_stack stack;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, CAPTURE_SCRATCHES_PREEMPTIBLE); /* 1 where that is enough */
	__type(key, u32);
	__type(value, struct capture_scratch);
} capture_scratch __weak SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, CAPTURE_SCRATCHES_PREEMPTIBLE);
	__type(key, u32);
	__type(value, struct event_python_code);
} code_scratch __weak SEC(".maps");

/* Uprobe and sched programs are preemptible: they borrow one of these. Chosen by: more at once than any
 * machine has CPUs that begin to fork, exec or exit within the same few microseconds. */
#define WALK_SCRATCHES 64
struct walk_scratch {
	u32 busy;
	u32 reserved;
	u64 files[64];
	union {
		struct event_table_numbers numbers;
		struct event_fd_target target;
		struct event_file file;
		struct event_process_arguments arguments;
		struct event_test test;
	};
	/* Room for the last name's copy to start anywhere below the names' end. */
	char overrun[PATH_NAME_MAX];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, WALK_SCRATCHES);
	__type(key, u32);
	__type(value, struct walk_scratch);
} walk_scratches __weak SEC(".maps");

/* Where a thread's call of io_uring_enter stands that is submitting: its requests are made in there. Chosen
 * by: more than any machine has CPUs, as who waits has submitted before. */
struct uring_submission {
	u64 ring; /* struct io_ring_ctx *; 0: none, that call makes no descriptors */
	u64 stack;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, u32); /* the thread */
	__type(value, struct uring_submission);
} uring_submissions __weak SEC(".maps");

static __always_inline void count_loss(enum loss_cause cause)
{
	__sync_fetch_and_add(&losses[cause], 1);
}

/* The reader is woken when an eighth of the ring waits; below that it looks by itself every few milliseconds,
 * as waking it costs more than the event. */
static __always_inline u64 ring_wakeup(u64 waiting_bytes)
{
	return waiting_bytes > config_ring_bytes / 8 ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP;
}

/* @param event whose first word behind the header says what it is of: its table or space, where it has one
 * @return the ring that it goes into, or NULL: there is none */
static __always_inline void *event_ring(const void *event)
{
	u64 of = 0;
	u32 shard;

	if (config_ring_shards == 1)
		return &events;
	/* The verifier lets nobody reckon with what it knows to be a pointer; this makes it a number. */
	(void)bpf_probe_read_kernel(&of, sizeof(of), event + sizeof(struct event_header));
	/* Fibonacci hashing: the lowest bits of pointers are alike. */
	shard = (of * 0x9e3779b97f4a7c15ULL) >> 32 & (config_ring_shards - 1);
	return bpf_map_lookup_elem(&ring_shards, &shard);
}

/* @return 0, or -1: the ring is too full for what comes in numbers; its last eighth is kept for processes */
static __always_inline int send_bulk_event(void *event, u32 bytes, enum loss_cause cause)
{
	void *ring = event_ring(event);
	u64 waiting = ring ? bpf_ringbuf_query(ring, BPF_RB_AVAIL_DATA) : 0;

	if (!ring || waiting > config_ring_bytes - config_ring_bytes / 8 ||
	    bpf_ringbuf_output(ring, event, bytes, ring_wakeup(waiting))) {
		count_loss(cause);
		return -1;
	}
	return 0;
}

static __always_inline int send_process_event(void *event, u32 bytes, enum loss_cause cause)
{
	void *ring = event_ring(event);
	u64 waiting = ring ? bpf_ringbuf_query(ring, BPF_RB_AVAIL_DATA) : 0;

	if (!ring || bpf_ringbuf_output(ring, event, bytes, ring_wakeup(waiting))) {
		count_loss(cause);
		return -1;
	}
	return 0;
}

/* The time of an event. Of several shards it is their order, too: later than that of each event whose program
 * had asked for it before, on whatever CPU. The kernel's clock alone may differ between CPUs while it is
 * adjusted (kernel/time/timekeeping.c, ktime_get_mono_fast_ns). */
static __always_inline u64 event_time(void)
{
	u64 now_ns = bpf_ktime_get_boot_ns(), last_ns;

	if (config_ring_shards == 1)
		return now_ns;
	last_ns = *(volatile u64 *)&last_event_ns;
	if (now_ns > last_ns && __sync_val_compare_and_swap(&last_event_ns, last_ns, now_ns) == last_ns)
		return now_ns;
	return __sync_fetch_and_add(&last_event_ns, 1) + 1;
}

/* @return bytes, at most maximum (a power of two), in a form whose bounds the verifier follows */
static __always_inline u32 bounded_bytes(u64 bytes, u32 maximum)
{
	u32 bounded = bytes > maximum ? maximum : (u32)bytes;

	/* The compiler knows the bound and drops what the verifier needs to see. */
	asm volatile("" : "+r"(bounded));
	bounded &= 2 * maximum - 1;
	if (bounded > maximum)
		bounded = maximum;
	return bounded;
}

/* @param start_ns of the process */
static __always_inline void fill_untimed_header(struct event_header *header, u16 type, u32 bytes,
                                                u64 start_ns)
{
	struct task_struct *task = bpf_get_current_task_btf();

	header->type = type;
	header->untimed = config_ring_shards > 1;
	header->size_bytes = bytes;
	header->time_ns = config_ring_shards > 1 ? event_time() : 0;
	header->process_id = ids_process(task);
	header->thread_id = ids_thread(task);
	header->process_start_ns = start_ns;
}

static __always_inline void fill_header(struct event_header *header, u16 type, u32 bytes, u64 start_ns)
{
	fill_untimed_header(header, type, bytes, start_ns);
	header->untimed = 0;
	if (config_ring_shards == 1)
		header->time_ns = bpf_ktime_get_boot_ns();
}

/* @return the place where this id is, or would be */
static __always_inline struct sent_place *sent_place_find(void *sent, u64 id)
{
	u32 place = id & (SENT_PLACES - 1);

	return bpf_map_lookup_elem(sent, &place);
}

static __always_inline bool sent_before(const struct sent_place *place, u64 id)
{
	return place &&
	       (place->ids[0] == id || place->ids[1] == id || place->ids[2] == id || place->ids[3] == id);
}

/* The oldest makes room. Two CPUs at once may lose one, which is then sent again. */
static __always_inline void sent_note(struct sent_place *place, u64 id)
{
	if (!place)
		return;
	place->ids[3] = place->ids[2];
	place->ids[2] = place->ids[1];
	place->ids[1] = place->ids[0];
	place->ids[0] = id;
}

/* @return the current process's entry, or NULL: it is not followed, or leftopen has finished */
static __always_inline struct followed_process *followed_current(void)
{
	u32 process_id;

	if (!switched_on)
		return NULL;
	process_id = ids_process(bpf_get_current_task_btf());
	return bpf_map_lookup_elem(&followed, &process_id);
}

/* What is lost of a process is told with its next survey. */
static __always_inline int send_fd_event(void *event, u32 bytes, u64 fd_bits)
{
	struct followed_process *process;
	u32 process_id = ((struct event_header *)event)->process_id;

	if (!send_bulk_event(event, bytes, LOSS_RING_FULL_HANDLES))
		return 0;
	process = bpf_map_lookup_elem(&followed, &process_id);
	if (process) {
		process->lost_fds_ns = event_time();
		__sync_fetch_and_or(&process->lost_fds, fd_bits);
	}
	return -1;
}

static __always_inline int send_map_event(void *event, u32 bytes)
{
	struct followed_process *process;

	if (!send_bulk_event(event, bytes, LOSS_RING_FULL_HANDLES))
		return 0;
	process = followed_current();
	if (process)
		process->lost_maps_ns = event_time();
	return -1;
}

static __always_inline struct walk_scratch *walk_scratch_borrow(void)
{
	u32 start = bpf_get_smp_processor_id();

	for (u32 i = 0; i < 8; i++) {
		u32 index = (start + i * 9) % WALK_SCRATCHES;
		struct walk_scratch *scratch = bpf_map_lookup_elem(&walk_scratches, &index);

		if (scratch && !__sync_val_compare_and_swap(&scratch->busy, 0, 1))
			return scratch;
	}
	count_loss(LOSS_SCRATCH_BUSY);
	return NULL;
}

static __always_inline void walk_scratch_return(struct walk_scratch *scratch)
{
	__sync_lock_test_and_set(&scratch->busy, 0);
}

#endif
