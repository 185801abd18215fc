/*
 * The table of `leftopen watch`. See watch_table.h.
 * Inputs: a snapshot, and what the places of the last one held. Outputs: text on a stream, written whole.
 * Trust: strings go through text_print.c; a cell is cut after it was escaped.
 */
#include "report/watch_table.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <uthash.h>

#include "model/kinds.h"
#include "model/snapshot.h"
#include "report/report.h"
#include "report/text_parts.h"

/* Columns: live and change, right-aligned, then type and process; the place has what is left. */
#define NUMBER_COLUMNS  8
#define TYPE_COLUMNS    10
#define PROCESS_COLUMNS 22
/* A narrower terminal wraps. */
#define COLUMNS_MIN 72
/* Of a process's limit. Chosen by: what limits are warned of. */
#define NEAR_LIMIT_PERCENT 70
#define NEAR_SHOWN_MAX     5
#define GONE_SHOWN_MAX     8
#define REASONS_SHOWN_MAX  2

struct place {
	char *key;
	uint64_t live;
	UT_hash_handle hh;
};

struct watch_table {
	struct place *places; /* of the last table */
};

struct row {
	const struct snapshot_site *site;
	char *key;
	uint64_t live;
	int64_t change;
};

int watch_table_new(struct watch_table **ret_table)
{
	struct watch_table *table = calloc(1, sizeof(*table));

	if (!table)
		return -ENOMEM;
	*ret_table = table;
	return 0;
}

static void forget_places(struct watch_table *table)
{
	struct place *place, *next;

	HASH_ITER (hh, table->places, place, next) {
		HASH_DEL(table->places, place);
		free(place->key);
		free(place);
	}
}

void watch_table_free(struct watch_table *table)
{
	if (!table)
		return;
	forget_places(table);
	free(table);
}

/* Not the site's id, which counts the places of one function: that changes as one of them comes or goes. */
static char *key_of(const struct snapshot *snapshot, const struct snapshot_site *site)
{
	const struct snapshot_location *location = &site->location;
	const char *exe = "";
	char *key;

	if (!location->file[0] && site->process_count)
		exe = snapshot->processes[site->processes[0].process].exe;
	return asprintf(&key, "%s\1%s\1%" PRIu32 "\1%s", location->file, location->function, location->line,
	                exe) < 0
	               ? NULL
	               : key;
}

static int compare_rows(const void *a, const void *b)
{
	const struct row *left = a, *right = b;

	if (left->live != right->live)
		return left->live > right->live ? -1 : 1;
	if (left->change != right->change)
		return left->change > right->change ? -1 : 1;
	/* As the snapshot has them. */
	return left->site < right->site ? -1 : left->site > right->site;
}

/* @return false: out of memory */
static bool fill_rows(const struct watch_table *table, const struct snapshot *snapshot, struct row *rows)
{
	for (size_t i = 0; i < snapshot->site_count; i++) {
		const struct snapshot_site *site = &snapshot->sites[i];
		const struct place *before = NULL;
		struct row *row = &rows[i];

		row->site = site;
		row->live = site->fds + site->maps;
		row->key = key_of(snapshot, site);
		if (!row->key)
			return false;
		HASH_FIND_STR(table->places, row->key, before);
		row->change = (int64_t)row->live - (int64_t)(before ? before->live : 0);
	}
	qsort(rows, snapshot->site_count, sizeof(*rows), compare_rows);
	return true;
}

/* The rows' keys become the table's. @return false: out of memory, and some are not remembered */
static bool remember(struct watch_table *table, struct row *rows, size_t count)
{
	forget_places(table);
	for (size_t i = 0; i < count; i++) {
		struct place *place = NULL;

		HASH_FIND_STR(table->places, rows[i].key, place);
		if (place) {
			place->live += rows[i].live;
			continue;
		}
		place = calloc(1, sizeof(*place));
		if (!place)
			return false;
		place->key = rows[i].key;
		place->live = rows[i].live;
		rows[i].key = NULL;
		HASH_ADD_KEYPTR(hh, table->places, place->key, strlen(place->key), place);
	}
	return true;
}

/* Characters of UTF-8, each of which is taken for one column. */
static size_t width_of(const char *text)
{
	size_t width = 0;

	for (; *text; text++)
		width += !text_is_continuation(*text);
	return width;
}

/* A cell is printed into memory first, to be measured and cut. */
struct cell {
	struct text_output output;
	char *text;
	size_t bytes;
};

static bool cell_begin(struct cell *cell, struct text_output *output)
{
	*cell = (struct cell){.output = *output};
	cell->output.stream = open_memstream(&cell->text, &cell->bytes);
	output->out_of_memory |= !cell->output.stream;
	return cell->output.stream;
}

/* Prints the cell, cut to that many columns, 0: whole; and filled up to them where it is padded. */
static void cell_end(struct cell *cell, struct text_output *output, size_t columns, bool padded)
{
	size_t width, at = 0;

	if (cell->output.out_of_memory || ferror(cell->output.stream))
		output->out_of_memory = true;
	if (fclose(cell->output.stream) || !cell->text) {
		output->out_of_memory = true;
		free(cell->text);
		return;
	}
	width = width_of(cell->text);
	if (columns && width > columns) {
		for (size_t left = columns - 3; left; left--)
			for (at++; text_is_continuation(cell->text[at]); at++)
				;
		fprintf(output->stream, "%.*s...", (int)at, cell->text);
		width = columns;
	} else {
		fputs(cell->text, output->stream);
	}
	if (padded && width < columns)
		fprintf(output->stream, "%*s", (int)(columns - width), "");
	free(cell->text);
}

static void print_right(struct text_output *output, const char *sign, uint64_t number)
{
	char text[32];
	size_t length;
	struct cell cell;

	if (!cell_begin(&cell, output))
		return;
	fputs(sign, cell.output.stream);
	text_print_number(&cell.output, number);
	(void)fflush(cell.output.stream);
	length = cell.bytes < NUMBER_COLUMNS ? NUMBER_COLUMNS - cell.bytes : 1;
	(void)snprintf(text, sizeof(text), "%*s", (int)length, "");
	fputs(text, output->stream);
	cell_end(&cell, output, 0, false);
}

static void print_type(struct text_output *output, const struct snapshot_site *site)
{
	uint64_t counts[HANDLE_TYPE_COUNT] = {0};
	size_t most = 0, types = 0;
	struct cell cell;

	for (size_t i = 0; i < site->group_count; i++) {
		const struct snapshot_group *group = text_group_at(output, site, i);

		types += !counts[group->type];
		counts[group->type] += group->count;
	}
	for (size_t type = 1; type < HANDLE_TYPE_COUNT; type++)
		if (counts[type] > counts[most])
			most = type;
	if (!cell_begin(&cell, output))
		return;
	fprintf(cell.output.stream, "%s%s", types ? kinds_type_name(most) : "", types > 1 ? " .." : "");
	cell_end(&cell, output, TYPE_COLUMNS, true);
}

static void print_holder(struct text_output *output, const struct snapshot_site *site)
{
	char number[24] = "";
	struct cell cell;

	if (site->process_count == 1)
		(void)snprintf(number, sizeof(number), " (%" PRIu32 ")",
		               output->snapshot->processes[site->processes[0].process].process_id);
	if (!cell_begin(&cell, output))
		return;
	if (site->process_count == 1)
		text_print_foreign(
		        &cell.output,
		        text_process_name(&output->snapshot->processes[site->processes[0].process]));
	else
		text_print_count(&cell.output, site->process_count, "process", "processes");
	/* The name is cut and not the number. */
	(void)fflush(cell.output.stream);
	if (width_of(cell.text ? cell.text : "") + strlen(number) <= PROCESS_COLUMNS) {
		fputs(number, cell.output.stream);
		number[0] = '\0';
	}
	cell_end(&cell, output, PROCESS_COLUMNS - strlen(number), true);
	fputs(number, output->stream);
}

static void print_place(struct text_output *output, const struct snapshot_site *site)
{
	const size_t before = 2 * NUMBER_COLUMNS + 2 + TYPE_COLUMNS + 1 + PROCESS_COLUMNS + 1;
	size_t columns = output->options->columns;
	struct snapshot_location location = site->location;
	struct cell cell;

	if (columns && columns < COLUMNS_MIN)
		columns = COLUMNS_MIN;
	if (columns)
		columns -= before;
	if (!cell_begin(&cell, output))
		return;
	text_print_place(&cell.output, site, &location);
	(void)fflush(cell.output.stream);
	/* Without its folders, where it is too long with them: the line's number is at its end. */
	if (columns && cell.text && width_of(cell.text) > columns) {
		location.file = text_path_basename(location.file);
		(void)fclose(cell.output.stream);
		free(cell.text);
		if (!cell_begin(&cell, output))
			return;
		text_print_place(&cell.output, site, &location);
	}
	cell_end(&cell, output, columns, false);
}

static void print_row(struct text_output *output, const struct row *row)
{
	enum text_color color = row->site->verdict == VERDICT_LEAK ? TEXT_COLOR_LEAK : TEXT_COLOR_NONE;
	const char *sign = row->change > 0 ? "+" : row->change < 0 ? "-" : "";

	text_print_color(output, color);
	print_right(output, "", row->live);
	print_right(output, sign, (uint64_t)(row->change < 0 ? -row->change : row->change));
	text_print_color_end(output, color);
	fputs("  ", output->stream);
	print_type(output, row->site);
	fputc(' ', output->stream);
	print_holder(output, row->site);
	fputc(' ', output->stream);
	print_place(output, row->site);
	fputc('\n', output->stream);
	if (output->options->verbose && row->site->group_count) {
		const struct snapshot_stack *stack =
		        snapshot_find_stack(output->snapshot, text_group_at(output, row->site, 0)->stack);

		if (stack)
			text_stack_print(output, stack, row->site, "                    ");
	}
}

static void print_rows(struct text_output *output, const struct row *rows, size_t count)
{
	size_t top = output->options->top, shown = top && top < count ? top : count;

	if (!count) {
		fputs("  nothing that was made since is open\n", output->stream);
		return;
	}
	text_print_color(output, TEXT_COLOR_DIM);
	fprintf(output->stream, "%*s%*s  %-*s %-*s %s", NUMBER_COLUMNS, "live", NUMBER_COLUMNS, "change",
	        TYPE_COLUMNS, "type", PROCESS_COLUMNS, "process", "made at");
	text_print_color_end(output, TEXT_COLOR_DIM);
	fputc('\n', output->stream);
	for (size_t i = 0; i < shown; i++)
		print_row(output, &rows[i]);
	if (shown < count) {
		fputs("  and ", output->stream);
		text_print_count(output, count - shown, "more place", "more places");
		fputs(" (--top 0 shows all)\n", output->stream);
	}
}

static void print_numbers(struct text_output *output, uint64_t fds, uint64_t maps)
{
	text_print_count(output, fds, "descriptor", "descriptors");
	fputs(" and ", output->stream);
	text_print_count(output, maps, "mapping", "mappings");
}

static void print_heading(struct text_output *output)
{
	const struct snapshot *snapshot = output->snapshot;
	const struct snapshot_live *live = &snapshot->live;
	time_t now = (time_t)((double)snapshot->started_ns / 1e9 + snapshot->duration_s);
	char time[16];
	struct tm fields;

	(void)localtime_r(&now, &fields);
	(void)strftime(time, sizeof(time), "%H:%M:%S", &fields);
	fprintf(output->stream, "%s  ", time);
	text_print_count(output, live->processes, "process", "processes");
	fputs(", ", output->stream);
	print_numbers(output, live->fds, live->maps);
	fputs(" open\n", output->stream);
	if (!live->inherited_fds && !live->inherited_maps)
		return;
	fputs("  ", output->stream);
	print_numbers(output, live->inherited_fds, live->inherited_maps);
	fputs(" were open before, or handed down\n", output->stream);
}

static bool is_near_limit(const struct snapshot_process *process)
{
	return !process->exited && process->fds.limit && process->fds.limit != UINT64_MAX &&
	       process->fds.live >= process->fds.limit / 100.0 * NEAR_LIMIT_PERCENT;
}

static void print_limits(struct text_output *output)
{
	const struct snapshot *snapshot = output->snapshot;
	size_t near = 0;

	for (size_t i = 0; i < snapshot->process_count; i++) {
		const struct snapshot_process *process = &snapshot->processes[i];

		if (!is_near_limit(process) || ++near > text_limit_shown(output, SIZE_MAX, NEAR_SHOWN_MAX))
			continue;
		fputs("  near its limit: ", output->stream);
		text_print_process(output, process);
		fputs(" has ", output->stream);
		text_print_number(output, process->fds.live);
		fputs(" of ", output->stream);
		text_print_number(output, process->fds.limit);
		fputs(" descriptors\n", output->stream);
	}
	if (near > NEAR_SHOWN_MAX && !output->options->verbose) {
		fputs("  near their limits: ", output->stream);
		text_print_count(output, near - NEAR_SHOWN_MAX, "more process", "more processes");
		fputs(" (-v lists them)\n", output->stream);
	}
}

static void print_notes(struct text_output *output, const struct watch_notes *notes)
{
	size_t shown = text_limit_shown(output, notes->gone_count, GONE_SHOWN_MAX);

	if (notes->gone_count) {
		fputs("  gone: pid", output->stream);
		for (size_t i = 0; i < shown; i++)
			fprintf(output->stream, "%s %" PRIu32, i ? "," : "", notes->gone[i]);
		text_print_more(output, shown, notes->gone_count);
		fputc('\n', output->stream);
	}
	if (!output->snapshot->completeness.complete) {
		fputs("  not complete: ", output->stream);
		text_verdict_print_reasons(output, REASONS_SHOWN_MAX);
		fputc('\n', output->stream);
	}
}

int watch_table_write(struct watch_table *table, const struct snapshot *snapshot,
                      const struct report_options *options, const struct watch_notes *notes, FILE *stream)
{
	struct text_output output = {.snapshot = snapshot, .options = options};
	struct row *rows = calloc(snapshot->site_count + 1, sizeof(*rows));
	char *text = NULL;
	size_t bytes = 0;
	int error = -ENOMEM;

	output.stream = rows ? open_memstream(&text, &bytes) : NULL;
	if (!output.stream) {
		free(rows);
		return -ENOMEM;
	}
	output.out_of_memory = !fill_rows(table, snapshot, rows);
	if (!output.out_of_memory) {
		print_heading(&output);
		print_notes(&output, notes);
		print_limits(&output);
		print_rows(&output, rows, snapshot->site_count);
		fputc('\n', output.stream);
		if (!remember(table, rows, snapshot->site_count))
			output.out_of_memory = true;
	}
	if (!(fclose(output.stream) || output.out_of_memory))
		error = text_write_whole(stream, text, bytes);
	for (size_t i = 0; i < snapshot->site_count; i++)
		free(rows[i].key);
	free(rows);
	free(text);
	return error;
}
