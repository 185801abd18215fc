/*
 * The reports of `leftopen watch`: a table at each interval, and a JSON file that is replaced whole.
 */
#ifndef LEFTOPEN_CLI_WATCH_REPORTS_H
#define LEFTOPEN_CLI_WATCH_REPORTS_H

#include <stdbool.h>
#include <sys/types.h>

#include "report/watch_table.h"

struct options;
struct report_source;
struct snapshot;
struct watch_reports;

/**
 * Opens every file that the options name, with the rights of whoever called leftopen. Says on standard error
 * what cannot be written.
 * @param options stay the caller's and must outlive the reports
 * @return 0, or -errno
 */
int watch_reports_open(const struct options *options, struct watch_reports **ret_reports);

/**
 * Writes the next reports. A JSON file is written by a child: where that still writes the one before, this
 * one is left out, and that is said. Says what failed.
 * @param snapshot for the table
 * @param whole gives the one for JSON, in the child where that writes
 * @param is_last waits until everything is written
 * @return 0, or the first -errno
 */
int watch_reports_write(struct watch_reports *reports, const struct snapshot *snapshot,
                        const struct watch_notes *notes, const struct report_source *whole, bool is_last);

/** Looks whether what is being written is done; call it often. Says what failed. @return 0, or -errno */
int watch_reports_look(struct watch_reports *reports);

/** @return the child that writes, 0: there is none */
pid_t watch_reports_child(const struct watch_reports *reports);

/** Gives up files that were not begun, and waits for one that is being written. NULL-safe. */
void watch_reports_free(struct watch_reports *reports);

#endif
