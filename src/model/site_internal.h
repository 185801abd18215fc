/*
 * A site while it is being made: for sites.c (where), occasions.c (what and when) and merging.c.
 */
#ifndef LEFTOPEN_MODEL_SITE_INTERNAL_H
#define LEFTOPEN_MODEL_SITE_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uthash.h>

#include "model/internal.h"
#include "model/snapshot.h"

struct group_place {
	struct snapshot_location location;
	const char *module;
	const char *entry_function; /* the frame that the application called */
	uint64_t entry_hash;        /* of the frames from the innermost to the site's */
};

struct site_work {
	char *key;
	struct group_place place;
	size_t *groups;
	size_t group_count, group_capacity;
	struct snapshot_location *lines; /* where merged of several */
	size_t line_count, line_capacity;
	UT_hash_handle hh;
};

struct sites_work {
	struct snapshot *snapshot;
	const struct model *model;
	const struct model_group *const *groups; /* as the snapshot's */
	struct group_place *places;              /* as the snapshot's groups */
	uint64_t min_count;
	struct site_work *by_key;
};

/* Made on how many occasions, and how often. */
struct occasions {
	uint64_t instances;
	uint64_t count;
	bool tests;    /* else slices of a process's life */
	bool repeated; /* on occasions that make a leak of enough instances */
};

/** Adds a group of the snapshot. @return 0, or -ENOMEM */
int site_add_group(struct site_work *site, size_t index);

/** Counts a site's instances and occasions. @return 0, or -ENOMEM */
int site_count_occasions(const struct sites_work *work, const struct site_work *site,
                         struct occasions *ret_occasions);

/** Is this a leak: enough instances on enough occasions? */
bool site_is_leak(const struct sites_work *work, const struct occasions *occasions);

/** Writes the finished site. @return 0, or -ENOMEM */
int site_finish(const struct sites_work *work, const struct site_work *site, struct snapshot_site *ret_site);

/**
 * Merges sites below min-count whose handles are alike: one entry of one library, one type, one folder, file
 * name or peer, together on enough occasions. A lazy library opens at another line in every test.
 * @return 0, or -ENOMEM
 */
int sites_merge(struct sites_work *work);

#endif
