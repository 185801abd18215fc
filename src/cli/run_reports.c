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
#include "model/snapshot.h"
#include "report/report.h"

struct run_reports {
	const struct run_options *options;
	struct output_file *json;
	struct output_file *text; /* NULL: standard error */
};

static int open_one(const char *path, const struct launch_identity *identity, pid_t process_id,
                    struct output_file **ret_file)
{
	int error = path ? output_file_open(path, identity, process_id, ret_file) : 0;

	if (error)
		message_error("\"%s\" cannot be written: %s", path, output_file_explain(error));
	return error;
}

int run_reports_open(const struct run_options *options, const struct launch_identity *identity,
                     pid_t process_id, struct run_reports **ret_reports)
{
	struct run_reports *reports = calloc(1, sizeof(*reports));
	int error;

	if (!reports) {
		message_error("out of memory");
		return -ENOMEM;
	}
	reports->options = options;
	error = open_one(options->json, identity, process_id, &reports->json);
	if (!error)
		error = open_one(options->log_file, identity, process_id, &reports->text);
	if (error) {
		run_reports_free(reports);
		return error;
	}
	*ret_reports = reports;
	return 0;
}

static bool use_color(const struct run_reports *reports, int fd)
{
	const char *no_color = getenv("NO_COLOR");

	if (reports->options->color != COLOR_AUTO)
		return reports->options->color == COLOR_ALWAYS;
	/* no-color.org: present and not empty. */
	return isatty(fd) && !(no_color && no_color[0]);
}

static struct report_options report_options(const struct run_reports *reports, int fd)
{
	return (struct report_options){
	        .color = use_color(reports, fd),
	        .verbose = reports->options->verbose,
	        .quiet = reports->options->quiet,
	        .top = reports->options->top,
	        .samples = reports->options->samples,
	};
}

static int write_one(struct run_reports *reports, struct output_file *file,
                     const struct report_format *format, const struct snapshot *snapshot)
{
	FILE *stream = output_file_stream(file);
	struct report_options options = report_options(reports, fileno(stream));
	int error = format->write(snapshot, &options, stream);

	/* The file knows why writing failed, and the stream only that it did. */
	if (!error || ferror(stream))
		error = output_file_commit(file);
	if (error)
		message_error("\"%s\" was not written: %s", output_file_path(file),
		              output_file_explain(error));
	return error;
}

int run_reports_show(struct run_reports *reports, const struct snapshot *snapshot)
{
	struct report_options options = report_options(reports, STDERR_FILENO);
	int error = report_find("text")->write(snapshot, &options, stderr);

	return fflush(stderr) && !error ? -errno : error;
}

int run_reports_write(struct run_reports *reports, const struct snapshot *snapshot)
{
	int first = 0, error;

	if (reports->json)
		first = write_one(reports, reports->json, report_find("json"), snapshot);
	if (reports->text) {
		error = write_one(reports, reports->text, report_find("text"), snapshot);
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
