/*
 * Findings that a lazy library spreads over many lines become one that lists its lines (see site_internal.h).
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/array.h"
#include "model/site_internal.h"

/* What handles must share to be of one finding, beside the library's entry and the type. */
enum likeness { LIKE_FOLDER = 0, LIKE_NAME, LIKENESS_COUNT };

struct merge_class {
	char *key;
	struct site_work **sites;
	size_t site_count, site_capacity;
	UT_hash_handle hh;
};

/* "/tmp/a/x7.db" is "/tmp/a" by folder and "x#.db" by name; "tcp 10.0.0.1:80 -> ..." is itself with '#' for
 * digits. */
static char *shape_of_target(struct arena *arena, const char *target, enum likeness likeness)
{
	const char *slash = target[0] == '/' ? strrchr(target, '/') : NULL;
	char *shape = arena_strdup(arena, slash && likeness == LIKE_NAME ? slash + 1 : target);
	size_t to = 0;

	if (!shape)
		return NULL;
	if (slash && likeness == LIKE_FOLDER) {
		shape[slash - target] = '\0';
		return shape;
	}
	for (size_t from = 0; shape[from]; from++) {
		char c = isdigit((unsigned char)shape[from]) ? '#' : shape[from];

		if (c != '#' || !to || shape[to - 1] != '#')
			shape[to++] = c;
	}
	shape[to] = '\0';
	return shape;
}

/* @return index of the group of which a handle was made first: an engine's file, not its journal. Groups are
 * in order of their stacks' ids, which differ from line to line. */
static size_t first_made(const struct sites_work *work, const struct site_work *site)
{
	size_t first = site->groups[0];

	for (size_t i = 1; i < site->group_count; i++)
		if (work->groups[site->groups[i]]->oldest_ns < work->groups[first]->oldest_ns)
			first = site->groups[i];
	return first;
}

/* @return 0 or -ENOMEM; *ret_key is NULL where the site's handles have nothing by which to be alike */
static int class_key(const struct sites_work *work, const struct site_work *site, enum likeness likeness,
                     char **ret_key)
{
	struct arena *arena = work->snapshot->arena;
	size_t first = first_made(work, site);
	const struct snapshot_group *group = &work->snapshot->groups[first];
	const struct group_place *place = &work->places[first];
	const char *target = group->sample_count ? group->samples[0].target : "";
	char *shape;

	*ret_key = NULL;
	if (!target[0] || !place->entry_function[0])
		return 0;
	shape = shape_of_target(arena, target, likeness);
	if (!shape)
		return -ENOMEM;
	*ret_key = arena_printf(arena, "%d%c%s%c%s", group->type, '\1', place->entry_function, '\1', shape);
	return *ret_key ? 0 : -ENOMEM;
}

static int add_to_class(struct merge_class **classes, struct arena *arena, char *key, struct site_work *site)
{
	struct merge_class *class;
	int error;

	HASH_FIND_STR(*classes, key, class);
	if (!class) {
		class = arena_alloc(arena, sizeof(*class));
		if (!class)
			return -ENOMEM;
		class->key = key;
		HASH_ADD_KEYPTR(hh, *classes, class->key, strlen(class->key), class);
	}
	error = array_grow((void **)&class->sites, &class->site_capacity, class->site_count + 1,
	                   sizeof(class->sites[0]));
	if (!error)
		class->sites[class->site_count++] = site;
	return error;
}

static int add_line(struct site_work *site, const struct snapshot_location *location)
{
	int error = array_grow((void **)&site->lines, &site->line_capacity, site->line_count + 1,
	                       sizeof(site->lines[0]));

	if (!error)
		site->lines[site->line_count++] = *location;
	return error;
}

/* All sites of the class as one, in `merged`, which borrows nothing. @return 0 or -ENOMEM */
static int try_together(const struct merge_class *class, struct site_work *merged)
{
	int error = 0;

	merged->place = class->sites[0]->place;
	for (size_t i = 0; i < class->site_count && !error; i++) {
		const struct site_work *site = class->sites[i];

		for (size_t j = 0; j < site->group_count && !error; j++)
			error = site_add_group(merged, site->groups[j]);
		if (!error)
			error = add_line(merged, &site->place.location);
	}
	return error;
}

/* Instances at different lines have different entries up to the line: alike by the library's entry, they add
 * up. */
static uint64_t sum_instances(const struct sites_work *work, const struct merge_class *class)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < class->site_count; i++) {
		uint64_t most = 0;

		for (size_t j = 0; j < class->sites[i]->group_count; j++) {
			uint64_t instances = work->snapshot->groups[class->sites[i]->groups[j]].instances;

			if (instances > most)
				most = instances;
		}
		sum += most;
	}
	return sum;
}

static int compare_places(const void *a, const void *b)
{
	const struct snapshot_location *left = &(*(const struct site_work *const *)a)->place.location;
	const struct snapshot_location *right = &(*(const struct site_work *const *)b)->place.location;
	int order = strcmp(left->file, right->file);

	if (!order)
		order = left->line < right->line ? -1 : left->line > right->line;
	return order ? order : strcmp(left->function, right->function);
}

static int merge_class(struct sites_work *work, struct merge_class *class)
{
	struct site_work merged = {0};
	struct occasions occasions;
	int error;

	if (class->site_count < 2)
		return 0;
	/* The first gives the finding its name: stacks, by which sites come, are in another order in every
	 * run.
	 */
	qsort(class->sites, class->site_count, sizeof(class->sites[0]), compare_places);
	error = try_together(class, &merged);
	if (!error)
		error = site_count_occasions(work, &merged, &occasions);
	if (error || !occasions.tests || !occasions.repeated ||
	    sum_instances(work, class) < work->min_count) {
		free(merged.groups);
		free(merged.lines);
		return error;
	}
	for (size_t i = 1; i < class->site_count; i++) {
		HASH_DEL(work->by_key, class->sites[i]);
		free(class->sites[i]->groups);
		free(class->sites[i]->lines);
	}
	free(class->sites[0]->groups);
	free(class->sites[0]->lines);
	class->sites[0]->groups = merged.groups;
	class->sites[0]->group_count = merged.group_count;
	class->sites[0]->group_capacity = merged.group_capacity;
	class->sites[0]->lines = merged.lines;
	class->sites[0]->line_count = merged.line_count;
	class->sites[0]->line_capacity = merged.line_capacity;
	/* One entry for all, so that their instances count together. */
	for (size_t i = 0; i < merged.group_count; i++)
		work->places[merged.groups[i]].entry_hash = work->places[merged.groups[0]].entry_hash;
	return 0;
}

static int merge_by(struct sites_work *work, enum likeness likeness)
{
	struct merge_class *classes = NULL, *class, *next_class;
	struct site_work *site, *next;
	int error = 0;

	HASH_ITER (hh, work->by_key, site, next) {
		struct occasions occasions = {0};
		char *key = NULL;

		if (!error)
			error = site_count_occasions(work, site, &occasions);
		if (!error && occasions.instances < work->min_count && !site->line_count)
			error = class_key(work, site, likeness, &key);
		if (!error && key)
			error = add_to_class(&classes, work->snapshot->arena, key, site);
	}
	HASH_ITER (hh, classes, class, next_class) {
		if (!error)
			error = merge_class(work, class);
		HASH_DEL(classes, class);
		free(class->sites);
	}
	return error;
}

int sites_merge(struct sites_work *work)
{
	int error = 0;

	for (enum likeness likeness = 0; likeness < LIKENESS_COUNT && !error; likeness++)
		error = merge_by(work, likeness);
	return error;
}
