/*
 * Processes: birth, program, end; and which table and space each holds.
 */
#ifndef LEFTOPEN_MODEL_PROCESS_H
#define LEFTOPEN_MODEL_PROCESS_H

#include "model/internal.h"

/** @return the living process, or NULL */
struct process *process_find(const struct model *model, uint32_t process_id);

/**
 * Adds a living process. One of the same id that was not seen to end is taken as gone.
 * @return 0; -ENOMEM; -ENOSPC: MODEL_PROCESSES_MAX are remembered
 */
int process_add(struct model *model, uint32_t process_id, uint64_t start_ns, struct process **ret_process);

/** A process forked: the child's table holds what its own numbers say (tables_numbers). @return 0 or
 * -ENOMEM */
int process_forked(struct model *model, struct process *parent, const struct event_process_forked *event);

/** A process runs another program: its name and file change, its space is a new one. @return 0 or -ENOMEM */
int process_execed(struct model *model, struct process *process, const struct event_process_execed *event);

/** Keeps the command line of a process's program. @return 0 or -ENOMEM */
int process_arguments(struct process *process, const struct event_process_arguments *event);

/** The same, each argument with its NUL. @return 0 or -ENOMEM */
int process_set_arguments(struct process *process, const char *bytes, size_t count);

/** The process begins to shut down: its left-open set is taken. @return 0 or -ENOMEM */
int process_marked(struct model *model, struct process *process, const struct event_mark *event);

/** The process is gone: its set is completed and folded, its table and space are let go. @return 0 or -ENOMEM
 */
int process_exited(struct model *model, struct process *process, const struct event_process_exited *event);

/** The space, made and given to the process where it is not known yet. @return 0 or -ENOMEM */
int process_space(struct model *model, struct process *process, uint64_t pointer,
                  struct address_space **ret_space);

/** The process holds a space that others hold too. */
void process_share_space(struct model *model, struct process *process, struct address_space *space);

/** The process is gone, and how it ended was not seen. @return 0, or -ENOMEM */
int process_gone(struct model *model, struct process *process, uint64_t time_ns);

/** Frees a process; one that still lives lets go of its table and space first. */
void process_free(struct model *model, struct process *process);

#endif
