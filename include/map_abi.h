/*
 * The values of the maps that both sides of the kernel boundary share. As in event_abi.h every struct has
 * fixed-width fields, explicit padding and an asserted size.
 */
#ifndef LEFTOPEN_MAP_ABI_H
#define LEFTOPEN_MAP_ABI_H

#include "event_abi.h"

#define RING_SHARDS_MAX 16
/* Chosen by: twice as many as there are programs. */
#define CALL_PROGRAMS_MAX 256

/* Offsets in CPython's structures, in bytes (facts: python frames). Chosen by version in
 * unwind/python_layout.c. */
enum python_frame_shape { PYTHON_FRAME_OBJECTS = 0, PYTHON_FRAME_CFRAME, PYTHON_FRAME_CURRENT };
#define PYTHON_NO_TSS       0xffffffffU
#define PYTHON_NO_OWNER     0xffffffffU
#define PYTHON_VERSIONS_MAX 32

struct python_layout {
	__u32 shape; /* enum python_frame_shape */
	__u32 minor_version;
	__u32 runtime_interpreters_head;
	__u32 runtime_tss; /* 32-bit "is initialized", then the key; PYTHON_NO_TSS: walk the thread list */
	__u32 interpreter_next;
	__u32 interpreter_threads;
	__u32 thread_next;
	__u32 thread_id;
	__u32 thread_frame;
	__u32 cframe_current;
	__u32 frame_previous;
	__u32 frame_code;
	__u32 frame_instruction; /* f_lasti where the shape is PYTHON_FRAME_OBJECTS */
	__u32 frame_owner;
	__u32 frame_is_entry; /* 0: the version has none */
	__u32 owner_cstack;   /* PYTHON_NO_OWNER: the version has none */
	__u32 owner_generator;
	__u32 code_first_line;
	__u32 code_filename;
	__u32 code_name; /* co_qualname from 3.11 */
	__u32 code_line_table;
	__u32 code_adaptive;
	__u32 code_first_traceable;
	__u32 code_version; /* 0: none */
	__u32 string_length;
	__u32 string_state;
	__u32 string_ascii_data;
	__u32 string_compact_data;
	__u32 bytes_size;
	__u32 bytes_data;
};
EVENT_ASSERT_SIZE(struct python_layout, 120);

/* Value of the map of files that were sent. One that is mapped to be run is sent each time until the daemon
 * has learnt it: several processes may start with it at once. */
enum file_sent { FILE_SENT = 1, FILE_SENT_LEARNT };

/* Value of the map of known files: what the daemon found in an ELF file. */
struct known_file {
	__u32 python_minor; /* index of python_layout, 0: not CPython */
	__u32 reserved;
	__u64 runtime_vaddr;    /* of _PyRuntime (3.6: interp_head) */
	__u64 executable_vaddr; /* p_vaddr of the first PT_LOAD with PF_X */
	__u64 executable_offset;
	/* _PyEval_EvalFrameDefault's code in the file, and that of its part that lies elsewhere; 0 bytes: not
	 * known, or none */
	__u64 evaluator_offset;
	__u64 evaluator_bytes;
	__u64 evaluator_cold_offset;
	__u64 evaluator_cold_bytes;
};
EVENT_ASSERT_SIZE(struct known_file, 64);

/* Where in a process a runtime is, by where its file was mapped or, FILE_EXECED, by where its code begins; 0:
 * that mapping does not tell. */
static inline __attribute__((always_inline)) __u64
known_file_runtime(const struct known_file *known, __u32 cause, __u64 address, __u64 file_offset)
{
	const __u64 page_mask = ~4095ULL;

	if (cause == FILE_EXECED)
		return address - known->executable_vaddr + known->runtime_vaddr;
	if (file_offset != (known->executable_offset & page_mask))
		return 0;
	return address - (known->executable_vaddr & page_mask) + known->runtime_vaddr;
}

/* Value of the map of followed processes, keyed by process. */
struct followed_process {
	__u64 start_ns;
	__u64 python_runtime; /* address in the process, 0: none seen */
	__u32 python_minor;
	__u32 finalizing_thread; /* armed by Py_FinalizeEx and its like: takes the mark at its next
	                            PyGC_Collect */
	__u32 marked;            /* enum shutdown_mark: the first wins */
	__u32 hints_version;     /* of the daemon's findings that were looked at */
	__u32 made_after_mark;   /* 1: descriptors were, so that their targets are still to be read */
	__u32 exited;       /* 1: of several threads that end at once, one has told of the process's end */
	__u32 tables_apart; /* 1: its threads may have different tables, so that the end of one matters */
	__u32 reserved;
	/* What was lost since the last survey: see event_table_numbers, event_space_ranges. */
	__u64 lost_fds;
	__u64 lost_fds_ns;
	__u64 lost_maps_ns;
};
EVENT_ASSERT_SIZE(struct followed_process, 72);

/* Where a file's rows lie in a shard. */
struct unwind_file {
	__u32 shard;
	__u32 first; /* row */
	__u32 count; /* of rows; 0: the file has none */
	__u32 reserved;
};
EVENT_ASSERT_SIZE(struct unwind_file, 16);

/*
 * A place of the array in which a file's rows are looked up: it is one of UNWIND_FILE_WAYS places that follow
 * each other. Not a hash map, as leftopen writes it through mmap(2): see load/unwind_shards.c.
 */
struct unwind_file_place {
	struct file_key key;
	struct unwind_file table;
	__u32 filled; /* set last and cleared first; the others then stay until no program can be looking */
	__u32 used;   /* programs set it, leftopen clears it */
};
EVENT_ASSERT_SIZE(struct unwind_file_place, 40);

/* Tables lie in arrays of the same size, made as they are needed: 16 MiB each. Chosen by: librustc_driver has
 * 1.1 M rows. */
#define UNWIND_SHARD_ROWS      (1U << 21)
#define UNWIND_SHARD_ROWS_LOG2 21
#define UNWIND_SHARDS_MAX      32
/* Powers of two. Chosen by: with the 2,400 files of a machine for development one of a thousand million sets
 * of places is full; with 16,384 files one in fifty. */
#define UNWIND_FILES_MAX 32768U
#define UNWIND_FILE_WAYS 8U

/* @return the first of the places in which a file is looked for */
static inline __attribute__((always_inline)) __u32 unwind_file_first_place(const struct file_key *key)
{
	__u64 mixed = key->inode * 0x9e3779b97f4a7c15ULL ^ ((__u64)key->device << 32 | key->generation);

	return (__u32)(mixed * 0xff51afd7ed558ccdULL >> 40) & (UNWIND_FILES_MAX - UNWIND_FILE_WAYS);
}

/* Memos of stacks: places, and how many of them are looked at for a stack. Chosen by: a compiler has some
 * hundred stacks, a test suite some thousand; of git's, 11 are of one depth; 10 MiB. Powers of two. */
#define UNWIND_MEMOS     8192
#define UNWIND_MEMO_WAYS 16

/* What memos are used for; tests ask for those behind the first. */
enum memo_mode {
	MEMO_USE = 0,
	MEMO_OFF,
	MEMO_CHECK, /* what a memo tells is unwound all the same, and compared */
	MEMO_BLIND, /* the same, without looking at the stack first: it must be found to be wrong */
	MEMO_MODE_COUNT
};

/* On one CPU. */
struct memo_counts {
	__u64 recalled; /* stacks that a memo told */
	__u64 unwound;
	__u64 wrong; /* of those that were told and unwound */
};
EVENT_ASSERT_SIZE(struct memo_counts, 24);

/* The programs that capture stacks, as they lie in the array that makers tail-call through. */
enum capture_program { CAPTURE_NATIVE = 0, CAPTURE_COPY, CAPTURE_PYTHON, CAPTURE_COUNT };

/* Which processes that are not followed a survey makes followed. */
enum survey_follows { SURVEY_FOLLOWS_NONE = 0, SURVEY_FOLLOWS_WANTED, SURVEY_FOLLOWS_ALL };

/* Value of the map of hints, keyed by process: a runtime that the daemon found after the process had mapped
 * it.
 */
struct python_hint {
	__u64 start_ns;
	__u64 runtime; /* address in the process */
	__u32 minor;
	__u32 reserved;
};
EVENT_ASSERT_SIZE(struct python_hint, 24);

#endif
