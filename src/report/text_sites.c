/*
 * Sites as text: for each the place, what it holds, of what kind, in which processes and tests, and its
 * stack. Inputs: a snapshot's sites in their order. Outputs: text in memory. Trust: strings go through
 * text_print.c; indexes are the model's own.
 */
#include "report/text_parts.h"

#include <inttypes.h>
#include <string.h>

#include "model/kinds.h"
#include "model/snapshot.h"
#include "report/report.h"

/* Chosen by: what fits on a line or two. */
#define PROCESSES_SHOWN_MAX 3
#define TESTS_SHOWN_MAX     3
#define LINES_SHOWN_MAX     6
/* Chosen by: the label column below. */
#define INDENTATION       "            "
#define FRAME_INDENTATION "              "

static void print_label(struct text_output *output, const char *label)
{
	fprintf(output->stream, "  %-9s ", label);
}

static enum text_color color_of(enum verdict verdict)
{
	if (verdict == VERDICT_LEAK)
		return TEXT_COLOR_LEAK;
	return verdict == VERDICT_LEFT_OPEN ? TEXT_COLOR_LEFT_OPEN : TEXT_COLOR_NONE;
}

static void print_heading(struct text_output *output, const struct snapshot_site *site)
{
	const char *name = verdict_name(site->verdict);

	text_print_color(output, color_of(site->verdict));
	fputs(name, output->stream);
	text_print_color_end(output, color_of(site->verdict));
	fprintf(output->stream, "%*s", (int)(sizeof(INDENTATION) - 1 - strlen(name)), "");
	text_print_place(output, site, &site->location);
	fputc('\n', output->stream);
}

static void print_holds(struct text_output *output, const struct snapshot_site *site)
{
	print_label(output, "holds");
	text_print_holding(output, site->fds, site->maps, site->bytes);
	if (site->instances == 1) {
		fputs(", made once", output->stream);
	} else {
		fputs(", made ", output->stream);
		text_print_count(output, site->instances, "time", "times");
	}
	if (site->occasions_are_tests) {
		fputs(" in ", output->stream);
		text_print_count(output, site->test_count, "test", "tests");
	} else if (site->instances > 1 && site->occasions > 1) {
		fputs(" over the whole run", output->stream);
	}
	text_print_growth(output, site);
	fputc('\n', output->stream);
}

static void print_processes(struct text_output *output, const struct snapshot_site *site)
{
	size_t shown = text_limit_shown(output, site->process_count, PROCESSES_SHOWN_MAX);

	if (site->process_count == 0)
		return;
	print_label(output, site->process_count == 1 ? "process" : "processes");
	if (site->process_count > 1) {
		text_print_number(output, site->process_count);
		fputs(": ", output->stream);
	}
	for (size_t i = 0; i < shown; i++) {
		const struct snapshot_site_process *holder = &site->processes[i];

		/* All of them, and one a line, where -v asks for it. */
		if (i > 0)
			fputs(output->options->verbose ? ",\n" INDENTATION : ", ", output->stream);
		text_print_process(output, &output->snapshot->processes[holder->process]);
		if (site->process_count > 1) {
			fputs(" has ", output->stream);
			text_print_number(output, holder->count);
		}
	}
	text_print_more(output, shown, site->process_count);
	fputc('\n', output->stream);
}

static void print_tests(struct text_output *output, const struct snapshot_site *site)
{
	size_t shown = text_limit_shown(output, site->test_count, TESTS_SHOWN_MAX);
	uint64_t outlived = 0;

	if (site->test_count == 0)
		return;
	print_label(output, "tests");
	for (size_t i = 0; i < site->test_count; i++)
		outlived += site->tests[i].outlived;
	for (size_t i = 0; i < shown; i++) {
		/* A line each: their names are the longest words of a report. */
		fputs(i > 0 ? ",\n" INDENTATION : "", output->stream);
		text_print_foreign(output, site->tests[i].name);
		fputs(" (", output->stream);
		text_print_number(output, site->tests[i].made);
		fputc(')', output->stream);
	}
	text_print_more(output, shown, site->test_count);
	if (outlived > 0) {
		fputs("; ", output->stream);
		text_print_number(output, outlived);
		fprintf(output->stream, " outlived the test that made %s", outlived == 1 ? "it" : "them");
	}
	fputc('\n', output->stream);
}

static void print_lines(struct text_output *output, const struct snapshot_site *site)
{
	size_t shown = text_limit_shown(output, site->line_count, LINES_SHOWN_MAX);

	if (site->line_count == 0)
		return;
	print_label(output, "lines");
	fputs("merged of ", output->stream);
	text_print_count(output, site->line_count, "line", "lines");
	fputs(":\n", output->stream);
	for (size_t i = 0; i < shown; i++) {
		fputs(FRAME_INDENTATION, output->stream);
		text_print_place(output, site, &site->lines[i]);
		fputc('\n', output->stream);
	}
	if (shown < site->line_count) {
		fputs(FRAME_INDENTATION "... ", output->stream);
		text_print_count(output, site->line_count - shown, "more line", "more lines");
		fputc('\n', output->stream);
	}
}

/* The one mark at which all of a site's processes were looked at, or SHUTDOWN_NONE: it differs. */
static enum shutdown_mark find_common_mark(const struct text_output *output, const struct snapshot_site *site)
{
	enum shutdown_mark common = SHUTDOWN_NONE;

	for (size_t i = 0; i < site->group_count; i++) {
		const struct snapshot_group *group = text_group_at(output, site, i);
		enum shutdown_mark mark = output->snapshot->processes[group->process].left_open_at;

		if (i > 0 && mark != common)
			return SHUTDOWN_NONE;
		common = mark;
	}
	return common;
}

static void print_share(struct text_output *output, uint64_t count, uint64_t total, const char *words)
{
	if (count == 0)
		return;
	if (count < total) {
		text_print_number(output, count);
		fputc(' ', output->stream);
	}
	fputs(words, output->stream);
}

static void print_released(struct text_output *output, const struct snapshot_site *site)
{
	uint64_t open = 0, never = 0, at_shutdown = 0, total;
	enum shutdown_mark mark = find_common_mark(output, site);

	for (size_t i = 0; i < site->group_count; i++) {
		const struct snapshot_group *group = text_group_at(output, site, i);
		const struct snapshot_process *process = &output->snapshot->processes[group->process];

		if (process->exited || process->left_open_at != SHUTDOWN_NONE)
			never += group->released_never;
		else
			open += group->released_never;
		at_shutdown += group->released_at_shutdown;
	}
	total = open + never + at_shutdown;
	if (total == 0)
		return;
	print_label(output, "released");
	print_share(output, at_shutdown, total,
	            site->maps > 0 ? "released only at shutdown" : "closed only at shutdown");
	if (at_shutdown > 0 && mark != SHUTDOWN_NONE)
		fprintf(output->stream, " (%s)", shutdown_mark_name(mark));
	fputs(at_shutdown > 0 && never > 0 ? ", " : "", output->stream);
	print_share(output, never, total, site->maps > 0 ? "never released" : "never closed");
	fputs(at_shutdown + never > 0 && open > 0 ? ", " : "", output->stream);
	print_share(output, open, total, "still open in a running process");
	fputc('\n', output->stream);
}

static void print_origin(struct text_output *output, enum handle_origin origin)
{
	if (origin == HANDLE_ORIGIN_UNSEEN)
		fputs("made by a call that was not seen", output->stream);
	else if (origin == HANDLE_ORIGIN_INHERITED)
		fputs("inherited", output->stream);
	else
		fprintf(output->stream, "made by %s", kinds_origin_name(origin));
}

static void print_stack(struct text_output *output, const struct snapshot_site *site,
                        const struct snapshot_group *group)
{
	const struct snapshot_stack *stack = snapshot_find_stack(output->snapshot, group->stack);

	print_label(output, "stack");
	print_origin(output, group->origin);
	if (!stack) {
		fputs("; no stack was captured\n", output->stream);
		return;
	}
	fputs(stack->frame_count > 0 ? ", called from\n" : "; its stack is empty\n", output->stream);
	text_stack_print(output, stack, site, FRAME_INDENTATION);
}

/* Whether a group before this one has the same stack. */
static bool is_stack_repeated(const struct text_output *output, const struct snapshot_site *site,
                              size_t index)
{
	for (size_t i = 0; i < index; i++) {
		if (text_group_at(output, site, i)->stack == text_group_at(output, site, index)->stack)
			return true;
	}
	return false;
}

static void print_stacks(struct text_output *output, const struct snapshot_site *site)
{
	size_t others = 0;

	for (size_t i = 0; i < site->group_count; i++) {
		if (is_stack_repeated(output, site, i))
			continue;
		if (i == 0 || output->options->verbose)
			print_stack(output, site, text_group_at(output, site, i));
		else
			others++;
	}
	if (others > 0) {
		fputs(INDENTATION "and ", output->stream);
		text_print_count(output, others, "other stack (-v shows it)", "other stacks (-v shows them)");
		fputc('\n', output->stream);
	}
}

static void print_site(struct text_output *output, const struct snapshot_site *site)
{
	fputc('\n', output->stream);
	print_heading(output, site);
	print_holds(output, site);
	if (site->group_count > 0) {
		print_label(output, "of type");
		text_targets_print(output, site, INDENTATION);
	}
	print_processes(output, site);
	print_released(output, site);
	print_tests(output, site);
	print_lines(output, site);
	print_stacks(output, site);
}

static void print_held(struct text_output *output, size_t sites, uint64_t fds, uint64_t maps, uint64_t bytes)
{
	fputs("\nheld", output->stream);
	fprintf(output->stream, "%*s", (int)(sizeof(INDENTATION) - 1 - strlen("held")), "");
	text_print_holding(output, fds, maps, bytes);
	fputs(" at ", output->stream);
	text_print_count(output, sites, "place", "places");
	fputs(", released at shutdown as log files and pools are (-v lists them)\n", output->stream);
}

void text_sites_print(struct text_output *output)
{
	const struct snapshot *snapshot = output->snapshot;
	size_t shown = 0, left_out = 0, held = 0;
	uint64_t fds = 0, maps = 0, bytes = 0;

	for (size_t i = 0; i < snapshot->site_count; i++) {
		const struct snapshot_site *site = &snapshot->sites[i];

		if (site->verdict == VERDICT_HELD && !output->options->verbose) {
			held++;
			fds += site->fds;
			maps += site->maps;
			bytes += site->bytes;
		} else if (output->options->top == 0 || shown < output->options->top) {
			print_site(output, site);
			shown++;
		} else {
			left_out++;
		}
	}
	if (left_out > 0) {
		fputs("\n... ", output->stream);
		text_print_count(output, left_out, "more place", "more places");
		fputs(" (--top 0 shows all)\n", output->stream);
	}
	if (held > 0)
		print_held(output, held, fds, maps, bytes);
}
