/*
 * load/unwind_shards.c with maps of the running kernel: what programs find of a file, and who makes room.
 */
#include <bpf/bpf.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "load/unwind_shards.h"
#include "map_abi.h"

/* A quarter of a shard each. */
#define LARGE_ROWS    (UNWIND_SHARD_ROWS / 4)
#define PLACES_BYTES  (UNWIND_FILES_MAX * sizeof(struct unwind_file_place))
#define EVICTED_COUNT 64

static struct fixture {
	int shards_fd, files_fd;
	struct unwind_shards *shards;
	struct unwind_file_place *places; /* as programs see them */
	struct unwind_row *rows;          /* LARGE_ROWS */
	struct file_key evicted[EVICTED_COUNT];
	size_t evicted_count;
} fixture;

static void note_evicted(void *context, const struct file_key *key)
{
	struct fixture *to = context;

	cr_assert_lt(to->evicted_count, (size_t)EVICTED_COUNT);
	to->evicted[to->evicted_count++] = *key;
}

static int make_array(uint32_t value_bytes, uint32_t entries)
{
	LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_MMAPABLE);

	return bpf_map_create(BPF_MAP_TYPE_ARRAY, "test_array", sizeof(uint32_t), value_bytes, entries,
	                      &options);
}

static void begin(uint32_t shards_max, size_t ahead_rows_max)
{
	int inner = make_array(sizeof(struct unwind_row), UNWIND_SHARD_ROWS);
	LIBBPF_OPTS(bpf_map_create_opts, options, .inner_map_fd = (uint32_t)inner);
	struct unwind_shards_options wanted = {
	        .shards_max = shards_max,
	        .ahead_rows_max = ahead_rows_max,
	        .evicted = note_evicted,
	        .context = &fixture,
	};

	cr_assert_geq(inner, 0);
	wanted.shards_fd = bpf_map_create(BPF_MAP_TYPE_ARRAY_OF_MAPS, "test_shards", sizeof(uint32_t),
	                                  sizeof(uint32_t), UNWIND_SHARDS_MAX, &options);
	wanted.files_fd = make_array(sizeof(struct unwind_file_place), UNWIND_FILES_MAX);
	cr_assert_geq(wanted.shards_fd, 0);
	cr_assert_geq(wanted.files_fd, 0);
	(void)close(inner);
	fixture.shards_fd = wanted.shards_fd;
	fixture.files_fd = wanted.files_fd;
	fixture.places = mmap(NULL, PLACES_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, wanted.files_fd, 0);
	cr_assert_neq((void *)fixture.places, MAP_FAILED);
	fixture.rows = calloc(LARGE_ROWS, sizeof(*fixture.rows));
	cr_assert_not_null(fixture.rows);
	cr_assert_eq(unwind_shards_new(&wanted, &fixture.shards), 0);
}

static void end(void)
{
	unwind_shards_free(fixture.shards);
	free(fixture.rows);
	(void)munmap(fixture.places, PLACES_BYTES);
	(void)close(fixture.shards_fd);
	(void)close(fixture.files_fd);
}

TestSuite(unwind_shards, .fini = end, .timeout = 60);

static struct file_key key_of(uint64_t inode)
{
	return (struct file_key){.inode = inode, .device = 8 << 20 | 1, .generation = (uint32_t)inode * 7};
}

/* @return where programs find the file, or NULL: as bpf/unwind_tables.bpf.h looks */
static struct unwind_file_place *look_up(uint64_t inode)
{
	struct file_key key = key_of(inode);
	struct unwind_file_place *place = &fixture.places[unwind_file_first_place(&key)];

	for (uint32_t i = 0; i < UNWIND_FILE_WAYS; i++)
		if (place[i].filled && !memcmp(&place[i].key, &key, sizeof(key)))
			return &place[i];
	return NULL;
}

/* The row of that number of a file, by its shard, as the kernel has it. */
static struct unwind_row row_at(const struct unwind_file_place *place, uint32_t number)
{
	uint32_t at = place->table.first + number, id;
	struct unwind_row row;
	int fd;

	cr_assert_lt(number, place->table.count);
	cr_assert_eq(bpf_map_lookup_elem(fixture.shards_fd, &place->table.shard, &id), 0);
	fd = bpf_map_get_fd_by_id(id);
	cr_assert_geq(fd, 0);
	cr_assert_eq(bpf_map_lookup_elem(fd, &at, &row), 0);
	(void)close(fd);
	return row;
}

/* Gives a file so many rows, whose offsets tell the files apart. */
static int add(uint64_t inode, size_t count, bool ahead)
{
	struct file_key key = key_of(inode);

	for (size_t i = 0; i < count && i < LARGE_ROWS; i++)
		fixture.rows[i] = (struct unwind_row){.file_offset = (uint32_t)(inode << 24 | i), .rule = 1};
	return unwind_shards_add(fixture.shards, &key, fixture.rows, count, ahead);
}

static void must_have(uint64_t inode, uint32_t count)
{
	const struct unwind_file_place *place = look_up(inode);

	cr_assert_not_null(place);
	cr_assert_eq(place->table.count, count);
	cr_assert_eq(row_at(place, 0).file_offset, (uint32_t)(inode << 24));
	cr_assert_eq(row_at(place, count - 1).file_offset, (uint32_t)(inode << 24 | (count - 1)));
}

static bool was_evicted(uint64_t inode)
{
	struct file_key key = key_of(inode);

	for (size_t i = 0; i < fixture.evicted_count; i++)
		if (!memcmp(&fixture.evicted[i], &key, sizeof(key)))
			return true;
	return false;
}

Test(unwind_shards, programs_find_what_was_given)
{
	struct file_key key = key_of(1);

	begin(2, 0);
	cr_assert_not(unwind_shards_want(fixture.shards, &key));
	cr_assert_eq(add(1, 100, false), 0);
	cr_assert_eq(add(2, 1, false), 0);
	cr_assert_eq(add(1, 100, false), -EEXIST);
	cr_assert(unwind_shards_want(fixture.shards, &key));
	must_have(1, 100);
	must_have(2, 1);
	cr_assert_null(look_up(3));
	cr_assert_eq(add(4, 0, false), -E2BIG);
	cr_assert_eq(add(4, UNWIND_SHARD_ROWS + 1, false), -E2BIG);
}

/* Of four that fill the only shard, those go that no program looked for since room was made last. */
Test(unwind_shards, who_was_used_least_lately_makes_room)
{
	begin(1, 0);
	for (uint64_t inode = 1; inode <= 4; inode++)
		cr_assert_eq(add(inode, LARGE_ROWS, false), 0);
	look_up(1)->used = 1;
	look_up(3)->used = 1;
	cr_assert_eq(add(5, LARGE_ROWS, false), 0);
	cr_assert_eq(fixture.evicted_count, 1);
	cr_assert(was_evicted(2));
	cr_assert_null(look_up(2));
	cr_assert_eq(add(6, LARGE_ROWS, false), 0);
	cr_assert(was_evicted(4));
	/* 3 was used before 5 and 6 came. */
	look_up(1)->used = 1;
	cr_assert_eq(add(7, LARGE_ROWS, false), 0);
	cr_assert(was_evicted(3));
	must_have(1, LARGE_ROWS);
	must_have(5, LARGE_ROWS);
	must_have(6, LARGE_ROWS);
	must_have(7, LARGE_ROWS);
	/* It comes again as any other. */
	cr_assert_eq(add(2, LARGE_ROWS, false), 0);
	must_have(2, LARGE_ROWS);
}

/* Room that is there in pieces is made one piece. */
Test(unwind_shards, a_large_file_makes_all_go_that_are_in_its_way)
{
	begin(1, 0);
	for (uint64_t inode = 1; inode <= 4; inode++)
		cr_assert_eq(add(inode, LARGE_ROWS, false), 0);
	fixture.rows = reallocarray(fixture.rows, UNWIND_SHARD_ROWS, sizeof(*fixture.rows));
	cr_assert_not_null(fixture.rows);
	memset(fixture.rows, 0, UNWIND_SHARD_ROWS * sizeof(*fixture.rows));
	cr_assert_eq(add(5, UNWIND_SHARD_ROWS, false), 0);
	cr_assert_eq(fixture.evicted_count, 4);
	cr_assert_eq(look_up(5)->table.count, UNWIND_SHARD_ROWS);
}

Test(unwind_shards, files_given_ahead_go_first_and_make_nobody_go)
{
	struct file_key key = key_of(12);

	begin(1, 3 * LARGE_ROWS);
	for (uint64_t inode = 11; inode <= 13; inode++)
		cr_assert_eq(add(inode, LARGE_ROWS, true), 0);
	cr_assert_eq(add(14, 1, true), -ENOSPC);
	cr_assert_eq(add(1, LARGE_ROWS, false), 0);
	/* A process runs one of them, and programs look for another: then they are ahead no more. */
	cr_assert(unwind_shards_want(fixture.shards, &key));
	look_up(11)->used = 1;
	cr_assert_eq(add(14, LARGE_ROWS, true), -ENOSPC);
	cr_assert_eq(add(2, LARGE_ROWS, false), 0);
	cr_assert_null(look_up(13));
	must_have(11, LARGE_ROWS);
	must_have(12, LARGE_ROWS);
	must_have(1, LARGE_ROWS);
	/* Of what nobody ran nobody has to be told. */
	cr_assert_eq(fixture.evicted_count, 0);
	cr_assert_eq(add(3, LARGE_ROWS, false), 0);
	cr_assert_eq(fixture.evicted_count, 1);
}

/* Nine files whose places are the same eight. */
Test(unwind_shards, a_full_set_of_places_empties_one)
{
	struct file_key first = key_of(1), key;
	uint64_t inode = 1, same[UNWIND_FILE_WAYS + 1];
	size_t count = 0;

	begin(1, 1000);
	for (; count <= UNWIND_FILE_WAYS; inode++) {
		key = key_of(inode);
		if (unwind_file_first_place(&key) == unwind_file_first_place(&first))
			same[count++] = inode;
	}
	for (size_t i = 0; i < UNWIND_FILE_WAYS; i++) {
		cr_assert_eq(add(same[i], 10, false), 0);
		look_up(same[i])->used = i != 3;
	}
	cr_assert_eq(add(same[UNWIND_FILE_WAYS], 10, true), -ENOSPC);
	cr_assert_eq(fixture.evicted_count, 0);
	cr_assert_eq(add(same[UNWIND_FILE_WAYS], 10, false), 0);
	cr_assert_eq(fixture.evicted_count, 1);
	cr_assert(was_evicted(same[3]));
	cr_assert_not_null(look_up(same[UNWIND_FILE_WAYS]));
}
