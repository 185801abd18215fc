/*
 * Address spaces. See ranges.h.
 */
#include "model/ranges.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "model/range_set.h"

/* Pieces that a thread's call took out, until it is known whether the call came through. */
struct transit {
	uint32_t thread_id;
	bool moving; /* by mremap, else unmapped */
	uint64_t start, end;
	struct range *pieces; /* in order */
	UT_hash_handle hh;    /* by thread; the one whose call is longest ago comes first */
};

/* Chosen by: more threads than wait in mremap or munmap of one process at once. */
#define TRANSITS_MAX 256

static void transits_free(struct address_space *space)
{
	struct transit *transit, *next;

	HASH_ITER (hh, space->transits, transit, next) {
		HASH_DEL(space->transits, transit);
		range_set_free_pieces(transit->pieces);
		free(transit);
	}
}

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

int ranges_release(struct model *model, struct address_space *space, uint64_t start, uint64_t end)
{
	struct range *overlaid = NULL;
	int error = own_set(model, space);

	clear_suspects(space, start, end);
	if (!error)
		error = range_set_cut_out(model, space->ranges, start, end, &overlaid);
	pieces_end(overlaid);
	note_peak(space);
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

/* @return the thread's last call, where it is of that sort and range; NULL: it was not seen */
static struct transit *transit_find(struct address_space *space, uint32_t thread_id, bool moving,
                                    uint64_t start, uint64_t end)
{
	struct transit *transit;

	HASH_FIND(hh, space->transits, &thread_id, sizeof(thread_id), transit);
	return transit && transit->moving == moving && transit->start == start && transit->end == end
	               ? transit
	               : NULL;
}

/* The thread's transit, emptied: its last call is known to have come through. */
static int transit_begin(struct model *model, struct address_space *space, uint32_t thread_id,
                         struct transit **ret_transit)
{
	struct transit *transit;

	HASH_FIND(hh, space->transits, &thread_id, sizeof(thread_id), transit);
	if (!transit && HASH_COUNT(space->transits) >= TRANSITS_MAX) {
		transit = space->transits;
		/* A move whose end was not seen: what it moved is lost. */
		model->counters.over_maximum += transit->moving && transit->pieces;
	}
	if (transit) {
		HASH_DEL(space->transits, transit);
		range_set_free_pieces(transit->pieces);
	} else {
		transit = malloc(sizeof(*transit));
		if (!transit)
			return -ENOMEM;
	}
	*transit = (struct transit){.thread_id = thread_id};
	HASH_ADD(hh, space->transits, thread_id, sizeof(transit->thread_id), transit);
	*ret_transit = transit;
	return 0;
}

static int take_out(struct model *model, struct address_space *space, uint64_t start, uint64_t end,
                    uint32_t thread_id, struct transit **ret_transit)
{
	int error = own_set(model, space);

	clear_suspects(space, start, end);
	if (!error)
		error = transit_begin(model, space, thread_id, ret_transit);
	if (error)
		return error;
	(*ret_transit)->start = start;
	(*ret_transit)->end = end;
	error = range_set_cut_out(model, space->ranges, start, end, &(*ret_transit)->pieces);
	note_peak(space);
	return error;
}

int ranges_move_begin(struct model *model, struct address_space *space, uint64_t start, uint64_t end,
                      uint32_t thread_id)
{
	struct transit *transit;
	int error = take_out(model, space, start, end, thread_id, &transit);

	if (!error)
		transit->moving = true;
	return error;
}

int ranges_unmap(struct model *model, struct address_space *space, uint64_t start, uint64_t end,
                 uint32_t thread_id)
{
	struct transit *transit;
	struct range *range;
	int error = take_out(model, space, start, end, thread_id, &transit);

	if (error)
		return error;
	for (range = transit->pieces; range; range = range->next_piece)
		range_set_note_released(range, range->end - range->start);
	return 0;
}

/* Puts a thread's pieces back, moved by a distance; addresses beyond `end` are not there any more. */
static int put_back(struct model *model, struct address_space *space, struct transit *transit,
                    uint64_t distance, uint64_t end)
{
	struct range *range;
	int error = own_set(model, space);

	if (error)
		return error;
	while ((range = transit->pieces)) {
		int failed = 0;

		transit->pieces = range->next_piece;
		range->start += distance;
		range->end += distance;
		range->cut_before &= !distance;
		range->cut_after &= !distance;
		if (range->end > end) {
			uint64_t kept = range->start < end ? end : range->start;

			range_set_note_released(range, range->end - kept);
			range->end = kept;
			range->cut_after = false;
		}
		if (range->start < range->end)
			failed = range_set_put_back(model, space->ranges, range);
		else
			free(range);
		error = failed ? failed : error;
	}
	note_peak(space);
	return error;
}

int ranges_unmap_failed(struct model *model, struct address_space *space, uint64_t start, uint64_t end,
                        uint32_t thread_id)
{
	struct transit *transit = transit_find(space, thread_id, false, start, end);
	struct range *range;

	if (!transit)
		return 0;
	for (range = transit->pieces; range; range = range->next_piece)
		if (range->left_open)
			range->left_open->released -= range->end - range->start;
	return put_back(model, space, transit, 0, UINT64_MAX);
}

/* mremap(2) made a second mapping of what its old address holds; what was there stays. */
static int duplicate(struct model *model, struct address_space *space, const struct event_map_moved *event,
                     struct transit *transit, const struct maker *maker)
{
	struct range template = {
	        .start = (uint64_t)event->result,
	        .end = (uint64_t)event->result + event->new_length_bytes,
	        .maker = *maker,
	};
	const struct range *source = transit ? transit->pieces : NULL;
	int error, failed = 0;

	if (!source)
		source = range_set_first_after(space->ranges, event->old_address);
	if (source && source->start <= event->old_address) {
		template.file = source->file;
		template.dont_fork = source->dont_fork;
		template.file_offset = source->file_offset + (event->old_address - source->start);
		template.maker.category = source->maker.category;
		template.maker.type = source->maker.type;
	}
	error = ranges_map(model, space, &template);
	if (transit)
		failed = put_back(model, space, transit, 0, UINT64_MAX);
	return failed ? failed : error;
}

int ranges_move_end(struct model *model, struct address_space *space, const struct event_map_moved *event,
                    const struct maker *maker)
{
	uint64_t old_end = event->old_address + event->old_length_bytes;
	struct transit *transit =
	        transit_find(space, event->header.thread_id, true, event->old_address, old_end);
	uint64_t start = (uint64_t)event->result, end = start + event->new_length_bytes;
	struct range *last;
	bool known;
	int error;

	if (event->result < 0)
		return transit ? put_back(model, space, transit, 0, UINT64_MAX) : 0;
	/* MREMAP_DONTUNMAP keeps the old range, empty. */
	if (!event->old_length_bytes || event->flags & MREMAP_DONTUNMAP)
		return duplicate(model, space, event, transit, maker);
	error = ranges_release(model, space, start, end);
	known = transit && transit->pieces;
	if (error || !known)
		return error;
	error = put_back(model, space, transit, start - event->old_address, end);
	/* What grew belongs to the last piece. */
	last = error ? NULL : range_set_first_after(space->ranges, start + event->old_length_bytes - 1);
	if (last && last->start < start + event->old_length_bytes && last->end < end) {
		space->ranges->bytes += end - last->end;
		last->end = end;
	}
	return error;
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
	struct transit *transit, *next;
	struct range *range;

	for (range = range_set_first(space->ranges); range; range = range_set_next(space->ranges, range))
		if (is_own(space, range))
			range->left_open = NULL;
	HASH_ITER (hh, space->transits, transit, next)
		for (range = transit->pieces; range; range = range->next_piece)
			range->left_open = NULL;
}
