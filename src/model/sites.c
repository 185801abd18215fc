/*
 * From groups to findings. See sites.h.
 */
#include "model/sites.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "model/site_internal.h"

/* The application's frame, else the innermost one of a library, else of a runtime; libc alone is no place. */
static const struct snapshot_frame *site_frame(const struct snapshot_stack *stack, size_t *ret_index)
{
	static const enum frame_room order[] = {ROOM_APPLICATION, ROOM_LIBRARY, ROOM_RUNTIME};

	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		for (size_t j = 0; j < stack->frame_count; j++) {
			if (stack->frames[j].room != order[i])
				continue;
			*ret_index = j;
			return &stack->frames[j];
		}
	}
	return NULL;
}

/* @return the part of the path below the working directory, or the whole path */
static const char *relative_path(const struct snapshot *snapshot, const char *path)
{
	size_t length = strlen(snapshot->working_directory);

	if (length > 1 && !strncmp(path, snapshot->working_directory, length) && path[length] == '/')
		return path + length + 1;
	return path;
}

static uint64_t hash_string(uint64_t hash, const char *string)
{
	/* FNV-1a (draft-eastlake-fnv): an identity that stays the same from run to run and version to
	 * version. */
	do {
		hash ^= (unsigned char)*string;
		hash *= 0x100000001b3ULL;
	} while (*string++);
	return hash;
}

#define HASH_START 0xcbf29ce484222325ULL

/* The frames from the innermost to the site's: what the application called, which makes handles alike. */
static uint64_t hash_entry(const struct snapshot_stack *stack, size_t site_at)
{
	uint64_t hash = HASH_START;

	for (size_t i = 0; i <= site_at && i < stack->frame_count; i++) {
		hash = hash_string(hash, stack->frames[i].function);
		hash = hash_string(hash, stack->frames[i].file);
		hash = (hash ^ stack->frames[i].line) * 0x100000001b3ULL;
	}
	return hash;
}

/* Where nothing is known of the stack, a process's program stands for the place. */
static void locate(const struct snapshot *snapshot, const struct snapshot_group *group,
                   struct group_place *ret_place)
{
	const struct snapshot_stack *stack = snapshot_find_stack(snapshot, group->stack);
	const struct snapshot_frame *frame, *entry;
	size_t at = 0;

	*ret_place = (struct group_place){
	        .location = {.function = "", .file = "", .line = 0, .language = LANGUAGE_NATIVE},
	        .module = snapshot->processes[group->process].exe,
	        .entry_function = "",
	};
	frame = stack ? site_frame(stack, &at) : NULL;
	if (!frame)
		return;
	entry = at ? &stack->frames[at - 1] : frame;
	ret_place->location.function = frame->function;
	ret_place->location.file = relative_path(snapshot, frame->file[0] ? frame->file : frame->module);
	ret_place->location.line = frame->line;
	ret_place->location.language = frame->language;
	ret_place->module = frame->module;
	ret_place->entry_function = entry->function;
	ret_place->entry_hash = hash_entry(stack, at);
}

/* A place that no file is known of is told apart by its program or library. */
static const char *module_of(const struct group_place *place)
{
	return place->location.file[0] ? "" : place->module;
}

static struct site_work *find_site(struct sites_work *work, const struct group_place *place)
{
	struct site_work *site;
	char *key;

	key = arena_printf(work->snapshot->arena, "%s%c%s%c%s%c%u", place->location.function, '\1',
	                   place->location.file, '\1', module_of(place), '\1', place->location.line);
	if (!key)
		return NULL;
	HASH_FIND_STR(work->by_key, key, site);
	if (site)
		return site;
	site = arena_alloc(work->snapshot->arena, sizeof(*site));
	if (!site)
		return NULL;
	site->key = key;
	site->place = *place;
	HASH_ADD_KEYPTR(hh, work->by_key, site->key, strlen(site->key), site);
	return site;
}

static int add_group(struct sites_work *work, size_t index)
{
	struct site_work *site;
	struct group_place place;

	locate(work->snapshot, &work->snapshot->groups[index], &place);
	site = find_site(work, &place);
	if (!site)
		return -ENOMEM;
	work->places[index] = place;
	return site_add_group(site, index);
}

static uint64_t size_of(const struct snapshot_site *site)
{
	return site->fds + site->maps;
}

static int compare_sites(const void *a, const void *b)
{
	const struct snapshot_site *left = a, *right = b;

	if (left->verdict != right->verdict)
		return left->verdict < right->verdict ? -1 : 1;
	if (size_of(left) != size_of(right))
		return size_of(left) > size_of(right) ? -1 : 1;
	if (left->bytes != right->bytes)
		return left->bytes > right->bytes ? -1 : 1;
	if (strcmp(left->location.file, right->location.file))
		return strcmp(left->location.file, right->location.file);
	if (left->location.line != right->location.line)
		return left->location.line < right->location.line ? -1 : 1;
	return strcmp(left->id, right->id);
}

/* A site and what else its id is made of. */
struct naming {
	struct snapshot_site *site;
	const char *module; /* "" where the location names a file */
};

static int compare_names(const struct naming *left, const struct naming *right)
{
	const struct snapshot_location *a = &left->site->location, *b = &right->site->location;
	int order = strcmp(a->function, b->function);

	if (!order)
		order = strcmp(a->file, b->file);
	if (!order)
		order = strcmp(left->module, right->module);
	return order ? order : !left->site->fds - !right->site->fds;
}

static int compare_namings(const void *a, const void *b)
{
	const struct naming *left = a, *right = b;
	uint32_t left_line = left->site->location.line, right_line = right->site->location.line;
	int order = compare_names(left, right);

	return order ? order : left_line < right_line ? -1 : left_line > right_line;
}

/* Two sites of one function are told apart by their order, so that no line and no address is part of the id.
 */
static int name_sites(struct snapshot *snapshot, struct naming *namings)
{
	uint64_t before = 0;

	qsort(namings, snapshot->site_count, sizeof(*namings), compare_namings);
	for (size_t i = 0; i < snapshot->site_count; i++) {
		struct snapshot_site *site = namings[i].site;
		uint64_t hash = hash_string(HASH_START, site->location.function);

		before = i && !compare_names(&namings[i - 1], &namings[i]) ? before + 1 : 0;
		hash = hash_string(hash, site->location.file);
		hash = hash_string(hash, site->fds ? "fd" : "map");
		if (namings[i].module[0])
			hash = hash_string(hash, namings[i].module);
		hash ^= before * 0x9e3779b97f4a7c15ULL;
		site->id = arena_printf(snapshot->arena, "%016llx", (unsigned long long)hash);
		if (!site->id)
			return -ENOMEM;
	}
	return 0;
}

static bool is_finding(const struct snapshot_group *group)
{
	return !group->inherited && group->category == CATEGORY_APPLICATION;
}

int sites_build(struct snapshot *snapshot, const struct model *model, const struct model_group *const *groups,
                uint64_t min_count)
{
	struct sites_work work = {
	        .snapshot = snapshot, .model = model, .groups = groups, .min_count = min_count};
	struct site_work *site, *next;
	struct naming *namings;
	int error = 0;

	work.places = calloc(snapshot->group_count + 1, sizeof(*work.places));
	if (!work.places)
		return -ENOMEM;
	for (size_t i = 0; i < snapshot->group_count && !error; i++)
		if (is_finding(&snapshot->groups[i]))
			error = add_group(&work, i);
	if (!error)
		error = sites_merge(&work);
	snapshot->sites = arena_alloc(snapshot->arena, HASH_COUNT(work.by_key) * sizeof(snapshot->sites[0]));
	namings = calloc(HASH_COUNT(work.by_key) + 1, sizeof(*namings));
	if (!snapshot->sites || !namings)
		error = -ENOMEM;
	HASH_ITER (hh, work.by_key, site, next) {
		if (!error)
			error = site_finish(&work, site, &snapshot->sites[snapshot->site_count]);
		if (!error)
			namings[snapshot->site_count] = (struct naming){
			        &snapshot->sites[snapshot->site_count], module_of(&site->place)};
		snapshot->site_count += !error;
		HASH_DEL(work.by_key, site);
		free(site->groups);
		free(site->lines);
	}
	free(work.places);
	if (!error)
		error = name_sites(snapshot, namings);
	free(namings);
	if (error)
		return error;
	qsort(snapshot->sites, snapshot->site_count, sizeof(snapshot->sites[0]), compare_sites);
	return 0;
}
