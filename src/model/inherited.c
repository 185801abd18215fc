/*
 * What a process holds and did not make. See inherited.h.
 */
#include "model/inherited.h"

#include <errno.h>
#include <stdlib.h>

#include "base/array.h"
#include "model/points.h"
#include "model/ranges.h"

static bool is_table_reporter(const struct process *process)
{
	return process->table && process->table->reporter == process;
}

static bool is_space_reporter(const struct process *process)
{
	return process->space && process->space->reporter == process;
}

void inherited_count(const struct process *process, struct snapshot_live *live)
{
	uint64_t own_fds = 0, own_maps = 0, fds, maps;

	for (size_t i = 0; i < process->left_open_count; i++) {
		const struct left_open *entry = process->left_open[i];

		/* After a mark, what is released stays in the set. */
		if (entry->withdrawn || (entry->released && entry->released >= entry->bytes))
			continue;
		own_fds += entry->fd >= 0;
		own_maps += entry->fd < 0;
	}
	live->processes++;
	if (is_table_reporter(process)) {
		fds = process->table->live;
		live->fds += fds;
		live->inherited_fds += fds > own_fds ? fds - own_fds : 0;
	}
	if (is_space_reporter(process)) {
		maps = ranges_count(process->space);
		live->maps += maps;
		live->inherited_maps += maps > own_maps ? maps - own_maps : 0;
	}
}

struct entries {
	struct left_open **items;
	size_t count, capacity;
};

static int add(struct entries *entries, const struct left_open *from)
{
	int error = array_grow((void **)&entries->items, &entries->capacity, entries->count + 1,
	                       sizeof(entries->items[0]));
	struct left_open *entry;

	if (error)
		return error;
	entry = malloc(sizeof(*entry));
	if (!entry)
		return -ENOMEM;
	*entry = *from;
	/* Its maker was another process, or another time. */
	entry->maker.stack = 0;
	entry->maker.test = (struct test_id){0};
	entries->items[entries->count++] = entry;
	return 0;
}

static int add_points(struct entries *entries, const struct process *process)
{
	const struct fd_table *table = process->table;
	bool all = !is_table_reporter(process);
	int error = 0;

	for (size_t fd = 0; table && fd < table->capacity && !error; fd++) {
		const struct point_slot *slot = &table->slots[fd];
		struct left_open entry = {.fd = (int)fd, .handle = slot->handle};

		if (!slot->handle || !(slot->inherited || all))
			continue;
		entry.maker = slot->handle->maker;
		entry.maker.origin = HANDLE_ORIGIN_INHERITED;
		error = add(entries, &entry);
	}
	return error;
}

static int add_ranges(struct entries *entries, const struct process *process)
{
	const struct address_space *space = process->space;
	bool all = !is_space_reporter(process);
	const struct range *range;
	uint64_t at = 0;
	int error = 0;

	while (space && !error && (range = ranges_first_after(space, at))) {
		struct left_open entry = {
		        .maker = range->maker,
		        .fd = -1,
		        .address = range->start,
		        .bytes = range->end - range->start,
		        .file = range->file,
		        .file_offset = range->file_offset,
		};

		at = range->end;
		if (range->space_generation == space->generation && !all)
			continue;
		entry.maker.origin = HANDLE_ORIGIN_MAP_INHERITED;
		error = add(entries, &entry);
	}
	return error;
}

int inherited_fold(const struct fold *fold, struct group_list *groups)
{
	struct entries entries = {0};
	size_t before = groups->count;
	int error = add_points(&entries, fold->process);

	if (!error)
		error = add_ranges(&entries, fold->process);
	if (!error)
		error = left_open_fold_entries(fold, entries.items, entries.count, groups);
	for (size_t i = before; i < groups->count; i++)
		groups->items[i].inherited = true;
	for (size_t i = 0; i < entries.count; i++)
		free(entries.items[i]);
	free(entries.items);
	return error;
}
