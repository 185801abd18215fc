/*
 * What is learnt of files that processes run, as the kernel tells of them: the marks in them, the runtime
 * that they are, how their code is unwound. The programs are told at once, and do without until then.
 */
#ifndef LEFTOPEN_CLI_LEARNING_H
#define LEFTOPEN_CLI_LEARNING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "event_abi.h"
#include "load/loader.h"
#include "symbols/mapped_files.h"

/* Of 64 interpreters, the most that a machine has of all versions and copies. */
#define LEARNING_EVALUATORS_MAX 128

/* Where an interpreter's loop is in its file: all of it, or one of two parts. */
struct evaluator {
	struct file_key file;
	uint64_t offset, bytes;
};

struct evicted_file;

struct learning {
	struct loader *loader; /* the caller's, as is the next one */
	struct mapped_files *files;
	bool unwinds;      /* tables are made for unwinding */
	bool marks_later;  /* files that come are only looked at, and learnt when they come again */
	uint64_t not_kept; /* files that could not be learnt, or whose table made room for others' */
	struct evicted_file *evicted; /* all is learnt of them but how they are unwound */
	size_t evaluator_count;
	struct evaluator evaluators[LEARNING_EVALUATORS_MAX];
};

/**
 * Takes in a file that the programs tell of.
 * @return 0, also where it cannot be read or learnt; -ENOMEM; -errno of bpf(2)
 */
int learning_take(struct learning *learning, const struct event_file *event);

/** Has the programs tell again of a file whose table is gone; unwind_evicted_fn of struct learning. */
void learning_evicted(void *learning, const struct file_key *key);

/** Frees what it holds itself. */
void learning_clear(struct learning *learning);

/**
 * Makes known how the kernel's own code in each process is unwound, and what it is called: "[vdso]".
 * @return 0, also where this kernel has none or its table cannot be made; -ENOMEM; -errno of bpf(2)
 */
int learning_take_vdso(struct learning *learning);

/** @return whether a native frame is of an interpreter's evaluation; python_is_evaluation_fn of struct
 * learning
 */
bool learning_is_evaluation(const void *learning, const struct stack_frame *frame);

#endif
