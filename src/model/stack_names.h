/*
 * Stacks of a snapshot: the model's frames with names, and why a stack ends early.
 */
#ifndef LEFTOPEN_MODEL_STACK_NAMES_H
#define LEFTOPEN_MODEL_STACK_NAMES_H

#include "base/arena.h"
#include "model/internal.h"
#include "model/naming.h"
#include "model/snapshot.h"

/**
 * Names a stack's frames.
 * @param ret_stack filled in, of the arena's memory
 * @return 0, or -ENOMEM
 */
int stack_names_fill(const struct namer *namer, struct arena *arena, const struct model_stack *from,
                     struct snapshot_stack *ret_stack);

#endif
