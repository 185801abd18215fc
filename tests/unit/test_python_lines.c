/*
 * Line tables and strings of code objects, compared with what the interpreters say: Debian's python3.11 and
 * those below ~/.pyenv.
 */
#include "unwind/python_layout.h"

#include <criterion/criterion.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "build_folder.h"

#define LINE_TABLE_BYTES (1 << 20)

TestSuite(python_lines, .init = folder_make, .fini = folder_remove, .timeout = 300);

/* Compiles functions of every shape and some of the standard library, and prints of each code object
 *	code FIRST-LINE TABLE-IN-HEX
 *	FROM TO LINE	(offsets in the unit of python_line_find(), line 0: none)
 */
static const char script[] =
        "import dis, os, sys\n"
        "minor = sys.version_info[1]\n"
        "source = '''\n"
        "def calls(a, b):\n"
        "    return print(\n"
        "        a,\n"
        "        max(\n"
        "            b,\n"
        "            a),\n"
        "        sep=str(a)\n"
        "    ).real\n"
        "def loops(n):\n"
        "    for i in range(n):\n"
        "        while i:\n"
        "            i -= 1\n"
        "            if i == 3: continue\n"
        "            elif i > 9:\n"
        "                break\n"
        "        else:\n"
        "            n += 1\n"
        "    return [x for x in\n"
        "            (y for y in range(n) if y)\n"
        "            if x], {k: v\n"
        "                    for k, v in zip('a', 'b')}, lambda q: (\n"
        "        q +\n"
        "        n)\n"
        "def errors(f):\n"
        "    try:\n"
        "        with open(f) as g, \\\\\n"
        "             open(f) as h:\n"
        "            return g.read(\n"
        "                ) + h.read()\n"
        "    except (OSError,\n"
        "            ValueError) as e:\n"
        "        raise KeyError(\n"
        "            f) from e\n"
        "    finally:\n"
        "        print('done')\n"
        "async def later(x):\n"
        "    async with x as y:\n"
        "        async for z in y:\n"
        "            await z(\n"
        "                x)\n"
        "            yield z\n"
        "class Thing(\n"
        "        dict):\n"
        "    @property\n"
        "    def size(self):\n"
        "        \\\"\\\"\\\"Doc\\n"
        "        string.\\\"\\\"\\\"\n"
        "        def nested():\n"
        "            return self\n"
        "        return nested\n"
        "'''\n"
        "source += 'def far(a, b):\\n    x = a(' + '\\n' * 200 + 'b(),' + '\\n' * 400 + 'a' + '\\n)\\n' + "
        "'\\n' * 900 + '    return x\\n'\n"
        "source += 'def back(a):\\n    return a(' + ','.join('\\n' * (i * 50 % 331) + 'a(%d' % i + '\\n)' "
        "for i in range(40)) + ')\\n'\n"
        "source += 'def wide(a):\\n    x = [' + ', '.join('a[%d]' % i for i in range(900)) + ']\\n    return "
        "x\\n'\n"
        "source += 'def long(a):\\n' + ''.join('    a = a + %d%s' % (i, '\\n' * (1 + i % 5)) for i in "
        "range(3000)) + '    return a\\n'\n"
        "source += 'def leap(a):\\n    if a:' + '\\n' * 40000 + '        a = 1\\n    return a\\n'\n"
        "def show(code):\n"
        "    table = code.co_linetable if minor >= 10 else code.co_lnotab\n"
        "    print('code', code.co_firstlineno, table.hex() or '-')\n"
        "    if minor >= 10:\n"
        "        unit = 2 if minor == 10 else 1\n"
        "        for start, end, line in code.co_lines():\n"
        "            print(start // unit, end // unit, line or 0)\n"
        "    else:\n"
        "        starts = list(dis.findlinestarts(code)) + [(len(code.co_code), 0)]\n"
        "        for (start, line), (end, _) in zip(starts, starts[1:]):\n"
        "            print(start, end, line)\n"
        "    for constant in code.co_consts:\n"
        "        if hasattr(constant, 'co_code'):\n"
        "            show(constant)\n"
        "show(compile(source, 'shapes', 'exec'))\n"
        "folder = os.path.dirname(os.__file__)\n"
        "for name in ['argparse', 'inspect', 'typing', 'tarfile', 'asyncio/base_events', 'decimal', "
        "'pydoc_data/topics', '_pydecimal']:\n"
        "    path = os.path.join(folder, name + '.py')\n"
        "    if os.path.exists(path):\n"
        "        with open(path, encoding='utf-8') as file:\n"
        "            show(compile(file.read(), path, 'exec'))\n"
        "print('end')\n";

struct code {
	int32_t first_line;
	uint8_t *table;
	size_t bytes;
};

static size_t bytes_of_hex(const char *hex, uint8_t *ret_bytes)
{
	size_t count = 0;
	unsigned byte = 0;

	while (count < LINE_TABLE_BYTES && sscanf(hex + 2 * count, "%2x", &byte) == 1)
		ret_bytes[count++] = (uint8_t)byte;
	return count;
}

/* Every offset of a range has its line; the table ends where it ends, which the sanitizers watch. */
static size_t compare_range(uint32_t minor, const struct code *code, long from, long to, uint32_t line)
{
	size_t wrong = 0;
	long step = minor == 10 ? 1 : 2;

	for (long offset = from; offset < to; offset += step) {
		uint32_t found =
		        python_line_find(minor, code->first_line, code->table, code->bytes, (int32_t)offset);

		if (found != line && wrong++ < 3)
			cr_log_error("3.%u, code at line %d, offset %ld: %u, the interpreter says %u", minor,
			             code->first_line, offset, found, line);
	}
	return wrong;
}

static void compare_with_interpreter(const char *python, uint32_t minor)
{
	char *line = NULL;
	size_t size = 0;
	size_t wrong = 0;
	size_t codes = 0;
	size_t ranges = 0;
	struct code code = {0};
	uint8_t *buffer = malloc(LINE_TABLE_BYTES);
	FILE *output = NULL;

	folder_write("shapes.py", script, strlen(script));
	cr_assert_eq(folder_shell("'%s' -I shapes.py > lines", python), 0, "%s", python);
	output = fopen(folder_path("lines"), "re");
	while (getline(&line, &size, output) > 0 && strcmp(line, "end\n") != 0) {
		long from = 0;
		long to = 0;
		unsigned number = 0;
		int hex = 0;

		if (sscanf(line, "code %d %n", &code.first_line, &hex) == 1) {
			free(code.table);
			code.bytes = bytes_of_hex(line + hex, buffer);
			code.table = malloc(code.bytes);
			memcpy(code.table, buffer, code.bytes);
			cr_assert_eq(python_line_find(minor, code.first_line, code.table, code.bytes, -1),
			             code.first_line > 0 ? (uint32_t)code.first_line : 0);
			codes++;
			continue;
		}
		cr_assert_eq(sscanf(line, "%ld %ld %u", &from, &to, &number), 3, "%s", line);
		wrong += compare_range(minor, &code, from, to, number);
		ranges++;
	}
	cr_assert_eq(strcmp(line, "end\n"), 0);
	fclose(output);
	free(line);
	free(code.table);
	free(buffer);
	cr_log_info("%s: %zu code objects, %zu ranges", python, codes, ranges);
	cr_assert_gt(codes, 200);
	cr_assert_eq(wrong, 0, "%s", python);
}

Test(python_lines, as_debian_python)
{
	if (access("/usr/bin/python3.11", X_OK) != 0)
		cr_assert_fail("python3.11 is not installed");
	compare_with_interpreter("/usr/bin/python3.11", 11);
}

Test(python_lines, as_pyenv_pythons)
{
	char pattern[PATH_MAX];
	const char *home = getenv("HOME");
	glob_t found = {0};

	snprintf(pattern, sizeof(pattern), "%s/.pyenv/versions/3.*/bin/python3", home ? home : "/root");
	if (glob(pattern, 0, NULL, &found) != 0)
		cr_skip_test("no pyenv here");
	for (size_t i = 0; i < found.gl_pathc; i++) {
		uint32_t minor = (uint32_t)strtoul(strstr(found.gl_pathv[i], "/versions/3.") + 12, NULL, 10);

		if (python_layout_find(minor))
			compare_with_interpreter(found.gl_pathv[i], minor);
	}
	globfree(&found);
}

Test(python_lines, any_content)
{
	uint32_t state = 1;

	for (uint32_t minor = 0; minor < 20; minor++)
		for (int round = 0; round < 3000; round++) {
			size_t bytes = (size_t)round % 40;
			uint8_t *table = malloc(bytes);

			for (size_t i = 0; i < bytes; i++) {
				state = state * 1664525U + 1013904223U;
				table[i] = (uint8_t)(state >> 24);
			}
			(void)python_line_find(minor, (int32_t)state, table, bytes, (int32_t)(state >> 20));
			(void)python_line_find(minor, INT32_MAX, table, bytes, INT32_MAX);
			(void)python_line_find(minor, INT32_MIN, table, bytes, INT32_MIN);
			free(table);
		}
	cr_assert_eq(python_line_find(9, 7, NULL, 0, 0), 7);
	cr_assert_eq(python_line_find(10, 7, NULL, 0, 0), 0);
	cr_assert_eq(python_line_find(11, 7, NULL, 0, 0), 0);
	cr_assert_eq(python_line_find(11, -7, NULL, 0, -1), 0);
}

Test(python_lines, strings)
{
	static const struct {
		const char *data;
		size_t bytes;
		uint32_t length;
		uint32_t kind;
		const char *expected;
	} cases[] = {
	        {"main", 4, 4, 1, "main"},
	        {"", 0, 0, 1, ""},
	        {"caf\xe9 \x7f\x80\xff", 8, 8, 1, "caf\xc3\xa9 \x7f\xc2\x80\xc3\xbf"},
	        {"a\0\xe9\0\x3b\x26\xff\xff", 8, 4, 2, "a\xc3\xa9\xe2\x98\xbb\xef\xbf\xbf"},
	        {"\xff\x07\0\x08", 4, 2, 2, "\xdf\xbf\xe0\xa0\x80"},
	        {"a\0\0\0\x00\xf6\x01\0\xff\xff\x10\0", 12, 3, 4, "a\xf0\x9f\x98\x80\xf4\x8f\xbf\xbf"},
	        /* Surrogates as os.fsdecode() makes them, and a pair, which CPython does not join. */
	        {"\x80\xdc", 2, 1, 2, "\xed\xb2\x80"},
	        {"\x3d\xd8\x00\xde", 4, 2, 2, "\xed\xa0\xbd\xed\xb8\x80"},
	        {"\x00\xd8\0\0", 4, 1, 4, "\xed\xa0\x80"},
	        /* Cut, with half a character left. */
	        {"abc", 3, 1000, 1, "abc"},
	        {"a\0b", 3, 2, 2, "a"},
	        {"a\0\0\0b\0\0", 7, UINT32_MAX, 4, "a"},
	        {"abc", 3, 2, 1, "ab"},
	        /* What no Python string of a name has. */
	        {"a\0b", 3, 3, 1,
	         "a\xef\xbf\xbd"
	         "b"},
	        {"\0\0\x11\0", 4, 1, 4, "\xef\xbf\xbd"},
	        {"\xff\xff\xff\xff", 4, 1, 4, "\xef\xbf\xbd"},
	        {"abc", 3, 3, 0, "?"},
	        {"abc", 3, 3, 3, "?"},
	        {"abc", 3, 3, 8, "?"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		/* A copy of exactly that size, so that the sanitizers see a byte too many. */
		char *data = malloc(cases[i].bytes);
		char *string = NULL;

		memcpy(data, cases[i].data, cases[i].bytes);
		string = python_string_decode(data, cases[i].bytes, cases[i].length, cases[i].kind);
		cr_assert_str_eq(string, cases[i].expected, "case %zu: %s", i, string);
		free(string);
		free(data);
	}
}
