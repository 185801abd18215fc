/*
 * Stacks that are told to be what an earlier one was, without unwinding them (unwind_memo.h). A memo is for
 * all processes; that a process has the same code at the place where the stack points to is looked up as for
 * any native address.
 */
#ifndef LEFTOPEN_BPF_UNWIND_MEMO_H
#define LEFTOPEN_BPF_UNWIND_MEMO_H

#include "unwind.bpf.h"
#include "unwind_memo.h"

struct memo_place {
	u64 version; /* odd: it is being written */
	struct unwind_memo memo;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, UNWIND_MEMOS);
	__type(key, u32);
	__type(value, struct memo_place);
} unwind_memos __weak SEC(".maps");

/* Keys of memos that may be of one stack: side by side, as most are not. A hint: the memo has it too. */
struct memo_set {
	u64 keys[UNWIND_MEMO_WAYS];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, UNWIND_MEMOS / UNWIND_MEMO_WAYS);
	__type(key, u32);
	__type(value, struct memo_set);
} memo_sets __weak SEC(".maps");

/* What is copied of a stack at once: a read of 2 KiB costs less than two small ones. */
#define MEMO_BLOCK_BYTES 2048
#define MEMO_BLOCKS      (UNWIND_MEMO_STACK_BYTES / MEMO_BLOCK_BYTES)

struct memo_scratch {
	struct unwind_recording recording;
	u64 bases[UNWIND_MEMO_BASES];
	u32 copied; /* bytes of the stack that are in words */
	u32 reserved;
	u64 words[UNWIND_MEMO_STACK_WORDS];
	/* What a memo said, where that is checked. */
	u64 told_stack;
	u32 told_frames;
	u32 told;
};

/* One for each of capture_scratch. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, CAPTURE_SCRATCHES_PREEMPTIBLE);
	__type(key, u32);
	__type(value, struct memo_scratch);
} memo_scratch __weak SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct memo_counts);
} memo_counts __weak SEC(".maps");

static __always_inline struct memo_scratch *memo_scratch_get(const struct capture_scratch *scratch)
{
	u32 index = scratch->index;

	return bpf_map_lookup_elem(&memo_scratch, &index);
}

static __always_inline void memo_count(bool recalled, bool wrong)
{
	u32 zero = 0;
	struct memo_counts *counts = bpf_map_lookup_elem(&memo_counts, &zero);

	if (!counts)
		return;
	counts->recalled += recalled;
	counts->unwound += !recalled;
	counts->wrong += wrong;
}

/* The same depth of the same program has the same distance from where its stack begins: a thread's from its
 * thread-local data. */
static __always_inline u64 memo_key(const struct unwind_registers *registers)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct mm_struct *mm = task->mm;
	u64 begin = task->pid == task->tgid && mm ? BPF_CORE_READ(mm, start_stack) : task->thread.fsbase;

	/* 0 is kept for a place where there is none. */
	return hash_mix(hash_mix(begin - registers->sp, registers->ip & 0xfff), registers->sp & 0xf) | 1;
}

/* Copies the stack up to so many bytes from its top. @return whether they are there */
static __always_inline bool memo_copy(struct memo_scratch *memos, u64 top, u32 bytes)
{
	for (u32 i = 0; i < MEMO_BLOCKS; i++) {
		u32 at = i * MEMO_BLOCK_BYTES, count;

		if (at >= bytes)
			break;
		count = bounded_bytes(bytes - at, MEMO_BLOCK_BYTES);
		if (at + count <= memos->copied)
			continue;
		if (bpf_probe_read_user((void *)memos->words + at, count, (void *)(top + at)))
			return false;
		memos->copied = at + count;
	}
	return true;
}

/* Finds where this process has a module. @return whether it has the same code there */
static __always_inline bool memo_find_module(struct capture_scratch *scratch, struct memo_scratch *memos,
                                             const struct unwind_memo *memo, u32 number)
{
	const struct unwind_memo_module *module = &memo->modules[number];
	const struct native_position *found = &scratch->found;
	u64 address = scratch->unwind.registers.ip, base;
	u32 anchor = module->anchor, word;

	if (anchor != UNWIND_MEMO_NO_SLOT) {
		word = memo->slots[anchor & (UNWIND_MEMO_SLOTS - 1)].word;
		/* What returns is looked up by the call, which is before it. */
		address = memos->words[word & (UNWIND_MEMO_STACK_WORDS - 1)] - 1;
	}
	if (!native_remember(address) || !unwind_memo_is_same(&found->file, &module->file))
		return false;
	base = address - found->position;
	memos->bases[number] = base;
	return base + module->first >= found->start && base + module->last < found->end;
}

static __always_inline bool memo_is_here(struct capture_scratch *scratch, struct memo_scratch *memos,
                                         const struct unwind_memo *memo)
{
	const struct unwind_registers *registers = &scratch->unwind.registers;

	if (memo->uses_bp && registers->bp - registers->sp != memo->bp)
		return false;
	if (!memo_copy(memos, registers->sp, memo->stack_bytes))
		return false;
	for (u32 i = 0; i < UNWIND_MEMO_MODULES; i++) {
		if (i >= memo->module_count)
			break;
		if (!memo_find_module(scratch, memos, memo, i))
			return false;
	}
	memos->bases[UNWIND_MEMO_STACK] = registers->sp;
	memos->bases[UNWIND_MEMO_ZERO] = 0;
	return memos->bases[0] + memo->position == registers->ip &&
	       (config_memo == MEMO_BLIND || unwind_memo_is_of(memo, memos->words, memos->bases));
}

/* Compares the stack with one memo. @return whether it is the same: it is then told */
__weak __noinline int memo_try(u32 place)
{
	struct capture_scratch *scratch = capture_scratch_get();
	struct memo_scratch *memos = scratch ? memo_scratch_get(scratch) : NULL;
	struct memo_place *at = bpf_map_lookup_elem(&unwind_memos, &place);
	u64 version;

	if (!memos || !at || at->memo.key != memos->recording.memo.key)
		return 0;
	version = at->version;
	asm volatile("" ::: "memory");
	if (version & 1 || !memo_is_here(scratch, memos, &at->memo))
		return 0;
	memos->told_stack = at->memo.stack;
	memos->told_frames = at->memo.frames;
	asm volatile("" ::: "memory");
	return at->version == version;
}

static __always_inline u32 memo_set_of(u64 key)
{
	return (key >> 20) % (UNWIND_MEMOS / UNWIND_MEMO_WAYS);
}

/* @return whether the stack is known: its id so far and the number of its frames are then in the scratch, but
 * not the frames */
static __always_inline bool memo_recall(struct capture_scratch *scratch, struct memo_scratch *memos)
{
	u64 key = memo_key(&scratch->unwind.registers);
	u32 number = memo_set_of(key);
	struct memo_set *set = bpf_map_lookup_elem(&memo_sets, &number);

	memos->recording.memo.key = key;
	memos->copied = 0;
	memos->told = 0;
	for (u32 way = 0; set && way < UNWIND_MEMO_WAYS; way++) {
		if (set->keys[way] != key || !memo_try(number * UNWIND_MEMO_WAYS + way))
			continue;
		memos->told = 1;
		if (config_memo != MEMO_USE)
			return false;
		memo_count(true, false);
		scratch->stack.id = memos->told_stack;
		scratch->stack.count = memos->told_frames;
		return true;
	}
	return false;
}

/* @return whether a memo of this stack is there, which no longer tells it */
static __always_inline bool memo_is_stale(u32 place, const struct unwind_memo *memo)
{
	const struct memo_place *at = bpf_map_lookup_elem(&unwind_memos, &place);

	return at && at->memo.stack == memo->stack;
}

/* @return the way of this stack, else one that is empty, else any */
static __always_inline u32 memo_choose_way(const struct memo_set *set, u32 number,
                                           const struct unwind_memo *memo)
{
	u32 chosen = (memo->stack >> 32) % UNWIND_MEMO_WAYS;

	for (u32 way = 0; way < UNWIND_MEMO_WAYS; way++) {
		if (set->keys[way] == memo->key && memo_is_stale(number * UNWIND_MEMO_WAYS + way, memo))
			return way;
		if (!set->keys[way])
			chosen = way;
	}
	return chosen;
}

static __always_inline void memo_store(const struct unwind_memo *memo)
{
	u32 number = memo_set_of(memo->key), way, place;
	struct memo_set *set = bpf_map_lookup_elem(&memo_sets, &number);
	struct memo_place *at;
	u64 version;

	if (!set)
		return;
	way = memo_choose_way(set, number, memo);
	place = number * UNWIND_MEMO_WAYS + way;
	at = bpf_map_lookup_elem(&unwind_memos, &place);
	if (!at)
		return;
	version = at->version;
	/* Another CPU writes it. */
	if (version & 1 || __sync_val_compare_and_swap(&at->version, version, version + 1) != version)
		return;
	bpf_probe_read_kernel(&at->memo, sizeof(at->memo), memo);
	set->keys[way & (UNWIND_MEMO_WAYS - 1)] = memo->key;
	__sync_lock_test_and_set(&at->version, version + 2);
}

/* Keeps what was recorded of a stack that was unwound to its end; where it was told too, that is checked. */
static __always_inline void memo_finish(struct capture_scratch *scratch, struct memo_scratch *memos)
{
	struct unwind_memo *memo = &memos->recording.memo;

	/* A stack that cannot be looked up just then says nothing. */
	bool wrong = memos->told && scratch->stack.end != STACK_END_BUSY &&
	             (scratch->stack.end != STACK_END_COMPLETE || memos->told_stack != scratch->stack.id ||
	              memos->told_frames != scratch->stack.count);

	if (memos->told)
		memo_count(true, wrong);
	memo_count(false, false);
	if (scratch->stack.end != STACK_END_COMPLETE || memos->recording.unfit || memos->told)
		return;
	memo->stack = scratch->stack.id;
	memo_store(memo);
}

#endif
