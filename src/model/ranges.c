/*
 * Address spaces. See ranges.h.
 */
#include "model/ranges.h"

#include <errno.h>
#include <stdlib.h>

RB_HEAD(range_tree, range);

struct range_set {
	struct range_tree tree;
	uint32_t references; /* spaces that share it */
	uint64_t count, bytes;
};

/* Pieces that a thread's call took out, until it is known whether the call came through. */
struct transit {
	uint32_t thread_id;
	struct range_tree pieces;
	struct transit *next;
};

static int compare_ranges(const struct range *a, const struct range *b)
{
	return a->start < b->start ? -1 : a->start > b->start;
}

RB_GENERATE_INTERNAL(range_tree, range, node, compare_ranges, static __attribute__((unused)))

static void free_pieces(struct range_tree *pieces)
{
	struct range *range, *next;

	RB_FOREACH_SAFE (range, range_tree, pieces, next) {
		RB_REMOVE(range_tree, pieces, range);
		free(range);
	}
}

static void set_release(struct model *model, struct range_set *set)
{
	if (!set || --set->references)
		return;
	model->live_handles -= set->count;
	free_pieces(&set->tree);
	free(set);
}

static void transits_free(struct address_space *space)
{
	while (space->transits) {
		struct transit *transit = space->transits;

		space->transits = transit->next;
		free_pieces(&transit->pieces);
		free(transit);
	}
}

int ranges_space_new(struct model *model, uint64_t pointer, struct address_space **ret_space)
{
	struct address_space *space = calloc(1, sizeof(*space)), *stale = ranges_space_find(model, pointer);

	if (space)
		space->ranges = calloc(1, sizeof(*space->ranges));
	if (!space || !space->ranges) {
		free(space);
		return -ENOMEM;
	}
	if (stale)
		HASH_DEL(model->spaces, stale);
	RB_INIT(&space->ranges->tree);
	space->ranges->references = 1;
	space->pointer = pointer;
	space->generation = ++model->next_generation;
	HASH_ADD(hh, model->spaces, pointer, sizeof(space->pointer), space);
	*ret_space = space;
	return 0;
}

struct address_space *ranges_space_find(const struct model *model, uint64_t pointer)
{
	struct address_space *space;

	HASH_FIND(hh, model->spaces, &pointer, sizeof(pointer), space);
	return space;
}

void ranges_space_copy(struct model *model, struct address_space *child, struct address_space *parent)
{
	set_release(model, child->ranges);
	child->ranges = parent->ranges;
	child->ranges->references++;
}

void ranges_space_release(struct model *model, struct address_space *space)
{
	if (!space || --space->holders)
		return;
	if (ranges_space_find(model, space->pointer) == space)
		HASH_DEL(model->spaces, space);
	transits_free(space);
	set_release(model, space->ranges);
	free(space);
}

uint64_t ranges_count(const struct address_space *space)
{
	return space->ranges->count;
}

uint64_t ranges_bytes(const struct address_space *space)
{
	return space->ranges->bytes;
}

static void set_insert(struct model *model, struct range_set *set, struct range *range)
{
	RB_INSERT(range_tree, &set->tree, range);
	set->count++;
	set->bytes += range->end - range->start;
	model->live_handles++;
}

static void set_remove(struct model *model, struct range_set *set, struct range *range)
{
	RB_REMOVE(range_tree, &set->tree, range);
	set->count--;
	set->bytes -= range->end - range->start;
	model->live_handles--;
}

/* Before a change: a set that is shared with another space since a fork becomes this one's own. */
static int own_set(struct model *model, struct address_space *space)
{
	struct range_set *shared = space->ranges, *own;
	struct range *range;

	if (shared->references == 1)
		return 0;
	own = calloc(1, sizeof(*own));
	if (!own)
		return -ENOMEM;
	RB_INIT(&own->tree);
	own->references = 1;
	RB_FOREACH (range, range_tree, &shared->tree) {
		struct range *copy = malloc(sizeof(*copy));

		if (!copy) {
			set_release(model, own);
			return -ENOMEM;
		}
		*copy = *range;
		/* The entry of a left-open set follows the ranges of the space in which they were made. */
		if (copy->space_generation != space->generation)
			copy->left_open = NULL;
		else
			range->left_open = NULL;
		set_insert(model, own, copy);
	}
	shared->references--;
	space->ranges = own;
	return 0;
}

/* The lowest range that ends after the address. */
static struct range *first_after(struct range_tree *tree, uint64_t address)
{
	struct range *range = RB_ROOT(tree), *found = NULL;

	while (range) {
		if (range->end > address) {
			found = range;
			range = RB_LEFT(range, node);
		} else {
			range = RB_RIGHT(range, node);
		}
	}
	return found;
}

/* Cuts what lies between start and end out of the set into `pieces`. */
static int cut_out(struct model *model, struct range_set *set, uint64_t start, uint64_t end,
                   struct range_tree *pieces)
{
	struct range *range;

	while ((range = first_after(&set->tree, start)) && range->start < end) {
		struct range *before = NULL, *after = NULL;

		if (range->start < start)
			before = malloc(sizeof(*before));
		if (range->end > end)
			after = malloc(sizeof(*after));
		if ((range->start < start && !before) || (range->end > end && !after)) {
			free(before);
			free(after);
			return -ENOMEM;
		}
		set_remove(model, set, range);
		if (before) {
			*before = *range;
			before->end = start;
			set_insert(model, set, before);
			range->file_offset += start - range->start;
			range->start = start;
		}
		if (after) {
			*after = *range;
			after->start = end;
			after->file_offset += end - range->start;
			set_insert(model, set, after);
			range->end = end;
		}
		RB_INSERT(range_tree, pieces, range);
	}
	return 0;
}

static void note_released(struct range_tree *pieces)
{
	struct range *range;

	RB_FOREACH (range, range_tree, pieces)
		if (range->left_open)
			range->left_open->released += range->end - range->start;
}

int ranges_map(struct model *model, struct address_space *space, const struct range *range)
{
	struct range_tree overlaid = RB_INITIALIZER(&overlaid);
	struct range *copy;
	int error = own_set(model, space);

	if (!error)
		error = cut_out(model, space->ranges, range->start, range->end, &overlaid);
	if (error)
		return error;
	note_released(&overlaid);
	free_pieces(&overlaid);
	if (model->live_handles >= MODEL_HANDLES_MAX) {
		model->counters.over_maximum++;
		return -ENOSPC;
	}
	copy = malloc(sizeof(*copy));
	if (!copy)
		return -ENOMEM;
	*copy = *range;
	copy->space_generation = space->generation;
	copy->left_open = NULL;
	set_insert(model, space->ranges, copy);
	if (space->ranges->count > space->peak)
		space->peak = space->ranges->count;
	return 0;
}

static struct transit *transit_find(struct address_space *space, uint32_t thread_id)
{
	struct transit *transit = space->transits;

	while (transit && transit->thread_id != thread_id)
		transit = transit->next;
	return transit;
}

/* The thread's transit, emptied: its last call is known to have come through. */
static int transit_begin(struct address_space *space, uint32_t thread_id, struct transit **ret_transit)
{
	struct transit *transit = transit_find(space, thread_id);

	if (!transit) {
		transit = calloc(1, sizeof(*transit));
		if (!transit)
			return -ENOMEM;
		transit->thread_id = thread_id;
		transit->next = space->transits;
		space->transits = transit;
	}
	free_pieces(&transit->pieces);
	*ret_transit = transit;
	return 0;
}

int ranges_move_begin(struct model *model, struct address_space *space, uint64_t start, uint64_t end,
                      uint32_t thread_id)
{
	struct transit *transit;
	int error = own_set(model, space);

	if (!error)
		error = transit_begin(space, thread_id, &transit);
	if (error)
		return error;
	return cut_out(model, space->ranges, start, end, &transit->pieces);
}

int ranges_unmap(struct model *model, struct address_space *space, uint64_t start, uint64_t end,
                 uint32_t thread_id)
{
	int error = ranges_move_begin(model, space, start, end, thread_id);

	if (!error)
		note_released(&transit_find(space, thread_id)->pieces);
	return error;
}

/* Puts a thread's pieces back, moved by a distance; addresses beyond `end` are not there any more. */
static int put_back(struct model *model, struct address_space *space, struct transit *transit,
                    uint64_t distance, uint64_t end)
{
	struct range *range, *next;
	int error = own_set(model, space);

	if (error)
		return error;
	RB_FOREACH_SAFE (range, range_tree, &transit->pieces, next) {
		RB_REMOVE(range_tree, &transit->pieces, range);
		range->start += distance;
		range->end += distance;
		if (range->start >= end) {
			if (range->left_open)
				range->left_open->released += range->end - range->start;
			free(range);
			continue;
		}
		if (range->end > end)
			range->end = end;
		set_insert(model, space->ranges, range);
	}
	return 0;
}

int ranges_unmap_failed(struct model *model, struct address_space *space, uint32_t thread_id)
{
	struct transit *transit = transit_find(space, thread_id);
	struct range *range;

	if (!transit)
		return 0;
	RB_FOREACH (range, range_tree, &transit->pieces)
		if (range->left_open)
			range->left_open->released -= range->end - range->start;
	return put_back(model, space, transit, 0, UINT64_MAX);
}

int ranges_move_end(struct model *model, struct address_space *space, const struct event_map_moved *event,
                    const struct maker *maker)
{
	struct transit *transit = transit_find(space, event->header.thread_id);
	uint64_t start = (uint64_t)event->result, end = start + event->new_length_bytes, flags = event->flags;
	struct range_tree overlaid = RB_INITIALIZER(&overlaid);
	struct range *piece, template = {.start = start, .end = end, .maker = *maker};
	/* include/uapi/linux/mman.h: MREMAP_DONTUNMAP keeps the old range, empty. */
	bool keeps_old = flags & 4;
	int error;

	if (event->result < 0 && event->result >= -4095)
		return transit ? put_back(model, space, transit, 0, UINT64_MAX) : 0;
	piece = transit ? RB_MIN(range_tree, &transit->pieces) : NULL;
	if (!event->old_length_bytes || keeps_old) {
		/* A second mapping of what the first address holds. */
		struct range *source = piece ? piece : first_after(&space->ranges->tree, event->old_address);

		if (source) {
			template.file = source->file;
			template.file_offset = source->file_offset;
			template.category = source->category;
			template.maker.type = source->maker.type;
		}
		error = ranges_map(model, space, &template);
		return !error && transit ? put_back(model, space, transit, 0, UINT64_MAX) : error;
	}
	error = own_set(model, space);
	if (!error)
		error = cut_out(model, space->ranges, start, end, &overlaid);
	if (error)
		return error;
	note_released(&overlaid);
	free_pieces(&overlaid);
	if (!piece)
		return 0;
	error = put_back(model, space, transit, start - event->old_address, end);
	/* What grew belongs to the last piece. */
	piece = error ? NULL : first_after(&space->ranges->tree, start + event->old_length_bytes - 1);
	if (piece && piece->start < end && piece->end < end) {
		space->ranges->bytes += end - piece->end;
		piece->end = end;
	}
	return error;
}

int ranges_visit(struct model *model, struct address_space *space, ranges_visit_fn visit, void *context)
{
	struct range *range, *next;
	int error = own_set(model, space);

	if (error)
		return error;
	RB_FOREACH_SAFE (range, range_tree, &space->ranges->tree, next) {
		error = visit(context, range);
		if (error)
			return error;
	}
	return 0;
}

void ranges_forget_left_open(struct address_space *space)
{
	struct range *range;

	RB_FOREACH (range, range_tree, &space->ranges->tree)
		range->left_open = NULL;
	for (struct transit *transit = space->transits; transit; transit = transit->next)
		RB_FOREACH (range, range_tree, &transit->pieces)
			range->left_open = NULL;
}
