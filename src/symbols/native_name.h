/*
 * What native code is called: the records that dwarf_names.h and native.h give.
 * Inputs: none. Outputs: memory that is owned by whoever asked for the name.
 */
#ifndef LEFTOPEN_SYMBOLS_NATIVE_NAME_H
#define LEFTOPEN_SYMBOLS_NATIVE_NAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Chosen by: deepest inlining seen in optimised C++ is about 20. */
#define NATIVE_INLINE_MAX 64

struct native_name {
	char *function; /* demangled (C++, Rust), "" where unknown */
	char *file;     /* source file as the debug information has it made absolute, "" where unknown */
	uint32_t line;  /* 0 where unknown */
	bool inlined;   /* into the one that follows */
};

/** Frees an array of names and what they hold. NULL-safe. */
void native_names_free(struct native_name *names, size_t count);

#endif
