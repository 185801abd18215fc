/*
 * Names of places in native code, kept, so that a report that is made again and again asks only for what is
 * new; and what is about to be asked for, so that a file's places are asked for together.
 * Inputs: frames of stacks. Outputs: names that worker_files.h gives.
 */
#ifndef LEFTOPEN_SYMBOLS_NATIVE_PLACES_H
#define LEFTOPEN_SYMBOLS_NATIVE_PLACES_H

#include <stddef.h>
#include <stdint.h>

#include "event_abi.h"
#include "symbols/native_name.h"

/* Places whose names are kept, and the memory of these: beyond either all are dropped. Chosen by: a large
 * program's stacks go through some ten thousand; 200 bytes each. */
#define NATIVE_PLACES_MAX      100000
#define NATIVE_PLACE_BYTES_MAX ((size_t)256 << 20)

struct native_places;
struct worker_files;

/** @param files stays the caller's and must outlive the places @return 0, or -ENOMEM */
int native_places_new(struct worker_files *files, struct native_places **ret_places);

/** NULL-safe. */
void native_places_free(struct native_places *places);

/**
 * Says that a place is going to be asked for. What is more than is kept is asked for by itself.
 * @return 0, or -ENOMEM
 */
int native_places_expect(struct native_places *places, const struct file_key *key, uint64_t offset);

/**
 * Names a place, and others of its file that are expected.
 * @param path of the file, to find its debug information by
 * @param offset in the file, behind the call that is meant
 * @param ret_names of the places, until the next call; innermost first
 * @param ret_count 0: it has none
 * @return 0, or -ENOMEM
 */
int native_places_find(struct native_places *places, const struct file_key *key, uint64_t offset,
                       const char *path, const struct native_name **ret_names, size_t *ret_count);

#endif
