/*
 * A report that a child writes while this process goes on following: a long one takes seconds, in which
 * events would be lost. The child takes the snapshot, of what there was when it was forked. One writes at a
 * time.
 */
#ifndef LEFTOPEN_CLI_REPORT_WRITER_H
#define LEFTOPEN_CLI_REPORT_WRITER_H

#include <stdbool.h>
#include <sys/types.h>

#include "report/report.h"

struct options;
struct output_file;
struct report_source;

/** All zero: nothing is written. */
struct report_writer {
	pid_t process_id; /* of the child, 0: there is none */
	struct output_file *file;
	bool is_in_the_way; /* of the next report, and that was said */
};

/**
 * Begins to write a report, and to put the file in place. Call it in a process without threads, and only
 * while nothing is written.
 * @param source is asked in the child
 * @param file the writer's from now on; on failure still the caller's
 * @return 0, or -errno of fork(2)
 */
int report_writer_start(struct report_writer *writer, struct output_file *file,
                        const struct report_format *format, const struct options *options,
                        const struct report_source *source);

/**
 * Looks whether the child has ended, and says what it could not do.
 * @param waits for its end
 * @return 0: it has written, or still does, or there is none; -errno as report_file_write()
 */
int report_writer_look(struct report_writer *writer, bool waits);

#endif
