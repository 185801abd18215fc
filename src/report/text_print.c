/*
 * The text report's words: numbers, sizes, strings of strangers, processes and places.
 * Inputs: fields of a snapshot. Outputs: text in memory.
 * Trust: strings are escaped here and nowhere else; all other parts print them through this file.
 */
#include "report/text_parts.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/escape.h"
#include "model/snapshot.h"
#include "report/report.h"

/* Chosen by: two lines of a terminal; paths that are longer keep their ends, which say most. */
#define FOREIGN_HEAD_BYTES 120
#define FOREIGN_TAIL_BYTES 120

static const char *const color_sequences[TEXT_COLOR_COUNT] = {
        [TEXT_COLOR_NONE] = "",
        [TEXT_COLOR_LEAK] = "\033[1;31m",
        [TEXT_COLOR_LEFT_OPEN] = "\033[33m",
        [TEXT_COLOR_DIM] = "\033[2m",
};

size_t text_limit_shown(const struct text_output *output, size_t total, size_t limit)
{
	return output->options->verbose || total < limit ? total : limit;
}

const struct snapshot_group *text_group_at(const struct text_output *output, const struct snapshot_site *site,
                                           size_t index)
{
	return &output->snapshot->groups[site->groups[index]];
}

void text_print_color(struct text_output *output, enum text_color color)
{
	if (output->options->color)
		fputs(color_sequences[color], output->stream);
}

void text_print_color_end(struct text_output *output, enum text_color color)
{
	if (output->options->color && color != TEXT_COLOR_NONE)
		fputs("\033[0m", output->stream);
}

void text_print_number(struct text_output *output, uint64_t number)
{
	char digits[24];
	int length = snprintf(digits, sizeof(digits), "%" PRIu64, number);

	for (int i = 0; i < length; i++) {
		if (i > 0 && (length - i) % 3 == 0)
			fputc(',', output->stream);
		fputc(digits[i], output->stream);
	}
}

void text_print_count(struct text_output *output, uint64_t count, const char *singular, const char *plural)
{
	text_print_number(output, count);
	fprintf(output->stream, " %s", count == 1 ? singular : plural);
}

/* Not by printf, whose decimal point depends on the locale. */
void text_print_decimal(struct text_output *output, double value, unsigned int decimals)
{
	const double largest = 1e15; /* whole and exact in a double, also times 1000 in 64 bits */
	uint64_t scale = 1;
	uint64_t scaled, fraction;

	if (!(value > 0))
		value = 0;
	if (value > largest)
		value = largest;
	for (unsigned int i = 0; i < decimals; i++)
		scale *= 10;
	scaled = (uint64_t)llround(value * (double)scale);
	text_print_number(output, scaled / scale);
	fraction = scaled % scale;
	while (fraction != 0 && fraction % 10 == 0) {
		fraction /= 10;
		decimals--;
	}
	if (fraction != 0)
		fprintf(output->stream, ".%0*" PRIu64, (int)decimals, fraction);
}

void text_print_bytes(struct text_output *output, uint64_t bytes)
{
	static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	const size_t unit_count = sizeof(units) / sizeof(units[0]);
	double value = (double)bytes / 1024;
	size_t unit = 0;

	if (bytes < 1024) {
		text_print_count(output, bytes, "byte", "bytes");
		return;
	}
	/* 1023.5 would be printed as 1,024. */
	for (; value >= 1023.5 && unit + 1 < unit_count; unit++)
		value /= 1024;
	text_print_decimal(output, value, value < 9.95 ? 1 : 0);
	fprintf(output->stream, " %s", units[unit]);
}

static void print_escaped(struct text_output *output, const char *bytes, size_t length)
{
	char *text = escape_for_terminal(bytes, length);

	if (text)
		fputs(text, output->stream);
	else
		output->out_of_memory = true;
	free(text);
}

bool text_is_continuation(char byte)
{
	return ((unsigned char)byte & 0xc0) == 0x80;
}

void text_print_foreign_bytes(struct text_output *output, const char *bytes, size_t length)
{
	size_t head = FOREIGN_HEAD_BYTES, tail = length - FOREIGN_TAIL_BYTES;

	if (length <= FOREIGN_HEAD_BYTES + FOREIGN_TAIL_BYTES) {
		print_escaped(output, bytes, length);
		return;
	}
	/* Not through a character: at most three bytes to go, more are not UTF-8 and may be cut anywhere. */
	for (int i = 0; i < 3 && text_is_continuation(bytes[head]); i++)
		head--;
	for (int i = 0; i < 3 && text_is_continuation(bytes[tail]); i++)
		tail++;
	print_escaped(output, bytes, head);
	fputs("...", output->stream);
	print_escaped(output, bytes + tail, length - tail);
}

void text_print_foreign(struct text_output *output, const char *string)
{
	text_print_foreign_bytes(output, string, strlen(string));
}

void text_print_path(struct text_output *output, const char *path)
{
	const char *folder = output->snapshot->working_directory;
	size_t length = strlen(folder);

	if (length > 1 && strncmp(path, folder, length) == 0 && path[length] == '/' && path[length + 1])
		path += length + 1;
	text_print_foreign(output, path);
}

const char *text_path_basename(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash && slash[1] ? slash + 1 : path;
}

/* "python3.11" is an interpreter, "node_exporter" a program of its own. */
static bool is_interpreter(const char *comm)
{
	static const char *const interpreters[] = {"python", "perl", "ruby", "node"};

	for (size_t i = 0; i < sizeof(interpreters) / sizeof(interpreters[0]); i++) {
		size_t length = strlen(interpreters[i]);

		if (strncmp(comm, interpreters[i], length) == 0)
			return comm[length + strspn(comm + length, "0123456789.")] == '\0';
	}
	return false;
}

/* What an interpreter runs says more than its own name: "python3 -m pytest" is pytest to everybody. */
static const char *interpreted_name(const struct snapshot_process *process)
{
	if (!is_interpreter(process->comm))
		return NULL;
	for (size_t i = 1; i < process->cmdline_count; i++) {
		const char *argument = process->cmdline[i], *rest;

		if (argument[0] != '-')
			return text_path_basename(argument);
		/* Letters that take no argument may stand together: "-um pytest". */
		rest = argument + 1 + strspn(argument + 1, "BEIOPRSbdiqsuvxw");
		if (!strcmp(rest, "m") && i + 1 < process->cmdline_count)
			return process->cmdline[i + 1];
		/* Code on standard input or the command line has no name; other options may take an argument.
		 */
		if (!argument[1] || rest[0])
			return NULL;
	}
	return NULL;
}

const char *text_process_name(const struct snapshot_process *process)
{
	const char *interpreted = interpreted_name(process);

	if (interpreted && interpreted[0])
		return interpreted;
	if (process->comm[0])
		return process->comm;
	return process->exe[0] ? text_path_basename(process->exe) : "a program without a name";
}

void text_print_process(struct text_output *output, const struct snapshot_process *process)
{
	text_print_foreign(output, text_process_name(process));
	fprintf(output->stream, " (pid %" PRIu32, process->process_id);
	if (process->exited && process->signal != 0) {
		const char *name = sigabbrev_np(process->signal);

		if (name)
			fprintf(output->stream, ", killed by SIG%s", name);
		else
			fprintf(output->stream, ", killed by signal %d", process->signal);
	}
	fputc(')', output->stream);
}

static void print_unknown_place(struct text_output *output, const struct snapshot_site *site)
{
	fputs("unknown place in ", output->stream);
	if (site->process_count == 0) {
		fputs("an unknown program", output->stream);
	} else {
		const struct snapshot_process *process =
		        &output->snapshot->processes[site->processes[0].process];

		text_print_foreign(output, process->exe[0] ? process->exe : text_process_name(process));
	}
}

bool text_print_code(struct text_output *output, const char *file, uint32_t line, const char *function)
{
	if (file[0] && line != 0) {
		text_print_path(output, file);
		fprintf(output->stream, ":%" PRIu32, line);
		if (function[0]) {
			fputs(" in ", output->stream);
			text_print_foreign(output, function);
		}
	} else if (function[0]) {
		text_print_foreign(output, function);
		if (file[0]) {
			fputs(" in ", output->stream);
			text_print_path(output, file);
		}
	} else if (file[0]) {
		text_print_path(output, file);
	} else {
		return false;
	}
	return true;
}

void text_print_place(struct text_output *output, const struct snapshot_site *site,
                      const struct snapshot_location *location)
{
	if (!text_print_code(output, location->file, location->line, location->function))
		print_unknown_place(output, site);
}

void text_print_holding(struct text_output *output, uint64_t fds, uint64_t maps, uint64_t bytes)
{
	if (fds > 0 || maps == 0)
		text_print_count(output, fds, "descriptor", "descriptors");
	if (fds > 0 && maps > 0)
		fputs(" and ", output->stream);
	if (maps > 0) {
		text_print_count(output, maps, "mapping", "mappings");
		fputs(" (", output->stream);
		text_print_bytes(output, bytes);
		fputc(')', output->stream);
	}
}

void text_print_more(struct text_output *output, size_t shown, size_t total)
{
	if (shown < total) {
		fputs(" and ", output->stream);
		text_print_number(output, total - shown);
		fputs(" more", output->stream);
	}
}

static void print_each(struct text_output *output, uint64_t handles, uint64_t tests, const char *one,
                       const char *many)
{
	fputc('+', output->stream);
	text_print_decimal(output, (double)handles / (double)tests, 1);
	if (one)
		fprintf(output->stream, " %s", handles == tests ? one : many);
}

bool text_print_per_test(struct text_output *output, const struct snapshot_site *site)
{
	if (!site->occasions_are_tests || site->occasions < 2)
		return false;
	if (site->fds > 0 && site->maps > 0) {
		print_each(output, site->fds, site->test_count, "descriptor", "descriptors");
		fputs(" and ", output->stream);
	} else if (site->fds > 0) {
		print_each(output, site->fds, site->test_count, NULL, NULL);
	}
	if (site->maps > 0)
		print_each(output, site->maps, site->test_count, "mapping", "mappings");
	fputs(" a test", output->stream);
	return true;
}

static void print_slope(struct text_output *output, double slope_per_s)
{
	static const struct {
		const char *name;
		double seconds;
	} units[] = {{"a second", 1}, {"a minute", 60}, {"an hour", 3600}, {"a day", 86400}};
	const size_t last = sizeof(units) / sizeof(units[0]) - 1;
	size_t unit = 0;

	if (!isfinite(slope_per_s) || slope_per_s <= 0)
		return;
	while (unit < last && slope_per_s * units[unit].seconds < 1)
		unit++;
	fputs(", growing by ", output->stream);
	text_print_decimal(output, slope_per_s * units[unit].seconds, 1);
	fprintf(output->stream, " %s", units[unit].name);
}

void text_print_growth(struct text_output *output, const struct snapshot_site *site)
{
	/* A suite's handles come as fast as its tests do: the rate of a second says nothing of it. */
	if (!site->occasions_are_tests) {
		print_slope(output, site->slope_per_s);
	} else if (site->occasions > 1) {
		fputs(", ", output->stream);
		(void)text_print_per_test(output, site);
	}
}
