/*
 * The options of `leftopen run`: one table for parsing and for --help.
 */
#ifndef LEFTOPEN_CLI_OPTIONS_H
#define LEFTOPEN_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "load/loader.h"

#define OPTIONS_APP_MAX 64

enum fail_on { FAIL_ON_LEAK = 0, FAIL_ON_LEFT_OPEN };
enum color_mode { COLOR_AUTO = 0, COLOR_ALWAYS, COLOR_NEVER };

struct run_options {
	struct loader_options loader;
	const char *json;     /* file, NULL: none */
	const char *log_file; /* for the text report, NULL: standard error */
	size_t top;
	uint64_t min_count;
	size_t samples;
	const char *app[OPTIONS_APP_MAX];
	size_t app_count;
	int error_exitcode; /* 0: CMD's */
	enum fail_on fail_on;
	bool as_root;
	const char *user;
	bool quiet, verbose;
	enum color_mode color;
	char **command; /* ended by NULL; points into argv */
	size_t command_count;
};

enum options_outcome { OPTIONS_RUN = 0, OPTIONS_DONE, OPTIONS_USAGE };

/**
 * Parses the arguments of `leftopen run`; prints help to standard output and mistakes to standard error.
 * @param argv argv[0] is "run"
 * @return OPTIONS_RUN: go on; OPTIONS_DONE: help was printed, exit 0; OPTIONS_USAGE: a mistake, or help that
 * could not be printed, exit 125
 */
enum options_outcome options_parse_run(int argc, char **argv, struct run_options *ret_options);

#endif
