/*
 * Processes. See process.h.
 */
#include "model/process.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "model/kinds.h"
#include "model/left_open.h"
#include "model/points.h"
#include "model/ranges.h"
#include "model/reconcile.h"

struct test_id process_current_test(const struct process *process)
{
	for (; process; process = process->parent)
		if (process->announces_tests || process->test.v)
			return process->test;
	return (struct test_id){0};
}

struct process *process_find(const struct model *model, uint32_t process_id)
{
	struct process *process;

	HASH_FIND(hh, model->living, &process_id, sizeof(process_id), process);
	return process;
}

/* What its table and space have counted stays with the process that holds them. */
static void keep_counts(struct process *process)
{
	const struct fd_table *table = process->table;
	const struct address_space *space = process->space;

	if (table) {
		process->fds_live = table->live;
		process->fds_peak = table->peak;
		process->fds_opened = table->opened;
		process->fds_closed = table->closed;
	}
	if (space) {
		process->maps_live = ranges_count(space);
		process->maps_bytes = ranges_bytes(space);
		process->maps_peak = space->peak;
	}
}

static void give_table(struct model *model, struct process *process, struct fd_table *table)
{
	table->holders++;
	points_table_release(model, process->table);
	process->table = table;
}

static void give_space(struct model *model, struct process *process, struct address_space *space)
{
	/* Others may go on holding it, and what it holds is in this process's set. */
	if (process->space && process->space != space && process->left_open_count)
		ranges_forget_left_open(process->space);
	space->holders++;
	ranges_space_release(model, process->space);
	process->space = space;
}

void process_share_table(struct model *model, struct process *process, struct fd_table *table)
{
	if (process->table != table)
		give_table(model, process, table);
}

void process_share_space(struct model *model, struct process *process, struct address_space *space)
{
	if (process->space != space)
		give_space(model, process, space);
}

int process_table(struct model *model, struct process *process, uint64_t pointer, struct fd_table **ret_table)
{
	struct fd_table *table = points_table_find(model, pointer);
	int error;

	if (!table) {
		error = points_table_new(model, pointer, &table);
		if (error)
			return error;
		give_table(model, process, table);
	}
	*ret_table = table;
	return 0;
}

int process_space(struct model *model, struct process *process, uint64_t pointer,
                  struct address_space **ret_space)
{
	struct address_space *space = ranges_space_find(model, pointer);
	int error;

	if (!space) {
		error = ranges_space_new(model, pointer, &space);
		if (error)
			return error;
		give_space(model, process, space);
	}
	*ret_space = space;
	return 0;
}

static void set_parent(struct process *child, struct process *parent)
{
	if (child->parent)
		child->parent->child_count--;
	child->parent = parent;
	if (parent)
		parent->child_count++;
}

/* Children point to their parent while it lives, to find the test that it runs. */
static void orphan_children(struct model *model, struct process *parent)
{
	struct process *child, *next;

	if (!parent->child_count)
		return;
	HASH_ITER (hh, model->living, child, next) {
		if (child->parent != parent)
			continue;
		if (!child->announces_tests && !child->test.v)
			child->test = process_current_test(parent);
		set_parent(child, parent->parent);
	}
}

static int end(struct model *model, struct process *process, uint64_t time_ns)
{
	const struct fold fold = {
	        .model = model,
	        .process = process,
	        .until_ns = process->mark ? process->mark_ns : time_ns,
	};
	int error = left_open_take(model, process, LEFT_OPEN_SHARED_LATER);

	keep_counts(process);
	/* 0 is kept for those that live. */
	process->ended_ns = time_ns ? time_ns : 1;
	if (!error &&
	    (model->group_count >= MODEL_GROUPS_MAX || model->left_open_count >= MODEL_LEFT_OPEN_MAX)) {
		model->counters.over_maximum += process->left_open_count;
	} else if (!error) {
		error = left_open_fold(&fold, &process->groups);
		model->group_count += process->groups.count;
		process->left_open_kept = process->left_open_count;
		model->left_open_count += process->left_open_kept;
	}
	left_open_clear(process);
	model->gone_count++;
	HASH_DEL(model->living, process);
	orphan_children(model, process);
	set_parent(process, NULL);
	points_table_release(model, process->table);
	ranges_space_release(model, process->space);
	process->table = NULL;
	process->space = NULL;
	return error;
}

int process_gone(struct model *model, struct process *process, uint64_t time_ns)
{
	return end(model, process, time_ns);
}

int process_add(struct model *model, uint32_t process_id, uint64_t start_ns, struct process **ret_process)
{
	struct process *process = process_find(model, process_id);
	int error;

	if (process) {
		error = end(model, process, start_ns);
		if (error)
			return error;
	}
	if (model->process_count >= MODEL_PROCESSES_MAX) {
		model->counters.over_maximum++;
		return -ENOSPC;
	}
	process = calloc(1, sizeof(*process));
	if (!process)
		return -ENOMEM;
	process->process_id = process_id;
	process->start_ns = start_ns;
	process->image_ns = start_ns;
	process->fd_limit = UINT64_MAX;
	process->survey = model->survey;
	*model->last = process;
	model->last = &process->next;
	model->process_count++;
	HASH_ADD(hh, model->living, process_id, sizeof(process->process_id), process);
	*ret_process = process;
	return 0;
}

void process_free(struct model *model, struct process *process)
{
	if (!process->ended_ns) {
		left_open_clear(process);
		HASH_DEL(model->living, process);
		points_table_release(model, process->table);
		ranges_space_release(model, process->space);
	}
	left_open_groups_free(&process->groups);
	free(process->arguments);
	free(process->cgroup);
	free(process);
}

static int copy_description(struct process *child, const struct process *parent)
{
	child->parent_id = parent->process_id;
	child->exe = parent->exe;
	child->test_serial = 0;
	child->root = parent->root;
	if (parent->cgroup && !(child->cgroup = strdup(parent->cgroup)))
		return -ENOMEM;
	if (parent->arguments) {
		child->arguments = malloc(parent->argument_bytes);
		if (!child->arguments)
			return -ENOMEM;
		memcpy(child->arguments, parent->arguments, parent->argument_bytes);
		child->argument_bytes = parent->argument_bytes;
	}
	return 0;
}

static int inherit_space(struct model *model, struct process *child, struct process *parent,
                         const struct event_process_forked *event)
{
	struct address_space *space;
	int error;

	if (event->space == event->parent_space) {
		/* vfork, posix_spawn: one space until exec. */
		error = process_space(model, parent, event->space, &space);
		if (!error)
			give_space(model, child, space);
		return error;
	}
	error = ranges_space_new(model, event->space, &space);
	if (error)
		return error;
	give_space(model, child, space);
	if (parent->space)
		ranges_space_copy(model, space, parent->space);
	return 0;
}

int process_forked(struct model *model, struct process *parent, const struct event_process_forked *event)
{
	struct process *child;
	struct fd_table *table;
	int error = process_add(model, event->process_id, event->start_ns, &child);

	if (error)
		return error == -ENOSPC ? 0 : error;
	memcpy(child->comm, event->comm, sizeof(child->comm));
	child->fd_limit = event->fd_limit;
	set_parent(child, parent);
	error = copy_description(child, parent);
	if (error)
		return error;
	if (event->table == event->parent_table)
		error = process_table(model, parent, event->table, &table);
	else
		error = points_table_new(model, event->table, &table);
	if (error)
		return error;
	give_table(model, child, table);
	return inherit_space(model, child, parent, event);
}

/* The kernel gave the process a copy of its table (fs/file.c, dup_fd): the same numbers, for which whoever
 * goes on holding the table answers, until the table's own numbers say which of them are there. */
static int copy_table(struct model *model, struct process *process, uint64_t pointer)
{
	struct fd_table *shared = process->table, *table;
	int error;

	if (shared)
		shared->holders++;
	error = points_table_new(model, pointer, &table);
	if (!error)
		give_table(model, process, table);
	for (size_t fd = 0; !error && shared && fd < shared->capacity; fd++) {
		struct handle *handle = shared->slots[fd].handle;

		if (!handle)
			continue;
		handle->references++;
		error = points_put(model, table, (int)fd, handle,
		                   shared->slots[fd].inherited || shared->holders > 1);
		if (error == -ENOSPC)
			error = 0;
	}
	points_table_release(model, shared);
	return error;
}

int process_execed(struct model *model, struct process *process, const struct event_process_execed *event)
{
	struct address_space *space;
	struct fd_table *table = points_table_find(model, event->table);
	int error;

	memcpy(process->comm, event->comm, sizeof(process->comm));
	process->exe = event->exe;
	process->fd_limit = event->fd_limit;
	process->image_ns = event->header.time_ns;
	process->mark = SHUTDOWN_NONE;
	/* Its own come with an event that may be lost. */
	free(process->arguments);
	process->arguments = NULL;
	process->argument_bytes = 0;
	if (!process->parent)
		process->parent_id = event->parent_id;
	left_open_clear(process);
	/* A table that was shared: exec made a copy (kernel/fork.c, unshare_files). */
	if (table != process->table || !table) {
		error = copy_table(model, process, event->table);
		if (error)
			return error;
	}
	error = ranges_space_new(model, event->space, &space);
	if (!error)
		give_space(model, process, space);
	return error;
}

int process_set_arguments(struct process *process, const char *bytes, size_t count)
{
	char *arguments = malloc(count + 1);

	if (!arguments)
		return -ENOMEM;
	memcpy(arguments, bytes, count);
	arguments[count] = '\0';
	free(process->arguments);
	process->arguments = arguments;
	process->argument_bytes = count + 1;
	return 0;
}

int process_arguments(struct process *process, const struct event_process_arguments *event)
{
	return process_set_arguments(process, event->arguments, event->bytes);
}

int process_marked(struct model *model, struct process *process, const struct event_mark *event)
{
	process->mark = event->mark;
	process->mark_ns = event->header.time_ns;
	process->vmas = event->vmas;
	if (event->comm[0])
		memcpy(process->comm, event->comm, sizeof(process->comm));
	process->fd_limit = event->fd_limit;
	return left_open_take(model, process, LEFT_OPEN_SHARED_LATER);
}

int process_exited(struct model *model, struct process *process, const struct event_process_exited *event)
{
	process->status = event->status;
	process->status_known = true;
	process->fd_limit = event->fd_limit;
	return end(model, process, event->header.time_ns);
}

/* A number that nobody was seen to make. */
static int put_unseen(struct model *model, struct process *process, struct fd_table *table,
                      const struct table_entry *entry, bool inherited)
{
	struct maker maker = {
	        .made_ns = process->image_ns,
	        .origin = inherited ? HANDLE_ORIGIN_INHERITED : HANDLE_ORIGIN_UNSEEN,
	        .type = kinds_type_of_mode(entry->mode),
	        .thread_id = process->process_id,
	};
	struct handle *handle = points_handle_new(&maker, entry->file, 0, (uint16_t)entry->mode);

	if (!handle)
		return -ENOMEM;
	if (!inherited)
		model->counters.reconciled++;
	return points_put(model, table, entry->fd, handle, inherited);
}

/* A forked child's number: the parent's handle of the same file, else one that the parent's own event has not
 * told of yet or that was closed meanwhile. */
static int put_forked(struct model *model, struct process *child, struct fd_table *table,
                      const struct table_entry *entry)
{
	const struct point_slot *slot = NULL;

	if (child->parent && child->parent->table)
		slot = points_slot(child->parent->table, entry->fd);
	if (slot && slot->handle && slot->handle->file == entry->file) {
		slot->handle->references++;
		return points_put(model, table, entry->fd, slot->handle, true);
	}
	return put_unseen(model, child, table, entry, true);
}

static int apply_numbers(struct model *model, struct process *process, struct fd_table *table,
                         enum table_cause cause)
{
	size_t next = 0;
	int error = 0;

	/* Both are in order of number. */
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
	for (size_t i = 0; i < table->number_count && !error; i++) {
		const struct table_entry *entry = &table->numbers[i];
		const struct point_slot *slot = points_slot(table, entry->fd);

		if (slot && slot->handle && slot->handle->file == entry->file)
			continue;
		if (slot && slot->handle && cause == TABLE_EXITED) {
			if (points_is_provisional(slot))
				points_withdraw(model, table, entry->fd);
			else
				model->counters.drift++;
		}
		if (cause == TABLE_FORKED)
			error = put_forked(model, process, table, entry);
		else
			error = put_unseen(model, process, table, entry, process->root);
		if (error == -ENOSPC)
			error = 0;
	}
	if (cause == TABLE_EXECED) {
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
		table->number_count = 0;
	}
	if (table->numbers_begun && table->number_count + event->count > POINTS_CAPACITY_MAX) {
		table->numbers_begun = false;
		model->counters.over_maximum++;
	}
	if (!table->numbers_begun)
		return 0;
	error = model_grow((void **)&table->numbers, &table->number_capacity,
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

int process_table_numbers(struct model *model, struct process *process,
                          const struct event_table_numbers *event)
{
	struct fd_table *table;
	int error = 0;

	if (event->cause == TABLE_UNSHARED && event->first && process->table &&
	    process->table->pointer != event->table)
		error = copy_table(model, process, event->table);
	if (!error)
		error = process_table(model, process, event->table, &table);
	if (!error)
		error = collect_numbers(model, table, event);
	if (error || !event->last)
		return error;
	/* Another process goes on using it: its numbers were read while that one made and released. Numbers
	 * whose beginning was lost are no table; the loss is counted where it happened. */
	if (table->numbers_begun)
		reconcile_lost_numbers(model, table, event->lost_fds, event->lost_ns);
	if (table->numbers_begun && event->cause == TABLE_SURVEYED)
		error = reconcile_numbers(model, process, table);
	else if (table->numbers_begun && (event->cause != TABLE_EXITED || table->holders == 1))
		error = apply_numbers(model, process, table, event->cause);
	free(table->numbers);
	table->numbers = NULL;
	table->number_count = table->number_capacity = 0;
	table->numbers_begun = false;
	return error;
}
