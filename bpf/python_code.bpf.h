/*
 * CPython's code objects: told apart, and sent where they are new. Inputs: python_layouts, the process's
 * memory. Outputs: EVENT_PYTHON_CODE.
 */
#ifndef LEFTOPEN_BPF_PYTHON_CODE_H
#define LEFTOPEN_BPF_PYTHON_CODE_H

#include "unwind.bpf.h"

#define PYTHON_CODE_BYTES     208
#define PYTHON_OLD_CODE_BYTES 128

static __always_inline u64 read_user_u64(u64 address)
{
	u64 value = 0;

	bpf_probe_read_user(&value, sizeof(value), (void *)address);
	return value;
}

static __always_inline u32 read_user_u32(u64 address)
{
	u32 value = 0;

	bpf_probe_read_user(&value, sizeof(value), (void *)address);
	return value;
}

static __always_inline u64 code_u64(const struct capture_scratch *scratch, u32 offset)
{
	return *(u64 *)(scratch->code + (offset & 0xf8));
}

static __always_inline u32 code_u32(const struct capture_scratch *scratch, u32 offset)
{
	return *(u32 *)(scratch->code + (offset & 0xfc));
}

/* Copies a string object's characters. @return bytes a character, 0: it could not be read */
static __always_inline u32 copy_string(const struct python_layout *layout, u64 string, char *to, u32 capacity,
                                       u32 *ret_length)
{
	u32 state = read_user_u32(string + layout->string_state), kind = state >> 2 & 7;
	u64 length = read_user_u64(string + layout->string_length);
	u32 bytes;

	*ret_length = length > 0xffffffffU ? 0xffffffffU : (u32)length;
	bytes = bounded_bytes(length << (kind >> 1), capacity);
	if (bpf_probe_read_user(to, bytes,
	                        (void *)(string + (state & 0x40 ? layout->string_ascii_data
	                                                        : layout->string_compact_data))))
		return 0;
	return kind;
}

static __always_inline const struct python_layout *layout_of(const struct capture_scratch *scratch)
{
	u32 minor = scratch->python_minor;

	return bpf_map_lookup_elem(&python_layouts, &minor);
}

/* Sends the code object that is in scratch->code. Not static, so that the verifier looks at it once and not
 * in each state of its caller.
 * @return 0, or -1: there was no room, so it was not sent */
__noinline int send_code(u64 id)
{
	struct capture_scratch *scratch = capture_scratch_get();
	const struct python_layout *layout = scratch ? layout_of(scratch) : NULL;
	struct event_python_code *event;
	u32 index, bytes = offsetof(struct event_python_code, line_table);
	u32 table_bytes;
	u64 table;

	if (!layout)
		return -1;
	index = scratch->index;
	event = bpf_map_lookup_elem(&code_scratch, &index);
	if (!event)
		return -1;
	table = code_u64(scratch, layout->code_line_table);
	event->id = id;
	event->first_line = code_u32(scratch, layout->code_first_line);
	event->minor_version = layout->minor_version;
	event->faults = 0;
	event->filename_kind = copy_string(layout, code_u64(scratch, layout->code_filename), event->filename,
	                                   PYTHON_FILENAME_BYTES, &event->filename_length);
	if (!event->filename_kind)
		event->faults |= PYTHON_CODE_FAULT_FILENAME;
	event->qualname_kind = copy_string(layout, code_u64(scratch, layout->code_name), event->qualname,
	                                   PYTHON_QUALNAME_BYTES, &event->qualname_length);
	if (!event->qualname_kind)
		event->faults |= PYTHON_CODE_FAULT_QUALNAME;
	event->line_table_bytes = read_user_u64(table + layout->bytes_size);
	table_bytes = bounded_bytes(event->line_table_bytes, PYTHON_LINE_TABLE_BYTES);
	if (bpf_probe_read_user(event->line_table, table_bytes, (void *)(table + layout->bytes_data)))
		event->faults |= PYTHON_CODE_FAULT_LINE_TABLE;
	bytes += table_bytes;
	if (bytes > sizeof(*event))
		return -1;
	fill_header(&event->header, EVENT_PYTHON_CODE, bytes, scratch->process_start_ns);
	return send_bulk_event(event, bytes, LOSS_RING_FULL_STACKS);
}

/* Four lanes, as one multiplication waits for the one before; zeros stand for what is behind the end. Not
 * static: see send_code().
 * @param first index of a word of scratch->line_table
 * @return a hash of the bytes from there */
__noinline u64 hash_line_table(u32 first, u32 bytes)
{
	struct capture_scratch *scratch = capture_scratch_get();
	u64 lanes[4] = {}, *words;

	if (!scratch)
		return 0;
	words = scratch->line_table + (first & PYTHON_BYTES_DATA_MAX / 8);
	if (bytes < PYTHON_IDENTITY_BYTES) {
		u64 *end = words + bytes / 8;

		end[0] &= (1ULL << bytes % 8 * 8) - 1;
		end[1] = end[2] = end[3] = 0;
	}
	for (u32 at = 0; at < PYTHON_IDENTITY_BYTES && at < bytes; at += 32, words += 4)
		for (u32 lane = 0; lane < 4; lane++)
			lanes[lane] = lanes[lane] * 0x9E3779B97F4A7C15ULL + words[lane];
	return hash_mix(hash_mix(hash_mix(lanes[0], lanes[1]), lanes[2]), lanes[3]);
}

/* Reads a bytes object's size and what it begins with into scratch->line_table, where the bytes lie as in the
 * object: at once, and apart where it lies at the end of what is mapped.
 * @return its size, 0: it cannot be read */
static __always_inline u64 read_line_table(const struct python_layout *layout,
                                           struct capture_scratch *scratch, u64 table)
{
	u32 data = layout->bytes_data & PYTHON_BYTES_DATA_MAX;
	u64 size;

	if (!bpf_probe_read_user(scratch->line_table, data + PYTHON_IDENTITY_BYTES, (void *)table))
		return scratch->line_table[layout->bytes_size / 8 & PYTHON_BYTES_DATA_MAX / 8];
	size = read_user_u64(table + layout->bytes_size);
	if (bpf_probe_read_user((void *)scratch->line_table + data,
	                        bounded_bytes(size, PYTHON_IDENTITY_BYTES),
	                        (void *)(table + layout->bytes_data)))
		return 0;
	return size;
}

/* A pointer is no identity: code objects are freed and their memory is used again. Up to 3.11 the line table
 * stands in for the version number that 3.12 has: all of it up to 1,024 bytes, the first and last 512 of a
 * longer one. A file that is compiled again after an edit in the middle can differ in nothing else.
 * Not static: see send_code().
 * @param code address of the object that is in scratch->code */
__noinline u64 code_identity(u64 code, u64 salt)
{
	struct capture_scratch *scratch = capture_scratch_get();
	const struct python_layout *layout = scratch ? layout_of(scratch) : NULL;
	u64 hash = hash_mix(salt, code), table;
	u32 version;
	u64 bytes;

	if (!layout)
		return 0;
	table = code_u64(scratch, layout->code_line_table);
	hash = hash_mix(hash, code_u64(scratch, layout->code_filename));
	hash = hash_mix(hash, code_u64(scratch, layout->code_name));
	hash = hash_mix(hash, table);
	hash = hash_mix(hash, code_u32(scratch, layout->code_first_line));
	version = layout->code_version ? code_u32(scratch, layout->code_version) : 0;
	/* 3.12 and later have none either once 2^32 code objects were made. */
	if (version)
		return hash_mix(hash, version);
	bytes = read_line_table(layout, scratch, table);
	hash = hash_mix(hash, bytes);
	hash = hash_mix(hash, hash_line_table(layout->bytes_data / 8, bytes));
	if (bytes > PYTHON_IDENTITY_BYTES &&
	    !bpf_probe_read_user(scratch->line_table, PYTHON_IDENTITY_BYTES,
	                         (void *)(table + layout->bytes_data + bytes - PYTHON_IDENTITY_BYTES)))
		hash = hash_mix(hash, hash_line_table(0, PYTHON_IDENTITY_BYTES));
	return hash;
}

#endif
