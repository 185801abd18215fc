/*
 * Names of code that is in no file, as JIT compilers make it: by the maps that its processes write into /tmp.
 * Inputs: events, in the ring's order; files of processes' choosing. Outputs: names that survive the process.
 * A file is opened as its process is first seen to run such code, and read as a report is made or the process
 * ends, each time in a thread that is waited for so long and no longer.
 */
#ifndef LEFTOPEN_SYMBOLS_GENERATED_CODE_H
#define LEFTOPEN_SYMBOLS_GENERATED_CODE_H

#include <stdint.h>

#include "event_abi.h"

/* Programs that are remembered, those that live and those with names that are gone, and addresses of each;
 * beyond these code has no name, counted. Chosen by: a build's thousand of node, and each call in a large
 * program. */
#define GENERATED_IMAGES_MAX    4096
#define GENERATED_ADDRESSES_MAX 16384
/* Bytes of all names. */
#define GENERATED_NAMES_MAX ((uint64_t)64 << 20)
/* Files that are kept open; others are opened as they are read. */
#define GENERATED_OPEN_MAX 256
/* So often a file that is not there is looked for while its process lives. */
#define GENERATED_TRIES_MAX 16
/* Files that are waited for in vain, after which none is asked for any more; and how long for each. */
#define GENERATED_LATE_MAX 3
#define GENERATED_LOOK_NS  1000000000ULL /* to open it */
#define GENERATED_READ_NS  4000000000ULL

struct generated_code;

/** @return 0, or -ENOMEM */
int generated_code_new(struct generated_code **ret_code);

/** NULL-safe. */
void generated_code_free(struct generated_code *code);

/**
 * Takes an event in: a stack, for the addresses in no file that it has, and a process's exec and exit, for
 * which what it is called then is read. Others are left out.
 * @param event validated
 * @return 0, also where no file is there or may be read; -ENOMEM
 */
int generated_code_take(struct generated_code *code, const struct event_header *event);

/** Reads the maps of all that live, where they have grown or more is asked for. @return 0, or -ENOMEM */
int generated_code_read(struct generated_code *code);

/**
 * @param frame native, of no file
 * @return its name as the map has it, any bytes; owned by `code`, until the next call of a function above;
 *	NULL: none is known
 */
const char *generated_code_name(const struct generated_code *code, const struct stack_frame *frame);

/** Forgets the programs that have ended. */
void generated_code_forget_ended(struct generated_code *code);

/** @return how many programs, addresses, names and parts of files were left out because of a maximum */
uint64_t generated_code_not_kept(const struct generated_code *code);

#endif
