/*
 * Processes. See process.h.
 */
#include "model/process.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "model/current_test.h"
#include "model/left_open.h"
#include "model/points.h"
#include "model/ranges.h"
#include "model/tables.h"

struct process *process_find(const struct model *model, uint32_t process_id)
{
	struct process *process;

	HASH_FIND(hh, model->living, &process_id, sizeof(process_id), process);
	return process;
}

/* What its tables and space have counted stays with the process that holds them. */
static void keep_counts(struct process *process)
{
	const struct address_space *space = process->space;
	struct table_counts counts = tables_count(process);

	process->fds_live = counts.live;
	process->fds_peak = counts.peak;
	process->fds_opened = counts.opened;
	process->fds_closed = counts.closed;
	if (space) {
		process->maps_live = ranges_count(space);
		process->maps_bytes = ranges_bytes(space);
		process->maps_peak = space->peak;
	}
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

void process_share_space(struct model *model, struct process *process, struct address_space *space)
{
	if (process->space != space)
		give_space(model, process, space);
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
			child->test = current_test_nearest(parent);
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
	tables_let_go(model, process);
	ranges_space_release(model, process->space);
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
		tables_let_go(model, process);
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
	child->inherited_test = parent->inherited_test;
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
	return parent->space ? ranges_space_copy(model, space, parent->space) : 0;
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
		error = tables_get(model, parent, event->table, &table);
	else
		error = points_table_new(model, event->table, &table);
	if (!error)
		error = tables_hold(model, child, table);
	if (error)
		return error;
	return inherit_space(model, child, parent, event);
}

int process_execed(struct model *model, struct process *process, const struct event_process_execed *event)
{
	struct address_space *space;
	int error;

	memcpy(process->comm, event->comm, sizeof(process->comm));
	process->exe = event->exe;
	process->fd_limit = event->fd_limit;
	process->image_ns = event->header.time_ns;
	process->mark = SHUTDOWN_NONE;
	/* env(1) sets a variable for the program that it becomes, which runs no tests by that. */
	process->announces_tests = false;
	/* Its own come with an event that may be lost. */
	free(process->arguments);
	process->arguments = NULL;
	process->argument_bytes = 0;
	if (!process->parent)
		process->parent_id = event->parent_id;
	left_open_clear(process);
	error = tables_exec(model, process, event->table);
	if (error)
		return error;
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
