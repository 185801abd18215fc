/*
 * One step of unwinding: from a frame's registers and the row that holds at its address to the caller's
 * registers. The same source runs in the kernel (bpf/unwind_tables.bpf.h) and in tests.
 * System V ABI, AMD64 supplement, 3.6: of the registers that a caller needs back only rbp and rbx occur in
 * rows.
 */
#ifndef LEFTOPEN_UNWIND_STEP_H
#define LEFTOPEN_UNWIND_STEP_H

#include "unwind_abi.h"

/* What is read, as its address is made of registers and a row. */
enum unwind_part {
	UNWIND_PART_RETURN, /* the address to return to */
	UNWIND_PART_BP,     /* the caller's rbp */
	UNWIND_PART_CFA,
	UNWIND_PART_SIGNAL, /* UNWIND_SIGNAL_WORDS */
	UNWIND_PART_FRAME   /* rbp and the address to return to, by frame pointer */
};

/* Copies words of the process's memory. @return 0, or another number */
typedef int (*unwind_read_fn)(void *memory, __u64 address, __u64 *to, __u32 words, enum unwind_part part);

/* What a step comes to. */
enum unwind_outcome {
	UNWIND_STEPPED = 0,
	UNWIND_ENDED,       /* nothing called this frame */
	UNWIND_NO_ROW,      /* no table tells */
	UNWIND_NOT_KNOWN,   /* .eh_frame says what rows cannot */
	UNWIND_UNREADABLE,  /* the stack cannot be read */
	UNWIND_NO_PROGRESS, /* the caller's frame would not be above: the stack was overwritten, or the table
	                       is wrong */
};

#define UNWIND_WORD 8

/* arch/x86/include/asm/sigframe.h, struct rt_sigframe, from where rsp is at its restorer: members of
 * uc.uc_mcontext, from rbp to rip. */
#define UNWIND_SIGNAL_AT    120
#define UNWIND_SIGNAL_WORDS 7
enum { UNWIND_SIGNAL_BP = 0, UNWIND_SIGNAL_BX = 1, UNWIND_SIGNAL_SP = 5, UNWIND_SIGNAL_IP = 6 };

#define UNWIND_INLINE static inline __attribute__((always_inline))

UNWIND_INLINE int unwind_step_signal(unwind_read_fn read, void *memory, struct unwind_registers *registers)
{
	__u64 saved[UNWIND_SIGNAL_WORDS];

	if (read(memory, registers->sp + UNWIND_SIGNAL_AT, saved, UNWIND_SIGNAL_WORDS, UNWIND_PART_SIGNAL))
		return UNWIND_UNREADABLE;
	registers->bp = saved[UNWIND_SIGNAL_BP];
	registers->bx = saved[UNWIND_SIGNAL_BX];
	registers->sp = saved[UNWIND_SIGNAL_SP];
	registers->ip = saved[UNWIND_SIGNAL_IP];
	registers->is_return = 0;
	registers->bx_is_saved = 0;
	return UNWIND_STEPPED;
}

/* Steps by what rows do not have, where the code keeps frame pointers (JIT compilers). */
UNWIND_INLINE int unwind_step_frame_pointer(unwind_read_fn read, void *memory,
                                            struct unwind_registers *registers)
{
	__u64 frame[2];

	if (registers->bp < registers->sp || registers->bp % UNWIND_WORD ||
	    read(memory, registers->bp, frame, 2, UNWIND_PART_FRAME) || !frame[1])
		return UNWIND_NO_ROW;
	registers->sp = registers->bp + sizeof(frame);
	registers->bp = frame[0];
	registers->ip = frame[1];
	registers->is_return = 1;
	registers->bx = 0;
	registers->bx_is_saved = 0;
	return UNWIND_STEPPED;
}

/* Finds the CFA by a word of memory, not far from where a register points. */
UNWIND_INLINE int unwind_find_cfa_there(unwind_read_fn read, void *memory, __u64 pointer,
                                        const struct unwind_row *row, __u64 *ret_cfa)
{
	__u64 address = pointer + UNWIND_DEREF_AT(row->cfa) * UNWIND_WORD;

	if (read(memory, address, ret_cfa, 1, UNWIND_PART_CFA))
		return UNWIND_UNREADABLE;
	*ret_cfa += UNWIND_DEREF_ADDED(row->cfa) * UNWIND_WORD;
	return UNWIND_STEPPED;
}

/* @param ret_cfa the caller's stack pointer */
UNWIND_INLINE int unwind_find_cfa(unwind_read_fn read, void *memory, const struct unwind_registers *registers,
                                  const struct unwind_row *row, __u64 *ret_cfa)
{
	__s64 distance = (__s64)row->cfa * UNWIND_WORD;

	switch (row->rule & UNWIND_RULE_MASK) {
	case UNWIND_RSP:
		*ret_cfa = registers->sp + distance;
		return UNWIND_STEPPED;
	case UNWIND_RBP:
		*ret_cfa = registers->bp + distance;
		return UNWIND_STEPPED;
	case UNWIND_RBX:
		*ret_cfa = registers->bx;
		if (!*ret_cfa)
			return UNWIND_NOT_KNOWN;
		if (registers->bx_is_saved && read(memory, registers->bx, ret_cfa, 1, UNWIND_PART_CFA))
			return UNWIND_UNREADABLE;
		*ret_cfa += distance;
		return UNWIND_STEPPED;
	case UNWIND_PLT:
		*ret_cfa = registers->sp + UNWIND_WORD +
		           (registers->ip % 16 >= (__u16)row->cfa ? UNWIND_WORD : 0);
		return UNWIND_STEPPED;
	case UNWIND_RSP_FAR:
		*ret_cfa = registers->sp +
		           ((__u64)((__u8)row->rbp & ((1 << UNWIND_FAR_BITS) - 1)) << 16 | (__u16)row->cfa) *
		                   UNWIND_WORD;
		return UNWIND_STEPPED;
	case UNWIND_DEREF_RSP:
		return unwind_find_cfa_there(read, memory, registers->sp, row, ret_cfa);
	case UNWIND_DEREF_RBP:
		return unwind_find_cfa_there(read, memory, registers->bp, row, ret_cfa);
	case UNWIND_END:
		return UNWIND_ENDED;
	case UNWIND_GAP:
		return UNWIND_NO_ROW;
	default:
		return UNWIND_NOT_KNOWN;
	}
}

/* @return whether where the caller's frame is depends on this frame's rbp */
UNWIND_INLINE int unwind_row_uses_bp(const struct unwind_row *row)
{
	int rule = row->rule & UNWIND_RULE_MASK;

	return rule == UNWIND_RBP || rule == UNWIND_DEREF_RBP || row->rule & UNWIND_RBP_BY_RBP;
}

/* Restores the caller's rbp. @return whether it can be read, or is not needed */
UNWIND_INLINE int unwind_restore_bp(unwind_read_fn read, void *memory, struct unwind_registers *registers,
                                    const struct unwind_row *row, __u64 cfa)
{
	int by_rbp = row->rule & UNWIND_RBP_BY_RBP, rbp = row->rbp;
	__u64 from = by_rbp ? registers->bp : cfa;

	if ((row->rule & UNWIND_RULE_MASK) == UNWIND_RSP_FAR) {
		rbp = (__u8)rbp >> UNWIND_FAR_BITS;
		rbp = rbp == UNWIND_PLACE_SAME   ? UNWIND_RBP_SAME
		      : rbp == UNWIND_PLACE_LOST ? UNWIND_RBP_UNSUPPORTED
		                                 : UNWIND_PLACE_WORDS(rbp);
	}
	if (!by_rbp && rbp == UNWIND_RBP_SAME)
		return 1;
	if (!by_rbp && rbp >= UNWIND_RBP_UNDEFINED) {
		registers->bp = 0;
		return 1;
	}
	return !read(memory, from + (__s64)rbp * UNWIND_WORD, &registers->bp, 1, UNWIND_PART_BP);
}

/* Tells where the caller's rbx is. */
UNWIND_INLINE void unwind_restore_bx(struct unwind_registers *registers, const struct unwind_row *row,
                                     __u64 cfa)
{
	__u32 place = row->rule >> UNWIND_RBX_SHIFT;

	if (place == UNWIND_PLACE_SAME)
		return;
	registers->bx_is_saved = place != UNWIND_PLACE_LOST;
	registers->bx = registers->bx_is_saved ? cfa + (__s64)UNWIND_PLACE_WORDS(place) * UNWIND_WORD : 0;
}

/* @param has_table whether the frame's file has one, or none can be there
 * @return enum stack_end: why a stack ends with that outcome of its last step */
UNWIND_INLINE __u32 unwind_stack_end(int outcome, int has_table)
{
	switch (outcome) {
	case UNWIND_ENDED:
		return STACK_END_COMPLETE;
	case UNWIND_NO_ROW:
		return has_table ? STACK_END_NO_ROW : STACK_END_NO_TABLE;
	case UNWIND_UNREADABLE:
		return STACK_END_FAULT;
	default:
		return STACK_END_NOT_KNOWN;
	}
}

/* Steps to the caller. @return enum unwind_outcome; only UNWIND_STEPPED leaves registers to go on with */
UNWIND_INLINE int unwind_step(unwind_read_fn read, void *memory, struct unwind_registers *registers,
                              const struct unwind_row *row)
{
	__u64 cfa = 0;
	int outcome;

	if ((row->rule & UNWIND_RULE_MASK) == UNWIND_SIGNAL)
		return unwind_step_signal(read, memory, registers);
	outcome = unwind_find_cfa(read, memory, registers, row, &cfa);
	if (outcome)
		return outcome;
	if (cfa <= registers->sp)
		return UNWIND_NO_PROGRESS;
	if (read(memory, cfa - UNWIND_WORD, &registers->ip, 1, UNWIND_PART_RETURN) ||
	    !unwind_restore_bp(read, memory, registers, row, cfa))
		return UNWIND_UNREADABLE;
	unwind_restore_bx(registers, row, cfa);
	registers->sp = cfa;
	registers->is_return = 1;
	return registers->ip ? UNWIND_STEPPED : UNWIND_ENDED;
}

#endif
