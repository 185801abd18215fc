/*
 * Reports to files and terminals. See report_file.h.
 */
#include "cli/report_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/message.h"
#include "cli/options.h"
#include "cli/output_file.h"
#include "model/snapshot.h"

int report_file_open(const char *path, const struct launch_identity *identity, pid_t process_id,
                     struct output_file **ret_file)
{
	int error = path ? output_file_open(path, identity, process_id, ret_file) : 0;

	if (error)
		message_error("\"%s\" cannot be written: %s", path, output_file_explain(error));
	return error;
}

static bool use_color(const struct options *options, int fd)
{
	const char *no_color = getenv("NO_COLOR");

	if (options->color != COLOR_AUTO)
		return options->color == COLOR_ALWAYS;
	/* no-color.org: present and not empty. */
	return isatty(fd) && !(no_color && no_color[0]);
}

/* @return the columns of a terminal, 0: it is none, or does not say */
static size_t columns(int fd)
{
	struct winsize size;

	return ioctl(fd, TIOCGWINSZ, &size) ? 0 : size.ws_col;
}

struct report_options report_file_options(const struct options *options, int fd)
{
	return (struct report_options){
	        .color = use_color(options, fd),
	        .verbose = options->verbose,
	        .quiet = options->quiet,
	        .top = options->top,
	        .samples = options->samples,
	        .columns = columns(fd),
	};
}

static int write_report(struct output_file *file, const struct report_format *format,
                        const struct options *options, const struct snapshot *snapshot)
{
	FILE *stream = output_file_stream(file);
	struct report_options report_options = report_file_options(options, fileno(stream));
	int error = format->write(snapshot, &report_options, stream);

	/* The file knows why writing failed, and the stream only that it did. */
	if (!error || ferror(stream))
		error = output_file_commit(file);
	return error;
}

int report_file_make(struct output_file *file, const struct report_format *format,
                     const struct options *options, const struct report_source *source)
{
	struct snapshot *snapshot = NULL;
	int error = source->take(source->context, &snapshot);

	if (!error)
		error = write_report(file, format, options, snapshot);
	snapshot_free(snapshot);
	return error;
}

void report_file_say(const struct output_file *file, int error)
{
	message_error("\"%s\" was not written: %s", output_file_path(file), output_file_explain(error));
}

int report_file_write(struct output_file *file, const struct report_format *format,
                      const struct options *options, const struct snapshot *snapshot)
{
	int error = write_report(file, format, options, snapshot);

	if (error)
		report_file_say(file, error);
	return error;
}
