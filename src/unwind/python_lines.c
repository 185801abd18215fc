/*
 * What is inside CPython's code objects: line tables and strings.
 * Inputs: copies of a process's memory, of any content, perhaps cut. Outputs: line numbers and UTF-8.
 */
#include "unwind/python_layout.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Codes of a location table's entries (CPython 3.11 Include/internal/pycore_code.h, _PyCodeLocationInfoKind).
 */
#define LOCATION_ONE_LINE_0 10
#define LOCATION_ONE_LINE_2 12
#define LOCATION_NO_COLUMNS 13
#define LOCATION_LONG       14
#define LOCATION_NONE       15

/* Of a pair of 3.10: this range has no line (Objects/lnotab_notes.txt). */
#define LINE_DELTA_NONE (-128)

#define REPLACEMENT_CHARACTER 0xfffdU

/* A table of any content can lead anywhere. */
static uint32_t line_checked(int64_t line)
{
	return line > 0 && line <= INT32_MAX ? (uint32_t)line : 0;
}

/* Up to 3.9: pairs of (offset, line) increments, lines signed (Objects/lnotab_notes.txt, PyCode_Addr2Line).
 */
static uint32_t line_of_lnotab(int64_t line, const uint8_t *table, size_t table_bytes, int64_t offset)
{
	int64_t address = 0;

	for (size_t i = 0; i + 1 < table_bytes; i += 2) {
		address += table[i];
		if (address > offset)
			break;
		line += (int8_t)table[i + 1];
	}
	return line_checked(line);
}

/* 3.10: pairs of (range's length, line increment) (Objects/codeobject.c, advance). */
static uint32_t line_of_pairs(int64_t line, const uint8_t *table, size_t table_bytes, int64_t offset)
{
	int64_t end = 0;

	for (size_t i = 0; i + 1 < table_bytes; i += 2) {
		int8_t delta = (int8_t)table[i + 1];

		end += table[i];
		if (delta != LINE_DELTA_NONE)
			line += delta;
		if (offset < end)
			return delta == LINE_DELTA_NONE ? 0 : line_checked(line);
	}
	return 0;
}

/* Six bits a byte, lowest first, bit 6 says that more follow; the lowest bit of the number is its sign. */
static int64_t signed_varint(const uint8_t *table, size_t table_bytes, size_t at)
{
	uint64_t value = 0;

	for (unsigned shift = 0; at < table_bytes && shift < 36; shift += 6) {
		uint8_t byte = table[at++];

		value |= (uint64_t)(byte & 63) << shift;
		if (!(byte & 64))
			break;
	}
	return value & 1 ? -(int64_t)(value >> 1) : (int64_t)(value >> 1);
}

/* From 3.11: entries that begin with a byte whose bit 7 is set (Objects/locations.md). */
static uint32_t line_of_locations(int64_t line, const uint8_t *table, size_t table_bytes, int64_t offset)
{
	int64_t end = 0;
	size_t at = 0;

	while (at < table_bytes) {
		unsigned code = table[at] >> 3 & 15;

		end += ((table[at] & 7) + 1) * 2;
		if (code == LOCATION_LONG || code == LOCATION_NO_COLUMNS)
			line += signed_varint(table, table_bytes, at + 1);
		else if (code >= LOCATION_ONE_LINE_0 && code <= LOCATION_ONE_LINE_2)
			line += code - LOCATION_ONE_LINE_0;
		if (offset < end)
			return code == LOCATION_NONE ? 0 : line_checked(line);
		for (at++; at < table_bytes && !(table[at] & 128); at++)
			;
	}
	return 0;
}

uint32_t python_line_find(uint32_t minor, int32_t first_line, const uint8_t *table, size_t table_bytes,
                          int32_t offset)
{
	if (offset < 0)
		return line_checked(first_line);
	if (minor >= 11)
		return line_of_locations(first_line, table, table_bytes, offset);
	/* f_lasti of 3.10 counts instructions of two bytes. */
	if (minor == 10)
		return line_of_pairs(first_line, table, table_bytes, (int64_t)offset * 2);
	return line_of_lnotab(first_line, table, table_bytes, offset);
}

static uint32_t character_at(const char *data, size_t index, uint32_t kind)
{
	uint16_t two = 0;
	uint32_t four = 0;

	switch (kind) {
	case 1:
		return (uint8_t)data[index];
	case 2:
		memcpy(&two, data + index * 2, sizeof(two));
		return two;
	default:
		memcpy(&four, data + index * 4, sizeof(four));
		return four;
	}
}

static char *character_append(char *at, uint32_t character)
{
	/* A NUL would end the string; beyond U+10FFFF there is nothing. */
	if (character == 0 || character > 0x10ffff)
		character = REPLACEMENT_CHARACTER;
	if (character < 0x80) {
		*at++ = (char)character;
		return at;
	}
	if (character < 0x800) {
		*at++ = (char)(0xc0 | character >> 6);
	} else {
		if (character < 0x10000) {
			*at++ = (char)(0xe0 | character >> 12);
		} else {
			*at++ = (char)(0xf0 | character >> 18);
			*at++ = (char)(0x80 | (character >> 12 & 63));
		}
		*at++ = (char)(0x80 | (character >> 6 & 63));
	}
	*at++ = (char)(0x80 | (character & 63));
	return at;
}

char *python_string_decode(const char *data, size_t data_bytes, uint32_t length, uint32_t kind)
{
	size_t count = length;
	char *string = NULL;
	char *shrunk = NULL;
	char *at = NULL;

	if (kind != 1 && kind != 2 && kind != 4)
		return strdup("?");
	if (count > data_bytes / kind)
		count = data_bytes / kind;
	string = reallocarray(NULL, count + 1, 4);
	if (!string)
		return NULL;
	at = string;
	for (size_t i = 0; i < count; i++)
		at = character_append(at, character_at(data, i, kind));
	*at++ = '\0';
	/* Most names are ASCII, and very many are kept. */
	shrunk = realloc(string, (size_t)(at - string));
	return shrunk ? shrunk : string;
}
