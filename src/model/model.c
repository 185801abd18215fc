/*
 * The model: what each event does to it. See model.h.
 */
#include "model/model.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "model/current_test.h"
#include "model/internal.h"
#include "model/interned.h"
#include "model/kinds.h"
#include "model/points.h"
#include "model/process.h"
#include "model/ranges.h"
#include "model/reconcile.h"
#include "model/tables.h"
#include "model/targets.h"
#include "model/transits.h"

int model_new(struct model **ret_model)
{
	struct model *model = calloc(1, sizeof(*model));

	if (!model)
		return -ENOMEM;
	model->last = &model->first;
	*ret_model = model;
	return 0;
}

void model_free(struct model *model)
{
	if (!model)
		return;
	while (model->first) {
		struct process *process = model->first;

		model->first = process->next;
		process_free(model, process);
	}
	interned_free(model);
	free(model);
}

const struct model_counters *model_counters_get(const struct model *model)
{
	return &model->counters;
}

int model_follow(struct model *model, uint32_t process_id, uint32_t parent_id, uint64_t start_ns,
                 const char *comm)
{
	struct process *process;
	int error = process_add(model, process_id, start_ns, &process);

	if (error)
		return error;
	process->parent_id = parent_id;
	process->root = true;
	process->is_command = true;
	(void)snprintf(process->comm, sizeof(process->comm), "%s", comm);
	return 0;
}

int model_set_cgroup(struct model *model, uint32_t process_id, const char *cgroup)
{
	struct process *process = process_find(model, process_id);

	if (!process || process->cgroup)
		return 0;
	process->cgroup = strdup(cgroup);
	return process->cgroup ? 0 : -ENOMEM;
}

int model_set_arguments(struct model *model, uint32_t process_id, const char *arguments, size_t bytes)
{
	struct process *process = process_find(model, process_id);

	return process && !process->arguments && bytes ? process_set_arguments(process, arguments, bytes) : 0;
}

size_t model_gone(const struct model *model)
{
	return model->gone_count;
}

void model_forget_gone(struct model *model)
{
	struct process **link = &model->first, *process;

	while ((process = *link)) {
		if (!process->ended_ns) {
			link = &process->next;
			continue;
		}
		*link = process->next;
		model->process_count--;
		model->gone_count--;
		model->group_count -= process->groups.count;
		model->left_open_count -= process->left_open_kept;
		process_free(model, process);
	}
	model->last = link;
}

static void fill_maker(const struct model *model, const struct process *process,
                       const struct event_header *header, uint64_t stack, uint16_t origin,
                       struct maker *ret_maker)
{
	struct test_id nearest = current_test_nearest(process);

	*ret_maker = (struct maker){
	        .stack = stack,
	        .made_ns = header->time_ns,
	        .thread_id = header->thread_id,
	        .test = nearest.v ? nearest : model->marked_test,
	        .test_serial = nearest.v ? process->test_serial : model->marked_serial,
	        .test_marked = !nearest.v,
	        .origin = origin,
	};
}

static enum handle_type fd_type(const struct fd_table *table, const struct event_fd_made *event)
{
	enum handle_type type = kinds_type_of_origin(event->origin);
	const struct point_slot *source;

	if (type == HANDLE_TYPE_SAME) {
		source = points_slot(table, event->source_fd);
		if (source && source->handle && source->handle->file == event->file)
			return source->handle->maker.type;
		return kinds_type_of_mode(event->mode);
	}
	if (type == HANDLE_TYPE_BY_FILE)
		return kinds_type_of_mode(event->mode);
	/* A FIFO opened by its name is a pipe all the same. */
	if (type == HANDLE_TYPE_FILE && S_ISFIFO(event->mode))
		return HANDLE_TYPE_PIPE;
	return type;
}

/* Before its maker's event: what the mark found under the number, unless that is another, which was being
 * closed then. Only dup2 and dup3 are given a number that is taken.
 * @return whether this event's handle is there already */
static bool settle_provisional(struct model *model, struct fd_table *table, const struct event_fd_made *event,
                               const struct maker *maker)
{
	const struct point_slot *slot = points_slot(table, event->fd);
	struct handle *handle;

	if (!points_is_provisional(slot))
		return false;
	handle = slot->handle;
	if (handle->file == event->file) {
		handle->provisional = false;
		handle->maker = *maker;
		handle->inode = (uint32_t)event->inode;
		if (handle->left_open)
			handle->left_open->maker = *maker;
		model->counters.reconciled--;
		return true;
	}
	if (event->origin != HANDLE_ORIGIN_DUP2 && event->origin != HANDLE_ORIGIN_DUP3)
		points_withdraw(model, table, event->fd);
	return false;
}

/* Nobody closes a standard stream: what is put there, or put back, is in the place of what the process began
 * with. A file that is opened while the number is free is the program's own. Only of a copied descriptor is
 * the file known to be the one that was there: another may have got its memory. */
static bool is_redirection(const struct fd_table *table, const struct event_fd_made *event)
{
	if (event->fd >= POINTS_STANDARD || kinds_type_of_origin(event->origin) != HANDLE_TYPE_SAME)
		return false;
	return event->origin == HANDLE_ORIGIN_DUP2 || event->origin == HANDLE_ORIGIN_DUP3 ||
	       table->standard[event->fd] == event->file;
}

/* What is told late may have been closed and given out again by then: whoever was given it tells of it
 * himself.
 */
static bool is_told(const struct fd_table *table, const struct event_fd_made *event)
{
	const struct point_slot *slot = points_slot(table, event->fd);

	if (!slot || !slot->handle || points_is_provisional(slot))
		return false;
	return slot->handle->file == event->file || slot->handle->maker.made_ns > event->header.time_ns;
}

static int apply_fd_made(struct model *model, struct process *process, const struct event_fd_made *event)
{
	struct fd_table *table;
	struct handle *handle;
	struct maker maker;
	int error = tables_get(model, process, event->table, &table);

	if (error)
		return error;
	if (event->late && is_told(table, event))
		return 0;
	fill_maker(model, process, &event->header, event->stack, event->origin, &maker);
	maker.type = fd_type(table, event);
	if (settle_provisional(model, table, event, &maker))
		return 0;
	handle = points_handle_new(&maker, event->file, event->mode);
	if (!handle)
		return -ENOMEM;
	handle->inode = (uint32_t)event->inode;
	error = points_put(model, table, event->fd, handle, is_redirection(table, event));
	return error == -ENOSPC ? 0 : error;
}

static int apply_fd_closed(struct model *model, struct process *process, const struct event_fd_closed *event)
{
	const struct point_slot *slot;
	struct fd_table *table;
	int error = tables_get(model, process, event->table, &table);

	if (error)
		return error;
	slot = points_slot(table, event->fd);
	if (event->header.time_ns && !event->header.untimed && slot && slot->handle &&
	    slot->handle->maker.made_ns > event->header.time_ns)
		return 0;
	(void)points_release(model, table, event->fd);
	return 0;
}

static int apply_fd_range_closed(struct model *model, struct process *process,
                                 const struct event_fd_range_closed *event)
{
	struct fd_table *table;
	int error = tables_get(model, process, event->table, &table);

	if (!error)
		points_release_range(model, table, event->first, event->last);
	return error;
}

/* A maker that did not tell (a copy of what was received, an open of /proc/self/fd/N) gave its type by the
 * inode's mode, which calls too much a file. */
static void set_type(struct handle *handle, enum handle_type type)
{
	if (type == HANDLE_TYPE_OTHER_FD ||
	    (handle->maker.type != HANDLE_TYPE_OTHER_FD && handle->maker.type != HANDLE_TYPE_FILE))
		return;
	handle->maker.type = type;
	if (handle->left_open)
		handle->left_open->maker.type = type;
}

/* What a number refers to at the mark; one that nobody was seen to make is learnt here. */
static int apply_fd_target(struct model *model, struct process *process, const struct event_fd_target *event)
{
	struct fd_table *table;
	struct point_slot *slot;
	struct handle *handle;
	int error;

	/* The end is marked by who dumped, where that is the last of the threads. */
	tables_move_dumped(model, process, event->table);
	error = tables_get(model, process, event->table, &table);
	if (error)
		return error;
	slot = points_slot(table, event->fd);
	handle = slot ? slot->handle : NULL;
	if (!handle || handle->file != event->file) {
		struct maker maker;

		/* The header's time is before the first number was looked at: by now the number may have been
		 * closed and given out again. */
		if (handle && handle->maker.made_ns >= event->header.time_ns)
			return 0;
		/* An earlier mark of a shared table saw another file there as it was being closed. */
		if (points_is_provisional(slot))
			points_withdraw(model, table, event->fd);
		fill_maker(model, process, &event->header, 0, HANDLE_ORIGIN_UNSEEN, &maker);
		maker.type = kinds_type_of_mode(event->mode);
		handle = points_handle_new(&maker, event->file, (uint16_t)event->mode);
		if (!handle)
			return -ENOMEM;
		handle->provisional = true;
		model->counters.reconciled++;
		error = points_put(model, table, event->fd, handle, false);
		if (error)
			return error == -ENOSPC ? 0 : error;
	}
	free(handle->target);
	handle->target = targets_describe(event);
	if (!handle->target)
		return -ENOMEM;
	set_type(handle, targets_type(event));
	return 0;
}

static enum handle_type map_type(const struct event_map_made *event)
{
	enum handle_type type = kinds_type_of_origin(event->origin);

	if (type != HANDLE_TYPE_BY_FILE)
		return type;
	return kinds_type_of_mapping(event->key.inode, event->mode, event->flags & MAP_SHARED);
}

static enum handle_category category_of_call(const struct event_map_made *event)
{
	if (event->origin == HANDLE_ORIGIN_MAP_SHADOW_STACK || event->flags & MAP_STACK)
		return CATEGORY_THREAD_STACK;
	return event->origin == HANDLE_ORIGIN_BRK ? CATEGORY_ALLOCATOR : CATEGORY_APPLICATION;
}

static int apply_map_made(struct model *model, struct process *process, const struct event_map_made *event)
{
	struct range range = {
	        .start = event->address,
	        .end = event->address + event->length_bytes,
	        .file = event->key,
	        .file_offset = event->file_offset,
	};
	struct address_space *space;
	int error = process_space(model, process, event->space, &space);

	if (error)
		return error;
	fill_maker(model, process, &event->header, event->stack, event->origin, &range.maker);
	range.maker.type = (uint8_t)map_type(event);
	range.maker.category = category_of_call(event);
	if (event->origin == HANDLE_ORIGIN_BRK)
		error = ranges_resize_heap(model, space, &range);
	else
		error = ranges_map(model, space, &range);
	return error == -ENOSPC ? 0 : error;
}

static int apply_map_range(struct model *model, struct process *process,
                           const struct event_map_released *event)
{
	uint64_t start = event->address, end = start + event->length_bytes;
	struct address_space *space;
	int error = process_space(model, process, event->space, &space);

	if (error)
		return error;
	switch (event->header.type) {
	case EVENT_MAP_RELEASED:
		return transits_unmap(model, space, start, end, event->header.thread_id);
	case EVENT_MAP_RELEASE_FAILED:
		return transits_unmap_failed(model, space, start, end, event->header.thread_id);
	case EVENT_MAP_DONTFORK:
	case EVENT_MAP_DOFORK:
		return ranges_advise_fork(model, space, start, end, event->header.type == EVENT_MAP_DOFORK);
	default:
		return transits_move_begin(model, space, start, end, event->header.thread_id);
	}
}

static int apply_map_moved(struct model *model, struct process *process, const struct event_map_moved *event)
{
	struct address_space *space;
	struct maker maker;
	int error = process_space(model, process, event->space, &space);

	if (error)
		return error;
	fill_maker(model, process, &event->header, event->stack, HANDLE_ORIGIN_MREMAP, &maker);
	maker.type = HANDLE_TYPE_ANON;
	error = transits_move_end(model, space, event, &maker);
	return error == -ENOSPC ? 0 : error;
}

static int apply_to_process(struct model *model, struct process *process, const struct event_header *header)
{
	const void *event = header;

	switch (header->type) {
	case EVENT_FD_MADE:
		return apply_fd_made(model, process, event);
	case EVENT_FD_CLOSED:
		return apply_fd_closed(model, process, event);
	case EVENT_FD_RANGE_CLOSED:
		return apply_fd_range_closed(model, process, event);
	case EVENT_FD_TARGET:
		return apply_fd_target(model, process, event);
	case EVENT_TABLE_NUMBERS:
		return tables_numbers(model, process, event);
	case EVENT_TABLE_LEFT:
		tables_left(model, process, event);
		return 0;
	case EVENT_MAP_MADE:
		return apply_map_made(model, process, event);
	case EVENT_MAP_RELEASED:
	case EVENT_MAP_RELEASE_FAILED:
	case EVENT_MAP_MOVE_BEGUN:
	case EVENT_MAP_DONTFORK:
	case EVENT_MAP_DOFORK:
		return apply_map_range(model, process, event);
	case EVENT_MAP_MOVED:
		return apply_map_moved(model, process, event);
	case EVENT_PROCESS_FORKED:
		return process_forked(model, process, event);
	case EVENT_PROCESS_EXECED:
		return process_execed(model, process, event);
	case EVENT_PROCESS_ARGUMENTS:
		return process_arguments(process, event);
	case EVENT_PROCESS_EXITED:
		return process_exited(model, process, event);
	case EVENT_MARK:
		return process_marked(model, process, event);
	case EVENT_TEST:
		return current_test_apply(model, process, event);
	case EVENT_SPACE_RANGES:
		return reconcile_ranges(model, process, event);
	default:
		return 0;
	}
}

int model_alias_stack(struct model *model, uint64_t id, uint64_t same_as)
{
	return interned_alias_stack(model, id, same_as);
}

int model_apply(struct model *model, const struct event_header *event)
{
	struct process *process;

	model->counters.events++;
	switch (event->type) {
	case EVENT_STACK:
		return interned_add_stack(model, (const void *)event);
	case EVENT_FILE:
		return interned_add_file(model, (const void *)event);
	case EVENT_PROCESS_FOUND:
		return reconcile_found(model, (const void *)event);
	case EVENT_STACK_COPY:
	case EVENT_PYTHON_CODE:
		return 0;
	default:
		break;
	}
	process = process_find(model, event->process_id);
	/* Its birth was lost or it is over a maximum: either is counted where it happened. */
	if (!process || process->start_ns != event->process_start_ns)
		return 0;
	return apply_to_process(model, process, event);
}

int model_survey_end(struct model *model, uint64_t now_ns)
{
	return reconcile_end(model, now_ns);
}
