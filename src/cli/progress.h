/*
 * What the user sees of work that takes longer than a second: one line on standard error, written over.
 */
#ifndef LEFTOPEN_CLI_PROGRESS_H
#define LEFTOPEN_CLI_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Zeroed before the first call. */
struct progress {
	uint64_t started_ns; /* CLOCK_MONOTONIC */
	bool shown;
};

/**
 * Says how far the naming of stacks is, once that has taken a second. For build_options.progress.
 * @param context struct progress
 * @param done stacks that have names; 0 begins anew
 * @param total the line is ended before the last one
 */
void progress_show_naming(void *context, size_t done, size_t total);

#endif
