/*
 * What a living process holds and did not make: open before following began, or handed down by whoever
 * started it. In no finding; listed where all that is live is asked for.
 */
#ifndef LEFTOPEN_MODEL_INHERITED_H
#define LEFTOPEN_MODEL_INHERITED_H

#include "model/left_open.h"
#include "model/snapshot.h"

/**
 * Adds what a living process holds to the totals: its table and space where it is their reporter.
 * @param process whose left-open set is taken
 */
void inherited_count(const struct process *process, struct snapshot_live *live);

/**
 * Adds the groups of what a living process holds beside its left-open set: what it did not make, and all of a
 * table or space for which another process stands.
 * @param groups for left_open_groups_free()
 * @return 0; -ENOMEM: some are missing
 */
int inherited_fold(const struct fold *fold, struct group_list *groups);

#endif
