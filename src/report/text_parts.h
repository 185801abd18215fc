/*
 * The parts that the text report is put together from; private to src/report/text*.c.
 * All of them write to a stream in memory, so that the only error is a lack of it, which is kept in the
 * output and looked at once, by report_text_write().
 */
#ifndef LEFTOPEN_REPORT_TEXT_PARTS_H
#define LEFTOPEN_REPORT_TEXT_PARTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct report_options;
struct snapshot;
struct snapshot_group;
struct snapshot_location;
struct snapshot_process;
struct snapshot_site;
struct snapshot_stack;

struct text_output {
	FILE *stream; /* in memory */
	const struct snapshot *snapshot;
	const struct report_options *options;
	bool out_of_memory;
};

enum text_color {
	TEXT_COLOR_NONE = 0,
	TEXT_COLOR_LEAK,
	TEXT_COLOR_LEFT_OPEN,
	TEXT_COLOR_DIM,
	TEXT_COLOR_COUNT
};

/* text.c */

/** Writes a text and flushes. @return 0, or -errno */
int text_write_whole(FILE *stream, const char *text, size_t length);

/* text_print.c: numbers, strings of strangers, names of things. */

/** @return how many items of a list are shown: at most the limit, and all where the options say verbose */
size_t text_limit_shown(const struct text_output *output, size_t total, size_t limit);

/** @return the group that a site lists at that index */
const struct snapshot_group *text_group_at(const struct text_output *output, const struct snapshot_site *site,
                                           size_t index);

/** Begins a colour; nothing where colours are not wanted. */
void text_print_color(struct text_output *output, enum text_color color);

/** Ends what text_print_color() began with that colour. */
void text_print_color_end(struct text_output *output, enum text_color color);

/** Prints a number with thousands separators, whatever the locale: 12,345. */
void text_print_number(struct text_output *output, uint64_t number);

/** Prints a count of things: "1 mapping", "12,345 mappings". */
void text_print_count(struct text_output *output, uint64_t count, const char *singular, const char *plural);

/**
 * Prints a figure with at most that many decimals, none of them a trailing zero.
 * @param value anything; what is negative, infinite or not a number is printed as 0
 */
void text_print_decimal(struct text_output *output, double value, unsigned int decimals);

/** Prints a size: "512 bytes", "4.5 KiB", "23 MiB". */
void text_print_bytes(struct text_output *output, uint64_t bytes);

/** Prints a string of a stranger: escaped, its middle left out where it is very long. */
void text_print_foreign(struct text_output *output, const char *string);

/** The same for bytes that are not terminated. */
void text_print_foreign_bytes(struct text_output *output, const char *bytes, size_t length);

/** @return whether a byte goes on with a character that began before it, in UTF-8 */
bool text_is_continuation(char byte);

/** Prints a path, relative to the run's working directory where it is below it. */
void text_print_path(struct text_output *output, const char *path);

/** @return the part of a path after its last slash; the path itself where nothing follows that */
const char *text_path_basename(const char *path);

/** Prints a process: "pytest (pid 4711)", and the signal that killed it. */
void text_print_process(struct text_output *output, const struct snapshot_process *process);

/** @return what a process is called: its comm, else its executable's name, else "a program without a name" */
const char *text_process_name(const struct snapshot_process *process);

/**
 * Prints where code is: "file:line in function", or "function in file" where the line is not known.
 * @param file of the source, or the ELF file where that is not known; "" where neither is
 * @return false: nothing is known, and nothing printed
 */
bool text_print_code(struct text_output *output, const char *file, uint32_t line, const char *function);

/** Prints a place of a site, as text_print_code() does, or whose unknown place it is. */
void text_print_place(struct text_output *output, const struct snapshot_site *site,
                      const struct snapshot_location *location);

/** Prints what is held: "180 descriptors and 60 mappings (1.9 MiB)". */
void text_print_holding(struct text_output *output, uint64_t fds, uint64_t maps, uint64_t bytes);

/** Prints " and 57 more" where not all of a list was shown. */
void text_print_more(struct text_output *output, size_t shown, size_t total);

/**
 * Prints what each test adds to a site: "+3 a test", "+1 mapping a test".
 * @return whether there was anything to print: several tests made it
 */
bool text_print_per_test(struct text_output *output, const struct snapshot_site *site);

/** Prints growth after a comma: ", +3 a test" where tests are known, else ", growing by 12 a minute"; or
 * nothing. */
void text_print_growth(struct text_output *output, const struct snapshot_site *site);

/* text_verdict.c */

/** @return whether there is something to say even where only findings are wanted */
bool text_verdict_is_notable(const struct snapshot *snapshot);

/** Prints the verdict: one line, and a second that names the worst place where there is one. */
void text_verdict_print(struct text_output *output);

/** Prints the reasons for which a run was not followed completely, at most that many of them. */
void text_verdict_print_reasons(struct text_output *output, size_t reasons_max);

/* text_sites.c */

/** Prints all sites in the snapshot's order, as far as the options want them. */
void text_sites_print(struct text_output *output);

/* text_targets.c: what the handles of a site refer to, names of one shape folded together. */

/** Prints a line for each type of handle: "file (180): app-*.db (60), ...", each after the indentation but
 * the first. */
void text_targets_print(struct text_output *output, const struct snapshot_site *site,
                        const char *indentation);

/** Prints the shapes alone, in parentheses and with a space before: " (app.db, app.db-wal)"; nothing where
 * none is known. */
void text_targets_print_brief(struct text_output *output, const struct snapshot_site *site);

/* text_stack.c */

/**
 * Prints a stack, a frame a line: application frames and the site's own, runs of others folded to one line;
 * all of them where the options say verbose.
 * @param site may be NULL
 */
void text_stack_print(struct text_output *output, const struct snapshot_stack *stack,
                      const struct snapshot_site *site, const char *indentation);

#endif
