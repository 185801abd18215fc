/*
 * Python's frames in place of the evaluations that run them.
 */
#include <criterion/criterion.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "unwind/python_merge.h"

/* One letter a frame: 'E' is an evaluation, another capital one of C; digits are Python's, each the
 * evaluation that it runs in. */
static bool is_evaluation(const void *context, const struct stack_frame *frame)
{
	(void)context;
	return frame->position == 'E';
}

static void expect_merged(const char *letters, uint32_t end, const char *expected, uint32_t expected_end)
{
	struct event_stack *stack = calloc(2, sizeof(*stack)), *merged = stack + 1;
	char found[STACK_FRAMES_SENT_MAX + 1] = "";

	cr_assert(stack);
	stack->id = 4711;
	stack->end = end;
	for (const char *letter = letters; *letter; letter++) {
		struct stack_frame *frame = &stack->frames[stack->count++];

		frame->kind = *letter < 'A' ? FRAME_PYTHON : FRAME_NATIVE;
		frame->position = (uint64_t)*letter;
		frame->flags = *letter < 'A' ? (uint32_t)(*letter - '0') << FRAME_EVALUATION_SHIFT : 0;
	}
	python_merge(stack, is_evaluation, NULL, merged);
	for (uint32_t i = 0; i < merged->count; i++)
		found[i] = (char)merged->frames[i].position;
	cr_expect_str_eq(found, expected, "%s gave %s", letters, found);
	cr_expect_eq(merged->end, expected_end, "%s ends %u", letters, merged->end);
	cr_expect_eq(merged->id, 4711);
	free(stack);
}

Test(python_merge, frames_take_the_place_of_evaluations)
{
	expect_merged("", STACK_END_COMPLETE, "", STACK_END_COMPLETE);
	expect_merged("ABC", STACK_END_COMPLETE, "ABC", STACK_END_COMPLETE);
	expect_merged("AEB0", STACK_END_COMPLETE, "A0B", STACK_END_COMPLETE);
	expect_merged("AEB000", STACK_END_COMPLETE, "A000B", STACK_END_COMPLETE);
	expect_merged("AEBECED001122", STACK_END_COMPLETE, "A00B11C22D", STACK_END_COMPLETE);
	expect_merged("EE01", STACK_END_COMPLETE, "01", STACK_END_COMPLETE);
}

Test(python_merge, an_evaluation_that_has_begun_no_frame_is_left_out)
{
	expect_merged("AEBEC1", STACK_END_COMPLETE, "AB1C", STACK_END_COMPLETE);
}

Test(python_merge, an_evaluation_of_which_no_frame_was_told_stays)
{
	expect_merged("AEBEC0", STACK_END_COMPLETE, "A0BEC", STACK_END_COMPLETE);
	expect_merged("AEB", STACK_END_PYTHON_UNKNOWN, "AEB", STACK_END_PYTHON_UNKNOWN);
}

Test(python_merge, frames_whose_evaluation_is_missing_come_last)
{
	expect_merged("AEB0011", STACK_END_NO_TABLE, "A00B11", STACK_END_NO_TABLE);
	expect_merged("AEB0011", STACK_END_COMPLETE, "A00B11", STACK_END_EVALUATIONS);
	expect_merged("A0011", STACK_END_COMPLETE, "A0011", STACK_END_COMPLETE);
}

Test(python_merge, as_many_as_are_sent)
{
	char letters[STACK_FRAMES_SENT_MAX + 1] = "", expected[STACK_FRAMES_SENT_MAX + 1] = "";

	memset(letters, 'E', STACK_FRAMES_MAX);
	memset(letters + STACK_FRAMES_MAX, '0', STACK_FRAMES_MAX);
	memset(expected, '0', STACK_FRAMES_MAX);
	memset(expected + STACK_FRAMES_MAX, 'E', STACK_FRAMES_MAX - 1);
	expect_merged(letters, STACK_END_DEPTH, expected, STACK_END_DEPTH);
}
