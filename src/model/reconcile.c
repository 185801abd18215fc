/*
 * Comparing with the kernel's own tables. See reconcile.h.
 */
#include "model/reconcile.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "model/kinds.h"
#include "model/tables.h"

/* Chosen by: on two CPUs with a load of 45, calls of munmap waited for the better part of a second. */
#define ADDED_AFTER_NS 1000000000ULL
/* A process that so many surveys in a row did not come by is gone. */
#define SURVEYS_TO_BE_GONE 2
/* include/linux/mm.h */
#define VM_SHARED   8
#define VM_DONTCOPY 0x20000

int reconcile_found(struct model *model, const struct event_process_found *event)
{
	struct process *process = process_find(model, event->header.process_id);
	struct address_space *space;
	struct fd_table *table;
	int error;

	if (!process || process->start_ns != event->header.process_start_ns) {
		error = process_add(model, event->header.process_id, event->header.process_start_ns,
		                    &process);
		if (error)
			return error == -ENOSPC ? 0 : error;
		process->parent_id = event->parent_id;
		process->image_ns = event->header.time_ns;
		process->exe = event->exe;
	}
	process->survey = model->survey;
	process->vmas = event->vmas;
	process->fd_limit = event->fd_limit;
	memcpy(process->comm, event->comm, sizeof(process->comm));
	/* What it holds by now was there before it was seen. */
	table = points_table_find(model, event->table);
	if (table) {
		error = tables_holds(process, table) ? 0 : tables_hold(model, process, table);
	} else {
		error = tables_begin(model, process, event->table, &table);
		if (!error)
			table->awaits_baseline = true;
	}
	if (error || process->space)
		return error;
	space = ranges_space_find(model, event->space);
	if (space) {
		process_share_space(model, process, space);
		return 0;
	}
	error = process_space(model, process, event->space, &space);
	if (!error)
		space->awaits_baseline = true;
	return error;
}

struct numbers_check {
	struct model *model;
	struct process *process;
	struct fd_table *table;
	uint64_t time_ns;
	struct point_suspect *suspects; /* of this survey */
	size_t count, capacity;
};

/* @param entry what the kernel has under the number; file 0: nothing */
static int check_number(struct numbers_check *check, const struct table_entry *entry)
{
	struct fd_table *table = check->table;
	const struct point_slot *slot = points_slot(table, entry->fd);
	uint64_t known = slot && slot->handle ? slot->handle->file : 0;
	const struct point_suspect *before = points_suspect(table, entry->fd, entry->file);
	uint64_t seen_ns = before ? before->seen_ns : check->time_ns;
	int error;

	if (known == entry->file)
		return 0;
	/* Made while the survey was under way, which may have come by the number before. */
	if (known && table->awaits_baseline && slot->handle->maker.made_ns >= check->time_ns)
		return 0;
	if (!table->awaits_baseline &&
	    (!before || (entry->file && check->time_ns < seen_ns + ADDED_AFTER_NS))) {
		error = array_grow((void **)&check->suspects, &check->capacity, check->count + 1,
		                   sizeof(check->suspects[0]));
		if (!error)
			check->suspects[check->count++] = (struct point_suspect){
			        .fd = entry->fd, .file = entry->file, .seen_ns = seen_ns};
		return error;
	}
	check->model->counters.drift += known != 0;
	if (known)
		(void)points_release(check->model, table, entry->fd);
	if (!entry->file)
		return 0;
	error = tables_put_unseen(check->model, check->process, table, entry, table->awaits_baseline);
	return error == -ENOSPC ? 0 : error;
}

int reconcile_numbers(struct model *model, struct process *process, struct fd_table *table, uint64_t time_ns)
{
	struct numbers_check check = {.model = model, .process = process, .table = table, .time_ns = time_ns};
	const struct table_entry *numbers = table->numbers;
	size_t next = 0, count = table->number_count;
	int error = 0;

	/* Both are in order of number. */
	for (size_t fd = 0; !error && (fd < table->capacity || next < count); fd++) {
		struct table_entry none = {.fd = (int)fd};

		if (fd >= table->capacity)
			fd = (size_t)numbers[next].fd;
		if (next < count && (size_t)numbers[next].fd == fd)
			error = check_number(&check, &numbers[next++]);
		else
			error = check_number(&check, &none);
	}
	table->awaits_baseline = false;
	free(table->suspects);
	table->suspects = check.suspects;
	table->suspect_count = check.count;
	return error;
}

void reconcile_lost_numbers(struct model *model, struct fd_table *table, uint64_t lost_fds, uint64_t lost_ns)
{
	if (!lost_fds)
		return;
	for (size_t fd = 0; fd < table->capacity; fd++) {
		struct handle *handle = table->slots[fd].handle;

		if (!handle || !(lost_fds >> (fd & 63) & 1) || handle->maker.made_ns > lost_ns ||
		    !handle->maker.stack)
			continue;
		handle->maker.stack = 0;
		handle->maker.origin = HANDLE_ORIGIN_UNSEEN;
		handle->maker.type = kinds_type_of_mode(handle->mode);
		if (handle->left_open)
			handle->left_open->maker = handle->maker;
		model->counters.reconciled++;
	}
}

struct ranges_check {
	struct model *model;
	struct process *process;
	struct address_space *space;
	uint64_t time_ns;
	struct range_suspect *suspects; /* of this survey, in order of address */
	size_t count, capacity;
	uint64_t heap_end;
	bool mended; /* a difference was made good */
};

static int map_found(struct ranges_check *check, const struct range_suspect *found)
{
	struct address_space *space = check->space;
	/* What a program's image is made of is mapped by no call of its own. */
	bool inherited = space->awaits_baseline || !space->lost_ns;
	struct range range = {
	        .start = found->start,
	        .end = found->end,
	        .file = found->file,
	        .file_offset = found->file_offset,
	        .dont_fork = found->dont_fork,
	        .maker = {.made_ns = check->process->image_ns,
	                  .thread_id = check->process->process_id,
	                  .origin = inherited ? HANDLE_ORIGIN_MAP_INHERITED : HANDLE_ORIGIN_MAP_UNSEEN,
	                  .type = (uint8_t)found->type,
	                  .category = (uint8_t)found->category},
	};
	int error;

	check->mended = true;
	check->model->counters.reconciled += !inherited;
	error = inherited ? ranges_map_inherited(check->model, space, &range)
	                  : ranges_map(check->model, space, &range);
	return error == -ENOSPC ? 0 : error;
}

/* A difference: the kernel maps it and the model does not, or the other way round. What an earlier survey saw
 * of it too is made good. */
static int differ(struct ranges_check *check, struct range_suspect found)
{
	struct address_space *space = check->space;
	const struct range_suspect *before = ranges_suspect_after(space, found.start);
	bool agreed = before && !before->cleared && before->phantom == found.phantom &&
	              before->start <= found.start && before->end >= found.end;
	int error;

	if (found.start >= found.end)
		return 0;
	found.seen_ns = agreed ? before->seen_ns : check->time_ns;
	if (agreed && found.phantom) {
		check->mended = true;
		check->model->counters.drift++;
		return ranges_release(check->model, space, found.start, found.end);
	}
	if (space->awaits_baseline || (agreed && check->time_ns >= found.seen_ns + ADDED_AFTER_NS))
		return map_found(check, &found);
	error = array_grow((void **)&check->suspects, &check->capacity, check->count + 1,
	                   sizeof(check->suspects[0]));
	if (!error)
		check->suspects[check->count++] = found;
	return error;
}

/* What of an entry the model does not have. */
static int check_missing(struct ranges_check *check, const struct space_entry *entry)
{
	uint64_t at = entry->start;
	int error = 0;

	while (at < entry->end && !error) {
		const struct range *range = ranges_first_after(check->space, at);
		struct range_suspect missing = {
		        .start = at,
		        .end = range && range->start < entry->end ? range->start : entry->end,
		        .file = entry->key,
		        .file_offset = entry->file_offset + (at - entry->start),
		        .type = kinds_type_of_mapping(entry->key.inode, entry->mode,
		                                      entry->flags & VM_SHARED),
		        .category =
		                entry->role == SPACE_ROLE_HEAP ? CATEGORY_ALLOCATOR : CATEGORY_APPLICATION,
		        .dont_fork = entry->flags & VM_DONTCOPY,
		};

		if (range && range->start <= at) {
			at = range->end;
			continue;
		}
		at = missing.end;
		error = differ(check, missing);
	}
	return error;
}

/* What the model has between two entries. */
static int check_phantoms(struct ranges_check *check, uint64_t start, uint64_t end)
{
	int error = 0;

	while (start < end && !error) {
		const struct range *range = ranges_first_after(check->space, start);
		struct range_suspect phantom = {.phantom = true};

		if (!range || range->start >= end)
			return 0;
		phantom.start = range->start > start ? range->start : start;
		phantom.end = range->end < end ? range->end : end;
		start = phantom.end;
		error = differ(check, phantom);
	}
	return error;
}

static int check_ranges(struct ranges_check *check, const struct space_entry *entries, size_t count)
{
	uint64_t end = 0;
	int error = 0;

	for (size_t i = 0; i < count && !error; i++) {
		error = check_phantoms(check, end, entries[i].start);
		if (!error && (entries[i].role == SPACE_ROLE_NONE || entries[i].role == SPACE_ROLE_HEAP))
			error = check_missing(check, &entries[i]);
		if (entries[i].role == SPACE_ROLE_HEAP)
			check->heap_end = entries[i].end;
		end = entries[i].end;
	}
	return error ? error : check_phantoms(check, end, UINT64_MAX);
}

static int collect_ranges(struct address_space *space, const struct event_space_ranges *event)
{
	int error;

	if (event->first) {
		space->entries_begun = true;
		space->entry_count = 0;
	}
	if (!space->entries_begun || !event->count)
		return 0;
	error = array_grow((void **)&space->entries, &space->entry_capacity,
	                   space->entry_count + event->count, sizeof(space->entries[0]));
	if (error) {
		space->entries_begun = false;
		return error;
	}
	memcpy(space->entries + space->entry_count, event->entries, event->count * sizeof(event->entries[0]));
	space->entry_count += event->count;
	return 0;
}

int reconcile_ranges(struct model *model, struct process *process, const struct event_space_ranges *event)
{
	struct ranges_check check = {.model = model, .process = process, .time_ns = event->header.time_ns};
	int error = process_space(model, process, event->space, &check.space);

	if (!error)
		error = collect_ranges(check.space, event);
	if (error || !event->last || !check.space->entries_begun)
		return error;
	if (event->lost_ns) {
		check.space->lost_ns = event->lost_ns;
		error = ranges_forget_makers(model, check.space, event->lost_ns);
	}
	if (!error)
		error = check_ranges(&check, check.space->entries, check.space->entry_count);
	/* Both surveys that agree know of the loss. */
	if (!check.count)
		check.space->lost_ns = 0;
	/* Else the model knows it, or an event of it is on its way. */
	if (check.mended && !check.count)
		check.space->heap_end = check.heap_end;
	check.space->awaits_baseline = false;
	free(check.space->suspects);
	check.space->suspects = check.suspects;
	check.space->suspect_count = check.count;
	free(check.space->entries);
	check.space->entries = NULL;
	check.space->entry_count = check.space->entry_capacity = 0;
	check.space->entries_begun = false;
	return error;
}

int reconcile_end(struct model *model, uint64_t now_ns)
{
	struct process *process, *next;
	int error = 0;

	HASH_ITER (hh, model->living, process, next) {
		if (error)
			break;
		if (process->survey + SURVEYS_TO_BE_GONE > model->survey)
			continue;
		model->counters.drift++;
		error = process_gone(model, process, now_ns);
	}
	model->survey++;
	return error;
}
