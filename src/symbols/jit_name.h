/*
 * What a JIT compiler calls a piece of its code: function, file and line, where it says them in a way that is
 * known. Inputs: a name of a process's choosing. Outputs: parts of it.
 */
#ifndef LEFTOPEN_SYMBOLS_JIT_NAME_H
#define LEFTOPEN_SYMBOLS_JIT_NAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct jit_name {
	const char *function; /* in the name, not terminated; or V8's "<anonymous>" */
	size_t function_bytes;
	const char *file; /* the same; "" where unknown */
	size_t file_bytes;
	uint32_t line;   /* where the function begins; 0: unknown */
	bool is_runtime; /* it is the engine's own code, not what a program gave it to compile */
};

/**
 * Takes a name apart. V8 writes "JS:*leak /srv/app.js:12:7" (before: "LazyCompile:"), the mark telling the
 * compiler, and CPython "py::leak:/srv/app.py"; any other name is a function's, as it is.
 * @param name terminated, any bytes; the result points into it
 * @source v8/src/objects/code-kind.cc, CodeKindToMarker; v8/src/logging/log.cc, Logger::CodeCreateEvent;
 *	CPython 3.12 Python/perf_trampoline.c, perf_map_write_entry
 */
void jit_name_parse(const char *name, struct jit_name *ret_name);

#endif
