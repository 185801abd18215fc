/*
 * jit_name.c: names as compilers write them, and names that only look so.
 */
#include "symbols/jit_name.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define WHOLE NULL, "", 0, false
#define OWN   NULL, "", 0, true

static const struct {
	const char *name;
	const char *function; /* NULL: the whole name */
	const char *file;
	uint32_t line;
	bool is_runtime;
} names[] = {
        {"JS:*leakOne /tmp/leak.js:3:17", "leakOne", "/tmp/leak.js", 3, false},
        {"JS:~leakOne /tmp/leak.js:3:17", "leakOne", "/tmp/leak.js", 3, false},
        {"JS:^leakOne /tmp/leak.js:3:17", "leakOne", "/tmp/leak.js", 3, false},
        {"JS:+leakOne /tmp/leak.js:3:17", "leakOne", "/tmp/leak.js", 3, false},
        {"JS:leakOne /tmp/leak.js:3:17", "leakOne", "/tmp/leak.js", 3, false},
        {"LazyCompile:*leak /path/app.js:12", "leak", "/path/app.js", 12, false},
        {"LazyCompile:~Module._compile node:internal/modules/cjs/loader:1483:37", "Module._compile",
         "node:internal/modules/cjs/loader", 1483, false},
        {"JS:~ /srv/app.js:7:9", "<anonymous>", "/srv/app.js", 7, false},
        {"Eval:~ /srv/app.js:1:1", "<anonymous>", "/srv/app.js", 1, false},
        {"Script:~ /srv/app.js:1:1", "<anonymous>", "/srv/app.js", 1, false},
        {"JS:~get size /srv/my app.js:5:8", "get size", "/srv/my app.js", 5, false},
        {"JS:~f file:///srv/app.mjs:5:8", "f", "/srv/app.mjs", 5, false},
        {"JS:~f /srv/a:1:2/b.js:5:8", "f", "/srv/a:1:2/b.js", 5, false},
        {"py::leak_one:/srv/app.py", "leak_one", "/srv/app.py", 0, false},
        {"py::A.f.<locals>.g:<frozen os>", "A.f.<locals>.g", "<frozen os>", 0, false},
        {"py::f:a:b.py", "f", "a:b.py", 0, false},
        {"Builtin:DeoptimizationEntry_Eager", OWN},
        {"BytecodeHandler:Ldar", OWN},
        {"RegExp:^a+$", OWN},
        {"void Java::main(String[])", WHOLE},
        {"TRACE_1::leak.lua:12", WHOLE},
        {"JS:", WHOLE},
        {"JS:*", WHOLE},
        {"JS:*f", WHOLE},
        {"JS:*f ", WHOLE},
        {"JS:*f /srv/app.js", WHOLE},
        {"JS:*f /srv/app.js:", WHOLE},
        {"JS:*f /srv/app.js:x", WHOLE},
        {"JS:*f :1:1", WHOLE},
        {"JS:*f relative.js:1:1", WHOLE},
        {"JS:*f /srv/app.js:99999999999999999999", WHOLE},
        {"py::", WHOLE},
        {"py::f", WHOLE},
        {"py::f:", WHOLE},
        {"py:::/srv/app.py", WHOLE},
        {"", WHOLE},
};

Test(jit_name, names)
{
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct jit_name found;
		char function[128], file[128];

		jit_name_parse(names[i].name, &found);
		snprintf(function, sizeof(function), "%.*s", (int)found.function_bytes, found.function);
		snprintf(file, sizeof(file), "%.*s", (int)found.file_bytes, found.file);
		cr_expect_str_eq(function, names[i].function ? names[i].function : names[i].name, "%s: %s",
		                 names[i].name, function);
		cr_expect_str_eq(file, names[i].file, "%s: %s", names[i].name, file);
		cr_expect_eq(found.line, names[i].line, "%s: %u", names[i].name, found.line);
		cr_expect_eq(found.is_runtime, names[i].is_runtime, "%s", names[i].name);
	}
}
