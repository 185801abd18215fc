/*
 * Reports that a child writes. See report_writer.h.
 */
#include "cli/report_writer.h"

#include <errno.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/message.h"
#include "cli/output_file.h"
#include "cli/report_file.h"

int report_writer_start(struct report_writer *writer, struct output_file *file,
                        const struct report_format *format, const struct options *options,
                        const struct report_source *source)
{
	pid_t child = fork();

	if (child < 0)
		return -errno;
	if (!child) {
		(void)prctl(PR_SET_NAME, "leftopen-write");
		/* The parent says what failed: an errno fits in a status. */
		_exit(-report_file_make(file, format, options, source));
	}
	*writer = (struct report_writer){.process_id = child, .file = file};
	return 0;
}

int report_writer_look(struct report_writer *writer, bool waits)
{
	int status, error;
	pid_t ended;

	if (!writer->process_id)
		return 0;
	do {
		ended = waitpid(writer->process_id, &status, waits ? 0 : WNOHANG);
	} while (ended < 0 && errno == EINTR);
	if (!ended)
		return 0;
	writer->process_id = 0;
	if (ended > 0 && WIFEXITED(status)) {
		error = -WEXITSTATUS(status);
		if (error)
			report_file_say(writer->file, error);
		/* The child ended at once: what it had not put in place is still there. */
		if (error)
			output_file_abort(writer->file);
		else
			output_file_leave(writer->file);
	} else {
		error = -ECHILD;
		message_error("\"%s\" was not written: the child that wrote it was ended by signal %d",
		              output_file_path(writer->file), ended > 0 ? WTERMSIG(status) : 0);
		output_file_abort(writer->file);
	}
	writer->file = NULL;
	return error;
}
