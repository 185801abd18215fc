/*
 * A descriptor table's own numbers: bit set and fd[n] non-NULL, as the bit set alone includes numbers that
 * are reserved and not installed yet (fs/file.c). Sent at fork, exec and exit, where event order is no truth.
 */
#ifndef LEFTOPEN_BPF_TABLE_H
#define LEFTOPEN_BPF_TABLE_H

#include "maps.bpf.h"
#include "core_compat.bpf.h"

struct table_walk {
	struct walk_scratch *scratch;
	unsigned long *open_fds;
	struct file **array;
	u64 bits;
	u32 words;
	u32 word;
	u32 failed;
};

/* @return 0, or -1: it is lost, and with it the rest, as numbers of which some are missing are no table */
static __always_inline int table_send_chunk(struct walk_scratch *scratch, u32 last)
{
	struct event_table_numbers *event = &scratch->numbers;
	u32 bytes = offsetof(struct event_table_numbers, entries);
	u32 count = event->count;

	if (count > TABLE_CHUNK_MAX)
		count = TABLE_CHUNK_MAX;
	bytes += count * sizeof(struct table_entry);
	event->last = last;
	event->header.size_bytes = bytes;
	if (bytes > sizeof(*event) || send_process_event(event, bytes, LOSS_RING_FULL_PROCESSES))
		return -1;
	event->first = 0;
	event->count = 0;
	return 0;
}

static long table_step_bit(u32 bit, struct table_walk *walk)
{
	struct walk_scratch *scratch = walk->scratch;
	struct inode *inode;
	u32 at;
	u64 file;

	bit &= 63;
	if (!(walk->bits >> bit & 1) || !(file = scratch->files[bit]))
		return 0;
	if (scratch->numbers.count >= TABLE_CHUNK_MAX && table_send_chunk(scratch, 0)) {
		walk->failed = 1;
		return 1;
	}
	at = scratch->numbers.count;
	asm volatile("" : "+r"(at));
	at &= TABLE_CHUNK_MAX - 1;
	inode = BPF_CORE_READ((struct file *)file, f_inode);
	scratch->numbers.entries[at].file = file;
	scratch->numbers.entries[at].fd = walk->word * 64 + bit;
	scratch->numbers.entries[at].mode = BPF_CORE_READ(inode, i_mode);
	scratch->numbers.count = at + 1;
	return 0;
}

static long table_step_word(u32 word, struct table_walk *walk)
{
	if (word >= walk->words)
		return 1;
	walk->word = word;
	walk->bits = 0;
	if (bpf_probe_read_kernel(&walk->bits, sizeof(walk->bits), walk->open_fds + word))
		goto fault;
	if (!walk->bits)
		return 0;
	if (bpf_probe_read_kernel(walk->scratch->files, sizeof(walk->scratch->files),
	                          walk->array + word * 64))
		goto fault;
	bpf_loop(64, table_step_bit, walk, 0);
	return walk->failed;
fault:
	count_loss(LOSS_TABLE_FAULT);
	walk->failed = 1;
	return 1;
}

/* Chosen by: fs.nr_open's default, 1,048,576 descriptors. */
#define TABLE_WORDS_MAX 16384

/* @param files struct files_struct *
 * @param from the table that this is a copy of, where it is one
 * @param process_id whose it is: one that is followed */
__weak __noinline int table_send_numbers(u64 files, u64 from, u32 cause, u32 process_id)
{
	struct followed_process *process = bpf_map_lookup_elem(&followed, &process_id);
	struct walk_scratch *scratch = process ? walk_scratch_borrow() : NULL;
	struct fdtable *table;
	struct table_walk walk = {.scratch = scratch};

	if (!scratch)
		return 0;
	table = BPF_CORE_READ((struct files_struct *)files, fdt);
	walk.open_fds = BPF_CORE_READ(table, open_fds);
	walk.array = BPF_CORE_READ(table, fd);
	walk.words = BPF_CORE_READ(table, max_fds) / 64;
	fill_header(&scratch->numbers.header, EVENT_TABLE_NUMBERS, 0, process->start_ns);
	scratch->numbers.header.process_id = process_id;
	scratch->numbers.table = files;
	scratch->numbers.copied_from = from;
	scratch->numbers.cause = cause;
	scratch->numbers.lost_ns = process->lost_fds_ns;
	scratch->numbers.lost_fds = cause == TABLE_SURVEYED || cause == TABLE_EXITED
	                                    ? __sync_lock_test_and_set(&process->lost_fds, 0)
	                                    : 0;
	scratch->numbers.first = 1;
	scratch->numbers.count = 0;
	bpf_loop(TABLE_WORDS_MAX, table_step_word, &walk, 0);
	if (walk.failed || table_send_chunk(scratch, 1))
		__sync_fetch_and_or(&process->lost_fds, scratch->numbers.lost_fds);
	walk_scratch_return(scratch);
	return 0;
}

#endif
