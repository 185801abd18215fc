/*
 * Strings made safe for a terminal and for JSON.
 * Inputs: bytes of a stranger's choosing. Outputs: valid UTF-8 without anything that a terminal obeys, or
 * without anything that JSON cannot hold. Trust: none.
 */
#include "base/escape.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Chosen by: \xNN for a byte and \u{0080} for the two bytes of a C1 control are both four times as long. */
#define GROWTH_MAX 4

struct escape_buffer {
	char *text;
	size_t length;
};

static int buffer_reserve(struct escape_buffer *buffer, size_t length)
{
	size_t bytes;

	if (__builtin_mul_overflow(length, (size_t)GROWTH_MAX, &bytes) ||
	    __builtin_add_overflow(bytes, 1, &bytes))
		return -1;
	buffer->text = malloc(bytes);
	buffer->length = 0;
	return buffer->text ? 0 : -1;
}

static void buffer_add(struct escape_buffer *buffer, const void *bytes, size_t length)
{
	memcpy(buffer->text + buffer->length, bytes, length);
	buffer->length += length;
}

static void buffer_add_byte(struct escape_buffer *buffer, unsigned char byte)
{
	static const char digits[] = "0123456789abcdef";
	const char text[] = {'\\', 'x', digits[byte >> 4], digits[byte & 15]};

	buffer_add(buffer, text, sizeof(text));
}

static void buffer_add_code(struct escape_buffer *buffer, uint32_t code)
{
	char text[16];
	int length = snprintf(text, sizeof(text), "\\u{%04x}", code);

	buffer_add(buffer, text, (size_t)length);
}

static char *buffer_finish(struct escape_buffer *buffer)
{
	char *shrunk;

	buffer->text[buffer->length] = '\0';
	shrunk = realloc(buffer->text, buffer->length + 1);
	return shrunk ? shrunk : buffer->text;
}

static bool is_continuation(unsigned char byte)
{
	return (byte & 0xc0) == 0x80;
}

/*
 * The length of the well-formed sequence that begins here, 0 where there is none: overlong forms, surrogates
 * and what is beyond U+10FFFF are not well-formed (Unicode 15, table 3-7).
 */
static size_t utf8_decode(const unsigned char *bytes, size_t left, uint32_t *ret_code)
{
	static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
	unsigned char lead = bytes[0];
	size_t length = lead < 0x80   ? 1
	                : lead < 0xc0 ? 0
	                : lead < 0xe0 ? 2
	                : lead < 0xf0 ? 3
	                : lead < 0xf8 ? 4
	                              : 0;
	uint32_t code;

	if (length == 0 || length > left)
		return 0;
	code = length == 1 ? lead : lead & (0x7fU >> length);
	for (size_t i = 1; i < length; i++) {
		if (!is_continuation(bytes[i]))
			return 0;
		code = code << 6 | (bytes[i] & 0x3fU);
	}
	if (code < smallest[length] || (code >= 0xd800 && code <= 0xdfff) || code > 0x10ffff)
		return 0;
	*ret_code = code;
	return length;
}

/* Controls that are more than one byte in UTF-8: C1, bidirectional (UAX #9), line and paragraph separators.
 */
static bool is_wide_control(uint32_t code)
{
	return (code >= 0x80 && code <= 0x9f) || code == 0x061c || code == 0x200e || code == 0x200f ||
	       (code >= 0x2028 && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
}

static void add_ascii_for_terminal(struct escape_buffer *buffer, unsigned char byte)
{
	switch (byte) {
	case '\n':
		buffer_add(buffer, "\\n", 2);
		break;
	case '\t':
		buffer_add(buffer, "\\t", 2);
		break;
	case 0x1b:
		buffer_add(buffer, "\\e", 2);
		break;
	case '\\':
		buffer_add(buffer, "\\\\", 2);
		break;
	default:
		if (byte < 0x20 || byte == 0x7f)
			buffer_add_byte(buffer, byte);
		else
			buffer_add(buffer, &byte, 1);
	}
}

char *escape_for_terminal(const char *bytes, size_t length)
{
	const unsigned char *input = (const unsigned char *)bytes;
	struct escape_buffer buffer;

	if (buffer_reserve(&buffer, length) < 0)
		return NULL;
	for (size_t at = 0, step; at < length; at += step) {
		uint32_t code = 0;

		step = utf8_decode(input + at, length - at, &code);
		if (step == 0) {
			step = 1;
			buffer_add_byte(&buffer, input[at]);
		} else if (step == 1) {
			add_ascii_for_terminal(&buffer, input[at]);
		} else if (is_wide_control(code)) {
			buffer_add_code(&buffer, code);
		} else {
			buffer_add(&buffer, input + at, step);
		}
	}
	return buffer_finish(&buffer);
}

char *escape_for_json(const char *bytes, size_t length, bool *ret_marked)
{
	const unsigned char *input = (const unsigned char *)bytes;
	struct escape_buffer buffer;
	bool marked = false;

	if (buffer_reserve(&buffer, length) < 0)
		return NULL;
	for (size_t at = 0, step; at < length; at += step) {
		uint32_t code = 0;

		step = utf8_decode(input + at, length - at, &code);
		if (step == 0 || code == 0) {
			step = 1;
			marked = true;
			buffer_add_byte(&buffer, input[at]);
		} else {
			buffer_add(&buffer, input + at, step);
		}
	}
	if (ret_marked)
		*ret_marked = marked;
	return buffer_finish(&buffer);
}
