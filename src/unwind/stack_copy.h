/*
 * Native frames that the kernel's programs could not find, found in a copy of the stack's memory.
 */
#ifndef LEFTOPEN_UNWIND_STACK_COPY_H
#define LEFTOPEN_UNWIND_STACK_COPY_H

#include <stddef.h>

#include "event_abi.h"
#include "unwind_abi.h"

/** @return a file's rows, ascending; NULL: it has none */
typedef const struct unwind_row *(*stack_copy_rows_fn)(void *context, const struct file_key *key,
                                                       size_t *ret_count);

/**
 * Puts the frames that are missing into a stack, as the programs would have found them with all tables.
 * @param stack as it was sent, with native frames that end for want of a table
 * @param copy of its number
 * @param ret_stack filled in; not the same as stack. Its id is that of all stacks of these frames, and its
 * end says why its native frames end now
 */
void stack_copy_complete(const struct event_stack *stack, const struct event_stack_copy *copy,
                         stack_copy_rows_fn rows, void *context, struct event_stack *ret_stack);

#endif
