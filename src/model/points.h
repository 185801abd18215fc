/*
 * Descriptor tables: which number holds what. A table is a files_struct of the kernel from its birth on;
 * processes that share it share it here.
 */
#ifndef LEFTOPEN_MODEL_POINTS_H
#define LEFTOPEN_MODEL_POINTS_H

#include "model/internal.h"

/* An open descriptor, as it was made. A fork's copy shares it, so that it is known whose it was. */
struct handle {
	struct maker maker;
	uint64_t file; /* struct file * */
	char *target;  /* what it refers to, NULL: not read */
	uint32_t references;
	uint32_t own_slots; /* of these, numbers of tables whose process answers for it */
	uint32_t inode;     /* its lowest bits: whether two are of one file; 0: not known */
	uint16_t mode;
	bool provisional;            /* found at the mark; see points_is_provisional() */
	struct left_open *left_open; /* its entry in the maker's left-open set, NULL: not in it */
};
/* A million of them are kept in 120 MB, each with 8 bytes of malloc(3)'s and a slot or two. */
_Static_assert(sizeof(struct handle) <= 72, "a handle costs more");

struct point_slot {
	struct handle *handle; /* NULL: the number is free */
	bool inherited;        /* its process did not make it, and does not answer for it */
};

#define POINTS_STANDARD 3
/* Chosen by: fs.nr_open's default; a table whose process claims more is cut there. */
#define POINTS_CAPACITY_MAX (1U << 20)

/* What the last survey found under a number otherwise than it is here. */
struct point_suspect {
	int fd;
	bool cleared;     /* an event of the number came since */
	uint64_t file;    /* 0: nothing */
	uint64_t seen_ns; /* by the first of the surveys in a row that found this */
};

struct fd_table {
	uint64_t pointer;
	uint64_t generation;
	uint32_t holders;               /* processes that live */
	const struct process *reporter; /* while a snapshot is made: the holder that stands for all */
	struct point_slot *slots;
	size_t capacity;
	uint64_t live, peak;
	uint64_t opened, closed;            /* put not as inherited; of these, released */
	uint64_t standard[POINTS_STANDARD]; /* files that it began with under 0 to 2 */
	/* Its own numbers, arriving in chunks. */
	struct table_entry *numbers;
	size_t number_count, number_capacity;
	bool numbers_begun;      /* their first chunk was seen, and none was left out since */
	uint32_t numbers_cause;  /* enum table_cause of that one */
	uint32_t numbers_thread; /* that tells of it */
	bool awaits_baseline; /* it was there before it was seen: what a survey finds is nobody's to blame */
	struct point_suspect *suspects; /* in order of number */
	size_t suspect_count;
	UT_hash_handle hh; /* by pointer */
};

/**
 * Makes a table that is known by its pointer; one that was known by it before is forgotten, as its memory was
 * used again.
 * @return 0, or -ENOMEM
 */
int points_table_new(struct model *model, uint64_t pointer, struct fd_table **ret_table);

/** @return the table, or NULL: no table of that pointer is known */
struct fd_table *points_table_find(const struct model *model, uint64_t pointer);

/** The kernel has it under another pointer. */
void points_table_move(struct model *model, struct fd_table *table, uint64_t pointer);

/** A process lets go of its table; the last one frees it. NULL-safe. */
void points_table_release(struct model *model, struct fd_table *table);

/** @return the number's slot, or NULL: the table has none so high */
struct point_slot *points_slot(const struct fd_table *table, int fd);

/**
 * Puts a handle under a number; what the number held before is released.
 * @param handle a reference goes to the table
 * @return 0; -ENOMEM, -ENOSPC: a maximum is reached (the handle's reference is dropped)
 */
int points_put(struct model *model, struct fd_table *table, int fd, struct handle *handle, bool inherited);

/** Releases a number. A free number is left as it is. @return whether it held something */
bool points_release(struct model *model, struct fd_table *table, int fd);

/** @return whether the number was found at its own process's mark, and may be taken back; NULL-safe */
bool points_is_provisional(const struct point_slot *slot);

/**
 * Takes back a provisional number: no process ever held it in a way that its events do not
 * tell. Between a call's work and its event another thread's mark sees a number that is closed already, or
 * whose maker has not told of it yet.
 */
void points_withdraw(struct model *model, struct fd_table *table, int fd);

/**
 * @param file 0: nothing
 * @return what the last survey found under the number, where it is this and no event of the number came
 * since; else NULL
 */
const struct point_suspect *points_suspect(const struct fd_table *table, int fd, uint64_t file);

/** Releases numbers from first to last, both included. */
void points_release_range(struct model *model, struct fd_table *table, uint32_t first, uint32_t last);

/**
 * A program begins: what it finds under the numbers below `end` was put there for it by whoever started it.
 */
void points_inherit(struct fd_table *table, size_t end);

/** @return a new handle with one reference, or NULL: out of memory */
struct handle *points_handle_new(const struct maker *maker, uint64_t file, uint16_t mode);

/** Drops a reference. NULL-safe. */
void points_handle_release(struct handle *handle);

#endif
