/*
 * python_codes.c: what is kept of code objects, of any content, and how much.
 */
#include "symbols/python_codes.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

static struct python_codes *codes;
static struct event_python_code event;

static void setup(void)
{
	cr_assert_eq(python_codes_new(&codes), 0);
	event = (struct event_python_code){
	        .id = 1,
	        .first_line = 10,
	        .filename_length = 4,
	        .filename_kind = 1,
	        .filename = "a.py",
	        .qualname_length = 4,
	        .qualname_kind = 1,
	        .qualname = "main",
	};
}

static void teardown(void)
{
	python_codes_free(codes);
}

TestSuite(python_codes, .init = setup, .fini = teardown, .timeout = 60);

/* @param line_table_bytes as the object says, @param sent_bytes those that came */
static int add(uint32_t minor, const void *line_table, uint32_t line_table_bytes, uint32_t sent_bytes)
{
	event.minor_version = minor;
	event.line_table_bytes = line_table_bytes;
	event.header.size_bytes = (uint32_t)offsetof(struct event_python_code, line_table) + sent_bytes;
	if (line_table)
		memcpy(event.line_table, line_table, sent_bytes);
	return python_codes_add(codes, &event);
}

static uint32_t line_at(int32_t offset)
{
	struct python_name name = {0};

	cr_assert_eq(python_codes_name(codes, 1, offset, &name), 0);
	return name.line;
}

Test(python_codes, names)
{
	static const uint8_t pairs[] = {4, 0, 6, 5};
	struct python_name name = {.line = 99};

	cr_assert_eq(python_codes_name(codes, 1, 0, &name), -ENOENT);
	cr_assert_eq(name.line, 99);
	cr_assert_eq(add(10, pairs, 4, 4), 0);
	cr_assert_eq(python_codes_name(codes, 1, 2, &name), 0);
	cr_assert_str_eq(name.function, "main");
	cr_assert_str_eq(name.file, "a.py");
	cr_assert_eq(name.line, 15);
	/* The first that came stays. */
	event.filename[0] = 'b';
	cr_assert_eq(add(10, pairs, 4, 4), 0);
	cr_assert_eq(python_codes_name(codes, 1, 2, &name), 0);
	cr_assert_str_eq(name.file, "a.py");
}

/* A line that the bytes do not tell is none: not the last one that they do tell. */
Test(python_codes, cut_line_tables)
{
	static const uint8_t lnotab[] = {4, 1, 6, 2, 8, 3};
	/* Entries of two code units without columns, a line further each: the last one's line is half there.
	 */
	static const uint8_t locations[] = {0xe9, 2, 0xe9, 2, 0xe9, 0x42};

	cr_assert_eq(add(9, lnotab, 200, 5), 0);
	cr_assert_eq(line_at(3), 10);
	cr_assert_eq(line_at(9), 11);
	cr_assert_eq(line_at(10), 0);
	python_codes_free(codes);
	cr_assert_eq(python_codes_new(&codes), 0);
	cr_assert_eq(add(11, locations, 200, 6), 0);
	cr_assert_eq(line_at(0), 11);
	cr_assert_eq(line_at(4), 12);
	cr_assert_eq(line_at(8), 0);
}

Test(python_codes, faults)
{
	struct python_name name = {0};

	event.faults = PYTHON_CODE_FAULT_FILENAME | PYTHON_CODE_FAULT_QUALNAME | PYTHON_CODE_FAULT_LINE_TABLE;
	cr_assert_eq(add(9, NULL, 100, 100), 0);
	cr_assert_eq(python_codes_name(codes, 1, 4, &name), 0);
	cr_assert_str_eq(name.function, "");
	cr_assert_str_eq(name.file, "");
	cr_assert_eq(name.line, 0);
}

/* A program can make code objects whose line tables are as large as an event holds. */
Test(python_codes, bytes_stay_below_the_maximum)
{
	size_t most = PYTHON_CODES_BYTES_MAX / PYTHON_LINE_TABLE_BYTES;
	size_t kept = 0;
	int error = 0;

	memset(event.line_table, 0xe8, sizeof(event.line_table));
	while (kept <= most && error == 0) {
		event.id++;
		error = add(11, NULL, PYTHON_LINE_TABLE_BYTES, PYTHON_LINE_TABLE_BYTES);
		kept += error == 0;
	}
	cr_assert_eq(error, -ENOSPC);
	cr_assert_gt(kept, most * 9 / 10);
	/* A smaller one may still fit; what is known stays so. */
	event.id = 2;
	cr_assert_eq(add(11, NULL, 16, 16), 0);
}
