/*
 * escape.c: nothing that a terminal obeys and nothing that JSON cannot hold gets through.
 */
#include <criterion/criterion.h>

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/escape.h"

struct example {
	const char *bytes;
	size_t length;
	const char *expected;
};

#define EXAMPLE(literal, expected)                     \
	{                                              \
		literal, sizeof(literal) - 1, expected \
	}

static void check_terminal(const struct example *example)
{
	char *text = escape_for_terminal(example->bytes, example->length);

	cr_assert_str_eq(text, example->expected);
	free(text);
}

Test(escape, terminal_text_stays)
{
	static const struct example examples[] = {
	        EXAMPLE("", ""),
	        EXAMPLE("/tmp/app.db", "/tmp/app.db"),
	        EXAMPLE("%s%n 100%", "%s%n 100%"),
	        EXAMPLE("<b onclick='x'>&amp;\"", "<b onclick='x'>&amp;\""),
	        EXAMPLE("na\xc3\xafve \xe6\x97\xa5\xe6\x9c\xac \xf0\x9f\x90\x8d",
	                "na\xc3\xafve \xe6\x97\xa5\xe6\x9c\xac \xf0\x9f\x90\x8d"),
	};

	for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++)
		check_terminal(&examples[i]);
}

Test(escape, terminal_controls)
{
	static const struct example examples[] = {
	        EXAMPLE("\033[31mred\033[0m", "\\e[31mred\\e[0m"),
	        EXAMPLE("\033]0;title\007", "\\e]0;title\\x07"),
	        EXAMPLE("a\nb\tc\rd", "a\\nb\\tc\\x0dd"),
	        EXAMPLE("a\0b", "a\\x00b"),
	        EXAMPLE("\x7f", "\\x7f"),
	        EXAMPLE("back\\slash \\x1b", "back\\\\slash \\\\x1b"),
	        EXAMPLE("\xc2\x9b"
	                "31m",
	                "\\u{009b}31m"),
	        EXAMPLE("\xc2\x80\xc2\x9f\xc2\xa0", "\\u{0080}\\u{009f}\xc2\xa0"),
	        EXAMPLE("\xd8\x9c", "\\u{061c}"),
	        EXAMPLE("\xe2\x80\x8e\xe2\x80\x8f", "\\u{200e}\\u{200f}"),
	        EXAMPLE("\xe2\x80\xa8\xe2\x80\xa9", "\\u{2028}\\u{2029}"),
	        EXAMPLE("\xe2\x80\xaa\xe2\x80\xae"
	                "gpj.exe",
	                "\\u{202a}\\u{202e}gpj.exe"),
	        EXAMPLE("\xe2\x81\xa6\xe2\x81\xa9", "\\u{2066}\\u{2069}"),
	};

	for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++)
		check_terminal(&examples[i]);
}

static const struct example invalid_examples[] = {
        EXAMPLE("\xff", "\\xff"),
        EXAMPLE("a\x80z", "a\\x80z"),
        EXAMPLE("\xc3", "\\xc3"),
        EXAMPLE("\xc3(", "\\xc3("),
        EXAMPLE("\xe6\x97", "\\xe6\\x97"),
        EXAMPLE("\xe6\x97"
                "a",
                "\\xe6\\x97a"),
        EXAMPLE("\xf0\x9f\x90", "\\xf0\\x9f\\x90"),
        EXAMPLE("\xc0\xaf", "\\xc0\\xaf"),                            /* overlong / */
        EXAMPLE("\xe0\x80\xaf", "\\xe0\\x80\\xaf"),                   /* overlong / */
        EXAMPLE("\xf0\x80\x80\xaf", "\\xf0\\x80\\x80\\xaf"),          /* overlong / */
        EXAMPLE("\xed\xa0\x80", "\\xed\\xa0\\x80"),                   /* surrogate */
        EXAMPLE("\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"),          /* beyond U+10FFFF */
        EXAMPLE("\xf8\x88\x80\x80\x80", "\\xf8\\x88\\x80\\x80\\x80"), /* five bytes */
};

Test(escape, invalid_utf8_alike_in_both)
{
	for (size_t i = 0; i < sizeof(invalid_examples) / sizeof(invalid_examples[0]); i++) {
		const struct example *example = &invalid_examples[i];
		bool marked = false;
		char *text = escape_for_json(example->bytes, example->length, &marked);

		check_terminal(example);
		cr_assert_str_eq(text, example->expected);
		cr_assert(marked);
		free(text);
	}
}

Test(escape, json_keeps_what_is_valid)
{
	static const char valid[] = "\033[0m\n\t\\ \xc2\x9b \xe2\x80\xae \xf4\x8f\xbf\xbf \xef\xbf\xbf";
	bool marked = true;
	char *text = escape_for_json(valid, sizeof(valid) - 1, &marked);

	cr_assert_str_eq(text, valid);
	cr_assert_not(marked);
	free(text);
}

Test(escape, json_marks_nul)
{
	bool marked = false;
	char *text = escape_for_json("a\0b", 3, &marked);

	cr_assert_str_eq(text, "a\\x00b");
	cr_assert(marked);
	free(text);
}

Test(escape, json_without_mark_wanted)
{
	char *text = escape_for_json("\xfe", 1, NULL);

	cr_assert_str_eq(text, "\\xfe");
	free(text);
}

Test(escape, length_is_obeyed)
{
	char unterminated[] = {'a', 'b', '\xe6', '\x97', '\xa5'};
	char *text = escape_for_terminal(unterminated, 4);

	cr_assert_str_eq(text, "ab\\xe6\\x97");
	free(text);
}

Test(escape, impossible_length)
{
	cr_assert_null(escape_for_terminal("", SIZE_MAX));
	cr_assert_null(escape_for_json("", SIZE_MAX / 4 + 1, NULL));
}

/* Every pair of bytes: the output has no control, is what the other function gives but for controls, and
 * ends. */
Test(escape, all_pairs)
{
	for (unsigned int pair = 0; pair < 65536; pair++) {
		char bytes[2] = {(char)(pair >> 8), (char)(pair & 0xff)};
		char *text = escape_for_terminal(bytes, sizeof(bytes));

		for (const char *c = text; *c; c++)
			cr_assert((unsigned char)*c >= 0x20 && *c != 0x7f);
		cr_assert_not(strncmp(text, "\xc2", 1) == 0 && (unsigned char)text[1] < 0xa0);
		free(text);
	}
}
