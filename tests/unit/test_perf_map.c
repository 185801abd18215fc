/*
 * perf_map.c: what a line says, which of several counts, and files that nobody would write.
 */
#include "symbols/perf_map.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "scratch.h"

TestSuite(perf_map, .fini = scratch_remove, .timeout = 60);

static void expect_entry(const char *line, uint64_t start, uint64_t end, const char *name)
{
	struct perf_map_entry entry;

	cr_assert(perf_map_parse(line, strlen(line), &entry), "%s", line);
	cr_expect_eq(entry.start, start, "%s", line);
	cr_expect_eq(entry.end, end, "%s", line);
	cr_expect_eq(entry.name_bytes, strlen(name), "%s", line);
	cr_expect(!memcmp(entry.name, name, entry.name_bytes), "%s", line);
}

Test(perf_map, lines)
{
	expect_entry("7f8bd1fc6940 13c JS:^leakOne /tmp/leak.js:3:17", 0x7f8bd1fc6940, 0x7f8bd1fc6a7c,
	             "JS:^leakOne /tmp/leak.js:3:17");
	expect_entry("0x1000 0X20 f", 0x1000, 0x1020, "f");
	expect_entry("0 1 0", 0, 1, "0");
	expect_entry("ABCdef  10   two  spaces ", 0xabcdef, 0xabcdff, "two  spaces ");
	expect_entry("fffffffffffffff0 f last", 0xfffffffffffffff0, UINT64_MAX, "last");
	expect_entry("00000000000000000000001 1 zeros", 1, 2, "zeros");
}

Test(perf_map, lines_that_are_none)
{
	static const char *const lines[] = {
	        "",
	        " ",
	        "1000",
	        "1000 ",
	        "1000 10",
	        "1000 10 ",
	        "1000 10    ",
	        " 1000 10 f",
	        "1000 0 empty",
	        "0x 10 f",
	        "1000 0x f",
	        "-1000 10 f",
	        "1000 -1 f",
	        "1000\t10\tf",
	        "g000 10 f",
	        "1000 10g f",
	        "10000000000000000 1 more_than_64_bits",
	        "1 10000000000000000 more_than_64_bits",
	        "ffffffffffffffff 1 wraps",
	        "fffffffffffffff0 ffffffffffffffff wraps",
	        "\x7f"
	        "ELF\x02\x01\x01",
	};

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct perf_map_entry entry = {.start = 4711};

		cr_expect_not(perf_map_parse(lines[i], strlen(lines[i]), &entry), "%s", lines[i]);
		cr_expect_eq(entry.start, 4711);
	}
	cr_expect_not(perf_map_parse("1 1 \0f", 6, &(struct perf_map_entry){0}));
}

static int file_of(const char *bytes, size_t count)
{
	static int fds;
	char *path = scratch_string("%s/map%d", scratch_folder(0755), fds++);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);

	cr_assert_geq(fd, 0);
	cr_assert_eq(write(fd, bytes, count), (ssize_t)count);
	return fd;
}

/* The name of one address, for free(); NULL: none. */
static char *name_at(int fd, uint64_t address)
{
	struct perf_map_name name = {.address = address};
	bool cut = true;

	cr_assert_eq(perf_map_find(fd, &name, 1, &cut), 0);
	cr_assert_not(cut);
	return name.name;
}

static void expect_name(int fd, uint64_t address, const char *expected)
{
	char *name = name_at(fd, address);

	if (expected)
		cr_expect(name && !strcmp(name, expected), "%llx: %s", (unsigned long long)address,
		          name ? name : "none");
	else
		cr_expect_null(name);
	free(name);
}

Test(perf_map, names)
{
	static const char text[] = "1000 100 first\n"
	                           "garbage\n"
	                           "2000 100 second\n"
	                           "1080 10 inside\n"
	                           "1f80 100 later\n"
	                           "\n"
	                           "3000 10 \xff\x1b[2J\n"
	                           "4000 10 no newline";
	int fd = file_of(text, strlen(text));

	expect_name(fd, 0xfff, NULL);
	expect_name(fd, 0x1000, "first");
	expect_name(fd, 0x107f, "first");
	expect_name(fd, 0x1080, "inside");
	expect_name(fd, 0x1090, "first");
	expect_name(fd, 0x10ff, "first");
	expect_name(fd, 0x1100, NULL);
	expect_name(fd, 0x2000, "later");
	expect_name(fd, 0x207f, "later");
	expect_name(fd, 0x2080, "second");
	expect_name(fd, 0x3000, "\xff\x1b[2J");
	expect_name(fd, 0x400f, "no newline");
	close(fd);
}

Test(perf_map, several_at_once)
{
	static const char text[] = "1000 2000 all\n1800 10 middle\n";
	struct perf_map_name names[] = {{0x10, NULL}, {0x1000, NULL}, {0x1808, NULL}, {0x1810, NULL}};
	int fd = file_of(text, strlen(text));
	bool cut;

	names[0].name = strdup("stays");
	names[1].name = strdup("goes");
	cr_assert_eq(perf_map_find(fd, names, 4, &cut), 0);
	cr_expect_str_eq(names[0].name, "stays");
	cr_expect_str_eq(names[1].name, "all");
	cr_expect_str_eq(names[2].name, "middle");
	cr_expect_str_eq(names[3].name, "all");
	for (size_t i = 0; i < 4; i++)
		free(names[i].name);
	close(fd);
}

Test(perf_map, empty)
{
	int fd = file_of("", 0);
	bool cut = true;

	expect_name(fd, 0x1000, NULL);
	cr_assert_eq(perf_map_find(fd, NULL, 0, &cut), 0);
	cr_assert_not(cut);
	close(fd);
}

Test(perf_map, binary_garbage)
{
	enum { BYTES = 1 << 20 };
	char *bytes = malloc(BYTES);
	uint32_t random = 4711;
	int fd;

	for (size_t i = 0; i < BYTES; i++)
		bytes[i] = (char)((random = random * 1664525 + 1013904223) >> 24);
	fd = file_of(bytes, BYTES);
	expect_name(fd, 0x1000, NULL);
	cr_assert_eq(pwrite(fd, "\n1000 10 f\n", 11, BYTES), 11);
	expect_name(fd, 0x1008, "f");
	free(bytes);
	close(fd);
}

/* A name is cut where it is too long, wherever its line lies in the pieces that are read. */
Test(perf_map, long_names)
{
	enum { LONG = 64 << 10 };

	for (size_t before = 0; before < 200; before += 7) {
		char *text = malloc(3 * LONG), *at = text, *name;
		int fd;

		at += sprintf(at, "1 1 %0*d\n", (int)before + 1, 0);
		at += sprintf(at, "1000 10 ");
		memset(at, 'n', LONG);
		at += LONG;
		at += sprintf(at, "\n2000 10 after\n3000 10 %0*d\n4000 10 %0*d\n", PERF_MAP_NAME_BYTES, 7,
		              PERF_MAP_NAME_BYTES + 1, 7);
		fd = file_of(text, (size_t)(at - text));
		name = name_at(fd, 0x1000);
		cr_assert_not_null(name);
		cr_expect_eq(strlen(name), PERF_MAP_NAME_BYTES + 3);
		cr_expect_str_eq(name + PERF_MAP_NAME_BYTES, "...");
		free(name);
		expect_name(fd, 0x2000, "after");
		name = name_at(fd, 0x3000);
		cr_expect_eq(strlen(name), PERF_MAP_NAME_BYTES);
		free(name);
		name = name_at(fd, 0x4000);
		cr_expect_eq(strlen(name), PERF_MAP_NAME_BYTES + 3);
		free(name);
		free(text);
		close(fd);
	}
}

/* @return whether it was cut */
static bool find_in_time(int fd, struct perf_map_name *name)
{
	uint64_t begun_ns = clock_ns(CLOCK_MONOTONIC);
	bool cut = false;

	cr_assert_eq(perf_map_find(fd, name, 1, &cut), 0);
	cr_assert_lt(clock_ns(CLOCK_MONOTONIC) - begun_ns, 10 * PERF_MAP_TIME_NS);
	return cut;
}

Test(perf_map, sparse_file_of_4_gb_is_cut)
{
	struct perf_map_name name = {.address = 0x1000};
	int fd = file_of("1000 10 first\n", 14);

	cr_assert_eq(ftruncate(fd, (off_t)4 << 30), 0);
	cr_assert_eq(pwrite(fd, "\n1000 10 last\n", 14, ((off_t)4 << 30) - 14), 14);
	cr_assert(find_in_time(fd, &name));
	cr_assert_str_eq(name.name, "first");
	free(name.name);
	close(fd);
}

Test(perf_map, more_entries_than_are_read_are_cut)
{
	enum { LINES = PERF_MAP_ENTRIES_MAX + 10, BYTES = 6 };
	struct perf_map_name name = {.address = 0x1};
	char *text = malloc((size_t)LINES * BYTES);
	int fd;

	for (size_t i = 0; i < LINES; i++)
		memcpy(text + i * BYTES, i < PERF_MAP_ENTRIES_MAX ? "1 1 f\n" : "1 1 g\n", BYTES);
	fd = file_of(text, (size_t)LINES * BYTES);
	cr_assert(find_in_time(fd, &name));
	cr_assert_str_eq(name.name, "f");
	free(name.name);
	free(text);
	close(fd);
}

static atomic_bool done;

static void *write_on(void *argument)
{
	int fd = *(int *)argument;
	static char piece[1 << 20];

	memset(piece, 'x', sizeof(piece));
	while (!done && lseek(fd, 0, SEEK_CUR) < (off_t)1 << 30)
		if (write(fd, piece, sizeof(piece)) < 0)
			break;
	return NULL;
}

Test(perf_map, file_that_grows_all_the_time)
{
	struct perf_map_name name = {.address = 0x1000};
	pthread_t thread;
	int fd = file_of("1000 10 f\n", 10);

	cr_assert_eq(pthread_create(&thread, NULL, write_on, &fd), 0);
	for (int i = 0; i < 10; i++)
		(void)find_in_time(fd, &name);
	done = true;
	pthread_join(thread, NULL);
	cr_assert_str_eq(name.name, "f");
	free(name.name);
	close(fd);
}

/* A million entries that hold ten thousand addresses each. */
Test(perf_map, entries_that_hold_everything)
{
	enum { LINES = 1000000, BYTES = 13, COUNT = 10000 };
	static struct perf_map_name names[COUNT];
	char *text = malloc((size_t)LINES * BYTES);
	uint64_t begun_ns;
	bool cut = false;
	int fd;

	for (size_t i = 0; i < LINES; i++)
		memcpy(text + i * BYTES, "1 fffffff fg\n", BYTES);
	for (size_t i = 0; i < COUNT; i++)
		names[i].address = i + 1;
	fd = file_of(text, (size_t)LINES * BYTES);
	begun_ns = clock_ns(CLOCK_MONOTONIC);
	cr_assert_eq(perf_map_find(fd, names, COUNT, &cut), 0);
	cr_assert_lt(clock_ns(CLOCK_MONOTONIC) - begun_ns, 10 * PERF_MAP_TIME_NS);
	cr_assert(cut);
	for (size_t i = 0; i < COUNT; i++) {
		cr_assert_str_eq(names[i].name, "fg");
		free(names[i].name);
	}
	free(text);
	close(fd);
}
