/*
 * The left-open set: what a process holds as it begins to shut down, whether or not shutdown then releases
 * it.
 */
#ifndef LEFTOPEN_MODEL_LEFT_OPEN_H
#define LEFTOPEN_MODEL_LEFT_OPEN_H

#include "model/internal.h"

/* What becomes of a table or space that living processes share. */
enum left_open_shared {
	LEFT_OPEN_SHARED_LATER = 0, /* it is left to the last of them */
	LEFT_OPEN_SHARED_TOO        /* its reporter stands for all of them */
};

/**
 * Adds to the process's set what it holds now, is answerable for and has not in the set yet.
 * @return 0, or -ENOMEM: the set lacks some
 */
int left_open_take(struct model *model, struct process *process, enum left_open_shared shared);

/* What a set is folded for. */
struct fold {
	const struct model *model;
	const struct process *process;
	uint64_t until_ns; /* the end of the process's life so far, for its five slices */
	size_t samples;    /* kept of each group, 0: all */
};

/**
 * Folds the set into groups of one stack and type. What a process that has ended handed over to a child that
 * lives is left out.
 * @param ret_groups for left_open_groups_free()
 * @return 0, or -ENOMEM
 */
int left_open_fold(const struct fold *fold, struct group_list *ret_groups);

/**
 * The same of any entries, whose order changes.
 * @param groups are added to
 * @return 0; -ENOMEM: some are missing
 */
int left_open_fold_entries(const struct fold *fold, struct left_open **entries, size_t count,
                           struct group_list *groups);

/** Drops the set; handles that live on are in none. */
void left_open_clear(struct process *process);

/** Frees what left_open_fold() or left_open_fold_entries() gave; the list is empty afterwards. */
void left_open_groups_free(struct group_list *groups);

#endif
