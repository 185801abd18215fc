/*
 * Names of C++ and Rust functions, by libiberty's demanglers.
 * Inputs: names that anybody may have chosen; a name of 200 bytes can expand to gigabytes, so the demangler
 * is left as soon as it has given as much as is shown. Outputs: strings of bounded length.
 */
#include "symbols/demangle.h"

#include <libiberty/demangle.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

struct demangle_output {
	jmp_buf full;
	size_t length;
	char text[DEMANGLE_NAME_MAX + 1];
};

static void demangle_append(const char *part, size_t length, void *opaque)
{
	struct demangle_output *output = opaque;
	size_t room = DEMANGLE_NAME_MAX - output->length;
	bool cut = length > room;

	if (cut)
		length = room;
	memcpy(output->text + output->length, part, length);
	output->length += length;
	output->text[output->length] = '\0';
	/* The callback variants keep their state on the stack (libiberty cp-demangle.c, d_demangle_callback),
	 * so jumping over them leaks nothing. */
	if (cut)
		longjmp(output->full, 1);
}

char *demangle(const char *name)
{
	struct demangle_output output;
	int options = DMGL_PARAMS | DMGL_ANSI | DMGL_AUTO;

	/* Legacy Rust names are valid C++ names too: Rust is asked first, as cplus_demangle() does. */
	if (name[0] != '_' || strnlen(name, DEMANGLE_NAME_MAX + 1) > DEMANGLE_NAME_MAX)
		return NULL;
	output.length = 0;
	output.text[0] = '\0';
	if (setjmp(output.full))
		return strdup(output.text);
	if (rust_demangle_callback(name, options, demangle_append, &output) && output.length)
		return strdup(output.text);
	output.length = 0;
	if (cplus_demangle_v3_callback(name, options, demangle_append, &output) && output.length)
		return strdup(output.text);
	return NULL;
}

char *demangle_or_copy(const char *name)
{
	char *demangled = demangle(name);

	return demangled ? demangled : strndup(name, DEMANGLE_NAME_MAX);
}
