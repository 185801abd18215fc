/*
 * The reports of `leftopen run`. See run_reports.h.
 */
#include "cli/run_reports.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/message.h"
#include "cli/options.h"
#include "cli/output_file.h"
#include "cli/report_file.h"
#include "model/snapshot.h"
#include "report/report.h"

struct run_reports {
	const struct options *options;
	struct output_file *json;
	struct output_file *text; /* NULL: standard error */
};

int run_reports_open(const struct options *options, const struct launch_identity *identity, pid_t process_id,
                     struct run_reports **ret_reports)
{
	struct run_reports *reports = calloc(1, sizeof(*reports));
	int error;

	if (!reports) {
		message_error("out of memory");
		return -ENOMEM;
	}
	reports->options = options;
	error = report_file_open(options->json, identity, process_id, &reports->json);
	if (!error)
		error = report_file_open(options->log_file, identity, process_id, &reports->text);
	if (error) {
		run_reports_free(reports);
		return error;
	}
	*ret_reports = reports;
	return 0;
}

int run_reports_show(struct run_reports *reports, const struct snapshot *snapshot)
{
	struct report_options options = report_file_options(reports->options, STDERR_FILENO);
	int error = report_find("text")->write(snapshot, &options, stderr);

	return fflush(stderr) && !error ? -errno : error;
}

int run_reports_write(struct run_reports *reports, const struct snapshot *snapshot)
{
	int first = 0, error;

	if (reports->json)
		first = report_file_write(reports->json, report_find("json"), reports->options, snapshot);
	if (reports->text) {
		error = report_file_write(reports->text, report_find("text"), reports->options, snapshot);
		first = first ? first : error;
	} else {
		/* A standard error that is closed is the caller's choice. */
		(void)run_reports_show(reports, snapshot);
	}
	return first;
}

bool run_reports_found(const struct run_reports *reports, const struct snapshot *snapshot)
{
	enum verdict least = reports->options->fail_on == FAIL_ON_LEAK ? VERDICT_LEAK : VERDICT_LEFT_OPEN;

	for (size_t i = 0; i < snapshot->site_count; i++)
		if (snapshot->sites[i].verdict <= least)
			return true;
	return false;
}

void run_reports_free(struct run_reports *reports)
{
	if (!reports)
		return;
	output_file_abort(reports->json);
	output_file_abort(reports->text);
	free(reports);
}
