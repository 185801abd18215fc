/*
 * A set of ranges that do not overlap: split by cutting, joined again by putting back. Spaces share one since
 * a fork, until one of them changes. For ranges.c.
 */
#ifndef LEFTOPEN_MODEL_RANGE_SET_H
#define LEFTOPEN_MODEL_RANGE_SET_H

#include "model/ranges.h"

struct range_set {
	SPLAY_HEAD(range_tree, range) tree;
	uint32_t references; /* spaces that share it */
	uint64_t count, bytes;
	uint64_t dont_fork_count; /* of ranges that children do not get */
};

/** @return 0, or -ENOMEM */
int range_set_new(struct range_set **ret_set);

/**
 * Copies a set for the space of that generation, as far as MODEL_HANDLES_MAX allows (what it leaves out is
 * counted). Entries of left-open sets go with the ranges that were made in it.
 * @param at_fork without what children do not get
 * @return 0, or -ENOMEM
 */
int range_set_copy(struct model *model, struct range_set *shared, uint64_t generation, bool at_fork,
                   struct range_set **ret_set);

/** A space lets go of a set; the last one frees it. NULL-safe. */
void range_set_release(struct model *model, struct range_set *set);

/** Inserts a range at free addresses, and takes it over. */
void range_set_insert(struct model *model, struct range_set *set, struct range *range);

/** @return the lowest range, or NULL */
struct range *range_set_first(struct range_set *set);

/** @return the next range in its set, or NULL */
struct range *range_set_next(struct range_set *set, struct range *range);

/** @return the lowest range that ends after the address, or NULL */
struct range *range_set_first_after(struct range_set *set, uint64_t address);

/**
 * Cuts what lies between start and end out of the set.
 * @param pieces an empty list, to which the pieces are added in order, also where it fails half-way
 * @return 0, or -ENOMEM
 */
int range_set_cut_out(struct model *model, struct range_set *set, uint64_t start, uint64_t end,
                      struct range **pieces);

/**
 * Puts a piece back where nothing was mapped meanwhile, joined to what it was cut from where that is beside
 * it; the rest of it is released. Takes the piece over.
 * @return 0, or -ENOMEM
 */
int range_set_put_back(struct model *model, struct range_set *set, struct range *range);

/**
 * Children get what lies between start and end, or do not: a range that lies there in part is split for that,
 * and joined again where it is the same on both sides. @return 0, or -ENOMEM
 */
int range_set_advise_fork(struct model *model, struct range_set *set, uint64_t start, uint64_t end,
                          bool do_fork);

/** Notes in the left-open set that bytes of a range in it are released. */
void range_set_note_released(struct range *range, uint64_t bytes);

/** Frees a list of pieces. */
void range_set_free_pieces(struct range *pieces);

#endif
