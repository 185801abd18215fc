/*
 * The model held against the kernel's own tables, as a survey read them. A survey runs beside the calls that
 * it reads about: so a difference counts when two surveys in a row saw it and no event came for it in
 * between. What is there and was told to be released may only be on its way out: a call tells before it
 * does it, and can be kept waiting. So what is added was seen by surveys a second apart.
 */
#ifndef LEFTOPEN_MODEL_RECONCILE_H
#define LEFTOPEN_MODEL_RECONCILE_H

#include "model/points.h"
#include "model/process.h"
#include "model/ranges.h"

/**
 * A survey came by a process. One that is not known is added: what it holds is nobody's to blame.
 * @return 0, or -ENOMEM
 */
int reconcile_found(struct model *model, const struct event_process_found *event);

/**
 * Holds a table against its own numbers (table->numbers).
 * @param time_ns when they were read, CLOCK_BOOTTIME
 * @return 0, or -ENOMEM
 */
int reconcile_numbers(struct model *model, struct process *process, struct fd_table *table, uint64_t time_ns);

/**
 * Where events of a table's numbers were lost, the handles that such a number may have held before are of
 * unknown makers: the number may have been closed and given out again.
 * @param lost_fds as in event_table_numbers
 */
void reconcile_lost_numbers(struct model *model, struct fd_table *table, uint64_t lost_fds, uint64_t lost_ns);

/** Holds a space against its own ranges, which come in chunks. @return 0, or -ENOMEM */
int reconcile_ranges(struct model *model, struct process *process, const struct event_space_ranges *event);

/**
 * A survey is complete: a process that two in a row did not come by is gone.
 * @param now_ns CLOCK_BOOTTIME
 * @return 0, or -ENOMEM
 */
int reconcile_end(struct model *model, uint64_t now_ns);

#endif
