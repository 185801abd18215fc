/*
 * See transits.h.
 */
#include "model/transits.h"

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
	int error = transit_begin(model, space, thread_id, ret_transit);

	if (error)
		return error;
	(*ret_transit)->start = start;
	(*ret_transit)->end = end;
	return ranges_cut_out(model, space, start, end, &(*ret_transit)->pieces);
}

int transits_move_begin(struct model *model, struct address_space *space, uint64_t start, uint64_t end,
                        uint32_t thread_id)
{
	struct transit *transit;
	int error = take_out(model, space, start, end, thread_id, &transit);

	if (!error)
		transit->moving = true;
	return error;
}

int transits_unmap(struct model *model, struct address_space *space, uint64_t start, uint64_t end,
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
	int error = 0;

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
			failed = ranges_put_back(model, space, range);
		else
			free(range);
		error = failed ? failed : error;
	}
	return error;
}

int transits_unmap_failed(struct model *model, struct address_space *space, uint64_t start, uint64_t end,
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

/* The call failed: its pieces are there again, but for the first ones where it had moved these by then. */
static int move_failed(struct model *model, struct address_space *space, const struct event_map_moved *event,
                       struct transit *transit, const struct maker *maker)
{
	struct event_map_moved part = *event;
	uint64_t moved_end = event->old_address + event->moved_bytes;
	bool moved = event->moved_bytes && transit->pieces->start == event->old_address;
	int error = put_back(model, space, transit, 0, UINT64_MAX);

	if (error || !moved)
		return error;
	part.result = (int64_t)event->new_address;
	part.old_length_bytes = part.new_length_bytes = event->moved_bytes;
	error = transits_move_begin(model, space, event->old_address, moved_end, event->header.thread_id);
	return error ? error : transits_move_end(model, space, &part, maker);
}

int transits_move_end(struct model *model, struct address_space *space, const struct event_map_moved *event,
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
		return transit && transit->pieces ? move_failed(model, space, event, transit, maker) : 0;
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

void transits_free(struct address_space *space)
{
	struct transit *transit, *next;

	HASH_ITER (hh, space->transits, transit, next) {
		HASH_DEL(space->transits, transit);
		range_set_free_pieces(transit->pieces);
		free(transit);
	}
}

void transits_forget_left_open(struct address_space *space)
{
	struct transit *transit, *next;
	struct range *range;

	HASH_ITER (hh, space->transits, transit, next)
		for (range = transit->pieces; range; range = range->next_piece)
			range->left_open = NULL;
}
