/*
 * CPython's code objects, as the programs sent them: names and line tables of Python frames.
 * Inputs: validated events whose contents are of the process's choosing. Outputs: function, file, line.
 */
#ifndef LEFTOPEN_SYMBOLS_PYTHON_CODES_H
#define LEFTOPEN_SYMBOLS_PYTHON_CODES_H

#include <stdint.h>

#include "event_abi.h"

/* Code objects that are remembered, and bytes of them; frames of further ones stay without a name, counted.
 * Chosen by: four times the standard library's 93,000, and 1 KiB each, most being smaller. */
#define PYTHON_CODES_MAX       400000
#define PYTHON_CODES_BYTES_MAX ((size_t)PYTHON_CODES_MAX << 10)

struct python_codes;

/** @return 0, or -ENOMEM */
int python_codes_new(struct python_codes **ret_codes);

/** NULL-safe. */
void python_codes_free(struct python_codes *codes);

/**
 * Remembers a code object.
 * @param event validated: its size holds all before the line table
 * @return 0, also where it is known; -ENOSPC: PYTHON_CODES_MAX or PYTHON_CODES_BYTES_MAX are; -ENOMEM
 */
int python_codes_add(struct python_codes *codes, const struct event_python_code *event);

struct python_name {
	const char *function; /* qualified from 3.11 on; owned by the codes */
	const char *file;
	uint32_t line; /* 0: none */
};

/**
 * Names a place in a code object.
 * @param offset as python_line_find() takes it
 * @return 0; -ENOENT: that code object was never sent, or not kept
 */
int python_codes_name(const struct python_codes *codes, uint64_t id, int32_t offset,
                      struct python_name *ret_name);

#endif
