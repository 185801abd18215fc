/*
 * What a JIT compiler calls a piece of its code. See jit_name.h.
 */
#include "symbols/jit_name.h"

#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* What V8 compiled of a program's. */
static const char *const script_kinds[] = {"JS:", "LazyCompile:", "Function:", "Script:", "Eval:"};
/* What is V8's own: a regular expression's code is called by its matcher only. */
static const char *const runtime_kinds[] = {"Builtin:", "BytecodeHandler:", "Handler:", "Stub:", "RegExp:"};
/* With what a script's file begins, behind the space that ends the function's name. */
static const char *const file_beginnings[] = {"/", "node:", "file:///"};
/* Of a function without a name, and of a file's own code: as V8 calls both in a trace. */
static const char anonymous[] = "<anonymous>";

static bool begins_with(const char *text, const char *beginning)
{
	return !strncmp(text, beginning, strlen(beginning));
}

/* @return the beginning that the text has, or NULL */
static const char *find_beginning(const char *text, const char *const *beginnings, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (begins_with(text, beginnings[i]))
			return beginnings[i];
	return NULL;
}

/* Takes ":NUMBER" off the end of a text. @return whether it is there */
static bool take_number(const char *text, size_t *bytes, uint32_t *ret_number)
{
	uint64_t number = 0, factor = 1;
	size_t at = *bytes;

	while (at && text[at - 1] >= '0' && text[at - 1] <= '9' && *bytes - at < 9) {
		number += factor * (uint64_t)(text[--at] - '0');
		factor *= 10;
	}
	if (at == *bytes || !at || text[at - 1] != ':')
		return false;
	*bytes = at - 1;
	*ret_number = (uint32_t)number;
	return true;
}

/* @return whether that is a file, with its line and perhaps a column */
static bool parse_file(const char *text, struct jit_name *name)
{
	size_t bytes = strlen(text);
	uint32_t last, line;

	if (!find_beginning(text, file_beginnings, COUNT(file_beginnings)) ||
	    !take_number(text, &bytes, &last))
		return false;
	name->line = take_number(text, &bytes, &line) ? line : last;
	/* An absolute path is what all else calls a file of a disk. */
	name->file = begins_with(text, "file:///") ? text + strlen("file://") : text;
	name->file_bytes = bytes - (size_t)(name->file - text);
	return true;
}

/* @param rest behind the kind. @return whether it is as V8 writes it */
static bool parse_script(const char *rest, struct jit_name *name)
{
	const char *function = strchr("~^+*", *rest) && *rest ? rest + 1 : rest;

	for (const char *space = strchr(function, ' '); space; space = strchr(space + 1, ' ')) {
		if (!parse_file(space + 1, name))
			continue;
		name->function = space > function ? function : anonymous;
		name->function_bytes = space > function ? (size_t)(space - function) : strlen(anonymous);
		return true;
	}
	return false;
}

static bool parse_python(const char *rest, struct jit_name *name)
{
	const char *colon = strchr(rest, ':');

	if (!colon || colon == rest || !colon[1])
		return false;
	name->function = rest;
	name->function_bytes = (size_t)(colon - rest);
	name->file = colon + 1;
	name->file_bytes = strlen(colon + 1);
	return true;
}

void jit_name_parse(const char *name, struct jit_name *ret_name)
{
	const char *kind = find_beginning(name, script_kinds, COUNT(script_kinds));

	*ret_name = (struct jit_name){.function = name, .function_bytes = strlen(name), .file = ""};
	if (kind && parse_script(name + strlen(kind), ret_name))
		return;
	if (begins_with(name, "py::") && parse_python(name + strlen("py::"), ret_name))
		return;
	ret_name->is_runtime = find_beginning(name, runtime_kinds, COUNT(runtime_kinds));
}
