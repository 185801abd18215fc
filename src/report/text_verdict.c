/*
 * The verdict: the one or two lines that a person reads first, and often the only ones.
 * Inputs: a snapshot's sites, processes and completeness. Outputs: text in memory.
 * Trust: strings go through text_print.c. What was not followed completely never reads as clean.
 */
#include "report/text_parts.h"

#include <stdlib.h>
#include <string.h>

#include "model/snapshot.h"
#include "report/report.h"

struct totals {
	size_t sites;
	uint64_t fds;
	uint64_t maps;
	uint64_t bytes;
	const struct snapshot_site *worst; /* the first: they are in the order of what they hold */
	size_t processes;                  /* different ones */
	const struct snapshot_process *first_process;
	bool one_name; /* all processes are called alike */
	bool all_live; /* none has begun to shut down */
};

static bool is_live(const struct snapshot_process *process)
{
	return !process->exited && process->left_open_at == SHUTDOWN_NONE;
}

static void totals_add_process(struct totals *totals, const struct snapshot_process *process)
{
	if (totals->processes == 0)
		totals->first_process = process;
	else if (strcmp(text_process_name(process), text_process_name(totals->first_process)) != 0)
		totals->one_name = false;
	if (!is_live(process))
		totals->all_live = false;
	totals->processes++;
}

static void totals_collect(struct text_output *output, enum verdict verdict, struct totals *ret_totals)
{
	const struct snapshot *snapshot = output->snapshot;
	struct totals totals = {.one_name = true, .all_live = true};
	bool *counted = calloc(snapshot->process_count + 1, sizeof(*counted));

	if (!counted)
		output->out_of_memory = true;
	for (size_t i = 0; counted && i < snapshot->site_count; i++) {
		const struct snapshot_site *site = &snapshot->sites[i];

		if (site->verdict != verdict)
			continue;
		if (totals.sites++ == 0)
			totals.worst = site;
		totals.fds += site->fds;
		totals.maps += site->maps;
		totals.bytes += site->bytes;
		for (size_t j = 0; j < site->process_count; j++) {
			size_t process = site->processes[j].process;

			if (!counted[process])
				totals_add_process(&totals, &snapshot->processes[process]);
			counted[process] = true;
		}
	}
	free(counted);
	*ret_totals = totals;
}

static void print_holders(struct text_output *output, const struct totals *totals)
{
	if (totals->processes == 0) {
		fputs("an unknown process", output->stream);
	} else if (totals->processes == 1) {
		text_print_process(output, totals->first_process);
	} else {
		text_print_count(output, totals->processes, "process", "processes");
		if (totals->one_name) {
			fputs(" of ", output->stream);
			text_print_foreign(output, text_process_name(totals->first_process));
		}
	}
}

static void print_places(struct text_output *output, const struct totals *totals)
{
	const struct snapshot_site *worst = totals->worst;

	if (totals->sites > 1) {
		fputs(", made at ", output->stream);
		text_print_count(output, totals->sites, "place", "places");
		return;
	}
	if (worst->line_count > 1) {
		fputs(", made at ", output->stream);
		text_print_count(output, worst->line_count, "line", "lines");
	} else {
		fputs(", made at one place", output->stream);
	}
	if (worst->occasions_are_tests) {
		fputs(" in ", output->stream);
		text_print_count(output, worst->test_count, "test", "tests");
	} else if (worst->verdict == VERDICT_LEAK) {
		fputs(" over the whole run", output->stream);
	}
}

static void print_finding(struct text_output *output, const struct totals *totals, const char *verb)
{
	text_print_holding(output, totals->fds, totals->maps, totals->bytes);
	fputs(verb, output->stream);
	fputs(totals->all_live ? " open in " : " left open by ", output->stream);
	print_holders(output, totals);
	print_places(output, totals);
}

static void print_worst(struct text_output *output, const struct totals *totals)
{
	const struct snapshot_site *site = totals->worst;
	bool per_test;

	fputs(totals->sites > 1 ? "  most at " : "  ", output->stream);
	text_print_place(output, site, &site->location);
	fputs("    ", output->stream);
	/* Where the line above has the total, what a test adds is the news. */
	per_test = totals->sites == 1 && text_print_per_test(output, site);
	if (!per_test)
		text_print_holding(output, site->fds, site->maps, site->bytes);
	text_targets_print_brief(output, site);
	if (!per_test)
		text_print_growth(output, site);
	if (site->test_count > 0) {
		fputs(", first in ", output->stream);
		text_print_foreign(output, site->tests[0].name);
	}
	fputc('\n', output->stream);
}

static void print_clean(struct text_output *output)
{
	const struct snapshot *snapshot = output->snapshot;
	uint64_t opened = 0, closed = 0;

	for (size_t i = 0; i < snapshot->process_count; i++) {
		opened += snapshot->processes[i].fds.opened;
		closed += snapshot->processes[i].fds.closed;
	}
	fputs("no leak: ", output->stream);
	if (snapshot->process_count == 0) {
		fputs("there was no process to follow", output->stream);
		return;
	}
	text_print_count(output, snapshot->process_count, "process", "processes");
	fputs(" followed, ", output->stream);
	text_print_count(output, opened, "descriptor", "descriptors");
	fputs(" opened and ", output->stream);
	text_print_number(output, closed);
	fputs(" closed", output->stream);
}

void text_verdict_print_reasons(struct text_output *output, size_t reasons_max)
{
	const struct snapshot_completeness *completeness = &output->snapshot->completeness;
	size_t shown = completeness->why_count < reasons_max ? completeness->why_count : reasons_max;

	for (size_t i = 0; i < shown; i++) {
		fputs(i > 0 ? "; " : "", output->stream);
		text_print_foreign(output, completeness->why[i]);
	}
	if (completeness->why_count == 0)
		fputs("the reason is not known", output->stream);
	if (shown < completeness->why_count) {
		fputs(" (and ", output->stream);
		text_print_count(output, completeness->why_count - shown, "other reason", "other reasons");
		fputc(')', output->stream);
	}
}

bool text_verdict_is_notable(const struct snapshot *snapshot)
{
	bool finding = false;

	for (size_t i = 0; i < snapshot->site_count; i++)
		finding = finding || snapshot->sites[i].verdict == VERDICT_LEAK ||
		          snapshot->sites[i].verdict == VERDICT_LEFT_OPEN;
	return finding || !snapshot->completeness.complete;
}

void text_verdict_print(struct text_output *output)
{
	bool complete = output->snapshot->completeness.complete;
	struct totals leaks, left_open;

	totals_collect(output, VERDICT_LEAK, &leaks);
	totals_collect(output, VERDICT_LEFT_OPEN, &left_open);
	fputs("leftopen: ", output->stream);
	if (leaks.sites > 0) {
		text_print_color(output, TEXT_COLOR_LEAK);
		text_print_count(output, leaks.sites, "leak", "leaks");
		text_print_color_end(output, TEXT_COLOR_LEAK);
		fputs(": ", output->stream);
		print_finding(output, &leaks, "");
	} else if (left_open.sites > 0) {
		text_print_color(output, TEXT_COLOR_LEFT_OPEN);
		fputs(complete ? "no leak, but " : "no leak seen, but ", output->stream);
		print_finding(output, &left_open, left_open.fds + left_open.maps == 1 ? " was" : " were");
		text_print_color_end(output, TEXT_COLOR_LEFT_OPEN);
	} else if (complete) {
		print_clean(output);
	} else {
		fputs("no leak seen, but the run was not followed completely: ", output->stream);
		text_verdict_print_reasons(output, 1);
	}
	if (!complete && (leaks.sites > 0 || left_open.sites > 0)) {
		fputs("; the run was not followed completely: ", output->stream);
		text_verdict_print_reasons(output, 1);
	}
	fputc('\n', output->stream);
	if (leaks.sites > 0)
		print_worst(output, &leaks);
	else if (left_open.sites > 0)
		print_worst(output, &left_open);
}
