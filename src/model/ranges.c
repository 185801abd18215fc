/*
 * Address spaces. See ranges.h.
 */
#include "model/ranges.h"

#include <errno.h>
#include <stdlib.h>

#include "model/range_set.h"
#include "model/transits.h"

int ranges_space_new(struct model *model, uint64_t pointer, struct address_space **ret_space)
{
	struct address_space *space = calloc(1, sizeof(*space)), *stale = ranges_space_find(model, pointer);

	if (!space)
		return -ENOMEM;
	if (range_set_new(&space->ranges)) {
		free(space);
		return -ENOMEM;
	}
	if (stale)
		HASH_DEL(model->spaces, stale);
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

static void note_peak(struct address_space *space)
{
	if (space->ranges->count > space->peak)
		space->peak = space->ranges->count;
}

int ranges_space_copy(struct model *model, struct address_space *child, struct address_space *parent)
{
	struct range_set *ranges = parent->ranges;
	int error;

	if (ranges->dont_fork_count) {
		error = range_set_copy(model, ranges, child->generation, true, &ranges);
		if (error)
			return error;
	} else {
		ranges->references++;
	}
	range_set_release(model, child->ranges);
	child->heap_end = parent->heap_end;
	child->ranges = ranges;
	note_peak(child);
	return 0;
}

void ranges_space_release(struct model *model, struct address_space *space)
{
	if (!space || --space->holders)
		return;
	if (ranges_space_find(model, space->pointer) == space)
		HASH_DEL(model->spaces, space);
	transits_free(space);
	range_set_release(model, space->ranges);
	free(space->suspects);
	free(space->entries);
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

/* Before a change: a set that is shared with another space since a fork becomes this one's own. */
static int own_set(struct model *model, struct address_space *space)
{
	struct range_set *shared = space->ranges;
	int error;

	if (shared->references == 1)
		return 0;
	error = range_set_copy(model, shared, space->generation, false, &space->ranges);
	if (!error)
		shared->references--;
	return error;
}

/* What was mapped there is not there any more. */
static void pieces_end(struct range *pieces)
{
	for (struct range *range = pieces; range; range = range->next_piece)
		range_set_note_released(range, range->end - range->start);
	range_set_free_pieces(pieces);
}

struct range_suspect *ranges_suspect_after(const struct address_space *space, uint64_t address)
{
	size_t low = 0, high = space->suspect_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (space->suspects[middle].end > address)
			high = middle;
		else
			low = middle + 1;
	}
	return low < space->suspect_count ? &space->suspects[low] : NULL;
}

/* An event came for these addresses: what a survey saw there before is no difference any more. */
static void clear_suspects(struct address_space *space, uint64_t start, uint64_t end)
{
	const struct range_suspect *behind = space->suspects + space->suspect_count;
	struct range_suspect *suspect = ranges_suspect_after(space, start);

	for (; suspect && suspect < behind && suspect->start < end; suspect++)
		suspect->cleared = true;
}

int ranges_cut_out(struct model *model, struct address_space *space, uint64_t start, uint64_t end,
                   struct range **ret_pieces)
{
	int error = own_set(model, space);

	clear_suspects(space, start, end);
	if (!error)
		error = range_set_cut_out(model, space->ranges, start, end, ret_pieces);
	note_peak(space);
	return error;
}

int ranges_put_back(struct model *model, struct address_space *space, struct range *piece)
{
	int error = own_set(model, space);

	if (error)
		free(piece);
	else
		error = range_set_put_back(model, space->ranges, piece);
	note_peak(space);
	return error;
}

int ranges_release(struct model *model, struct address_space *space, uint64_t start, uint64_t end)
{
	struct range *overlaid = NULL;
	int error = ranges_cut_out(model, space, start, end, &overlaid);

	pieces_end(overlaid);
	return error;
}

const struct range *ranges_first_after(const struct address_space *space, uint64_t address)
{
	return range_set_first_after(space->ranges, address);
}

static int map(struct model *model, struct address_space *space, const struct range *range,
               uint64_t space_generation)
{
	struct range *copy;
	int error;

	if (range->start >= range->end)
		return 0;
	error = ranges_release(model, space, range->start, range->end);
	if (error)
		return error;
	if (model->live_handles >= MODEL_HANDLES_MAX) {
		model->counters.over_maximum++;
		return -ENOSPC;
	}
	copy = malloc(sizeof(*copy));
	if (!copy)
		return -ENOMEM;
	*copy = *range;
	copy->space_generation = space_generation;
	copy->left_open = NULL;
	range_set_insert(model, space->ranges, copy);
	note_peak(space);
	return 0;
}

int ranges_map(struct model *model, struct address_space *space, const struct range *range)
{
	return map(model, space, range, space->generation);
}

int ranges_resize_heap(struct model *model, struct address_space *space, const struct range *heap)
{
	uint64_t end = space->heap_end > heap->start ? space->heap_end : heap->start;
	struct range grown = *heap;

	space->heap_end = heap->end;
	if (heap->end < end)
		return ranges_release(model, space, heap->end, end);
	grown.start = end;
	return ranges_map(model, space, &grown);
}

int ranges_map_inherited(struct model *model, struct address_space *space, const struct range *range)
{
	return map(model, space, range, 0);
}

int ranges_forget_makers(struct model *model, struct address_space *space, uint64_t until_ns)
{
	struct range *range;
	int error = own_set(model, space);

	if (error)
		return error;
	for (range = range_set_first(space->ranges); range; range = range_set_next(space->ranges, range)) {
		if (range->maker.made_ns > until_ns || !range->maker.stack)
			continue;
		range->maker.stack = 0;
		range->maker.origin = HANDLE_ORIGIN_MAP_UNSEEN;
		if (range->left_open)
			range->left_open->maker = range->maker;
		model->counters.reconciled++;
	}
	return 0;
}

int ranges_advise_fork(struct model *model, struct address_space *space, uint64_t start, uint64_t end,
                       bool do_fork)
{
	int error;

	if (do_fork && !space->ranges->dont_fork_count)
		return 0;
	error = own_set(model, space);
	if (!error)
		error = range_set_advise_fork(model, space->ranges, start, end, do_fork);
	note_peak(space);
	return error;
}

static bool is_own(const struct address_space *space, const struct range *range)
{
	return range->space_generation == space->generation;
}

/* A child that ends holds what its parent mapped, and most often nothing else. */
static bool has_own(const struct address_space *space)
{
	struct range *range;

	for (range = range_set_first(space->ranges); range; range = range_set_next(space->ranges, range))
		if (is_own(space, range))
			return true;
	return false;
}

int ranges_visit(struct model *model, struct address_space *space, ranges_visit_fn visit, void *context)
{
	struct range *range;
	int error;

	if (!has_own(space))
		return 0;
	error = own_set(model, space);
	if (error)
		return error;
	for (range = range_set_first(space->ranges); range; range = range_set_next(space->ranges, range)) {
		error = is_own(space, range) ? visit(context, range) : 0;
		if (error)
			return error;
	}
	return 0;
}

void ranges_forget_left_open(struct address_space *space)
{
	struct range *range;

	for (range = range_set_first(space->ranges); range; range = range_set_next(space->ranges, range))
		if (is_own(space, range))
			range->left_open = NULL;
	transits_forget_left_open(space);
}
