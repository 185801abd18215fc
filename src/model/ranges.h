/*
 * Address spaces: which addresses are mapped by whom. Ranges split, shrink, grow, move and are overlaid.
 * A fork shares the whole set until one side changes.
 */
#ifndef LEFTOPEN_MODEL_RANGES_H
#define LEFTOPEN_MODEL_RANGES_H

#include <bsd/sys/cdefs.h>
#include <bsd/sys/tree.h>

#include "model/internal.h"

struct range {
	uint64_t start, end;
	struct maker maker;
	struct file_key file; /* inode 0: anonymous */
	uint64_t file_offset;
	uint64_t space_generation : 63; /* in which it was made: in another space it is inherited */
	uint64_t dont_fork : 1;         /* children do not get it */
	struct left_open *left_open;    /* NULL: not in a left-open set */
	union {
		SPLAY_ENTRY(range) node; /* in a set */
		struct {                 /* in transit, which it is instead */
			struct range *next_piece;
			bool cut_before, cut_after; /* it went on below, above, and was cut at that side */
		};
	};
};
/* A million of them are kept in 120 MB, each with 8 bytes of malloc(3)'s. */
_Static_assert(sizeof(struct range) <= 104, "a mapping costs more");

struct range_set;

/* A difference from what the kernel maps, as a survey saw it. */
struct range_suspect {
	uint64_t start, end;
	struct file_key file;
	uint64_t file_offset;
	enum handle_type type;
	enum handle_category category;
	bool dont_fork;
	bool phantom;     /* it is mapped here, and not by the kernel */
	bool cleared;     /* an event of it came since */
	uint64_t seen_ns; /* by the first of the surveys in a row that found this */
};

struct address_space {
	uint64_t pointer;
	uint64_t generation;
	uint32_t holders;
	const struct process *reporter; /* while a snapshot is made: the holder that stands for all */
	struct range_set *ranges;
	struct transit *transits; /* ranges on their way, by thread (transits.c) */
	uint64_t peak;
	uint64_t heap_end;    /* of what brk(2) has mapped; 0: nothing */
	bool awaits_baseline; /* it was there before it was seen: what a survey finds is nobody's to blame */
	uint64_t lost_ns;     /* when an event of it was lost that is not made good yet; 0: none was */
	struct range_suspect *suspects; /* of the last survey, in order of address */
	size_t suspect_count;
	/* Its own ranges, arriving in chunks. */
	struct space_entry *entries;
	size_t entry_count, entry_capacity;
	bool entries_begun; /* their first chunk was seen, and none was left out since */
	UT_hash_handle hh;  /* by pointer */
};

/** Makes an empty space; as points_table_new(). @return 0, or -ENOMEM */
int ranges_space_new(struct model *model, uint64_t pointer, struct address_space **ret_space);

/** @return the space, or NULL: no space of that pointer is known */
struct address_space *ranges_space_find(const struct model *model, uint64_t pointer);

/** Makes `child` hold what `parent` holds and lets children have, as fork does. @return 0, or -ENOMEM */
int ranges_space_copy(struct model *model, struct address_space *child, struct address_space *parent);

/** A process lets go of its space; the last one frees it. NULL-safe. */
void ranges_space_release(struct model *model, struct address_space *space);

/** @return how many mappings the space holds */
uint64_t ranges_count(const struct address_space *space);

/** @return the bytes of address space that these cover */
uint64_t ranges_bytes(const struct address_space *space);

/**
 * Maps a range: what was mapped at its addresses before is released (MAP_FIXED; anywhere else the kernel gave
 * addresses that were free).
 * @param range copied; its start, end, maker, file, file_offset; of no bytes: nothing is mapped
 * @return 0; -ENOMEM; -ENOSPC: a maximum is reached
 */
int ranges_map(struct model *model, struct address_space *space, const struct range *range);

/** The same for what no call of the space's processes has mapped. @return as ranges_map() */
int ranges_map_inherited(struct model *model, struct address_space *space, const struct range *range);

/**
 * The heap reaches from the range's start to its end now: what it has grown by is a mapping of its own, what
 * it has shrunk by is released. @return as ranges_map()
 */
int ranges_resize_heap(struct model *model, struct address_space *space, const struct range *heap);

/** Releases what is mapped between two addresses. @return 0, or -ENOMEM */
int ranges_release(struct model *model, struct address_space *space, uint64_t start, uint64_t end);

/** @return the lowest range that ends after the address, or NULL */
const struct range *ranges_first_after(const struct address_space *space, uint64_t address);

/** @return the last survey's lowest difference that ends after the address, or NULL */
struct range_suspect *ranges_suspect_after(const struct address_space *space, uint64_t address);

/**
 * The makers of what was mapped by then are not known any more: events were lost, and the addresses may have
 * been given out again. @return 0, or -ENOMEM
 */
int ranges_forget_makers(struct model *model, struct address_space *space, uint64_t until_ns);

/**
 * Takes out what is mapped between two addresses: a range in their middle splits.
 * @param ret_pieces theirs, lowest first, to be put back or freed @return 0, or -ENOMEM
 */
int ranges_cut_out(struct model *model, struct address_space *space, uint64_t start, uint64_t end,
                   struct range **ret_pieces);

/** A piece that was cut out is mapped, where nothing else is by now. It is freed in the end, or where that
 * fails.
 * @return 0, or -ENOMEM */
int ranges_put_back(struct model *model, struct address_space *space, struct range *piece);

/**
 * Children get what is mapped between two addresses, or do not.
 * @return 0, or -ENOMEM
 * @source madvise(2), MADV_DOFORK, MADV_DONTFORK; mm/madvise.c, madvise_vma_behavior
 */
int ranges_advise_fork(struct model *model, struct address_space *space, uint64_t start, uint64_t end,
                       bool do_fork);

typedef int (*ranges_visit_fn)(void *context, struct range *range);

/**
 * Visits the ranges that were made in this space, lowest first. The visitor may write to them: a set that is
 * shared since a fork is copied before, where it has any.
 * @return 0, -ENOMEM, or what the visitor returned other than 0
 */
int ranges_visit(struct model *model, struct address_space *space, ranges_visit_fn visit, void *context);

/**
 * No range that was made in this space is in a left-open set any more: its process is gone, and a child may
 * go on sharing the ranges. Those of a parent stay in the parent's.
 */
void ranges_forget_left_open(struct address_space *space);

#endif
