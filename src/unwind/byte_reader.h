/*
 * A cursor over bytes that anybody may have written: what is not there is read as 0, and remembered as a
 * failure. Inputs: bytes in memory and the virtual address they are loaded at. Outputs: numbers.
 */
#ifndef LEFTOPEN_UNWIND_BYTE_READER_H
#define LEFTOPEN_UNWIND_BYTE_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct byte_reader {
	const uint8_t *at;
	const uint8_t *end;
	uint64_t end_vaddr; /* address of `end`; may be anything, sums of it wrap */
	bool failed;
};

/** How many bytes are left. */
static inline size_t byte_reader_left(const struct byte_reader *reader)
{
	return (size_t)(reader->end - reader->at);
}

/** The virtual address of the next byte. */
static inline uint64_t byte_reader_vaddr(const struct byte_reader *reader)
{
	return reader->end_vaddr - byte_reader_left(reader);
}

/** Fails: nothing is left then. @return 0 */
static inline uint64_t byte_reader_fail(struct byte_reader *reader)
{
	reader->at = reader->end;
	reader->failed = true;
	return 0;
}

/** Reads an unsigned number of that many bytes, at most 8, least significant first. */
static inline uint64_t byte_reader_unsigned(struct byte_reader *reader, size_t bytes)
{
	uint64_t value = 0;

	if (byte_reader_left(reader) < bytes)
		return byte_reader_fail(reader);
	memcpy(&value, reader->at, bytes);
	reader->at += bytes;
	return value;
}

/**
 * Reads a LEB128 number. One of more than 10 bytes fails: 64 bits need no more.
 * @param is_signed extends its sign
 * @source DWARF 5, 7.6
 */
static inline uint64_t byte_reader_leb128(struct byte_reader *reader, bool is_signed)
{
	uint64_t value = 0;

	for (unsigned shift = 0; shift < 70 && reader->at < reader->end; shift += 7) {
		uint8_t byte = *reader->at++;

		value |= (uint64_t)(byte & 0x7f) << shift;
		if (byte & 0x80)
			continue;
		if (is_signed && (byte & 0x40) && shift < 57)
			value |= ~(uint64_t)0 << (shift + 7);
		return value;
	}
	return byte_reader_fail(reader);
}

/** Cuts off the next bytes as a reader of their own; fails, and gives one of none, where there are fewer. */
static inline struct byte_reader byte_reader_cut(struct byte_reader *reader, uint64_t bytes)
{
	struct byte_reader part = {.at = reader->at, .end = reader->at};

	if (bytes > byte_reader_left(reader)) {
		byte_reader_fail(reader);
		return (struct byte_reader){.at = reader->end, .end = reader->end, .failed = true};
	}
	reader->at += bytes;
	part.end = reader->at;
	part.end_vaddr = byte_reader_vaddr(reader);
	return part;
}

/**
 * Reads a number encoded as a pointer of .eh_frame is, without what it is relative to.
 * @param encoding DW_EH_PE_*, of which only the format is looked at; one that is not known fails
 * @source Linux Standard Base Core 5.0, 10.5.1
 */
static inline uint64_t byte_reader_formatted(struct byte_reader *reader, uint8_t encoding)
{
	switch (encoding & 0x0f) {
	case 0x00: /* DW_EH_PE_absptr */
	case 0x04: /* DW_EH_PE_udata8 */
	case 0x08: /* DW_EH_PE_signed */
	case 0x0c: /* DW_EH_PE_sdata8 */
		return byte_reader_unsigned(reader, 8);
	case 0x01: /* DW_EH_PE_uleb128 */
		return byte_reader_leb128(reader, false);
	case 0x02: /* DW_EH_PE_udata2 */
		return byte_reader_unsigned(reader, 2);
	case 0x03: /* DW_EH_PE_udata4 */
		return byte_reader_unsigned(reader, 4);
	case 0x09: /* DW_EH_PE_sleb128 */
		return byte_reader_leb128(reader, true);
	case 0x0a: /* DW_EH_PE_sdata2 */
		return (uint64_t)(int64_t)(int16_t)byte_reader_unsigned(reader, 2);
	case 0x0b: /* DW_EH_PE_sdata4 */
		return (uint64_t)(int64_t)(int32_t)byte_reader_unsigned(reader, 4);
	default:
		return byte_reader_fail(reader);
	}
}

/**
 * Reads an address encoded as .eh_frame does: absolute, or relative to where it stands. 0 stays 0: a function
 * that the linker threw away. Others fail: what they are relative to is not known, or not in the file.
 * @source Linux Standard Base Core 5.0, 10.5.1; gcc's unwind-pe.h for 0
 */
static inline uint64_t byte_reader_address(struct byte_reader *reader, uint8_t encoding)
{
	uint64_t here = byte_reader_vaddr(reader);
	uint64_t value = byte_reader_formatted(reader, encoding);

	switch (encoding & 0xf0) {
	case 0x00: /* absolute */
		return value;
	case 0x10: /* DW_EH_PE_pcrel */
		return value ? here + value : 0;
	default:
		return byte_reader_fail(reader);
	}
}

#endif
