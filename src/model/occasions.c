/*
 * What a site holds, on how many occasions it was made, and its verdict (see site_internal.h).
 * Occasions count, not handles: one event loop is three descriptors, one engine three.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/array.h"
#include "model/kinds.h"
#include "model/site_internal.h"

#define OCCASIONS_LEAST 3
#define LAST_SLICE      (1U << (LIFE_SLICES - 1))

int site_add_group(struct site_work *site, size_t index)
{
	int error = array_grow((void **)&site->groups, &site->group_capacity, site->group_count + 1,
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

/* What of a group counts as instances and occasions, apart from its place in the site. */
struct tally {
	size_t process;
	enum handle_type type;
	uint64_t entry_hash;
	uint64_t instances;
	const struct model_group *group;
};

static int compare_tallies(const void *a, const void *b)
{
	const struct tally *left = a, *right = b;

	COMPARE(left->type, right->type);
	COMPARE(left->entry_hash, right->entry_hash);
	return 0;
}

static int compare_tallies_in_processes(const void *a, const void *b)
{
	const struct tally *left = a, *right = b;

	COMPARE(left->process, right->process);
	return compare_tallies(a, b);
}

/* Processes that announce tests are one. */
static int compare_runners(const void *a, const void *b)
{
	const struct tally *left = a, *right = b;

	COMPARE(right->group->announced, left->group->announced);
	if (!left->group->announced)
		COMPARE(left->process, right->process);
	return 0;
}

/* @return 0 or -ENOMEM; *ret_tallies, one a group, is for free() */
static int list_tallies(const struct sites_work *work, const struct site_work *site,
                        struct tally **ret_tallies)
{
	struct tally *tallies = calloc(site->group_count + 1, sizeof(*tallies));

	if (!tallies)
		return -ENOMEM;
	for (size_t i = 0; i < site->group_count; i++) {
		const struct snapshot_group *group = group_at(work, site, i);

		tallies[i] = (struct tally){
		        .process = group->process,
		        .type = group->type,
		        .entry_hash = work->places[site->groups[i]].entry_hash,
		        .instances = group->instances,
		        .group = work->groups[site->groups[i]],
		};
	}
	*ret_tallies = tallies;
	return 0;
}

/* One call of one entry and type is an instance; a site has as many as its largest such set of groups. */
static uint64_t count_instances(const struct tally *tallies, size_t count)
{
	uint64_t most = 0, sum = 0;

	for (size_t i = 0; i < count; i++) {
		if (i && compare_tallies(&tallies[i - 1], &tallies[i]))
			sum = 0;
		sum += tallies[i].instances;
		if (sum > most)
			most = sum;
	}
	return most;
}

/* @return 0 or -ENOMEM; *ret_tests is how many different tests these groups' handles were made in, *ret_list
 * which ones, for free() */
static int merge_tests(const struct tally *tallies, size_t count, struct group_test **ret_list,
                       size_t *ret_tests)
{
	struct group_test *list;
	size_t total = 0, at = 0;

	for (size_t i = 0; i < count; i++)
		total += tallies[i].group->test_count;
	list = calloc(total + 1, sizeof(*list));
	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		for (size_t j = 0; j < tallies[i].group->test_count; j++)
			list[at++] = tallies[i].group->tests[j];
	*ret_tests = group_tests_merge(list, total);
	*ret_list = list;
	return 0;
}

/* Tests are occasions of the processes that run them, together. Any other process has its own: what it left
 * open is gone with it, and does not add up where each test starts another one. */
static int count_tests_apart(struct tally *tallies, size_t count, struct occasions *occasions)
{
	qsort(tallies, count, sizeof(*tallies), compare_runners);
	for (size_t first = 0, end; first < count; first = end) {
		struct group_test *list;
		size_t tests;
		int error;

		for (end = first + 1; end < count && !compare_runners(&tallies[first], &tallies[end]);)
			end++;
		error = merge_tests(tallies + first, end - first, &list, &tests);
		if (error)
			return error;
		free(list);
		if (tests > occasions->count)
			occasions->count = tests;
	}
	occasions->repeated = occasions->count >= OCCASIONS_LEAST;
	return 0;
}

/* Slices of different processes' lives are not occasions of one, nor are those of calls that are not alike.
 * Where no line of the program is known, files that are each opened once are taken for its work, as a
 * database's cache or a linker's input: again and again is the same file. The function that opens all of a
 * program's files says too little. */
static void count_slices(const struct sites_work *work, const struct site_work *site, struct tally *tallies,
                         size_t count, struct occasions *occasions)
{
	bool has_line = site->place.location.line;

	qsort(tallies, count, sizeof(*tallies), compare_tallies_in_processes);
	for (size_t first = 0, end; first < count; first = end) {
		uint64_t instances = 0, of_one_file = 0, filled;
		uint32_t slices = 0;

		for (end = first;
		     end < count && !compare_tallies_in_processes(&tallies[first], &tallies[end]); end++) {
			slices |= tallies[end].group->slices;
			instances += tallies[end].instances;
			if (tallies[end].group->of_one_file > of_one_file)
				of_one_file = tallies[end].group->of_one_file;
		}
		filled = (uint64_t)__builtin_popcount(slices);
		if (filled > occasions->count)
			occasions->count = filled;
		if (filled >= OCCASIONS_LEAST && slices & LAST_SLICE && instances >= work->min_count &&
		    (has_line || !of_one_file || of_one_file >= work->min_count))
			occasions->repeated = true;
	}
}

int site_count_occasions(const struct sites_work *work, const struct site_work *site,
                         struct occasions *ret_occasions)
{
	struct occasions occasions = {0};
	struct tally *tallies;
	int error = list_tallies(work, site, &tallies);

	if (error)
		return error;
	qsort(tallies, site->group_count, sizeof(*tallies), compare_tallies);
	occasions.instances = count_instances(tallies, site->group_count);
	for (size_t i = 0; i < site->group_count; i++)
		occasions.tests |= tallies[i].group->test_count > 0;
	if (occasions.tests)
		error = count_tests_apart(tallies, site->group_count, &occasions);
	else
		count_slices(work, site, tallies, site->group_count, &occasions);
	free(tallies);
	if (!error)
		*ret_occasions = occasions;
	return error;
}

bool site_is_leak(const struct sites_work *work, const struct occasions *occasions)
{
	return occasions->instances >= work->min_count && occasions->repeated;
}

static int compare_processes(const void *a, const void *b)
{
	const struct snapshot_site_process *left = a, *right = b;

	COMPARE(left->process, right->process);
	return 0;
}

/* One entry a process, of one a group. @return how many */
static size_t merge_processes(struct snapshot_site_process *processes, size_t count)
{
	size_t kept = 0;

	qsort(processes, count, sizeof(*processes), compare_processes);
	for (size_t i = 1; i < count; i++) {
		if (processes[i].process == processes[kept].process)
			processes[kept].count += processes[i].count;
		else
			processes[++kept] = processes[i];
	}
	return count ? kept + 1 : 0;
}

static void sum_up(const struct sites_work *work, const struct site_work *site, struct snapshot_site *out,
                   uint64_t *ret_never)
{
	*ret_never = 0;
	for (size_t i = 0; i < site->group_count; i++) {
		const struct snapshot_group *group = group_at(work, site, i);

		if (kinds_shape_of_kind(group->kind) == HANDLE_SHAPE_POINT)
			out->fds += group->count;
		else
			out->maps += group->count;
		out->bytes += group->bytes;
		*ret_never += group->released_never;
		out->processes[i] = (struct snapshot_site_process){group->process, group->count};
	}
	out->process_count = merge_processes(out->processes, site->group_count);
}

static int list_tests(const struct sites_work *work, const struct site_work *site, struct snapshot_site *out)
{
	struct group_test *tests;
	struct tally *tallies;
	size_t count;
	int error = list_tallies(work, site, &tallies);

	if (error)
		return error;
	error = merge_tests(tallies, site->group_count, &tests, &count);
	free(tallies);
	if (error)
		return error;
	out->tests = arena_alloc(work->snapshot->arena, count * sizeof(out->tests[0]));
	if (!out->tests)
		error = -ENOMEM;
	for (size_t i = 0; i < count && !error; i++) {
		const char *name = work->model->tests[tests[i].test.v - 1]->name;

		out->tests[i] = (struct snapshot_site_test){
		        .name = arena_strdup(work->snapshot->arena, name),
		        .made = tests[i].made,
		        .outlived = tests[i].outlived,
		};
		if (!out->tests[i].name)
			error = -ENOMEM;
		out->test_count = i + 1;
	}
	free(tests);
	return error;
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
