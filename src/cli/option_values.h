/*
 * Values of options: numbers, sizes, seconds, choices, process ids. A mistake is said on standard error.
 */
#ifndef LEFTOPEN_CLI_OPTION_VALUES_H
#define LEFTOPEN_CLI_OPTION_VALUES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "map_abi.h"

/**
 * Parses a whole number.
 * @param name of the option, for the message: "--top", "COUNT"
 * @return whether it is one between least and most
 */
bool option_values_number(const char *name, const char *text, unsigned long long least,
                          unsigned long long most, unsigned long long *ret_number);

/** Parses the size of a ring, "64K" or "16M". @return whether it is a power of two in the loader's range */
bool option_values_ring_size(const char *text, uint32_t *ret_bytes);

/**
 * Parses how many shards the ring has, which tests ask for by the environment variable LEFTOPEN_RING_SHARDS.
 * @param text NULL: as many as the CPUs need
 * @param ret_shards 0: that
 * @return whether it is a power of two in the loader's range
 */
bool option_values_ring_shards(const char *text, uint32_t *ret_shards);

/**
 * Parses what memos of stacks are used for, which tests ask for by the environment variable LEFTOPEN_MEMO:
 * "use", "off", "check" or "blind".
 * @param text NULL: use
 * @return whether it is one of them
 */
bool option_values_memo(const char *text, enum memo_mode *ret_mode);

/**
 * Parses seconds with at most nine decimals, "2" or "0.25".
 * @return whether it is that, and not less than least_ns
 */
bool option_values_seconds(const char *name, const char *text, uint64_t least_ns, uint64_t *ret_ns);

struct option_choice {
	const char *name;
	int value;
};

/** Parses one word of several. @return whether it is one of them */
bool option_values_choice(const char *name, const char *text, const struct option_choice *choices,
                          size_t count, int *ret_value);

/**
 * Parses process ids, "4711" or "4711,4712", and appends them to a list.
 * @param process_ids, count the list; grown by realloc(3)
 * @return whether they are that, and there was memory for them
 */
bool option_values_process_ids(const char *name, const char *text, uint32_t **process_ids, size_t *count);

#endif
