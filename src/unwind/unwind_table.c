/*
 * Makes the table of a file.
 * Inputs: functions and rules of .eh_frame, which anybody may have written. Outputs: rows, ascending and
 * merged. A rule that the rows cannot tell becomes UNWIND_UNSUPPORTED: never another one.
 */
#include "unwind/unwind_table.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "unwind/eh_frame.h"
#include "unwind/elf_image.h"
#include "unwind/unwind_row.h"

/* A function by file offsets. */
struct table_span {
	uint32_t start;
	uint32_t end;
	uint32_t function;
};

struct unwind_table {
	struct unwind_row *rows;
	size_t count;
	size_t capacity;
	size_t left_out;
};

/* What making the rows of a function carries along. */
struct table_writer {
	struct unwind_table *table;
	uint64_t function_vaddr;
	const struct table_span *span;
	bool is_signal;
};

static bool rows_equal(const struct unwind_row *left, const struct unwind_row *right)
{
	return left->cfa == right->cfa && left->rbp == right->rbp && left->rule == right->rule;
}

/* Rows come in ascending order of their offsets. */
static int table_add(struct unwind_table *table, uint32_t file_offset, struct unwind_row row)
{
	if (table->count && rows_equal(&table->rows[table->count - 1], &row))
		return 0;
	if (table->count == UNWIND_TABLE_ROWS_MAX)
		return -E2BIG;
	if (array_grow((void **)&table->rows, &table->capacity, table->count + 1, sizeof(*table->rows)))
		return -ENOMEM;
	row.file_offset = file_offset;
	table->rows[table->count++] = row;
	return 0;
}

/* A row of the function, unless it is where the function was cut off. */
static int writer_add(void *context, uint64_t vaddr, const struct cfi_state *state)
{
	const struct table_writer *writer = context;
	uint64_t inside = vaddr - writer->function_vaddr;

	if (inside >= writer->span->end - writer->span->start)
		return 0;
	return table_add(writer->table, writer->span->start + (uint32_t)inside,
	                 unwind_row_make(state, writer->is_signal));
}

/* The part of a function that is in a segment. @return whether there is one */
static bool span_make(const struct elf_image *image, const struct eh_function *function,
                      struct table_span *ret_span)
{
	const struct elf_image_segment *segment = NULL;
	uint64_t bytes = function->end - function->start;
	uint64_t rest = 0;
	uint64_t offset = 0;

	if (elf_image_code_offset(image, function->start, &segment, &offset) < 0)
		return false;
	rest = segment->file_bytes - (function->start - segment->vaddr);
	if (bytes > rest)
		bytes = rest;
	if (offset + bytes > UINT32_MAX)
		return false;
	ret_span->start = (uint32_t)offset;
	ret_span->end = (uint32_t)(offset + bytes);
	return true;
}

/* Of those that begin at the same place the longest comes last, as linkers sort .eh_frame_hdr. */
static int span_compare(const void *left, const void *right)
{
	const struct table_span *a = left;
	const struct table_span *b = right;

	if (a->start != b->start)
		return a->start < b->start ? -1 : 1;
	if (a->end != b->end)
		return a->end < b->end ? -1 : 1;
	return a->function < b->function ? -1 : a->function > b->function;
}

static int spans_make(const struct elf_image *image, const struct eh_frame *frame,
                      struct table_span **ret_spans, size_t *ret_count)
{
	struct table_span *spans = calloc(frame->function_count ? frame->function_count : 1, sizeof(*spans));
	size_t count = 0;
	bool sorted = true;

	if (!spans)
		return -ENOMEM;
	for (size_t i = 0; i < frame->function_count; i++) {
		struct table_span span = {.function = (uint32_t)i};

		if (!span_make(image, &frame->functions[i], &span))
			continue;
		if (count && span_compare(&spans[count - 1], &span) > 0)
			sorted = false;
		spans[count++] = span;
	}
	if (!sorted)
		qsort(spans, count, sizeof(*spans), span_compare);
	*ret_spans = spans;
	*ret_count = count;
	return 0;
}

/* @param next_start where the next function begins, UINT64_MAX: there is none */
static int table_add_span(struct unwind_table *table, const struct eh_frame *frame, struct table_span span,
                          uint64_t next_start, const uint32_t *entry)
{
	static const struct unwind_row gap = {.rule = UNWIND_GAP};
	static const struct unwind_row end = {.rule = UNWIND_END};
	const struct eh_function *function = &frame->functions[span.function];
	struct table_writer writer = {
	        .table = table,
	        .function_vaddr = function->start,
	        .span = &span,
	        .is_signal = eh_frame_is_signal(frame, function),
	};
	bool has_entry = false;
	int error = 0;

	if (span.end > next_start)
		span.end = (uint32_t)next_start;
	if (span.end == span.start)
		return 0;
	error = eh_frame_run(frame, function, writer_add, &writer);
	has_entry = entry && *entry >= span.end && *entry < next_start;
	if (error < 0 || (next_start - span.end < UNWIND_TABLE_GAP_BYTES && !has_entry))
		return error;
	return next_start > span.end ? table_add(table, span.end, has_entry ? end : gap) : 0;
}

static int table_fill(struct unwind_table *table, const struct elf_image *image, const struct eh_frame *frame,
                      const struct table_span *spans, size_t count)
{
	const struct elf_image_segment *segment = NULL;
	uint64_t entry_offset = 0;
	uint32_t entry = 0;
	bool has_entry = image->entry &&
	                 elf_image_code_offset(image, image->entry, &segment, &entry_offset) == 0 &&
	                 entry_offset <= UINT32_MAX;
	int error = 0;

	entry = (uint32_t)entry_offset;
	if (has_entry && entry < spans[0].start)
		error = table_add(table, entry, (struct unwind_row){.rule = UNWIND_END});
	for (size_t i = 0; i < count && !error; i++)
		error = table_add_span(table, frame, spans[i],
		                       i + 1 < count ? spans[i + 1].start : UINT64_MAX,
		                       has_entry ? &entry : NULL);
	return error;
}

static int table_read(struct unwind_table *table, const struct elf_image *image)
{
	struct eh_frame *frame = NULL;
	struct table_span *spans = NULL;
	size_t count = 0;
	int error = eh_frame_new(image, &frame);

	if (error < 0)
		return error;
	error = spans_make(image, frame, &spans, &count);
	if (error == 0) {
		table->left_out = frame->unreadable_count + frame->function_count - count;
		error = count ? table_fill(table, image, frame, spans, count) : -ENOENT;
	}
	free(spans);
	eh_frame_free(frame);
	return error;
}

/* Gives back what was reserved and is not used: tables are kept for long. */
static void table_fit(struct unwind_table *table)
{
	struct unwind_row *rows = reallocarray(table->rows, table->count, sizeof(*rows));

	if (rows)
		table->rows = rows;
}

int unwind_table_make(const void *image, size_t image_bytes, struct unwind_table **ret_table)
{
	struct unwind_table *table = NULL;
	struct elf_image headers;
	int error = elf_image_read(image, image_bytes, &headers);

	if (error < 0)
		return error;
	table = calloc(1, sizeof(*table));
	if (!table)
		return -ENOMEM;
	error = table_read(table, &headers);
	if (error < 0) {
		unwind_table_free(table);
		return error;
	}
	table_fit(table);
	*ret_table = table;
	return 0;
}

void unwind_table_free(struct unwind_table *table)
{
	if (!table)
		return;
	free(table->rows);
	free(table);
}

const struct unwind_row *unwind_table_rows(const struct unwind_table *table, size_t *ret_count)
{
	*ret_count = table->count;
	return table->rows;
}

size_t unwind_table_left_out(const struct unwind_table *table)
{
	return table->left_out;
}
