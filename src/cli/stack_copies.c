/*
 * Copies of stacks. See stack_copies.h.
 */
#include "cli/stack_copies.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "load/loader.h"
#include "unwind/stack_copy.h"

static struct event_stack_copy **place_of(struct stack_copies *copies, uint32_t number)
{
	return &copies->of[number % STACK_COPIES_MAX];
}

int stack_copies_keep(struct stack_copies *copies, const struct event_stack_copy *copy)
{
	struct event_stack_copy **place = place_of(copies, copy->number);

	free(*place);
	*place = malloc(copy->header.size_bytes);
	if (!*place)
		return -ENOMEM;
	memcpy(*place, copy, copy->header.size_bytes);
	return 0;
}

static const struct unwind_row *rows_of(void *context, const struct file_key *key, size_t *ret_count)
{
	return loader_unwind_rows(context, key, ret_count);
}

const struct event_stack *stack_copies_complete(struct stack_copies *copies, const struct loader *loader,
                                                const struct event_stack *stack)
{
	struct event_stack_copy **place = place_of(copies, stack->copy);

	if (!stack->copy || !*place || (*place)->number != stack->copy)
		return stack;
	stack_copy_complete(stack, *place, rows_of, (void *)loader, &copies->completed);
	free(*place);
	*place = NULL;
	return &copies->completed;
}

void stack_copies_clear(struct stack_copies *copies)
{
	for (size_t i = 0; i < STACK_COPIES_MAX; i++) {
		free(copies->of[i]);
		copies->of[i] = NULL;
	}
}
