/*
 * The text report: the verdict, each site, limits that were met, survivors, and what the run was worth.
 * Inputs: a snapshot. Outputs: text on a stream, written whole or not at all.
 * Trust: strings go through text_print.c, so that no byte of a stranger's reaches a terminal as it is.
 */
#include "report/report.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "model/snapshot.h"
#include "report/text_parts.h"

/* Chosen by: system-wide, everything survives; -v lists all. */
#define SURVIVORS_SHOWN_MAX 10
#define ALERTS_SHOWN_MAX    10

static void print_alert(struct text_output *output, const struct snapshot_alert *alert)
{
	fputs("  ", output->stream);
	text_print_foreign(output, alert->limit);
	fputc(' ', output->stream);
	text_print_foreign(output, alert->level);
	fputs(": ", output->stream);
	text_print_number(output, alert->used);
	fputs(" of ", output->stream);
	text_print_number(output, alert->max);
	fputs(" in ", output->stream);
	text_print_process(output, &output->snapshot->processes[alert->process]);
	if (alert->eta_s >= 0) {
		fputs(", at this rate full in ", output->stream);
		text_print_decimal(output, alert->eta_s, 0);
		fputs(" s", output->stream);
	}
	fputc('\n', output->stream);
}

static void print_alerts(struct text_output *output)
{
	size_t total = output->snapshot->alert_count,
	       shown = text_limit_shown(output, total, ALERTS_SHOWN_MAX);

	if (total == 0)
		return;
	fputs("\nlimits that came near:\n", output->stream);
	for (size_t i = 0; i < shown; i++)
		print_alert(output, &output->snapshot->alerts[i]);
	if (shown < total) {
		fputs("  ... ", output->stream);
		text_print_number(output, total - shown);
		fputs(" more (-v lists them)\n", output->stream);
	}
}

static int compare_survivors(const void *a, const void *b)
{
	const struct snapshot_process *left = *(const struct snapshot_process *const *)a;
	const struct snapshot_process *right = *(const struct snapshot_process *const *)b;

	if (left->fds.live != right->fds.live)
		return left->fds.live < right->fds.live ? 1 : -1;
	return (left->process_id > right->process_id) - (left->process_id < right->process_id);
}

static void print_survivor_list(struct text_output *output, const struct snapshot_process **survivors,
                                size_t total)
{
	size_t shown = text_limit_shown(output, total, SURVIVORS_SHOWN_MAX);

	fputs("\nstill running at the end:\n", output->stream);
	for (size_t i = 0; i < shown; i++) {
		fputs("  ", output->stream);
		text_print_process(output, survivors[i]);
		fputs(" holds ", output->stream);
		text_print_holding(output, survivors[i]->fds.live, survivors[i]->maps.live,
		                   survivors[i]->maps.bytes);
		fputc('\n', output->stream);
	}
	if (shown < total) {
		fputs("  ... ", output->stream);
		text_print_count(output, total - shown, "more process", "more processes");
		fputs(" (-v lists them)\n", output->stream);
	}
}

static void print_survivors(struct text_output *output)
{
	const struct snapshot *snapshot = output->snapshot;
	const struct snapshot_process **survivors = calloc(snapshot->process_count + 1, sizeof(*survivors));
	size_t count = 0;

	if (!survivors) {
		output->out_of_memory = true;
		return;
	}
	for (size_t i = 0; i < snapshot->process_count; i++) {
		if (!snapshot->processes[i].exited)
			survivors[count++] = &snapshot->processes[i];
	}
	if (count > 0) {
		qsort(survivors, count, sizeof(*survivors), compare_survivors);
		print_survivor_list(output, survivors, count);
	}
	free(survivors);
}

static void print_cost(struct text_output *output)
{
	const struct snapshot_self *self = &output->snapshot->self;

	fputs("\nleftopen itself: ", output->stream);
	text_print_decimal(output, self->cpu_s, 2);
	fputs(" s CPU, ", output->stream);
	text_print_bytes(output, self->rss_peak_bytes);
	fputs(" of memory at most", output->stream);
	if (self->kernel_ns_per_event > 0) {
		fputs(", ", output->stream);
		text_print_number(output, self->kernel_ns_per_event);
		fputs(" ns an event", output->stream);
	}
	fputs(", armed in ", output->stream);
	text_print_decimal(output, self->armed_s, 1);
	fputs(" s\n", output->stream);
}

static void print_completeness(struct text_output *output)
{
	const struct snapshot_completeness *completeness = &output->snapshot->completeness;

	if (completeness->complete) {
		fputs("complete: ", output->stream);
	} else {
		fputs("not complete: ", output->stream);
		text_verdict_print_reasons(output, SIZE_MAX);
		fputs(" (", output->stream);
	}
	text_print_count(output, completeness->events, "event", "events");
	if (completeness->lost > 0) {
		fputs(", ", output->stream);
		text_print_number(output, completeness->lost);
		fputs(" lost", output->stream);
	} else {
		fputs(", none lost", output->stream);
	}
	if (completeness->reconciled > 0) {
		fputs(", ", output->stream);
		text_print_count(output, completeness->reconciled, "handle", "handles");
		fputs(" found in the kernel's tables alone", output->stream);
	}
	if (completeness->drift > 0) {
		fputs(", ", output->stream);
		text_print_count(output, completeness->drift, "difference put right",
		                 "differences put right");
	}
	fputs(completeness->complete ? "\n" : ")\n", output->stream);
}

static void print_report(struct text_output *output)
{
	if (!output->options->quiet || text_verdict_is_notable(output->snapshot))
		text_verdict_print(output);
	if (output->options->quiet)
		return;
	text_sites_print(output);
	print_alerts(output);
	print_survivors(output);
	print_cost(output);
	print_completeness(output);
}

int text_write_whole(FILE *stream, const char *text, size_t length)
{
	errno = 0;
	if (fwrite(text, 1, length, stream) == length && fflush(stream) == 0)
		return 0;
	return errno != 0 ? -errno : -EIO;
}

int report_text_write(const struct snapshot *snapshot, const struct report_options *options, FILE *stream)
{
	struct text_output output = {.snapshot = snapshot, .options = options};
	char *text = NULL;
	size_t length = 0;
	bool failed;
	int r;

	output.stream = open_memstream(&text, &length);
	if (!output.stream)
		return -errno;
	print_report(&output);
	failed = ferror(output.stream) || output.out_of_memory;
	if (fclose(output.stream) != 0)
		failed = true;
	r = failed ? -ENOMEM : text_write_whole(stream, text, length);
	free(text);
	return r;
}
