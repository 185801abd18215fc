/*
 * A set of ranges. See range_set.h.
 */
#include "model/range_set.h"

#include <errno.h>
#include <stdlib.h>

static int compare_ranges(const struct range *a, const struct range *b)
{
	return a->start < b->start ? -1 : a->start > b->start;
}

/* A splay tree, which asks a range for two pointers only; who looks something up moves it to the root, so
 * that what comes next in order, or is looked up again, is near. */
SPLAY_PROTOTYPE(range_tree, range, node, compare_ranges)
SPLAY_GENERATE(range_tree, range, node, compare_ranges)

static void set_remove(struct model *model, struct range_set *set, struct range *range)
{
	(void)SPLAY_REMOVE(range_tree, &set->tree, range);
	set->count--;
	set->bytes -= range->end - range->start;
	set->dont_fork_count -= range->dont_fork;
	model->live_handles--;
}

void range_set_free_pieces(struct range *pieces)
{
	while (pieces) {
		struct range *range = pieces;

		pieces = range->next_piece;
		free(range);
	}
}

void range_set_release(struct model *model, struct range_set *set)
{
	struct range *range, *left;

	if (!set || --set->references)
		return;
	model->live_handles -= set->count;
	while ((range = SPLAY_ROOT(&set->tree))) {
		left = SPLAY_LEFT(range, node);
		if (left) {
			SPLAY_ROTATE_RIGHT(&set->tree, left, node);
			continue;
		}
		SPLAY_ROOT(&set->tree) = SPLAY_RIGHT(range, node);
		free(range);
	}
	free(set);
}

struct range *range_set_first(struct range_set *set)
{
	return SPLAY_MIN(range_tree, &set->tree);
}

struct range *range_set_next(struct range_set *set, struct range *range)
{
	struct range *next = SPLAY_NEXT(range_tree, &set->tree, range);

	/* A walk is paid for by moving up what it came to. */
	if (next)
		range_tree_SPLAY(&set->tree, next);
	return next;
}

int range_set_new(struct range_set **ret_set)
{
	struct range_set *set = calloc(1, sizeof(*set));

	if (!set)
		return -ENOMEM;
	SPLAY_INIT(&set->tree);
	set->references = 1;
	*ret_set = set;
	return 0;
}

void range_set_insert(struct model *model, struct range_set *set, struct range *range)
{
	(void)SPLAY_INSERT(range_tree, &set->tree, range);
	set->count++;
	set->bytes += range->end - range->start;
	set->dont_fork_count += range->dont_fork;
	model->live_handles++;
}

int range_set_copy(struct model *model, struct range_set *shared, uint64_t generation, bool at_fork,
                   struct range_set **ret_set)
{
	struct range_set *own;
	struct range *range;
	int error = range_set_new(&own);

	if (error)
		return error;
	SPLAY_FOREACH (range, range_tree, &shared->tree) {
		struct range *copy;

		if (at_fork && range->dont_fork)
			continue;
		if (model->live_handles >= MODEL_HANDLES_MAX) {
			model->counters.over_maximum++;
			continue;
		}
		copy = malloc(sizeof(*copy));
		if (!copy) {
			range_set_release(model, own);
			return -ENOMEM;
		}
		*copy = *range;
		if (copy->space_generation != generation)
			copy->left_open = NULL;
		range_set_insert(model, own, copy);
	}
	SPLAY_FOREACH (range, range_tree, &shared->tree)
		if (range->space_generation == generation)
			range->left_open = NULL;
	*ret_set = own;
	return 0;
}

struct range *range_set_first_after(struct range_set *set, uint64_t address)
{
	struct range at = {.start = address}, *found, *before;

	if (SPLAY_EMPTY(&set->tree))
		return NULL;
	/* Its root becomes the last range that starts at or before the address, or the first one after it. */
	range_tree_SPLAY(&set->tree, &at);
	found = SPLAY_ROOT(&set->tree);
	if (found->start > address && SPLAY_LEFT(found, node)) {
		for (before = SPLAY_LEFT(found, node); SPLAY_RIGHT(before, node);)
			before = SPLAY_RIGHT(before, node);
		range_tree_SPLAY(&set->tree, before);
		return before->end > address ? before : found;
	}
	return found->end > address ? found : range_set_next(set, found);
}

int range_set_cut_out(struct model *model, struct range_set *set, uint64_t start, uint64_t end,
                      struct range **pieces)
{
	struct range *range;

	/* No length (mremap's old size 0), or one that wraps around, which the kernel refuses. */
	if (start >= end)
		return 0;
	while ((range = range_set_first_after(set, start)) && range->start < end) {
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
		range->cut_before = before;
		range->cut_after = after;
		if (before) {
			*before = *range;
			before->end = start;
			range_set_insert(model, set, before);
			range->file_offset += start - range->start;
			range->start = start;
		}
		if (after) {
			*after = *range;
			after->start = end;
			after->file_offset += end - range->start;
			range_set_insert(model, set, after);
			range->end = end;
		}
		range->next_piece = NULL;
		*pieces = range;
		pieces = &range->next_piece;
	}
	return 0;
}

void range_set_note_released(struct range *range, uint64_t bytes)
{
	if (range->left_open)
		range->left_open->released += bytes;
}

static bool same_mapping(const struct range *low, const struct range *high)
{
	return low->end == high->start && low->maker.made_ns == high->maker.made_ns &&
	       low->maker.thread_id == high->maker.thread_id && low->maker.stack == high->maker.stack &&
	       low->space_generation == high->space_generation && low->left_open == high->left_open &&
	       low->dont_fork == high->dont_fork &&
	       low->file_offset + (low->end - low->start) == high->file_offset;
}

/* Inserts a range at free addresses, joined to what it was cut from where that is beside it. */
static void insert_joined(struct model *model, struct range_set *set, struct range *range)
{
	struct range *low = range->cut_before ? range_set_first_after(set, range->start - 1) : NULL;
	struct range *high = range->cut_after ? range_set_first_after(set, range->end) : NULL;
	/* Where nothing lies below, that one is the one above, which may be gone by then. */
	bool joins_low = low && same_mapping(low, range);

	if (high && same_mapping(range, high)) {
		set_remove(model, set, high);
		range->end = high->end;
		free(high);
	}
	if (joins_low) {
		low->end = range->end;
		set->bytes += range->end - range->start;
		free(range);
		return;
	}
	range_set_insert(model, set, range);
}

int range_set_put_back(struct model *model, struct range_set *set, struct range *range)
{
	struct range *other;

	while ((other = range_set_first_after(set, range->start)) && other->start < range->end) {
		uint64_t resume = other->end < range->end ? other->end : range->end;
		uint64_t taken = other->start > range->start ? other->start : range->start;

		range_set_note_released(range, resume - taken);
		if (taken > range->start) {
			struct range *part = malloc(sizeof(*part));

			if (!part) {
				free(range);
				return -ENOMEM;
			}
			*part = *range;
			part->end = taken;
			part->cut_after = false;
			insert_joined(model, set, part);
		}
		if (resume == range->end) {
			free(range);
			return 0;
		}
		range->file_offset += resume - range->start;
		range->start = resume;
		range->cut_before = false;
	}
	insert_joined(model, set, range);
	return 0;
}

int range_set_advise_fork(struct model *model, struct range_set *set, uint64_t start, uint64_t end,
                          bool do_fork)
{
	struct range *pieces = NULL, *range;
	int error = range_set_cut_out(model, set, start, end, &pieces);

	while ((range = pieces)) {
		pieces = range->next_piece;
		range->dont_fork = !do_fork;
		range->cut_before = range->cut_after = true;
		insert_joined(model, set, range);
	}
	return error;
}
