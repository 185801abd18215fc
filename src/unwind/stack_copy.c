/*
 * Native frames from a copy of the stack. See stack_copy.h.
 * Inputs: words that a process has written as it liked; each address is looked for among what was copied.
 */
#include "unwind/stack_copy.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "stack_hash.h"
#include "unwind_step.h"

struct completion {
	const struct event_stack_copy *copy;
	stack_copy_rows_fn rows;
	void *context;
	struct event_stack *to;
	struct unwind_registers registers;
	bool is_guess;  /* a frame before was left by its frame pointer */
	bool has_image; /* a frame is of code from no file */
};

static int read_copy(void *memory, __u64 address, __u64 *to, __u32 words, enum unwind_part part)
{
	const struct event_stack_copy *copy = memory;
	uint64_t at = (address - copy->registers.sp) / UNWIND_WORD;

	(void)part;
	if (address < copy->registers.sp || address % UNWIND_WORD != copy->registers.sp % UNWIND_WORD ||
	    at >= copy->word_count || words > copy->word_count - at)
		return -1;
	memcpy(to, &copy->words[at], words * sizeof(*to));
	return 0;
}

static const struct stack_copy_range *find_range(const struct event_stack_copy *copy, uint64_t address)
{
	for (uint32_t i = 0; i < copy->range_count; i++)
		if (address >= copy->ranges[i].start && address < copy->ranges[i].end)
			return &copy->ranges[i];
	return NULL;
}

/* @return the row that holds at an offset; one of UNWIND_GAP where there is none */
static struct unwind_row find_row(const struct unwind_row *rows, size_t count, uint64_t offset)
{
	size_t first = 0, end = count;

	if (!count || rows[0].file_offset > offset)
		return (struct unwind_row){0};
	while (end - first > 1) {
		size_t middle = first + (end - first) / 2;

		if (rows[middle].file_offset <= offset)
			first = middle;
		else
			end = middle;
	}
	return rows[first];
}

/* Steps out of the frame that the registers are of. @return enum stack_end, or -1: they are the caller's */
static int step(struct completion *completion, const struct stack_copy_range *range)
{
	struct unwind_registers *registers = &completion->registers;
	size_t count = 0;
	const struct unwind_row *rows =
	        range->file.inode ? completion->rows(completion->context, &range->file, &count) : NULL;
	struct unwind_row row = find_row(rows, count, registers->ip - registers->is_return - range->delta);
	void *memory = (void *)completion->copy;
	int outcome = unwind_step(read_copy, memory, registers, &row);

	if (outcome == UNWIND_NO_ROW) {
		outcome = unwind_step_frame_pointer(read_copy, memory, registers);
		completion->is_guess |= !outcome;
	}
	if (!outcome)
		return -1;
	if (outcome == UNWIND_ENDED && completion->is_guess)
		return STACK_END_FRAME_POINTERS;
	/* Code that is from no file has no table to wait for. */
	return (int)unwind_stack_end(outcome, count > 0 || !range->file.inode);
}

/* @return whether there was room */
static bool put_native(struct completion *completion, const struct stack_copy_range *range)
{
	struct event_stack *to = completion->to;

	if (to->count >= STACK_FRAMES_MAX)
		return false;
	to->frames[to->count++] = (struct stack_frame){
	        .kind = FRAME_NATIVE,
	        .flags = completion->is_guess ? FRAME_GUESSED : 0,
	        .file = range->file,
	        .position = completion->registers.ip - range->delta,
	        .code = range->file.inode ? 0 : to->image,
	};
	completion->has_image |= !range->file.inode;
	return true;
}

/* @return enum stack_end */
static int put_callers(struct completion *completion)
{
	const struct unwind_registers *registers = &completion->registers;
	int end = -1;

	for (bool is_told = true; end < 0; is_told = false) {
		const struct stack_copy_range *range =
		        find_range(completion->copy, registers->ip - registers->is_return);

		if (!range || !range->is_code)
			return STACK_END_NO_CODE;
		if (!is_told && !put_native(completion, range))
			return STACK_END_DEPTH;
		end = step(completion, range);
	}
	return end;
}

static uint64_t id_of(const struct event_stack *stack)
{
	uint64_t hash = STACK_HASH_BEGIN;

	for (uint32_t i = 0; i < stack->count; i++) {
		const struct stack_frame *frame = &stack->frames[i];

		hash = frame->kind == FRAME_NATIVE
		               ? stack_hash_native(hash, &frame->file, frame->position)
		               : stack_hash_python(hash, frame->code, (uint32_t)frame->position);
	}
	return stack_hash_end(hash, stack->count, stack->end, stack->image);
}

void stack_copy_complete(const struct event_stack *stack, const struct event_stack_copy *copy,
                         stack_copy_rows_fn rows, void *context, struct event_stack *ret_stack)
{
	struct completion completion = {.copy = copy,
	                                .rows = rows,
	                                .context = context,
	                                .to = ret_stack,
	                                .registers = copy->registers};
	uint32_t native = 0, rest;
	int end;

	while (native < stack->count && native < STACK_FRAMES_MAX &&
	       stack->frames[native].kind == FRAME_NATIVE)
		native++;
	memcpy(ret_stack, stack, offsetof(struct event_stack, frames) + native * sizeof(stack->frames[0]));
	ret_stack->count = native;
	end = put_callers(&completion);
	/* What says why Python's frames end stays. */
	if (stack->end == STACK_END_NO_TABLE)
		ret_stack->end = (uint32_t)end;
	rest = stack->count - native;
	if (rest > STACK_FRAMES_SENT_MAX - ret_stack->count)
		rest = STACK_FRAMES_SENT_MAX - ret_stack->count;
	memcpy(&ret_stack->frames[ret_stack->count], &stack->frames[native], rest * sizeof(stack->frames[0]));
	ret_stack->count += rest;
	ret_stack->copy = 0;
	if (!completion.has_image)
		ret_stack->image = 0;
	ret_stack->id = id_of(ret_stack);
}
