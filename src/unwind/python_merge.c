/*
 * One stack of two. See python_merge.h.
 */
#include "unwind/python_merge.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct merge {
	const struct event_stack *from;
	struct event_stack *to;
	uint32_t next; /* of Python's frames */
};

static uint32_t evaluation_of(const struct stack_frame *frame)
{
	return frame->flags >> FRAME_EVALUATION_SHIFT;
}

static void put(struct merge *merge, const struct stack_frame *frame)
{
	merge->to->frames[merge->to->count++] = *frame;
}

/* @return whether there were frames of it, or have been */
static bool put_evaluation(struct merge *merge, uint32_t evaluation)
{
	const struct stack_frame *frames = merge->from->frames;
	bool are_known = merge->next < merge->from->count;

	while (merge->next < merge->from->count && evaluation_of(&frames[merge->next]) <= evaluation)
		put(merge, &frames[merge->next++]);
	return are_known;
}

void python_merge(const struct event_stack *stack, python_is_evaluation_fn is_evaluation, const void *context,
                  struct event_stack *ret_stack)
{
	struct merge merge = {.from = stack, .to = ret_stack};
	uint32_t native = 0, evaluations = 0;

	memcpy(ret_stack, stack, offsetof(struct event_stack, frames));
	ret_stack->count = 0;
	while (native < stack->count && stack->frames[native].kind == FRAME_NATIVE)
		native++;
	merge.next = native;
	for (uint32_t i = 0; i < native; i++) {
		const struct stack_frame *frame = &stack->frames[i];

		if (!is_evaluation(context, frame) || !put_evaluation(&merge, evaluations++))
			put(&merge, frame);
	}
	if (merge.next < stack->count && evaluations && ret_stack->end == STACK_END_COMPLETE)
		ret_stack->end = STACK_END_EVALUATIONS;
	while (merge.next < stack->count)
		put(&merge, &stack->frames[merge.next++]);
}
