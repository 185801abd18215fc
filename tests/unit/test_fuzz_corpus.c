/*
 * What the fuzzers begin from, and what they found once: each input of tests/fuzz/corpus again.
 */
#include <criterion/criterion.h>
#include <glob.h>
#include <stdio.h>

#include "../fuzz/perf_map_input.h"
#include "../fuzz/unwind_table_input.h"

TestSuite(fuzz_corpus, .timeout = 60);

/* Bytes in hexadecimal, with white space between them as it comes; for free(). */
static uint8_t *read_hexadecimal(const char *path, size_t *ret_bytes)
{
	FILE *file = fopen(path, "re");
	uint8_t *content = NULL;
	FILE *out = open_memstream((char **)&content, ret_bytes);
	unsigned byte = 0;

	cr_assert_not_null(file, "%s", path);
	while (fscanf(file, "%2x", &byte) == 1)
		fputc((int)byte, out);
	cr_assert(feof(file), "%s", path);
	fclose(file);
	fclose(out);
	return content;
}

static void replay(const char *pattern, void (*input)(const uint8_t *data, size_t bytes))
{
	glob_t found;

	cr_assert_eq(glob(pattern, 0, NULL, &found), 0);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		size_t bytes = 0;
		uint8_t *content = read_hexadecimal(found.gl_pathv[i], &bytes);

		input(content, bytes);
		free(content);
	}
	globfree(&found);
}

Test(fuzz_corpus, unwind_table)
{
	replay(SOURCE_DIR "/tests/fuzz/corpus/unwind_table/*.hex", unwind_table_input);
}

Test(fuzz_corpus, perf_map)
{
	replay(SOURCE_DIR "/tests/fuzz/corpus/perf_map/*.hex", perf_map_input);
}
