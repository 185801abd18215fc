/*
 * The reports of `leftopen run`: opened before the command starts, written when it has ended.
 */
#ifndef LEFTOPEN_CLI_RUN_REPORTS_H
#define LEFTOPEN_CLI_RUN_REPORTS_H

#include <stdbool.h>
#include <sys/types.h>

struct launch_identity;
struct options;
struct run_reports;
struct snapshot;

/**
 * Opens every file that the options name, with the identity's rights. Says on standard error what cannot be
 * written.
 * @param options stay the caller's and must outlive the reports
 * @return 0, or -errno
 */
int run_reports_open(const struct options *options, const struct launch_identity *identity, pid_t process_id,
                     struct run_reports **ret_reports);

/** Writes all reports and puts the files in place. Says what failed. @return 0, or the first -errno */
int run_reports_write(struct run_reports *reports, const struct snapshot *snapshot);

/** Writes the text to standard error, for a look while the command runs. @return 0, or -errno */
int run_reports_show(struct run_reports *reports, const struct snapshot *snapshot);

/** @return whether the snapshot has a finding of the kind that --fail-on names */
bool run_reports_found(const struct run_reports *reports, const struct snapshot *snapshot);

/** Gives up files that were not written. NULL-safe. */
void run_reports_free(struct run_reports *reports);

#endif
