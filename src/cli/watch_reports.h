/*
 * The reports of `leftopen watch`: a table at each interval, and a JSON file that is replaced whole.
 */
#ifndef LEFTOPEN_CLI_WATCH_REPORTS_H
#define LEFTOPEN_CLI_WATCH_REPORTS_H

#include "report/watch_table.h"

struct options;
struct snapshot;
struct watch_reports;

/**
 * Opens every file that the options name, with the rights of whoever called leftopen. Says on standard error
 * what cannot be written.
 * @param options stay the caller's and must outlive the reports
 * @return 0, or -errno
 */
int watch_reports_open(const struct options *options, struct watch_reports **ret_reports);

/** Writes the next reports. Says what failed. @return 0, or the first -errno */
int watch_reports_write(struct watch_reports *reports, const struct snapshot *snapshot,
                        const struct watch_notes *notes);

/** Gives up files that were not written. NULL-safe. */
void watch_reports_free(struct watch_reports *reports);

#endif
