/*
 * Which descriptor tables a process holds, and what the kernel says that is in them.
 * A process has a main table and, where a thread took itself one of its own (unshare(2) and clone(2) with
 * CLONE_FILES, close_range(2)), further ones. Handles are reported under the process that holds the table.
 */
#ifndef LEFTOPEN_MODEL_TABLES_H
#define LEFTOPEN_MODEL_TABLES_H

#include "model/internal.h"

/** @return the process's table of that index, the main one first; NULL: it holds no more */
struct fd_table *tables_at(const struct process *process, size_t index);

/** @return whether the process holds the table; NULL-safe */
bool tables_holds(const struct process *process, const struct fd_table *table);

/**
 * The table of that pointer. One that is not known yet is made and held by the process: its first one, or a
 * copy of its main one, as nothing else gives a process a table that no event told of.
 * @return 0 or -ENOMEM
 */
int tables_get(struct model *model, struct process *process, uint64_t pointer, struct fd_table **ret_table);

/** Makes a table that the process holds. @return 0 or -ENOMEM */
int tables_begin(struct model *model, struct process *process, uint64_t pointer, struct fd_table **ret_table);

/**
 * The process holds the table from now on, besides those that it holds.
 * @return 0, or -ENOMEM: it does not, and a table that nobody holds is freed
 */
int tables_hold(struct model *model, struct process *process, struct fd_table *table);

/**
 * A program begins in the table of that pointer, which is a copy where the main one was shared (fs/exec.c,
 * begin_new_exec): it becomes the main one, the others are let go.
 * @return 0 or -ENOMEM
 */
int tables_exec(struct model *model, struct process *process, uint64_t pointer);

/** No thread of the process holds the table any more. */
void tables_left(struct model *model, struct process *process, const struct event_table_left *event);

/** The process lets go of all its tables; what they counted is lost unless tables_count() was called. */
void tables_let_go(struct model *model, struct process *process);

/** What a process's tables have counted together. */
struct table_counts {
	uint64_t live;
	uint64_t peak; /* the most of one table, and no less than live */
	uint64_t opened, closed;
};

/** Counts what the process holds, and what it held in tables that ended with their threads. */
struct table_counts tables_count(const struct process *process);

/**
 * Puts a number into a table that nobody was seen to make.
 * @param entry as the kernel has it
 * @param inherited whether it was there before, so that it is nobody's to blame; else it is counted as
 * reconciled
 * @return 0; -ENOMEM; -ENOSPC: a maximum is reached
 */
int tables_put_unseen(struct model *model, const struct process *process, struct fd_table *table,
                      const struct table_entry *entry, bool inherited);

/**
 * Has a process's only table go on under a pointer that is not known. Who dumps core does so with a copy of
 * its table, and no call tells of it: of two that nobody uses any more one is enough.
 * @source fs/coredump.c, do_coredump
 */
void tables_move_dumped(struct model *model, struct process *process, uint64_t pointer);

/**
 * A table's own numbers, in chunks; with the last one the table is made to hold just these.
 * @return 0 or -ENOMEM
 */
int tables_numbers(struct model *model, struct process *process, const struct event_table_numbers *event);

#endif
