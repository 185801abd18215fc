/*
 * What a stack was unwound from, so that another can be told to be the same without unwinding it
 * (facts: memoised unwinding). A stack is a function of the registers that it begins with, of the words of
 * the stack that were read on the way, and of the code that lies where those point to. A memo has them
 * all, each less what differs from process to process: where a file's code is mapped, and where the stack is.
 * The same source runs in the kernel (bpf/unwind_memo.bpf.h) and in tests.
 */
#ifndef LEFTOPEN_UNWIND_MEMO_H
#define LEFTOPEN_UNWIND_MEMO_H

#include "event_abi.h"
#include "unwind_abi.h"
#include "unwind_step.h"

/* Chosen by: 22 frames of C have 30 to 45 words; a power of two. */
#define UNWIND_MEMO_SLOTS 128
/* Chosen by: the program, libc, and of a language with extension modules three more. */
#define UNWIND_MEMO_MODULES 6
/* How much of a stack is looked at, from its top; a power of two. */
#define UNWIND_MEMO_STACK_BYTES 16384
#define UNWIND_MEMO_STACK_WORDS (UNWIND_MEMO_STACK_BYTES / UNWIND_WORD)

/* What a word is told from: a module's number, or one of these. */
enum unwind_memo_base {
	UNWIND_MEMO_STACK = UNWIND_MEMO_MODULES, /* where the stack's top is */
	UNWIND_MEMO_ZERO,                        /* nothing */
	UNWIND_MEMO_BASES
};

struct unwind_memo_slot {
	__u16 word; /* from the stack's top on */
	__u8 base;
	__u8 reserved;
	__u32 value; /* less its base */
};

/* Code of one mapping. Offsets are in the file. */
struct unwind_memo_module {
	struct file_key file;
	__u32 first, last; /* of the code that was looked up; last is at least first */
	__u16 anchor;      /* number of the slot that leads into it; of module 0 it is the first register */
	__u16 reserved;
	__u32 reserved2;
};

struct unwind_memo {
	__u64 key;   /* what it is found by; not compared otherwise */
	__u64 stack; /* what the caller makes of the frames */
	__u16 frames;
	__u16 slot_count;
	__u16 stack_bytes; /* so much of the stack is looked at */
	__u8 module_count;
	__u8 uses_bp;
	__u32 position; /* of the first instruction, in module 0 */
	__u32 bp;       /* less the stack's top */
	struct unwind_memo_module modules[UNWIND_MEMO_MODULES];
	struct unwind_memo_slot slots[UNWIND_MEMO_SLOTS];
};

#define UNWIND_MEMO_NO_SLOT 0xffff

/* Where rbp is from. */
enum unwind_memo_bp {
	UNWIND_MEMO_BP_REGISTER = 0, /* what it was at first */
	UNWIND_MEMO_BP_READ,         /* from the stack, which matters only once it is used */
	UNWIND_MEMO_BP_NOTED,
};

/* A memo that is being made. */
struct unwind_recording {
	struct unwind_memo memo;
	__u64 top; /* of the stack */
	__u64 bp_address;
	__u64 starts[UNWIND_MEMO_MODULES]; /* of the mappings */
	__u32 bp_from;                     /* enum unwind_memo_bp */
	__u32 unfit;                       /* 1: it has something that a memo cannot have */
	__u32 returned;                    /* number of the slot that holds the address of the frame */
	__u32 reserved;
};

UNWIND_INLINE void unwind_memo_begin(struct unwind_recording *recording,
                                     const struct unwind_registers *registers)
{
	recording->memo.frames = 0;
	recording->memo.slot_count = 0;
	recording->memo.stack_bytes = 0;
	recording->memo.module_count = 0;
	recording->memo.uses_bp = 0;
	recording->memo.bp = 0;
	recording->top = registers->sp;
	recording->bp_from = UNWIND_MEMO_BP_REGISTER;
	recording->unfit = 0;
	recording->returned = UNWIND_MEMO_NO_SLOT;
}

/* Notes a word of the stack that was read. */
UNWIND_INLINE void unwind_memo_note(struct unwind_recording *recording, __u64 address, __u32 base,
                                    __u64 value)
{
	struct unwind_memo *memo = &recording->memo;
	__u64 distance = address - recording->top;
	__u32 at = memo->slot_count;
	struct unwind_memo_slot *slot;

	if (distance >= UNWIND_MEMO_STACK_BYTES || distance % UNWIND_WORD || at >= UNWIND_MEMO_SLOTS ||
	    value >> 32) {
		recording->unfit = 1;
		return;
	}
	memo->slot_count = at + 1;
	if (distance + UNWIND_WORD > memo->stack_bytes)
		memo->stack_bytes = distance + UNWIND_WORD;
	asm volatile("" : "+r"(at));
	slot = &memo->slots[at & (UNWIND_MEMO_SLOTS - 1)];
	slot->word = distance / UNWIND_WORD;
	slot->base = base;
	slot->reserved = 0;
	slot->value = value;
}

/* Notes that rbp is used: where the caller's frame is depends on it. */
UNWIND_INLINE void unwind_memo_note_bp(struct unwind_recording *recording,
                                       const struct unwind_registers *registers)
{
	__u64 distance = registers->bp - recording->top;

	if (recording->bp_from == UNWIND_MEMO_BP_READ) {
		unwind_memo_note(recording, recording->bp_address, UNWIND_MEMO_STACK, distance);
	} else if (recording->bp_from == UNWIND_MEMO_BP_REGISTER) {
		recording->memo.uses_bp = 1;
		recording->memo.bp = distance;
		recording->unfit |= distance >> 32 != 0;
	}
	recording->bp_from = UNWIND_MEMO_BP_NOTED;
}

/* Notes what a step has read. */
UNWIND_INLINE void unwind_memo_note_part(struct unwind_recording *recording, __u64 address,
                                         const __u64 *words, enum unwind_part part)
{
	switch (part) {
	case UNWIND_PART_RETURN:
		/* What it is told from is known once its frame is looked up. */
		recording->returned = recording->memo.slot_count;
		unwind_memo_note(recording, address, UNWIND_MEMO_ZERO, 0);
		break;
	case UNWIND_PART_BP:
		recording->bp_address = address;
		recording->bp_from = UNWIND_MEMO_BP_READ;
		break;
	case UNWIND_PART_CFA:
		unwind_memo_note(recording, address, UNWIND_MEMO_STACK, *words - recording->top);
		break;
	case UNWIND_PART_SIGNAL:
		unwind_memo_note(recording, address + UNWIND_SIGNAL_SP * UNWIND_WORD, UNWIND_MEMO_STACK,
		                 words[UNWIND_SIGNAL_SP] - recording->top);
		recording->returned = recording->memo.slot_count;
		unwind_memo_note(recording, address + UNWIND_SIGNAL_IP * UNWIND_WORD, UNWIND_MEMO_ZERO, 0);
		recording->bp_address = address + UNWIND_SIGNAL_BP * UNWIND_WORD;
		recording->bp_from = UNWIND_MEMO_BP_READ;
		break;
	case UNWIND_PART_FRAME:
		/* Without a row it is a guess; a table may come. */
		recording->unfit = 1;
		break;
	}
}

UNWIND_INLINE int unwind_memo_is_same(const struct file_key *a, const struct file_key *b)
{
	return a->inode == b->inode && a->device == b->device && a->generation == b->generation;
}

/* @return the number of the module whose mapping begins there, which is new where there was none; of too many
 * any */
UNWIND_INLINE __u32 unwind_memo_module(struct unwind_recording *recording, __u64 start,
                                       const struct file_key *file, __u32 position)
{
	struct unwind_memo *memo = &recording->memo;
	__u32 at = memo->module_count;

	for (__u32 i = 0; i < UNWIND_MEMO_MODULES; i++)
		if (i < at && recording->starts[i] == start &&
		    unwind_memo_is_same(&memo->modules[i].file, file))
			return i;
	if (at >= UNWIND_MEMO_MODULES) {
		recording->unfit = 1;
		return 0;
	}
	memo->module_count = at + 1;
	recording->starts[at] = start;
	memo->modules[at] = (struct unwind_memo_module){
	        .file = *file, .first = position, .last = position, .anchor = recording->returned};
	return at;
}

/* Notes a frame: what code its address leads into.
 * @param registers the frame's
 * @param start of the mapping
 * @param delta an address there less its offset in the file */
UNWIND_INLINE void unwind_memo_note_frame(struct unwind_recording *recording,
                                          const struct unwind_registers *registers, __u64 start, __u64 delta,
                                          const struct file_key *file)
{
	__u64 position = registers->ip - delta, called = position - registers->is_return;
	__u32 module, slot = recording->returned;
	struct unwind_memo_module *its;

	recording->memo.frames++;
	if (!file->inode || position >> 32 || !position) {
		recording->unfit = 1;
		return;
	}
	module = unwind_memo_module(recording, start, file, called);
	asm volatile("" : "+r"(module));
	its = &recording->memo.modules[module < UNWIND_MEMO_MODULES ? module : 0];
	if (called < its->first)
		its->first = called;
	if (called > its->last)
		its->last = called;
	if (slot == UNWIND_MEMO_NO_SLOT) {
		recording->memo.position = position;
		return;
	}
	asm volatile("" : "+r"(slot));
	recording->memo.slots[slot & (UNWIND_MEMO_SLOTS - 1)].base = module;
	recording->memo.slots[slot & (UNWIND_MEMO_SLOTS - 1)].value = position;
}

/* Compares the words of a stack.
 * @param words UNWIND_MEMO_STACK_WORDS, from its top on
 * @param bases UNWIND_MEMO_BASES: where its modules are, an address less the offset in the file; its top; 0
 * @return whether they are as they were */
UNWIND_INLINE int unwind_memo_is_of(const struct unwind_memo *memo, const __u64 *words, const __u64 *bases)
{
	__u64 differences = 0;

	for (__u32 i = 0; i < UNWIND_MEMO_SLOTS; i++) {
		const struct unwind_memo_slot *slot = &memo->slots[i];

		if (i >= memo->slot_count)
			break;
		differences |= words[slot->word & (UNWIND_MEMO_STACK_WORDS - 1)] ^
		               (bases[slot->base & (UNWIND_MEMO_BASES - 1)] + slot->value);
	}
	return !differences;
}

_Static_assert((UNWIND_MEMO_BASES & (UNWIND_MEMO_BASES - 1)) == 0, "bases are masked");
_Static_assert(sizeof(struct unwind_memo_slot) == 8, "a memo's bytes");

#endif
