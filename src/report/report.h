/*
 * The registry of report formats: each takes a snapshot and an open stream, and knows nothing else.
 */
#ifndef LEFTOPEN_REPORT_REPORT_H
#define LEFTOPEN_REPORT_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct snapshot;

struct report_options {
	bool color;
	bool verbose;   /* whole stacks */
	bool quiet;     /* the verdict's two lines only, nothing where nothing was found */
	size_t top;     /* sites shown in text, 0: all */
	size_t samples; /* of each group in JSON, 0: all that the snapshot has */
	size_t columns; /* of the terminal, for tables; 0: none, and no line is cut */
};

struct report_format {
	const char *name; /* as in --format NAME and --NAME FILE */
	const char *help;
	/* @return 0, or -errno of the write that failed, -ENOMEM */
	int (*write)(const struct snapshot *snapshot, const struct report_options *options, FILE *stream);
};

/** All formats, ended by a row whose name is NULL. */
extern const struct report_format report_formats[];

/** @return the format of that name, or NULL: there is none */
const struct report_format *report_find(const char *name);

/** The text for people: the verdict, sites, stacks, cost. @return as of report_format.write */
int report_text_write(const struct snapshot *snapshot, const struct report_options *options, FILE *stream);

/** The JSON report, leftopen.report/1 (doc/report.schema.json). @return as of report_format.write */
int report_json_write(const struct snapshot *snapshot, const struct report_options *options, FILE *stream);

#endif
