/*
 * One stack of two: native frames, and CPython's own in place of the evaluations that run them.
 * Python code is run by _PyEval_EvalFrameDefault, of which each evaluation runs one frame or, from 3.11 on,
 * several that called each other without C between them.
 */
#ifndef LEFTOPEN_UNWIND_PYTHON_MERGE_H
#define LEFTOPEN_UNWIND_PYTHON_MERGE_H

#include <stdbool.h>

#include "event_abi.h"

/** @return whether a native frame is of an interpreter's evaluation */
typedef bool (*python_is_evaluation_fn)(const void *context, const struct stack_frame *frame);

/**
 * Merges a stack as it is sent: native frames, then Python's. Python's frames of which no evaluation is
 *there, as native ones are missing, come after all; an evaluation of which no frame is there stays.
 * @param ret_stack filled in; not the same as stack. Its end is STACK_END_EVALUATIONS where all native frames
 *are there, and not all evaluations
 */
void python_merge(const struct event_stack *stack, python_is_evaluation_fn is_evaluation, const void *context,
                  struct event_stack *ret_stack);

#endif
