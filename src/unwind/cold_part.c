/*
 * The part of a function that lies elsewhere. See cold_part.h.
 */
#include "unwind/cold_part.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "unwind/eh_frame.h"

/* x86-64: e9 rel32, and 0f 80 to 0f 8f rel32. */
#define JUMP_BYTES             5
#define CONDITIONAL_JUMP_BYTES 6

/* Where the CFA is from rsp when a function was just called. */
#define ENTRY_CFA_OFFSET 8

struct targets {
	uint64_t *vaddrs; /* ascending */
	size_t count;
};

static int vaddr_compare(const void *left, const void *right)
{
	uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;

	return (a > b) - (a < b);
}

/* @return the bytes of the jump that may begin there, or 0 */
static size_t jump_bytes(const uint8_t *code, size_t rest)
{
	if (rest >= JUMP_BYTES && code[0] == 0xe9)
		return JUMP_BYTES;
	if (rest >= CONDITIONAL_JUMP_BYTES && code[0] == 0x0f && (code[1] & 0xf0) == 0x80)
		return CONDITIONAL_JUMP_BYTES;
	return 0;
}

/* Where jumps out of the function go to. Instructions are not told apart, so some are none. */
static int targets_make(struct targets *targets, const uint8_t *code, size_t bytes, uint64_t vaddr)
{
	targets->count = 0;
	targets->vaddrs = calloc(bytes + 1, sizeof(*targets->vaddrs));
	if (!targets->vaddrs)
		return -ENOMEM;
	for (size_t i = 0; i < bytes; i++) {
		size_t length = jump_bytes(code + i, bytes - i);
		uint64_t target = vaddr + i + length;
		int32_t distance;

		if (!length)
			continue;
		memcpy(&distance, code + i + length - sizeof(distance), sizeof(distance));
		target += (uint64_t)(int64_t)distance;
		if (target - vaddr >= bytes)
			targets->vaddrs[targets->count++] = target;
	}
	qsort(targets->vaddrs, targets->count, sizeof(*targets->vaddrs), vaddr_compare);
	return 0;
}

/* @return how many are below the address */
static size_t targets_below(const struct targets *targets, uint64_t vaddr)
{
	size_t low = 0, high = targets->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (targets->vaddrs[middle] < vaddr)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Of the first row alone: has it another frame than the one that a call makes? */
static int row_is_framed(void *context, uint64_t vaddr, const struct cfi_state *state)
{
	(void)vaddr;
	*(bool *)context = state && state->cfa.kind == CFI_CFA_REGISTER &&
	                   (state->cfa.register_number != CFI_RSP || state->cfa.offset != ENTRY_CFA_OFFSET);
	return -ECANCELED;
}

int cold_part_find(const struct eh_frame *frame, const uint8_t *code, size_t bytes, uint64_t vaddr,
                   uint64_t *ret_start, uint64_t *ret_bytes)
{
	size_t most = COLD_PART_JUMPS_MIN - 1;
	struct targets targets;
	int error = targets_make(&targets, code, bytes, vaddr);

	if (error)
		return error;
	error = -ENOENT;
	for (size_t i = 0; i < frame->function_count; i++) {
		const struct eh_function *function = &frame->functions[i];
		size_t jumps =
		        targets_below(&targets, function->end) - targets_below(&targets, function->start);
		bool is_framed = false;

		if (jumps <= most)
			continue;
		(void)eh_frame_run(frame, function, row_is_framed, &is_framed);
		if (!is_framed)
			continue;
		most = jumps;
		*ret_start = function->start;
		*ret_bytes = function->end - function->start;
		error = 0;
	}
	free(targets.vaddrs);
	return error;
}
