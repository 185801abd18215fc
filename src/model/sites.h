/*
 * From groups to findings: the site of a group, what a site holds, its occasions, its verdict; merging.
 */
#ifndef LEFTOPEN_MODEL_SITES_H
#define LEFTOPEN_MODEL_SITES_H

#include <stddef.h>
#include <stdint.h>

#include "model/internal.h"
#include "model/snapshot.h"

struct arena;

/**
 * Makes the snapshot's sites of its groups.
 * @param groups the model's groups, in the snapshot's order
 * @return 0, or -ENOMEM
 */
int sites_build(struct snapshot *snapshot, const struct model *model, const struct model_group *const *groups,
                uint64_t min_count);

#endif
