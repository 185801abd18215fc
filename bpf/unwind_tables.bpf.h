/*
 * Native stacks by unwind tables: from each frame to its caller as .eh_frame says. All that is read of the
 * process is its own to fill, so each read is checked and each loop bounded.
 */
#ifndef LEFTOPEN_BPF_UNWIND_TABLES_H
#define LEFTOPEN_BPF_UNWIND_TABLES_H

#include "unwind.bpf.h"
#include "unwind_memo.bpf.h"
#include "unwind_step.h"

struct table_memory {
	struct native_unwind *unwind;
	struct unwind_recording *recording; /* NULL: memos are off */
};

/* Copies words of the stack; single ones by way of a larger copy, as the next ones are near. */
static __always_inline int unwind_copy(struct native_unwind *unwind, __u64 address, __u64 *to, __u32 words)
{
	u64 distance = address - unwind->block_address;

	if (words != 1)
		return bpf_probe_read_user(to, words * sizeof(u64), (void *)address);
	if (distance >= sizeof(unwind->block) || distance % sizeof(u64)) {
		unwind->block_address = address;
		distance = 0;
		/* Where the stack ends less is there. */
		if (bpf_probe_read_user(unwind->block, sizeof(unwind->block), (void *)address)) {
			unwind->block_address = 0;
			return bpf_probe_read_user(to, sizeof(u64), (void *)address);
		}
	}
	distance /= sizeof(u64);
	asm volatile("" : "+r"(distance));
	*to = unwind->block[distance & (UNWIND_BLOCK_WORDS - 1)];
	return 0;
}

static __always_inline int unwind_read(void *memory, __u64 address, __u64 *to, __u32 words,
                                       enum unwind_part part)
{
	const struct table_memory *of = memory;

	if (unwind_copy(of->unwind, address, to, words))
		return -1;
	if (of->recording)
		unwind_memo_note_part(of->recording, address, to, part);
	return 0;
}

/* @return where the file's rows lie, or NULL. They stay there for as long as this program runs: leftopen
 * waits for that (load/unwind_shards.c). */
static __always_inline const struct unwind_file *unwind_find_file(const struct file_key *key)
{
	u32 first = unwind_file_first_place(key);

	for (u32 i = 0; i < UNWIND_FILE_WAYS; i++) {
		u32 at = first + i;
		struct unwind_file_place *place = bpf_map_lookup_elem(&unwind_files, &at);

		if (!place || !*(volatile u32 *)&place->filled)
			continue;
		asm volatile("" ::: "memory");
		if (place->key.inode != key->inode || place->key.device != key->device ||
		    place->key.generation != key->generation)
			continue;
		if (!place->used)
			place->used = 1;
		return &place->table;
	}
	return NULL;
}

/* Looks a range of code up among the mappings, into the place of the one that was found first.
 * @return enum stack_end: STACK_END_COMPLETE where it was found */
__weak __noinline int unwind_find_range(u64 address)
{
	struct capture_scratch *scratch = capture_scratch_get();
	const struct unwind_file *table;
	struct unwind_range *range;
	struct mapped_at at = {};
	long error;
	u32 place;

	if (!scratch)
		return STACK_END_FAULT;
	error = vma_find(scratch, address, &at);
	if (error)
		return error == -VMA_EBUSY ? STACK_END_BUSY : STACK_END_NO_CODE;
	if (!(at.flags & VM_EXEC))
		return STACK_END_NO_CODE;
	place = scratch->unwind.ranges_made++;
	asm volatile("" : "+r"(place));
	place &= UNWIND_RANGES - 1;
	range = &scratch->unwind.ranges[place];
	range->start = at.start;
	range->end = at.end;
	range->delta = 0;
	range->table.count = 0;
	(void)code_file_tell(scratch, &at, &range->file);
	if (range->file.inode) {
		range->delta = at.start - (at.page_offset << UNWIND_PAGE_SHIFT);
		table = unwind_find_file(&range->file);
		if (table)
			range->table = *table;
	}
	scratch->unwind.range = place;
	return STACK_END_COMPLETE;
}

/* @return the row that holds at an offset, as it lies in memory; one of UNWIND_GAP where there is none */
__weak __noinline u64 unwind_find_row(u32 shard, u32 first, u32 count, u32 offset)
{
	void *rows = bpf_map_lookup_elem(&unwind_shards, &shard);
	u32 end = first + count;
	struct unwind_row *row;

	if (!rows || !count)
		return 0;
	for (u32 i = 0; i <= UNWIND_SHARD_ROWS_LOG2 && first + 1 < end; i++) {
		u32 middle = first + (end - first) / 2;

		row = bpf_map_lookup_elem(rows, &middle);
		if (!row)
			return 0;
		if (row->file_offset <= offset)
			first = middle;
		else
			end = middle;
	}
	row = bpf_map_lookup_elem(rows, &first);
	return row && row->file_offset <= offset ? *(u64 *)row : 0;
}

static __always_inline bool unwind_is_in(const struct unwind_range *range, u64 address)
{
	return address >= range->start && address < range->end;
}

/* @return enum stack_end: STACK_END_COMPLETE where it is known */
static __always_inline u32 unwind_take_range(struct capture_scratch *scratch, u64 address)
{
	struct native_unwind *unwind = &scratch->unwind;

	for (u32 i = 0; i < UNWIND_RANGES; i++) {
		if (unwind_is_in(&unwind->ranges[i], address)) {
			*(volatile u32 *)&unwind->range = i;
			return STACK_END_COMPLETE;
		}
	}
	return unwind_find_range(address);
}

/* Chosen by: a build begins some hundred programs a second, and each copy takes some 30 us and 20 KiB of a
 * ring. */
#define COPIES_PERIOD_NS 100000000ULL
#define COPIES_A_PERIOD  100
/* Chosen by: a smaller ring would be full of them. */
#define COPIES_RING_BYTES_MIN (1 << 20)

/* @return whether the table of a frame's file is still to come, and the stack may be copied meanwhile */
static __always_inline bool unwind_wants_copy(const struct unwind_range *range)
{
	struct file_key key = range->file;
	u64 now_ns;
	u8 *sent;

	if (range->table.count || !key.inode || config_ring_bytes < COPIES_RING_BYTES_MIN)
		return false;
	sent = bpf_map_lookup_elem(&files_sent, &key);
	/* It has none. */
	if (sent && *sent == FILE_SENT_LEARNT)
		return false;
	now_ns = bpf_ktime_get_ns();
	if (now_ns - copies_since_ns > COPIES_PERIOD_NS) {
		copies_since_ns = now_ns;
		copies_taken = 0;
	}
	return __sync_fetch_and_add(&copies_taken, 1) < COPIES_A_PERIOD;
}

struct table_walk {
	struct capture_scratch *scratch;
	struct memo_scratch *memos; /* NULL: they are off */
};

static long unwind_frame(u32 index, struct table_walk *walk)
{
	struct capture_scratch *scratch = walk->scratch;
	struct native_unwind *unwind = &scratch->unwind;
	struct table_memory memory = {.unwind = unwind,
	                              .recording = walk->memos ? &walk->memos->recording : NULL};
	u64 ip = unwind->registers.ip, at = ip - unwind->registers.is_return, row;
	struct unwind_range *range;
	u32 place, end;
	int outcome;

	end = unwind_take_range(scratch, at);
	if (end) {
		scratch->stack.end = end;
		return 1;
	}
	place = *(volatile u32 *)&unwind->range;
	asm volatile("" : "+r"(place));
	range = &unwind->ranges[place & (UNWIND_RANGES - 1)];
	if (stack_push(scratch, &range->file, ip - range->delta, unwind->is_guess ? FRAME_GUESSED : 0))
		return 1;
	if (memory.recording)
		unwind_memo_note_frame(memory.recording, &unwind->registers, range->start, range->delta,
		                       &range->file);
	row = unwind_find_row(range->table.shard, range->table.first, range->table.count, at - range->delta);
	*(volatile u64 *)&unwind->row = row;
	if (memory.recording && unwind_row_uses_bp(&unwind->row))
		unwind_memo_note_bp(memory.recording, &unwind->registers);
	/* Of rbx a memo knows nothing. */
	if (memory.recording && (unwind->row.rule & UNWIND_RULE_MASK) == UNWIND_RBX)
		memory.recording->unfit = 1;
	outcome = unwind_step(unwind_read, &memory, &unwind->registers, &unwind->row);
	if (outcome == UNWIND_NO_ROW && !unwind->is_guess && unwind_wants_copy(range)) {
		scratch->copy_wanted = 1;
		scratch->stack.end = STACK_END_NO_TABLE;
		return 1;
	}
	if (outcome == UNWIND_NO_ROW) {
		outcome = unwind_step_frame_pointer(unwind_read, &memory, &unwind->registers);
		unwind->is_guess |= !outcome;
	}
	if (!outcome)
		return 0;
	/* Code that is from no file has no table to wait for. */
	scratch->stack.end = unwind_stack_end(outcome, range->table.count || !range->file.inode);
	if (!scratch->stack.end && unwind->is_guess)
		scratch->stack.end = STACK_END_FRAME_POINTERS;
	return 1;
}

/* Unwinds the current thread from the registers that its call saved; why its frames end is in the scratch,
 * and the frames are where it was not told by a memo (scratch->is_recalled). */
static __always_inline void unwind_by_tables(struct capture_scratch *scratch, const struct pt_regs *registers)
{
	struct table_walk walk = {.scratch = scratch};
	struct native_unwind *unwind = &scratch->unwind;

	unwind->registers.ip = registers->ip;
	unwind->registers.sp = registers->sp;
	unwind->registers.bp = registers->bp;
	unwind->registers.bx = registers->bx;
	unwind->registers.is_return = 0;
	unwind->registers.bx_is_saved = 0;
	if (config_memo != MEMO_OFF)
		walk.memos = memo_scratch_get(scratch);
	if (walk.memos && !scratch->frames_wanted && memo_recall(scratch, walk.memos)) {
		scratch->is_recalled = 1;
		return;
	}
	if (walk.memos)
		unwind_memo_begin(&walk.memos->recording, &unwind->registers);
	unwind->is_guess = 0;
	unwind->ranges_made = 0;
	unwind->block_address = 0;
	for (u32 i = 0; i < UNWIND_RANGES; i++)
		unwind->ranges[i].end = 0;
	bpf_loop(STACK_FRAMES_MAX + 1, unwind_frame, &walk, 0);
	if (walk.memos)
		memo_finish(scratch, walk.memos);
}

#endif
