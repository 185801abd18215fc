/*
 * Which running processes are watched: by id, by cgroup, by name, or all. Inputs: what the user asked for and
 * /proc. Outputs: ids of processes.
 */
#ifndef LEFTOPEN_CLI_SELECTION_H
#define LEFTOPEN_CLI_SELECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum selection_kind {
	SELECTION_NONE = 0,
	SELECTION_ALL,
	SELECTION_PROCESSES,
	SELECTION_CGROUP,
	SELECTION_COMM
};

struct selection {
	enum selection_kind kind;
	uint32_t *process_ids; /* SELECTION_PROCESSES */
	size_t process_count;
	const char *pattern; /* the cgroup's path, or the glob */
};

/** Ids in ascending order, each once. */
struct selected {
	uint32_t *process_ids;
	size_t count, capacity;
};

/**
 * Looks up which processes there are now that are meant; kernel threads and this process are none of them.
 * @param ret_selected for selected_free(); emptied first
 * @return 0; -ENOENT: there is no such cgroup; -ENOMEM; -errno of reading /proc
 */
int selection_find(const struct selection *selection, struct selected *ret_selected);

/** Frees the list; it is empty afterwards. */
void selected_free(struct selected *selected);

#endif
