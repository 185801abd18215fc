/*
 * Which descriptor tables a process holds. See tables.h.
 */
#include "model/tables.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "model/kinds.h"
#include "model/points.h"
#include "model/reconcile.h"

struct fd_table *tables_at(const struct process *process, size_t index)
{
	if (!index)
		return process->table;
	return index <= process->thread_table_count ? process->thread_tables[index - 1] : NULL;
}

bool tables_holds(const struct process *process, const struct fd_table *table)
{
	for (size_t i = 0; table && tables_at(process, i); i++)
		if (tables_at(process, i) == table)
			return true;
	return false;
}

int tables_hold(struct model *model, struct process *process, struct fd_table *table)
{
	int error = 0;

	table->holders++;
	if (!process->table) {
		process->table = table;
		return 0;
	}
	error = array_grow((void **)&process->thread_tables, &process->thread_table_capacity,
	                   process->thread_table_count + 1, sizeof(process->thread_tables[0]));
	if (error) {
		points_table_release(model, table);
		return error;
	}
	process->thread_tables[process->thread_table_count++] = table;
	return 0;
}

/* The process holds at least one more, which becomes the main one where this was it. */
static void let_go_of_one(struct model *model, struct process *process, struct fd_table *table)
{
	size_t last = process->thread_table_count - 1;

	for (size_t i = 0; i <= last; i++)
		if (process->thread_tables[i] == table)
			process->thread_tables[i] = process->thread_tables[last];
	if (process->table == table) {
		process->table = process->thread_tables[0];
		process->thread_tables[0] = process->thread_tables[last];
	}
	process->thread_table_count--;
	points_table_release(model, table);
}

void tables_let_go(struct model *model, struct process *process)
{
	while (process->thread_table_count)
		points_table_release(model, process->thread_tables[--process->thread_table_count]);
	free(process->thread_tables);
	process->thread_tables = NULL;
	process->thread_table_capacity = 0;
	points_table_release(model, process->table);
	process->table = NULL;
}

void tables_left(struct model *model, struct process *process, const struct event_table_left *event)
{
	struct fd_table *table = points_table_find(model, event->table);

	/* The last one is let go when the process ends. */
	if (!process->thread_table_count || !tables_holds(process, table))
		return;
	/* What was open in it was closed with it. */
	if (table->holders == 1)
		process->closed_with_threads += table->opened;
	let_go_of_one(model, process, table);
}

struct table_counts tables_count(const struct process *process)
{
	struct table_counts counts = {.opened = process->closed_with_threads,
	                              .closed = process->closed_with_threads};
	const struct fd_table *table;

	for (size_t i = 0; (table = tables_at(process, i)); i++) {
		counts.live += table->live;
		counts.opened += table->opened;
		counts.closed += table->closed;
		if (table->peak > counts.peak)
			counts.peak = table->peak;
	}
	if (counts.peak < counts.live)
		counts.peak = counts.live;
	return counts;
}

int tables_begin(struct model *model, struct process *process, uint64_t pointer, struct fd_table **ret_table)
{
	struct fd_table *table;
	int error = points_table_new(model, pointer, &table);

	if (!error)
		error = tables_hold(model, process, table);
	if (!error)
		*ret_table = table;
	return error;
}

/* The kernel gave the process a copy of a table (fs/file.c, dup_fd): the same numbers, until the table's own
 * say which of them are there. For what another process goes on holding in the first one that one answers; of
 * two tables of one process each number that both hold is one handle. */
static int copy_table(struct model *model, struct process *process, struct fd_table *from, uint64_t pointer,
                      struct fd_table **ret_table)
{
	bool others = from->holders > (tables_holds(process, from) ? 1U : 0U);
	struct fd_table *table;
	int error = tables_begin(model, process, pointer, &table);

	for (size_t fd = 0; !error && fd < from->capacity; fd++) {
		const struct point_slot *slot = &from->slots[fd];

		if (!slot->handle)
			continue;
		slot->handle->references++;
		error = points_put(model, table, (int)fd, slot->handle, slot->inherited || others);
		if (error == -ENOSPC)
			error = 0;
	}
	if (error)
		return error;
	memcpy(table->standard, from->standard, sizeof(table->standard));
	*ret_table = table;
	return 0;
}

int tables_get(struct model *model, struct process *process, uint64_t pointer, struct fd_table **ret_table)
{
	struct fd_table *table = points_table_find(model, pointer);
	int error = 0;

	if (!table && process->table) {
		error = copy_table(model, process, process->table, pointer, &table);
	} else if (!table) {
		error = tables_begin(model, process, pointer, &table);
	}
	if (!error)
		*ret_table = table;
	return error;
}

int tables_exec(struct model *model, struct process *process, uint64_t pointer)
{
	struct fd_table *table = points_table_find(model, pointer);
	int error = 0;

	if (!tables_holds(process, table)) {
		/* One that is known by the pointer is gone, and its memory was used again. */
		if (process->table)
			error = copy_table(model, process, process->table, pointer, &table);
		else
			error = tables_begin(model, process, pointer, &table);
	}
	if (error)
		return error;
	while (process->thread_table_count)
		let_go_of_one(model, process,
		              process->table == table ? process->thread_tables[0] : process->table);
	return 0;
}

int tables_put_unseen(struct model *model, const struct process *process, struct fd_table *table,
                      const struct table_entry *entry, bool inherited)
{
	struct maker maker = {
	        .made_ns = process->image_ns,
	        .origin = inherited ? HANDLE_ORIGIN_INHERITED : HANDLE_ORIGIN_UNSEEN,
	        .type = kinds_type_of_mode(entry->mode),
	        .thread_id = process->process_id,
	};
	struct handle *handle = points_handle_new(&maker, entry->file, (uint16_t)entry->mode);

	if (!handle)
		return -ENOMEM;
	if (!inherited)
		model->counters.reconciled++;
	return points_put(model, table, entry->fd, handle, inherited);
}

/* A copied table's number: the handle of the same file in the table that was copied, else one that its
 * maker's own event has not told of yet or that was closed meanwhile. For either the first table answers; of
 * two of one process both do. */
static int put_copied(struct model *model, struct process *process, struct fd_table *table,
                      const struct fd_table *from, const struct table_entry *entry)
{
	const struct point_slot *slot = from ? points_slot(from, entry->fd) : NULL;
	bool own;

	if (!slot || !slot->handle || slot->handle->file != entry->file)
		return tables_put_unseen(model, process, table, entry, true);
	own = from->holders == 1 && tables_holds(process, from) && !slot->inherited;
	slot->handle->references++;
	return points_put(model, table, entry->fd, slot->handle, !own);
}

/* Of what the model has, releases what the kernel does not. Both are in order of number. */
static void release_others(struct model *model, struct fd_table *table, enum table_cause cause)
{
	size_t next = 0;

	for (size_t fd = 0; fd < table->capacity; fd++) {
		struct point_slot *slot = &table->slots[fd];

		while (next < table->number_count && (size_t)table->numbers[next].fd < fd)
			next++;
		if (!slot->handle || (next < table->number_count && (size_t)table->numbers[next].fd == fd))
			continue;
		if (points_is_provisional(slot) && cause == TABLE_EXITED) {
			points_withdraw(model, table, (int)fd);
			continue;
		}
		/* exec closes by close-on-exec, unshare drops: elsewhere the kernel does not have what we
		 * have. */
		if (cause == TABLE_EXITED)
			model->counters.drift++;
		(void)points_release(model, table, (int)fd);
	}
}

static int apply_numbers(struct model *model, struct process *process, struct fd_table *table,
                         const struct event_table_numbers *event)
{
	bool is_copy = event->cause == TABLE_FORKED || event->cause == TABLE_UNSHARED;
	const struct fd_table *from = is_copy ? points_table_find(model, event->copied_from) : NULL;
	int error = 0;

	release_others(model, table, event->cause);
	for (size_t i = 0; i < table->number_count && !error; i++) {
		const struct table_entry *entry = &table->numbers[i];
		const struct point_slot *slot = points_slot(table, entry->fd);

		if (slot && slot->handle && slot->handle->file == entry->file)
			continue;
		if (slot && slot->handle && event->cause == TABLE_EXITED) {
			if (points_is_provisional(slot))
				points_withdraw(model, table, entry->fd);
			else
				model->counters.drift++;
		}
		if (is_copy)
			error = put_copied(model, process, table, from, entry);
		else
			error = tables_put_unseen(model, process, table, entry, process->root);
		if (error == -ENOSPC)
			error = 0;
	}
	if (event->cause == TABLE_EXECED) {
		points_inherit(table, process->root ? table->capacity : POINTS_STANDARD);
		process->root = false;
	}
	return error;
}

/* A chunk of a table's own numbers. @return 0 or -ENOMEM; the table's numbers_begun says whether they are
 * whole */
static int collect_numbers(struct model *model, struct fd_table *table,
                           const struct event_table_numbers *event)
{
	int error;

	if (event->first) {
		table->numbers_begun = true;
		table->numbers_cause = event->cause;
		table->numbers_thread = event->header.thread_id;
		table->number_count = 0;
	}
	if (table->numbers_begun && table->number_count + event->count > POINTS_CAPACITY_MAX) {
		table->numbers_begun = false;
		model->counters.over_maximum++;
	}
	if (!table->numbers_begun)
		return 0;
	error = array_grow((void **)&table->numbers, &table->number_capacity,
	                   table->number_count + event->count, sizeof(table->numbers[0]));
	if (error) {
		table->numbers_begun = false;
		return error;
	}
	/* count 0: an empty table */
	if (event->count)
		memcpy(table->numbers + table->number_count, event->entries,
		       event->count * sizeof(event->entries[0]));
	table->number_count += event->count;
	return 0;
}

/* A thread took itself a copy of its table: what is known by the new one's pointer is gone. */
static int begin_unshared(struct model *model, struct process *process,
                          const struct event_table_numbers *event)
{
	struct fd_table *gone = points_table_find(model, event->table), *from, *table;
	int error;

	error = tables_get(model, process, event->copied_from, &from);
	if (!error)
		error = copy_table(model, process, from, event->table, &table);
	if (!error && tables_holds(process, gone))
		let_go_of_one(model, process, gone);
	return error;
}

void tables_move_dumped(struct model *model, struct process *process, uint64_t pointer)
{
	if (process->table && !process->thread_table_count && process->table->holders == 1 &&
	    !points_table_find(model, pointer))
		points_table_move(model, process->table, pointer);
}

int tables_numbers(struct model *model, struct process *process, const struct event_table_numbers *event)
{
	struct fd_table *table;
	int error = 0;

	if (event->cause == TABLE_UNSHARED && event->first && event->copied_from != event->table)
		error = begin_unshared(model, process, event);
	if (!error && event->cause == TABLE_EXITED)
		tables_move_dumped(model, process, event->table);
	if (!error)
		error = tables_get(model, process, event->table, &table);
	/* A survey goes on in chunks of a table that was told of for another reason meanwhile, and two
	 * threads that end at once may tell of the same one. */
	if (!error && !event->first &&
	    (table->numbers_cause != event->cause || table->numbers_thread != event->header.thread_id))
		return 0;
	if (!error)
		error = collect_numbers(model, table, event);
	if (error || !event->last)
		return error;
	/* Another process goes on using it: its numbers were read while that one made and released. Numbers
	 * whose beginning was lost are no table; the loss is counted where it happened. */
	if (table->numbers_begun)
		reconcile_lost_numbers(model, table, event->lost_fds, event->lost_ns);
	if (table->numbers_begun && event->cause == TABLE_SURVEYED)
		error = reconcile_numbers(model, process, table, event->header.time_ns);
	else if (table->numbers_begun && (event->cause != TABLE_EXITED || table->holders == 1))
		error = apply_numbers(model, process, table, event);
	free(table->numbers);
	table->numbers = NULL;
	table->number_count = table->number_capacity = 0;
	table->numbers_begun = false;
	return error;
}
