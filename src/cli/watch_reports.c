/*
 * The reports of `leftopen watch`. See watch_reports.h.
 */
#include "cli/watch_reports.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/launch_identity.h"
#include "cli/message.h"
#include "cli/options.h"
#include "cli/output_file.h"
#include "cli/report_file.h"
#include "cli/report_writer.h"
#include "report/report.h"

struct watch_reports {
	const struct options *options;
	struct launch_identity caller;
	struct watch_table *table;
	struct output_file *json; /* the next one, where it is open already */
	struct report_writer writer;
	struct output_file *log; /* NULL: standard output */
	bool log_is_placed;
};

int watch_reports_open(const struct options *options, struct watch_reports **ret_reports)
{
	struct watch_reports *reports = calloc(1, sizeof(*reports));
	struct launch_error why;
	int error = reports ? watch_table_new(&reports->table) : -ENOMEM;

	if (error) {
		message_error("out of memory");
		watch_reports_free(reports);
		return error;
	}
	reports->options = options;
	error = launch_identity_find(false, NULL, &reports->caller, &why);
	if (error)
		message_error("%s", why.text);
	if (!error)
		error = report_file_open(options->json, &reports->caller, getpid(), &reports->json);
	if (!error)
		error = report_file_open(options->log_file, &reports->caller, getpid(), &reports->log);
	if (error) {
		watch_reports_free(reports);
		return error;
	}
	*ret_reports = reports;
	return 0;
}

static void say_in_the_way(struct report_writer *writer)
{
	if (!writer->is_in_the_way)
		message_error(
		        "\"%s\" is not replaced this time: the one before is still being written. Give a "
		        "longer INTERVAL",
		        output_file_path(writer->file));
	writer->is_in_the_way = true;
}

/* A child has nobody to wait for it at the end, and standard output has its order. */
static int put_json(struct watch_reports *reports, const struct report_source *whole, bool is_last)
{
	const struct report_format *format = report_find("json");
	struct output_file *file = reports->json;
	int error;

	reports->json = NULL;
	if (!is_last && output_file_is_replaced(file) &&
	    !report_writer_start(&reports->writer, file, format, reports->options, whole))
		return 0;
	error = report_file_make(file, format, reports->options, whole);
	if (error)
		report_file_say(file, error);
	output_file_abort(file);
	return error;
}

static int write_json(struct watch_reports *reports, const struct report_source *whole, bool is_last)
{
	const struct options *options = reports->options;
	int first = report_writer_look(&reports->writer, is_last), error = 0;

	if (!options->json)
		return 0;
	if (reports->writer.process_id) {
		say_in_the_way(&reports->writer);
		return first;
	}
	if (!reports->json)
		error = report_file_open(options->json, &reports->caller, getpid(), &reports->json);
	if (!error)
		error = put_json(reports, whole, is_last);
	return first ? first : error;
}

/* In its place from the first table on, and written on there. */
static int write_log(struct watch_reports *reports, const struct snapshot *snapshot,
                     const struct watch_notes *notes)
{
	FILE *stream = output_file_stream(reports->log);
	struct report_options options = report_file_options(reports->options, -1);
	int error = watch_table_write(reports->table, snapshot, &options, notes, stream);

	if (!reports->log_is_placed && (!error || ferror(stream))) {
		error = output_file_commit(reports->log);
		reports->log_is_placed = true;
	}
	if (error)
		message_error("\"%s\" was not written: %s", output_file_path(reports->log),
		              output_file_explain(error));
	return error;
}

static int write_table(struct watch_reports *reports, const struct snapshot *snapshot,
                       const struct watch_notes *notes)
{
	struct report_options options = report_file_options(reports->options, STDOUT_FILENO);
	int error = watch_table_write(reports->table, snapshot, &options, notes, stdout);

	if (error)
		message_error("standard output cannot be written: %s", strerror(-error));
	return error;
}

int watch_reports_write(struct watch_reports *reports, const struct snapshot *snapshot,
                        const struct watch_notes *notes, const struct report_source *whole, bool is_last)
{
	int first = write_json(reports, whole, is_last), error = 0;

	if (reports->log)
		error = write_log(reports, snapshot, notes);
	else if (!reports->options->quiet)
		error = write_table(reports, snapshot, notes);
	return first ? first : error;
}

int watch_reports_look(struct watch_reports *reports)
{
	return report_writer_look(&reports->writer, false);
}

pid_t watch_reports_child(const struct watch_reports *reports)
{
	return reports->writer.process_id;
}

void watch_reports_free(struct watch_reports *reports)
{
	if (!reports)
		return;
	/* What fails now was said, and there is no status any more that it could change. */
	(void)report_writer_look(&reports->writer, true);
	output_file_abort(reports->json);
	output_file_abort(reports->log);
	watch_table_free(reports->table);
	launch_identity_clear(&reports->caller);
	free(reports);
}
