/*
 * Unwind tables as the programs read them. See unwind_shards.h.
 * All is written through mmap(2): an update of a map by leftopen keeps programs from running on its CPU for
 * that time (kernel/bpf/syscall.c, bpf_disable_instrumentation), and what they would have told is lost. The
 * arrays stay mapped: mapping one of 16 MiB takes 2 ms (mm/vmalloc.c, remap_vmalloc_range_partial).
 *
 * Programs look at both without a lock. A place is filled before it is marked as filled (x86-64 keeps the
 * order of writes, Intel's manual, volume 3, 9.2.2). It and its rows are written again only after it was
 * marked as empty and all programs that ran then have ended.
 */
#include "load/unwind_shards.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/fd.h"
#include "load/row_space.h"
#include "map_abi.h"

#define PLACES_BYTES (UNWIND_FILES_MAX * sizeof(struct unwind_file_place))
#define SHARD_BYTES  (UNWIND_SHARD_ROWS * sizeof(struct unwind_row))
/* Of all rows, what is emptied at once. */
#define EVICTED_SHARE 8

struct shard {
	int fd; /* of its array */
	struct unwind_row *rows;
	struct row_space *space;
};

/* What is known of a place besides what the programs read. */
struct place_use {
	uint64_t round; /* in which it was last used */
	bool ahead;
};

struct unwind_shards {
	struct unwind_shards_options options;
	struct unwind_file_place *places;
	struct place_use *uses; /* of each place */
	uint64_t round;         /* one more with each file, and each time that uses are looked at */
	size_t ahead_rows;
	size_t count;
	struct shard shards[UNWIND_SHARDS_MAX];
};

/* A place that may be emptied. */
struct candidate {
	uint32_t place;
	bool ahead;
	uint64_t round;
};

int unwind_shards_new(const struct unwind_shards_options *options, struct unwind_shards **ret_shards)
{
	struct unwind_shards *shards = calloc(1, sizeof(*shards));
	void *places;

	if (!shards)
		return -ENOMEM;
	shards->options = *options;
	shards->uses = calloc(UNWIND_FILES_MAX, sizeof(*shards->uses));
	places = mmap(NULL, PLACES_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, options->files_fd, 0);
	if (!shards->uses || places == MAP_FAILED) {
		int error = shards->uses ? -errno : -ENOMEM;

		unwind_shards_free(shards);
		return error;
	}
	shards->places = places;
	*ret_shards = shards;
	return 0;
}

static void clear_shard(struct shard *shard)
{
	if (shard->rows)
		(void)munmap(shard->rows, SHARD_BYTES);
	row_space_free(shard->space);
	fd_close(&shard->fd);
}

/* Puts the array where the programs find it, and waits for all of them that run (kernel/bpf/syscall.c,
 * maybe_wait_bpf_programs). */
static int tell_shard(const struct unwind_shards *shards, uint32_t index, int fd)
{
	return bpf_map_update_elem(shards->options.shards_fd, &index, &fd, BPF_ANY) ? -errno : 0;
}

static int fill_in_shard(const struct unwind_shards *shards, struct shard *shard)
{
	LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_MMAPABLE);
	void *rows;

	shard->fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "unwind_shard", sizeof(__u32),
	                           sizeof(struct unwind_row), UNWIND_SHARD_ROWS, &options);
	if (shard->fd < 0)
		return -errno;
	rows = mmap(NULL, SHARD_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, shard->fd, 0);
	if (rows == MAP_FAILED)
		return -errno;
	shard->rows = rows;
	if (row_space_new(UNWIND_SHARD_ROWS, &shard->space))
		return -ENOMEM;
	return tell_shard(shards, (uint32_t)shards->count, shard->fd);
}

static int make_shard(struct unwind_shards *shards)
{
	struct shard shard = {.fd = -1};
	int error;

	if (shards->count == shards->options.shards_max)
		return -ENOSPC;
	error = fill_in_shard(shards, &shard);
	if (error)
		clear_shard(&shard);
	else
		shards->shards[shards->count++] = shard;
	return error;
}

static bool is_filled(const struct unwind_file_place *place)
{
	return __atomic_load_n(&place->filled, __ATOMIC_ACQUIRE);
}

static struct unwind_file_place *find_place(const struct unwind_shards *shards, const struct file_key *key)
{
	struct unwind_file_place *place = &shards->places[unwind_file_first_place(key)];

	for (uint32_t i = 0; i < UNWIND_FILE_WAYS; i++, place++)
		if (is_filled(place) && !memcmp(&place->key, key, sizeof(*key)))
			return place;
	return NULL;
}

static struct place_use *use_of(const struct unwind_shards *shards, const struct unwind_file_place *place)
{
	return &shards->uses[place - shards->places];
}

/* Files that are used for the first time are no longer those that go first. */
static void not_ahead(struct unwind_shards *shards, const struct unwind_file_place *place)
{
	struct place_use *use = use_of(shards, place);

	if (use->ahead)
		shards->ahead_rows -= place->table.count;
	use->ahead = false;
}

bool unwind_shards_want(struct unwind_shards *shards, const struct file_key *key)
{
	const struct unwind_file_place *place = find_place(shards, key);

	if (place)
		not_ahead(shards, place);
	return place;
}

const struct unwind_row *unwind_shards_rows(const struct unwind_shards *shards, const struct file_key *key,
                                            size_t *ret_count)
{
	const struct unwind_file_place *place = find_place(shards, key);

	if (!place)
		return NULL;
	*ret_count = place->table.count;
	return shards->shards[place->table.shard].rows + place->table.first;
}

/* @return 0; -ENOSPC: no array has room */
static int take_room(struct unwind_shards *shards, uint32_t rows, struct unwind_file *ret_table)
{
	struct unwind_file table = {.count = rows};

	for (; table.shard < shards->count; table.shard++) {
		int error = row_space_take(shards->shards[table.shard].space, rows, &table.first);

		if (!error)
			*ret_table = table;
		if (error != -ENOSPC)
			return error;
	}
	return -ENOSPC;
}

static int compare_candidates(const void *left, const void *right)
{
	const struct candidate *a = left, *b = right;

	if (a->ahead != b->ahead)
		return a->ahead ? -1 : 1;
	if (a->round != b->round)
		return a->round < b->round ? -1 : 1;
	return a->place < b->place ? -1 : a->place > b->place;
}

/* @return the filled places of a range, for free(), those that go first first; NULL: -ENOMEM */
static struct candidate *list_candidates(struct unwind_shards *shards, uint32_t first, uint32_t count,
                                         size_t *ret_count)
{
	struct candidate *candidates = calloc(count, sizeof(*candidates));
	size_t found = 0;

	shards->round++;
	for (uint32_t at = first; candidates && at < first + count; at++) {
		struct unwind_file_place *place = &shards->places[at];
		struct place_use *use = &shards->uses[at];

		if (!is_filled(place))
			continue;
		if (__atomic_exchange_n(&place->used, 0, __ATOMIC_RELAXED)) {
			use->round = shards->round;
			not_ahead(shards, place);
		}
		candidates[found++] = (struct candidate){at, use->ahead, use->round};
	}
	if (candidates)
		qsort(candidates, found, sizeof(*candidates), compare_candidates);
	*ret_count = found;
	return candidates;
}

static void give_back(struct unwind_shards *shards, const struct candidate *candidate)
{
	struct unwind_file_place *place = &shards->places[candidate->place];
	struct unwind_file table = place->table;

	if (candidate->ahead)
		shards->ahead_rows -= table.count;
	row_space_give(shards->shards[table.shard].space, table.first, table.count);
	memset(&place->table, 0, sizeof(place->table));
	if (!candidate->ahead && shards->options.evicted)
		shards->options.evicted(shards->options.context, &place->key);
}

/* Empties the first of the candidates, so many rows of them at least, and one file.
 * @return how many files, or -errno: their rows stay taken */
static int evict(struct unwind_shards *shards, const struct candidate *candidates, size_t count, size_t rows)
{
	size_t victims = 0, emptied = 0;
	int error;

	while (victims < count && (!victims || emptied < rows)) {
		struct unwind_file_place *place = &shards->places[candidates[victims++].place];

		emptied += place->table.count;
		__atomic_store_n(&place->filled, 0, __ATOMIC_RELEASE);
	}
	error = tell_shard(shards, 0, shards->shards[0].fd);
	if (error)
		return error;
	for (size_t i = 0; i < victims; i++)
		give_back(shards, &candidates[i]);
	return (int)victims;
}

/* Makes room by emptying places, until there is enough of it in one piece. */
static int make_room(struct unwind_shards *shards, uint32_t rows, struct unwind_file *ret_table)
{
	size_t count, next = 0, share = shards->count * UNWIND_SHARD_ROWS / EVICTED_SHARE;
	struct candidate *candidates = list_candidates(shards, 0, UNWIND_FILES_MAX, &count);
	int error = candidates ? -ENOSPC : -ENOMEM;

	while (error == -ENOSPC && next < count) {
		int victims = evict(shards, candidates + next, count - next, rows > share ? rows : share);

		if (victims > 0)
			next += (size_t)victims;
		error = victims < 0 ? victims : take_room(shards, rows, ret_table);
	}
	free(candidates);
	return error;
}

static int find_room(struct unwind_shards *shards, uint32_t rows, bool ahead, struct unwind_file *ret_table)
{
	int error = take_room(shards, rows, ret_table);

	if (error == -ENOSPC) {
		error = make_shard(shards);
		if (!error)
			error = take_room(shards, rows, ret_table);
		else if (error == -ENOSPC && !ahead)
			error = make_room(shards, rows, ret_table);
	}
	return error;
}

/* @return 0; -ENOSPC: all of the file's places are filled */
static int find_empty_place(const struct unwind_shards *shards, const struct file_key *key,
                            uint32_t *ret_place)
{
	uint32_t first = unwind_file_first_place(key);

	for (uint32_t at = first; at < first + UNWIND_FILE_WAYS; at++) {
		if (is_filled(&shards->places[at]))
			continue;
		*ret_place = at;
		return 0;
	}
	return -ENOSPC;
}

static int make_empty_place(struct unwind_shards *shards, const struct file_key *key, uint32_t *ret_place)
{
	size_t count;
	struct candidate *candidates =
	        list_candidates(shards, unwind_file_first_place(key), UNWIND_FILE_WAYS, &count);
	int victims = candidates ? evict(shards, candidates, count, 1) : -ENOMEM;

	free(candidates);
	return victims < 0 ? victims : find_empty_place(shards, key, ret_place);
}

static void fill_place(struct unwind_shards *shards, uint32_t at, const struct file_key *key,
                       const struct unwind_file *table, bool ahead)
{
	struct unwind_file_place *place = &shards->places[at];

	place->key = *key;
	place->table = *table;
	place->used = 0;
	__atomic_store_n(&place->filled, 1, __ATOMIC_RELEASE);
	shards->uses[at] = (struct place_use){.round = ++shards->round, .ahead = ahead};
	if (ahead)
		shards->ahead_rows += table->count;
}

int unwind_shards_add(struct unwind_shards *shards, const struct file_key *key, const struct unwind_row *rows,
                      size_t count, bool ahead)
{
	struct unwind_file table;
	uint32_t place;
	int error;

	if (!count || count > UNWIND_SHARD_ROWS)
		return -E2BIG;
	if (find_place(shards, key))
		return -EEXIST;
	if (ahead && (count > shards->options.ahead_rows_max ||
	              shards->ahead_rows > shards->options.ahead_rows_max - count))
		return -ENOSPC;
	/* Room first: it may empty a place of this file. */
	error = find_room(shards, (uint32_t)count, ahead, &table);
	if (error)
		return error;
	error = find_empty_place(shards, key, &place);
	if (error && !ahead)
		error = make_empty_place(shards, key, &place);
	if (error) {
		row_space_give(shards->shards[table.shard].space, table.first, table.count);
		return error;
	}
	memcpy(shards->shards[table.shard].rows + table.first, rows, count * sizeof(*rows));
	fill_place(shards, place, key, &table, ahead);
	return 0;
}

void unwind_shards_free(struct unwind_shards *shards)
{
	if (!shards)
		return;
	for (size_t i = 0; i < shards->count; i++)
		clear_shard(&shards->shards[i]);
	if (shards->places)
		(void)munmap(shards->places, PLACES_BYTES);
	free(shards->uses);
	free(shards);
}
