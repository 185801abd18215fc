/*
 * The options of the commands that follow processes: one table for parsing and for --help.
 */
#ifndef LEFTOPEN_CLI_OPTIONS_H
#define LEFTOPEN_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "cli/selection.h"
#include "load/loader.h"

#define OPTIONS_APP_MAX 64

/* The shortest INTERVAL of watch. Chosen by: a snapshot and a table of a busy machine take tens of
 * milliseconds. */
#define OPTIONS_INTERVAL_NS_MIN     100000000ULL
#define OPTIONS_INTERVAL_NS_DEFAULT 2000000000ULL

/* Each a bit: a row of the table says for which of them it is. */
enum options_command { OPTIONS_OF_RUN = 1, OPTIONS_OF_WATCH = 2 };

enum fail_on { FAIL_ON_LEAK = 0, FAIL_ON_LEFT_OPEN };
enum color_mode { COLOR_AUTO = 0, COLOR_ALWAYS, COLOR_NEVER };

/** What was asked for. Strings point into argv. */
struct options {
	struct loader_options loader;
	const char *json;     /* file, NULL: none */
	const char *log_file; /* for the text, NULL: standard error of run, standard output of watch */
	size_t top;
	uint64_t min_count;
	size_t samples;
	const char *app[OPTIONS_APP_MAX];
	size_t app_count;
	bool inherited; /* list what was there before, or was handed down, in JSON */
	bool quiet, verbose;
	enum color_mode color;
	/* run */
	int error_exitcode; /* 0: CMD's */
	enum fail_on fail_on;
	bool as_root;
	const char *user;
	char **command; /* ended by NULL */
	size_t command_count;
	/* watch */
	struct selection selection;
	uint64_t interval_ns;
	uint64_t count; /* 0: until a signal ends it */
};

enum options_outcome { OPTIONS_GO_ON = 0, OPTIONS_DONE, OPTIONS_USAGE };

/**
 * Parses the arguments of a command; prints help to standard output and mistakes to standard error.
 * @param argv argv[0] is the command's name
 * @param ret_options for options_clear(), filled in on OPTIONS_GO_ON only
 * @return OPTIONS_GO_ON; OPTIONS_DONE: help was printed, exit 0; OPTIONS_USAGE: a mistake, or help that could
 *	not be printed, exit 125
 */
enum options_outcome options_parse(enum options_command command, int argc, char **argv,
                                   struct options *ret_options);

/** Frees what the options own. */
void options_clear(struct options *options);

#endif
