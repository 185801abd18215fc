/*
 * Mappings that are nobody's to release: the loader's, thread stacks, allocators'.
 */
#ifndef LEFTOPEN_MODEL_CATEGORIES_H
#define LEFTOPEN_MODEL_CATEGORIES_H

#include "model/snapshot.h"

/** Labels the snapshot's groups of mappings by their stacks, which are named already. */
void categories_assign(struct snapshot *snapshot);

#endif
