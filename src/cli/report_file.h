/*
 * Reports to files and terminals, as all commands write them. What cannot be written is said on standard
 * error.
 */
#ifndef LEFTOPEN_CLI_REPORT_FILE_H
#define LEFTOPEN_CLI_REPORT_FILE_H

#include <stdbool.h>
#include <sys/types.h>

#include "report/report.h"

struct launch_identity;
struct options;
struct output_file;
struct snapshot;

/**
 * Opens a report file with the identity's rights.
 * @param path NULL: nothing is opened
 * @param process_id that %p stands for
 * @param ret_file for output_file_abort(); untouched where nothing is opened
 * @return 0, or -errno of output_file_open()
 */
int report_file_open(const char *path, const struct launch_identity *identity, pid_t process_id,
                     struct output_file **ret_file);

/** What takes a snapshot when it is to be written. */
struct report_source {
	int (*take)(void *context, struct snapshot **ret_snapshot); /* @return 0, or -errno */
	void *context;
};

/** Writes a report and puts the file in place, without a word. @return 0, or the first -errno */
int report_file_make(struct output_file *file, const struct report_format *format,
                     const struct options *options, const struct report_source *source);

/** Says that the file was not written. */
void report_file_say(const struct output_file *file, int error);

/** Writes a report and puts the file in place. @return 0, or the first -errno */
int report_file_write(struct output_file *file, const struct report_format *format,
                      const struct options *options, const struct snapshot *snapshot);

/** @return how a report is written to that descriptor: with colours where it is a terminal and they are
 * wanted
 */
struct report_options report_file_options(const struct options *options, int fd);

#endif
