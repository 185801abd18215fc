/*
 * CPython's code objects. See python_codes.h.
 */
#include "symbols/python_codes.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "unwind/python_layout.h"

struct python_code {
	uint64_t id;
	char *function, *file;
	int32_t first_line;
	uint32_t minor;
	bool is_cut; /* the line table: not all of its bytes were sent */
	UT_hash_handle hh;
	uint32_t line_table_bytes;
	uint8_t line_table[];
};

struct python_codes {
	struct python_code *by_id;
	size_t bytes;
};

int python_codes_new(struct python_codes **ret_codes)
{
	struct python_codes *codes = calloc(1, sizeof(*codes));

	if (!codes)
		return -ENOMEM;
	*ret_codes = codes;
	return 0;
}

static void code_free(struct python_code *code)
{
	free(code->function);
	free(code->file);
	free(code);
}

void python_codes_free(struct python_codes *codes)
{
	struct python_code *code, *next;

	if (!codes)
		return;
	HASH_ITER (hh, codes->by_id, code, next) {
		HASH_DEL(codes->by_id, code);
		code_free(code);
	}
	free(codes);
}

static struct python_code *find(const struct python_codes *codes, uint64_t id)
{
	struct python_code *code;

	HASH_FIND(hh, codes->by_id, &id, sizeof(id), code);
	return code;
}

/* The last entry of a location table that was cut may be half there (an entry begins where bit 7 is set). */
static uint32_t whole_entries(const uint8_t *table, uint32_t bytes)
{
	while (bytes && !(table[bytes - 1] & 128))
		bytes--;
	return bytes ? bytes - 1 : 0;
}

/* Up to 3.9 the last pair's line holds to the end of the code, so one that was cut would say a wrong line. */
static bool is_behind_cut(const struct python_code *code, int32_t offset)
{
	int64_t end = 0;

	if (!code->is_cut || code->minor > 9)
		return false;
	for (uint32_t i = 0; i + 1 < code->line_table_bytes; i += 2)
		end += code->line_table[i];
	return offset >= end;
}

/* Absent where it could not be read. @return a string for free(), or NULL: out of memory */
static char *name_of(bool fault, const char *data, size_t data_bytes, uint32_t length, uint32_t kind)
{
	return fault ? strdup("") : python_string_decode(data, data_bytes, length, kind);
}

static int code_new(const struct event_python_code *event, struct python_code **ret_code)
{
	uint32_t sent = event->header.size_bytes - offsetof(struct event_python_code, line_table);
	uint32_t bytes = event->line_table_bytes < sent ? event->line_table_bytes : sent;
	struct python_code *code;

	if (event->faults & PYTHON_CODE_FAULT_LINE_TABLE)
		bytes = 0;
	code = malloc(sizeof(*code) + bytes);
	if (!code)
		return -ENOMEM;
	code->id = event->id;
	code->first_line = event->first_line;
	code->minor = event->minor_version;
	code->is_cut = bytes < event->line_table_bytes || event->faults & PYTHON_CODE_FAULT_LINE_TABLE;
	if (code->is_cut && code->minor >= 11)
		bytes = whole_entries(event->line_table, bytes);
	code->line_table_bytes = bytes;
	memcpy(code->line_table, event->line_table, bytes);
	code->file = name_of(event->faults & PYTHON_CODE_FAULT_FILENAME, event->filename,
	                     sizeof(event->filename), event->filename_length, event->filename_kind);
	code->function = name_of(event->faults & PYTHON_CODE_FAULT_QUALNAME, event->qualname,
	                         sizeof(event->qualname), event->qualname_length, event->qualname_kind);
	if (!code->file || !code->function) {
		code_free(code);
		return -ENOMEM;
	}
	*ret_code = code;
	return 0;
}

static size_t code_bytes(const struct python_code *code)
{
	return sizeof(*code) + code->line_table_bytes + strlen(code->file) + strlen(code->function) + 2;
}

int python_codes_add(struct python_codes *codes, const struct event_python_code *event)
{
	struct python_code *code;
	int error;

	if (find(codes, event->id))
		return 0;
	if (HASH_COUNT(codes->by_id) >= PYTHON_CODES_MAX)
		return -ENOSPC;
	error = code_new(event, &code);
	if (error)
		return error;
	if (code_bytes(code) > PYTHON_CODES_BYTES_MAX - codes->bytes) {
		code_free(code);
		return -ENOSPC;
	}
	codes->bytes += code_bytes(code);
	HASH_ADD(hh, codes->by_id, id, sizeof(code->id), code);
	return 0;
}

int python_codes_name(const struct python_codes *codes, uint64_t id, int32_t offset,
                      struct python_name *ret_name)
{
	const struct python_code *code = find(codes, id);

	if (!code)
		return -ENOENT;
	ret_name->function = code->function;
	ret_name->file = code->file;
	/* Code of one line has an empty table up to 3.9. */
	ret_name->line = is_behind_cut(code, offset)
	                         ? 0
	                         : python_line_find(code->minor, code->first_line, code->line_table,
	                                            code->line_table_bytes, offset);
	return 0;
}
