/*
 * Copies of stacks that wait for the stack they belong to.
 */
#ifndef LEFTOPEN_CLI_STACK_COPIES_H
#define LEFTOPEN_CLI_STACK_COPIES_H

#include "event_abi.h"
#include "unwind_abi.h"

/* Chosen by: a copy's stack comes just behind it, from each of the threads that run at a time; 17 KiB each.
 */
#define STACK_COPIES_MAX 64

struct loader;

/* {0} is one without copies. */
struct stack_copies {
	struct event_stack_copy *of[STACK_COPIES_MAX]; /* by number; NULL: none */
	struct event_stack completed;
};

/** Keeps a copy in the place of one that nobody has asked for. @return 0, or -ENOMEM */
int stack_copies_keep(struct stack_copies *copies, const struct event_stack_copy *copy);

/**
 * Takes a stack's copy, and finds the frames that are missing by the tables that there are now.
 * @return the stack with its frames, until this is called again; the same where it has no copy, or the copy
 * was lost
 */
const struct event_stack *stack_copies_complete(struct stack_copies *copies, const struct loader *loader,
                                                const struct event_stack *stack);

/** Frees what it holds. */
void stack_copies_clear(struct stack_copies *copies);

#endif
