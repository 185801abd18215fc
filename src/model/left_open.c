/*
 * The left-open set. See left_open.h.
 */
#include "model/left_open.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "model/interned.h"
#include "model/kinds.h"
#include "model/points.h"
#include "model/ranges.h"
#include "model/tables.h"

static int add(struct process *process, struct left_open **ret_entry)
{
	struct left_open *entry;
	int error = array_grow((void **)&process->left_open, &process->left_open_capacity,
	                       process->left_open_count + 1, sizeof(process->left_open[0]));

	if (error)
		return error;
	entry = calloc(1, sizeof(*entry));
	if (!entry)
		return -ENOMEM;
	process->left_open[process->left_open_count++] = entry;
	*ret_entry = entry;
	return 0;
}

static int take_points(struct process *process, const struct fd_table *table)
{
	for (size_t fd = 0; fd < table->capacity; fd++) {
		struct point_slot *slot = &table->slots[fd];
		struct left_open *entry;
		int error;

		if (!slot->handle || slot->inherited || slot->handle->left_open)
			continue;
		error = add(process, &entry);
		if (error)
			return error;
		entry->maker = slot->handle->maker;
		entry->fd = (int)fd;
		entry->handle = slot->handle;
		slot->handle->references++;
		slot->handle->left_open = entry;
	}
	return 0;
}

static int take_range(void *context, struct range *range)
{
	struct process *process = context;
	struct left_open *entry;
	int error;

	if (range->left_open)
		return 0;
	error = add(process, &entry);
	if (error)
		return error;
	entry->maker = range->maker;
	entry->fd = -1;
	entry->address = range->start;
	entry->bytes = range->end - range->start;
	entry->file = range->file;
	entry->file_offset = range->file_offset;
	range->left_open = entry;
	return 0;
}

int left_open_take(struct model *model, struct process *process, enum left_open_shared shared)
{
	const struct fd_table *table;
	const struct address_space *space = process->space;
	bool too = shared == LEFT_OPEN_SHARED_TOO;
	int error = 0;

	for (size_t i = 0; !error && (table = tables_at(process, i)); i++)
		if (table->holders == 1 || (too && table->reporter == process))
			error = take_points(process, table);
	if (!error && space && (space->holders == 1 || (too && space->reporter == process)))
		error = ranges_visit(model, process->space, take_range, process);
	return error;
}

void left_open_clear(struct process *process)
{
	if (!process->left_open_count)
		return;
	if (process->space)
		ranges_forget_left_open(process->space);
	for (size_t i = 0; i < process->left_open_count; i++) {
		struct left_open *entry = process->left_open[i];

		if (entry->handle) {
			entry->handle->left_open = NULL;
			points_handle_release(entry->handle);
		}
		free(entry);
	}
	free(process->left_open);
	process->left_open = NULL;
	process->left_open_count = 0;
	process->left_open_capacity = 0;
}

static int compare_groups(const struct left_open *a, const struct left_open *b)
{
	COMPARE(a->maker.type, b->maker.type);
	COMPARE(a->maker.origin, b->maker.origin);
	COMPARE(a->maker.category, b->maker.category);
	COMPARE(a->maker.stack, b->maker.stack);
	return 0;
}

static int compare_entries(const void *left, const void *right)
{
	const struct left_open *a = *(const struct left_open *const *)left;
	const struct left_open *b = *(const struct left_open *const *)right;
	int order = compare_groups(a, b);

	if (order)
		return order;
	COMPARE(a->maker.made_ns, b->maker.made_ns);
	COMPARE(a->maker.thread_id, b->maker.thread_id);
	COMPARE(a->fd, b->fd);
	COMPARE(a->address, b->address);
	return 0;
}

/* Another process that lives and inherited the handle goes on holding it as this one ends: it was handed
 * over, not left open. */
static bool handed_over(const struct process *process, const struct left_open *entry)
{
	const struct fd_table *table;
	uint32_t own = 1;

	if (!process->ended_ns || !entry->handle || entry->released)
		return false;
	for (size_t i = 0; (table = tables_at(process, i)); i++) {
		const struct point_slot *slot = points_slot(table, entry->fd);

		if (slot && slot->handle == entry->handle)
			own++;
	}
	return entry->handle->references > own;
}

static uint32_t slice_of(const struct process *process, uint64_t made_ns, uint64_t until_ns)
{
	uint64_t life = until_ns > process->image_ns ? until_ns - process->image_ns : 1, slice;

	if (made_ns <= process->image_ns)
		return 0;
	slice = (made_ns - process->image_ns) * LIFE_SLICES / life;
	return slice >= LIFE_SLICES ? LIFE_SLICES - 1 : (uint32_t)slice;
}

static int compare_tests(const void *a, const void *b)
{
	const struct group_test *left = a, *right = b;

	/* Ids are given as tests first run. */
	COMPARE(left->test.v, right->test.v);
	return 0;
}

size_t group_tests_merge(struct group_test *tests, size_t count)
{
	size_t kept = 0;

	if (!count)
		return 0;
	qsort(tests, count, sizeof(*tests), compare_tests);
	for (size_t i = 1; i < count; i++) {
		if (tests[i].test.v != tests[kept].test.v) {
			tests[++kept] = tests[i];
			continue;
		}
		tests[kept].made += tests[i].made;
		tests[kept].outlived += tests[i].outlived;
	}
	return kept + 1;
}

/* Entries come in order of time, so a test's most often follow each other; what is left double is merged when
 * the group ends. */
static int count_test(struct model_group *group, const struct fold *fold, const struct maker *maker)
{
	uint32_t begun = maker->test_marked ? fold->model->marked_serial : fold->process->test_serial;
	struct group_test *test = group->test_count ? &group->tests[group->test_count - 1] : NULL;
	int error;

	if (!maker->test.v)
		return 0;
	if (!test || test->test.v != maker->test.v) {
		error = array_grow((void **)&group->tests, &group->test_capacity, group->test_count + 1,
		                   sizeof(group->tests[0]));
		if (error)
			return error;
		test = &group->tests[group->test_count++];
		*test = (struct group_test){.test = maker->test};
	}
	test->made++;
	test->outlived += begun > maker->test_serial;
	return 0;
}

static int add_sample(const struct model *model, struct model_group *group, const struct left_open *entry)
{
	int error = array_grow((void **)&group->samples, &group->sample_capacity, group->sample_count + 1,
	                       sizeof(group->samples[0]));
	const char *target = NULL;
	struct group_sample *sample;

	if (error)
		return error;
	sample = &group->samples[group->sample_count];
	*sample = (struct group_sample){
	        .fd = entry->fd,
	        .address = entry->address,
	        .bytes = entry->bytes,
	        .thread_id = entry->maker.thread_id,
	        .made_ns = entry->maker.made_ns,
	        .test = entry->maker.test,
	};
	if (entry->handle)
		target = entry->handle->target;
	else if (entry->file.inode)
		target = interned_find_file(model, &entry->file);
	if (target) {
		sample->target = strdup(target);
		if (!sample->target)
			return -ENOMEM;
	}
	group->sample_count++;
	return 0;
}

static bool is_left_open(const struct fold *fold, const struct left_open *entry)
{
	return !entry->withdrawn && !handed_over(fold->process, entry);
}

/* How many handles of a set are of one file. */
struct file_count {
	uint16_t type;
	uint64_t inode;
	uint64_t count;
};

/* @return whether it is of a file that is known */
static bool is_of_file(const struct left_open *entry, struct file_count *ret_file)
{
	*ret_file = (struct file_count){
	        .type = entry->maker.type,
	        .inode = entry->handle ? entry->handle->inode : entry->file.inode,
	        .count = 1,
	};
	return ret_file->inode &&
	       (entry->maker.type == HANDLE_TYPE_FILE || entry->maker.type == HANDLE_TYPE_FILE_MAP);
}

static int compare_files(const void *left, const void *right)
{
	const struct file_count *a = left, *b = right;

	COMPARE(a->type, b->type);
	COMPARE(a->inode, b->inode);
	return 0;
}

/* @return 0 or -ENOMEM; *ret_files is in order, for free() */
static int count_files(const struct fold *fold, struct left_open *const *entries, size_t count,
                       struct file_count **ret_files, size_t *ret_count)
{
	struct file_count *files = calloc(count + 1, sizeof(*files));
	size_t listed = 0, kept = 0;

	if (!files)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		listed += is_left_open(fold, entries[i]) && is_of_file(entries[i], &files[listed]);
	qsort(files, listed, sizeof(*files), compare_files);
	for (size_t i = 1; i < listed; i++) {
		if (compare_files(&files[kept], &files[i]))
			files[++kept] = files[i];
		else
			files[kept].count++;
	}
	*ret_files = files;
	*ret_count = listed ? kept + 1 : 0;
	return 0;
}

static int add_to_group(const struct fold *fold, struct model_group *group, const struct left_open *entry,
                        const struct left_open *previous)
{
	const struct maker *maker = &entry->maker;
	bool released = entry->released && entry->released >= entry->bytes;
	int error;

	group->count++;
	group->bytes += entry->bytes;
	group->never += !released;
	group->at_shutdown += released;
	if (!previous || previous->maker.made_ns != maker->made_ns ||
	    previous->maker.thread_id != maker->thread_id)
		group->instances++;
	if (!group->oldest_ns)
		group->oldest_ns = maker->made_ns;
	group->newest_ns = maker->made_ns;
	group->slices |= 1U << slice_of(fold->process, maker->made_ns, fold->until_ns);
	error = count_test(group, fold, maker);
	if (error || (fold->samples && group->sample_count >= fold->samples))
		return error;
	return add_sample(fold->model, group, entry);
}

static void note_file(struct model_group *group, const struct left_open *entry,
                      const struct file_count *files, size_t count)
{
	const struct file_count *found;
	struct file_count file;

	if (!is_of_file(entry, &file))
		return;
	found = bsearch(&file, files, count, sizeof(*files), compare_files);
	if (found && found->count > group->of_one_file)
		group->of_one_file = found->count;
}

static int begin_group(const struct fold *fold, struct group_list *list, const struct left_open *entry,
                       struct model_group **ret_group)
{
	int error =
	        array_grow((void **)&list->items, &list->capacity, list->count + 1, sizeof(list->items[0]));

	if (error)
		return error;
	*ret_group = &list->items[list->count++];
	**ret_group = (struct model_group){
	        .kind = kinds_kind_of_type(entry->maker.type),
	        .type = entry->maker.type,
	        .origin = entry->maker.origin,
	        .category = entry->maker.category,
	        .stack = entry->maker.stack,
	        .announced = fold->process->announces_tests,
	};
	return 0;
}

int left_open_fold_entries(const struct fold *fold, struct left_open **entries, size_t count,
                           struct group_list *groups)
{
	struct model_group *group = NULL;
	const struct left_open *previous = NULL;
	size_t before = groups->count, file_count;
	struct file_count *files;
	int error = count_files(fold, entries, count, &files, &file_count);

	if (error)
		return error;
	for (size_t i = 0; i < count && fold->model->stack_aliases; i++)
		entries[i]->maker.stack = interned_same_stack(fold->model, entries[i]->maker.stack);
	/* count 0: qsort's base may not be NULL */
	if (count)
		qsort(entries, count, sizeof(entries[0]), compare_entries);
	for (size_t i = 0; i < count && !error; i++) {
		const struct left_open *entry = entries[i];

		if (!is_left_open(fold, entry))
			continue;
		if (!group || compare_groups(previous, entry)) {
			error = begin_group(fold, groups, entry, &group);
			previous = NULL;
		}
		if (!error) {
			note_file(group, entry, files, file_count);
			error = add_to_group(fold, group, entry, previous);
		}
		previous = entry;
	}
	free(files);
	for (size_t i = before; i < groups->count; i++)
		groups->items[i].test_count =
		        group_tests_merge(groups->items[i].tests, groups->items[i].test_count);
	return error;
}

/* @return the array with room for what is in it only; as it was where there is no memory for that */
static void *fit(void *items, size_t count, size_t item_bytes, size_t *capacity)
{
	void *fitted = count && count < *capacity ? realloc(items, count * item_bytes) : NULL;

	if (!fitted)
		return items;
	*capacity = count;
	return fitted;
}

/* What is kept of a process that is gone is kept for long, and of many. */
static void fit_groups(struct group_list *list)
{
	list->items = fit(list->items, list->count, sizeof(list->items[0]), &list->capacity);
	for (size_t i = 0; i < list->count; i++) {
		struct model_group *group = &list->items[i];

		group->samples = fit(group->samples, group->sample_count, sizeof(group->samples[0]),
		                     &group->sample_capacity);
		group->tests =
		        fit(group->tests, group->test_count, sizeof(group->tests[0]), &group->test_capacity);
	}
}

int left_open_fold(const struct fold *fold, struct group_list *ret_groups)
{
	struct group_list list = {0};
	int error =
	        left_open_fold_entries(fold, fold->process->left_open, fold->process->left_open_count, &list);

	if (error) {
		left_open_groups_free(&list);
		return error;
	}
	fit_groups(&list);
	*ret_groups = list;
	return 0;
}

void left_open_groups_free(struct group_list *groups)
{
	for (size_t i = 0; i < groups->count; i++) {
		for (size_t j = 0; j < groups->items[i].sample_count; j++)
			free(groups->items[i].samples[j].target);
		free(groups->items[i].samples);
		free(groups->items[i].tests);
	}
	free(groups->items);
	*groups = (struct group_list){0};
}
