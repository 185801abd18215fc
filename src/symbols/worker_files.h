/*
 * Names of native code, asked of a worker: which file it has open, what it is given, and what becomes of a
 * file that ends it or keeps it busy. Inputs: open descriptors of files that anybody may have written; what
 * the worker says of them, which is believed as little. Outputs: names.
 */
#ifndef LEFTOPEN_SYMBOLS_WORKER_FILES_H
#define LEFTOPEN_SYMBOLS_WORKER_FILES_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "event_abi.h"
#include "symbols/native_name.h"
#include "symbols/wire.h"

/* A question has to be answered in so much time, opening the file included. */
#define WORKER_ANSWER_NS 10000000000ULL
/* In each report so much time is spent on questions that come to nothing: files are not asked of beyond it,
 * nor of those that were about to be. Chosen by: three files that are never answered for. */
#define WORKER_FAILED_NS 30000000000ULL
/* Names that one question may be answered with. Chosen by: a hundred times what a deep stack has. */
#define WORKER_NAME_BYTES_MAX ((size_t)16 << 20)

struct mapped_files;
struct worker_files;

struct worker_options {
	const char *argument; /* as worker_process_start() takes it */
	uint64_t answer_ns, failed_ns;
};

/* What leftopen itself uses. */
extern const struct worker_options worker_options_own;

struct place_names {
	struct native_name *names; /* innermost first, for native_names_free() */
	size_t count;              /* 0: the place has none */
};

/**
 * Makes what asks; a worker is started when it is needed.
 * @param files, options stay the caller's and must outlive it
 * @return 0, or -ENOMEM
 */
int worker_files_new(struct mapped_files *files, const struct worker_options *options,
                     struct worker_files **ret_files);

/** Ends the worker. NULL-safe. */
void worker_files_free(struct worker_files *files);

/** Begins a report: what was put off in the last one is asked again. */
void worker_files_begin(struct worker_files *files);

/**
 * Ends the worker; another is started when one is needed. For a process that is about to end, whose worker is
 * to be gone before it is.
 */
void worker_files_rest(struct worker_files *files);

/**
 * Names places of a file. A file at which the worker ends is asked once more, of a new one; one at which that
 * ends as well, or which takes more than answer_ns, is set aside for good.
 * @param path of the file, to find its debug information by
 * @param offsets in the file, behind the calls that are meant
 * @param count 1 to WIRE_PLACES_MAX
 * @param ret_names as many; all empty on failure
 * @return 0; -ENOENT: the file cannot be read, or was set aside; -EAGAIN: not in this report; -ENOMEM
 */
int worker_files_ask(struct worker_files *files, const struct file_key *key, const char *path,
                     const uint64_t *offsets, size_t count, struct place_names *ret_names);

/** @return files whose code has no names as the worker could not be asked: set aside, or put off in this
 * report
 */
uint64_t worker_files_unread(const struct worker_files *files);

/** @return the worker's process id; -1: there is none */
pid_t worker_files_process_id(const struct worker_files *files);

#endif
