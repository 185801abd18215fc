/*
 * Tables by which stacks are unwound without frame pointers, agreed between src/unwind/, which makes them of
 * .eh_frame, and bpf/unwind_native.bpf.c, which reads them at each frame. x86-64, whose registers 6 (rbp), 7
 * (rsp), 3 (rbx) and 16 (the return address) they are about.
 */
#ifndef LEFTOPEN_UNWIND_ABI_H
#define LEFTOPEN_UNWIND_ABI_H

#include "event_abi.h"

/* How the caller's stack pointer (CFA) is found; cfa is in words of 8 bytes. The return address is in the
 * word below it. */
enum unwind_rule {
	UNWIND_GAP = 0,   /* no function that .eh_frame has is here */
	UNWIND_RSP,       /* rsp + cfa */
	UNWIND_RBP,       /* rbp + cfa */
	UNWIND_RBX,       /* rbx + cfa: the loader as it binds lazily */
	UNWIND_PLT,       /* rsp + 1 word, and one more where the address modulo 16 is at least cfa (bytes) */
	UNWIND_DEREF_RSP, /* what is at rsp + UNWIND_DEREF_AT(cfa), and UNWIND_DEREF_ADDED(cfa) */
	UNWIND_DEREF_RBP, /* the same by rbp */
	UNWIND_RSP_FAR,   /* rsp + (cfa, 16 bits unsigned, and UNWIND_FAR_BITS of rbp above them); the upper
	                     bits of rbp are the place of rbp, as those of rule are the place of rbx */
	UNWIND_SIGNAL,    /* a signal's frame: arch/x86/include/asm/sigframe.h, struct rt_sigframe */
	UNWIND_END,       /* nothing called this */
	UNWIND_UNSUPPORTED, /* .eh_frame says something that is none of these */
	UNWIND_RULE_COUNT
};

#define UNWIND_RULE_MASK 0x0f
/* The caller's rbp is at rbp + rbp words, and not at CFA + rbp words. Never with UNWIND_RSP_FAR. */
#define UNWIND_RBP_BY_RBP 0x10
/* From here on, three bits of rule: where the caller's rbx is. Few callers need it, but the loader does as it
 * binds lazily. */
#define UNWIND_RBX_SHIFT 5
#define UNWIND_FAR_BITS  5

/* Where a register of the caller is, in three bits. A function pushes rbx as the last of six registers. */
#define UNWIND_PLACE_SAME 0 /* it is the caller's */
#define UNWIND_PLACE_LOST 7 /* it cannot be told */
/* Else it is at CFA + these words: -2 to -7. */
#define UNWIND_PLACE_WORDS(place) (-1 - (int)(place))

/* Of rbp, without UNWIND_RSP_FAR: what is no distance. */
#define UNWIND_RBP_SAME        0 /* it is the caller's; not so where UNWIND_RBP_BY_RBP is set */
#define UNWIND_RBP_UNDEFINED   126
#define UNWIND_RBP_UNSUPPORTED 127

/* In the cfa of UNWIND_DEREF_*, words both: where it is read, 12 bits signed, and what is added, 4 bits.
 * Compilers add none; libcrypto's assembler keeps the stack pointer less the return address, and at times
 * less what it pushed. */
#define UNWIND_DEREF_ADDED_MAX      15
#define UNWIND_DEREF_AT_MIN         (-2048)
#define UNWIND_DEREF_AT_MAX         2047
#define UNWIND_DEREF_CFA(at, added) ((__s16)((at) * (UNWIND_DEREF_ADDED_MAX + 1) + (added)))
#define UNWIND_DEREF_AT(cfa)        ((__s64)(cfa) >> 4)
#define UNWIND_DEREF_ADDED(cfa)     ((__u64)(cfa)&UNWIND_DEREF_ADDED_MAX)

/* Holds from its offset on, until the next row's. Rows are ascending, and no two beside each other are equal
 * but for the offset. */
struct unwind_row {
	__u32 file_offset;
	__s16 cfa;
	__s8 rbp;
	__u8 rule; /* enum unwind_rule, UNWIND_RBP_BY_RBP, the place of rbx */
};
EVENT_ASSERT_SIZE(struct unwind_row, 8);

/* Of a frame: what its caller's are made of. bp and bx are 0 where they cannot be told. */
struct unwind_registers {
	__u64 ip, sp, bp, bx;
	__u32 is_return;   /* ip is where a call returns to: the call itself is before it */
	__u32 bx_is_saved; /* bx is where rbx was saved: it is read only where it is needed */
};

/* Chosen by: as much of a stack as memos look at; most stacks lead into fewer mappings. */
#define STACK_COPY_WORDS  2048
#define STACK_COPY_RANGES 24

/* A mapping that a word of the stack points into. */
struct stack_copy_range {
	__u64 start, end;
	__u64 delta;          /* an address there less its offset in the file; 0: it is from no file */
	struct file_key file; /* inode 0: no file, or no code */
	__u64 is_code;
};

/* A stack's memory, where its native frames end for want of a table (STACK_END_NO_TABLE): sent before the
 * EVENT_STACK that has its number. */
struct event_stack_copy {
	struct event_header header;
	struct unwind_registers registers; /* of the last native frame */
	__u32 number;
	__u32 range_count;
	__u32 word_count;
	__u32 reserved;
	struct stack_copy_range ranges[STACK_COPY_RANGES];
	__u64 words[STACK_COPY_WORDS]; /* from registers.sp on */
};

#endif
