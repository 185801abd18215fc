/*
 * Descriptor tables. See points.h.
 */
#include "model/points.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"

#define POINTS_CAPACITY_MIN 64

struct handle *points_handle_new(const struct maker *maker, uint64_t file, uint16_t mode)
{
	struct handle *handle = calloc(1, sizeof(*handle));

	if (!handle)
		return NULL;
	handle->maker = *maker;
	handle->file = file;
	handle->mode = mode;
	handle->references = 1;
	return handle;
}

void points_handle_release(struct handle *handle)
{
	if (!handle || --handle->references)
		return;
	free(handle->target);
	free(handle);
}

static void table_free(struct model *model, struct fd_table *table)
{
	for (size_t i = 0; i < table->capacity && table->live; i++)
		points_release(model, table, (int)i);
	free(table->slots);
	free(table->numbers);
	free(table->suspects);
	free(table);
}

int points_table_new(struct model *model, uint64_t pointer, struct fd_table **ret_table)
{
	struct fd_table *table = calloc(1, sizeof(*table)), *stale = points_table_find(model, pointer);

	if (!table)
		return -ENOMEM;
	/* Its holders keep it and free it; it is only not found by its pointer any more. */
	if (stale)
		HASH_DEL(model->tables, stale);
	table->pointer = pointer;
	table->generation = ++model->next_generation;
	HASH_ADD(hh, model->tables, pointer, sizeof(table->pointer), table);
	*ret_table = table;
	return 0;
}

struct fd_table *points_table_find(const struct model *model, uint64_t pointer)
{
	struct fd_table *table;

	HASH_FIND(hh, model->tables, &pointer, sizeof(pointer), table);
	return table;
}

void points_table_move(struct model *model, struct fd_table *table, uint64_t pointer)
{
	if (points_table_find(model, table->pointer) == table)
		HASH_DEL(model->tables, table);
	table->pointer = pointer;
	HASH_ADD(hh, model->tables, pointer, sizeof(table->pointer), table);
}

void points_table_release(struct model *model, struct fd_table *table)
{
	if (!table || --table->holders)
		return;
	if (points_table_find(model, table->pointer) == table)
		HASH_DEL(model->tables, table);
	table_free(model, table);
}

struct point_slot *points_slot(const struct fd_table *table, int fd)
{
	return fd >= 0 && (size_t)fd < table->capacity ? &table->slots[fd] : NULL;
}

static int reserve(struct fd_table *table, int fd)
{
	if (fd < 0 || (unsigned int)fd >= POINTS_CAPACITY_MAX)
		return -ENOSPC;
	return array_grow((void **)&table->slots, &table->capacity,
	                  (size_t)fd < POINTS_CAPACITY_MIN ? POINTS_CAPACITY_MIN : (size_t)fd + 1,
	                  sizeof(table->slots[0]));
}

static int compare_suspects(const void *a, const void *b)
{
	COMPARE(((const struct point_suspect *)a)->fd, ((const struct point_suspect *)b)->fd);
	return 0;
}

static struct point_suspect *find_suspect(const struct fd_table *table, int fd)
{
	struct point_suspect wanted = {.fd = fd};

	if (!table->suspect_count)
		return NULL;
	return bsearch(&wanted, table->suspects, table->suspect_count, sizeof(wanted), compare_suspects);
}

/* An event came for the number: what a survey saw before is no difference any more. */
static void clear_suspect(struct fd_table *table, int fd)
{
	struct point_suspect *suspect = find_suspect(table, fd);

	if (suspect)
		suspect->cleared = true;
}

const struct point_suspect *points_suspect(const struct fd_table *table, int fd, uint64_t file)
{
	const struct point_suspect *suspect = find_suspect(table, fd);

	return suspect && !suspect->cleared && suspect->file == file ? suspect : NULL;
}

int points_put(struct model *model, struct fd_table *table, int fd, struct handle *handle, bool inherited)
{
	int error = reserve(table, fd);

	if (!error)
		(void)points_release(model, table, fd);
	if (!error && model->live_handles >= MODEL_HANDLES_MAX)
		error = -ENOSPC;
	if (error) {
		if (error == -ENOSPC)
			model->counters.over_maximum++;
		points_handle_release(handle);
		return error;
	}
	table->slots[fd].handle = handle;
	table->slots[fd].inherited = inherited;
	handle->own_slots += !inherited;
	table->opened += !inherited;
	if (inherited && fd < POINTS_STANDARD)
		table->standard[fd] = handle->file;
	model->live_handles++;
	if (++table->live > table->peak)
		table->peak = table->live;
	return 0;
}

static void empty_slot(struct model *model, struct fd_table *table, struct point_slot *slot)
{
	slot->handle->own_slots -= !slot->inherited;
	points_handle_release(slot->handle);
	slot->handle = NULL;
	table->live--;
	model->live_handles--;
}

bool points_release(struct model *model, struct fd_table *table, int fd)
{
	struct point_slot *slot = points_slot(table, fd);

	clear_suspect(table, fd);
	if (!slot || !slot->handle)
		return false;
	/* Another table of the process may hold it, too. */
	if (slot->handle->left_open && !slot->inherited && slot->handle->own_slots == 1)
		slot->handle->left_open->released = 1;
	table->closed += !slot->inherited;
	empty_slot(model, table, slot);
	return true;
}

bool points_is_provisional(const struct point_slot *slot)
{
	/* The kernel's own numbers said that a forked child holds it. */
	return slot && slot->handle && slot->handle->provisional && !slot->inherited;
}

void points_withdraw(struct model *model, struct fd_table *table, int fd)
{
	struct point_slot *slot = points_slot(table, fd);

	if (slot->handle->left_open)
		slot->handle->left_open->withdrawn = true;
	model->counters.reconciled--;
	table->opened -= !slot->inherited;
	empty_slot(model, table, slot);
}

void points_release_range(struct model *model, struct fd_table *table, uint32_t first, uint32_t last)
{
	for (size_t fd = first; fd <= last && fd < table->capacity; fd++)
		(void)points_release(model, table, (int)fd);
}

void points_inherit(struct fd_table *table, size_t end)
{
	for (size_t fd = 0; fd < end && fd < table->capacity; fd++) {
		struct point_slot *slot = &table->slots[fd];

		if (!slot->handle)
			continue;
		table->opened -= !slot->inherited;
		slot->handle->own_slots -= !slot->inherited;
		slot->inherited = true;
		if (fd < POINTS_STANDARD)
			table->standard[fd] = slot->handle->file;
	}
}
