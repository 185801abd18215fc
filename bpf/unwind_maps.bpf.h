/*
 * Maps of unwind tables, and what is kept of a stack while it is unwound by them.
 */
#ifndef LEFTOPEN_BPF_UNWIND_MAPS_H
#define LEFTOPEN_BPF_UNWIND_MAPS_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include "map_abi.h"
#include "unwind_abi.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, UNWIND_FILES_MAX);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, u32);
	__type(value, struct unwind_file_place);
} unwind_files __weak SEC(".maps");

struct unwind_shard {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, UNWIND_SHARD_ROWS);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(key_size, sizeof(u32));
	__uint(value_size, sizeof(struct unwind_row));
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, UNWIND_SHARDS_MAX);
	__type(key, u32);
	__array(values, struct unwind_shard);
} unwind_shards __weak SEC(".maps");

/* Where code that is being unwound is mapped, and by which rows. */
struct unwind_range {
	u64 start;
	u64 end;
	u64 delta; /* address less offset in the file; 0: no file */
	struct file_key file;
	struct unwind_file table;
};

/* Chosen by: most stacks are in the program, libc and two libraries. A power of two. */
#define UNWIND_RANGES 4
/* Words of the stack that are copied at once: one larger read costs little more than a small one. A power of
 * two. */
#define UNWIND_BLOCK_WORDS 64

struct native_unwind {
	struct unwind_registers registers;
	struct unwind_row row;
	u32 ranges_made;
	u32 range;    /* the frame's */
	u32 is_guess; /* a frame below was left by its frame pointer */
	u32 reserved;
	struct unwind_range ranges[UNWIND_RANGES];
	u64 block_address;
	u64 block[UNWIND_BLOCK_WORDS];
};

#endif
