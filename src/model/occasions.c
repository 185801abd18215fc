/*
 * What a site holds, on how many occasions it was made, and its verdict (see site_internal.h).
 * Occasions count, not handles: one event loop is three descriptors, one engine three.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "model/site_internal.h"

#define LIFE_SLICES     5
#define OCCASIONS_LEAST 3
#define LAST_SLICE      (1U << (LIFE_SLICES - 1))

int site_add_group(struct site_work *site, size_t index)
{
	int error = model_grow((void **)&site->groups, &site->group_capacity, site->group_count + 1,
	                       sizeof(site->groups[0]));

	if (!error)
		site->groups[site->group_count++] = index;
	return error;
}

static const struct snapshot_group *group_at(const struct sites_work *work, const struct site_work *site,
                                             size_t i)
{
	return &work->snapshot->groups[site->groups[i]];
}

/* One call of one entry and type is an instance; a site has as many as its largest such set of groups, in all
 * its processes or in one. */
static uint64_t count_instances(const struct sites_work *work, const struct site_work *site,
                                const size_t *process)
{
	uint64_t most = 0;

	for (size_t i = 0; i < site->group_count; i++) {
		const struct snapshot_group *group = group_at(work, site, i);
		const struct group_place *place = &work->places[site->groups[i]];
		uint64_t sum = 0;

		if (process && group->process != *process)
			continue;
		for (size_t j = 0; j < site->group_count; j++) {
			const struct snapshot_group *other = group_at(work, site, j);

			if (other->type == group->type && other->kind == group->kind &&
			    work->places[site->groups[j]].entry_hash == place->entry_hash &&
			    (!process || other->process == *process))
				sum += other->instances;
		}
		if (sum > most)
			most = sum;
	}
	return most;
}

static int compare_numbers(const void *a, const void *b)
{
	uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;

	return left < right ? -1 : left > right;
}

/* @return 0 or -ENOMEM; *ret_tests is how many different tests the site's handles were made in */
static int count_tests(const struct sites_work *work, const struct site_work *site, uint64_t *ret_tests)
{
	size_t total = 0, at = 0;
	uint32_t *tests;

	*ret_tests = 0;
	for (size_t i = 0; i < site->group_count; i++)
		total += work->groups[site->groups[i]]->test_count;
	if (!total)
		return 0;
	tests = calloc(total, sizeof(*tests));
	if (!tests)
		return -ENOMEM;
	for (size_t i = 0; i < site->group_count; i++) {
		const struct model_group *group = work->groups[site->groups[i]];

		for (size_t j = 0; j < group->test_count; j++)
			tests[at++] = group->tests[j].test.v;
	}
	qsort(tests, total, sizeof(*tests), compare_numbers);
	for (size_t i = 0; i < total; i++)
		*ret_tests += !i || tests[i] != tests[i - 1];
	free(tests);
	return 0;
}

/* In the process where they are most: slices of different processes' lives are not occasions of one. */
static void count_slices(const struct sites_work *work, const struct site_work *site,
                         struct occasions *occasions)
{
	for (size_t i = 0; i < site->group_count; i++) {
		size_t process = group_at(work, site, i)->process;
		uint32_t slices = 0;
		uint64_t count;

		for (size_t j = 0; j < site->group_count; j++)
			if (group_at(work, site, j)->process == process)
				slices |= work->groups[site->groups[j]]->slices;
		count = (uint64_t)__builtin_popcount(slices);
		if (count > occasions->count)
			occasions->count = count;
		if (count >= OCCASIONS_LEAST && slices & LAST_SLICE &&
		    count_instances(work, site, &process) >= work->min_count)
			occasions->repeated = true;
	}
}

int site_count_occasions(const struct sites_work *work, const struct site_work *site,
                         struct occasions *ret_occasions)
{
	struct occasions occasions = {.instances = count_instances(work, site, NULL)};
	int error = count_tests(work, site, &occasions.count);

	if (error)
		return error;
	occasions.tests = occasions.count > 0;
	if (occasions.tests)
		occasions.repeated = occasions.count >= OCCASIONS_LEAST;
	else
		count_slices(work, site, &occasions);
	*ret_occasions = occasions;
	return 0;
}

bool site_is_leak(const struct sites_work *work, const struct occasions *occasions)
{
	return occasions->instances >= work->min_count && occasions->repeated;
}

static int add_process(struct snapshot_site *site, size_t process, uint64_t count)
{
	for (size_t i = 0; i < site->process_count; i++) {
		if (site->processes[i].process == process) {
			site->processes[i].count += count;
			return 0;
		}
	}
	site->processes[site->process_count++] = (struct snapshot_site_process){process, count};
	return 0;
}

static void sum_up(const struct sites_work *work, const struct site_work *site, struct snapshot_site *out,
                   uint64_t *ret_never)
{
	*ret_never = 0;
	for (size_t i = 0; i < site->group_count; i++) {
		const struct snapshot_group *group = group_at(work, site, i);

		if (group->kind == HANDLE_KIND_FD)
			out->fds += group->count;
		else
			out->maps += group->count;
		out->bytes += group->bytes;
		*ret_never += group->released_never;
		(void)add_process(out, group->process, group->count);
	}
}

/* Tests in order of first use; the same test of several groups is one. */
static int list_tests(const struct sites_work *work, const struct site_work *site, struct snapshot_site *out)
{
	size_t total = 0;

	for (size_t i = 0; i < site->group_count; i++)
		total += work->groups[site->groups[i]]->test_count;
	out->tests = arena_alloc(work->snapshot->arena, total * sizeof(out->tests[0]));
	if (!out->tests)
		return -ENOMEM;
	for (size_t i = 0; i < site->group_count; i++) {
		const struct model_group *group = work->groups[site->groups[i]];

		for (size_t j = 0; j < group->test_count; j++) {
			const char *name = work->model->tests[group->tests[j].test.v - 1]->name;
			size_t k = 0;

			while (k < out->test_count && strcmp(out->tests[k].name, name))
				k++;
			if (k == out->test_count) {
				out->tests[k].name = arena_strdup(work->snapshot->arena, name);
				if (!out->tests[k].name)
					return -ENOMEM;
				out->test_count++;
			}
			out->tests[k].made += group->tests[j].made;
			out->tests[k].outlived += group->tests[j].outlived;
		}
	}
	return 0;
}

static int compare_group_sizes(const void *a, const void *b, void *context)
{
	const struct snapshot *snapshot = context;
	const struct snapshot_group *left = &snapshot->groups[*(const size_t *)a];
	const struct snapshot_group *right = &snapshot->groups[*(const size_t *)b];

	if (left->count != right->count)
		return left->count > right->count ? -1 : 1;
	return left < right ? -1 : left > right;
}

static double slope(const struct sites_work *work, const struct site_work *site, uint64_t instances)
{
	uint64_t oldest = UINT64_MAX, newest = 0;

	for (size_t i = 0; i < site->group_count; i++) {
		const struct model_group *group = work->groups[site->groups[i]];

		if (group->oldest_ns < oldest)
			oldest = group->oldest_ns;
		if (group->newest_ns > newest)
			newest = group->newest_ns;
	}
	return newest > oldest && instances > 1 ? (double)(instances - 1) * 1e9 / (double)(newest - oldest)
	                                        : 0;
}

int site_finish(const struct sites_work *work, const struct site_work *site, struct snapshot_site *ret_site)
{
	struct snapshot_site out = {.location = site->place.location};
	struct arena *arena = work->snapshot->arena;
	struct occasions occasions;
	uint64_t never;
	int error = site_count_occasions(work, site, &occasions);

	if (error)
		return error;
	out.processes = arena_alloc(arena, site->group_count * sizeof(out.processes[0]));
	out.groups = arena_alloc(arena, site->group_count * sizeof(out.groups[0]));
	out.lines = arena_alloc(arena, site->line_count * sizeof(out.lines[0]));
	if (!out.processes || !out.groups || !out.lines)
		return -ENOMEM;
	sum_up(work, site, &out, &never);
	memcpy(out.groups, site->groups, site->group_count * sizeof(out.groups[0]));
	out.group_count = site->group_count;
	qsort_r(out.groups, out.group_count, sizeof(out.groups[0]), compare_group_sizes, work->snapshot);
	if (site->line_count)
		memcpy(out.lines, site->lines, site->line_count * sizeof(out.lines[0]));
	out.line_count = site->line_count;
	out.instances = occasions.instances;
	out.occasions = occasions.count;
	out.occasions_are_tests = occasions.tests;
	if (site_is_leak(work, &occasions)) {
		out.verdict = VERDICT_LEAK;
		out.slope_per_s = slope(work, site, occasions.instances);
	} else {
		out.verdict = never ? VERDICT_LEFT_OPEN : VERDICT_HELD;
	}
	error = list_tests(work, site, &out);
	if (!error)
		*ret_site = out;
	return error;
}
