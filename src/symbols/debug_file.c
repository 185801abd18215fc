/*
 * Separate debug files: where a stripped file's debug information is installed on this machine.
 * Inputs: build ids and names from files that anybody may have written, so what a name leads to is used only
 * if it carries the build id or checksum asked for. Outputs: open files. libdwfl would do the same and ask
 * debuginfod servers: that is why it is not used.
 */
#include "symbols/debug_file.h"

#include <elfutils/libdwelf.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/fd.h"
#include "symbols/debug_place.h"

#define DEBUG_BUILD_ID_MAX (DEBUG_NAME_MAX / 2)
#define DEBUG_READ_BYTES   65536

struct build_id {
	const void *bytes;
	ssize_t length;
};

void debug_file_free(struct debug_file *file)
{
	if (!file)
		return;
	if (file->elf)
		elf_end(file->elf);
	fd_close(&file->fd);
	free(file);
}

/* Opens a candidate. */
static int debug_file_open(const struct debug_opener *opener, enum debug_place place, const char *name,
                           struct debug_file **ret_file)
{
	struct debug_file *file = calloc(1, sizeof(*file));
	int error = 0;

	if (!file)
		return -ENOMEM;
	file->fd = -1;
	error = opener->open(opener->context, place, name, &file->fd);
	if (error == 0) {
		/* Read, not mapped: a mapped file that is cut meanwhile ends the process by SIGBUS. */
		file->elf = elf_begin(file->fd, ELF_C_READ, NULL);
		if (!file->elf || elf_kind(file->elf) != ELF_K_ELF)
			error = -ENOENT;
	}
	if (error < 0) {
		debug_file_free(file);
		return error;
	}
	*ret_file = file;
	return 0;
}

static int debug_file_open_with_id(const struct debug_opener *opener, enum debug_place place,
                                   const char *name, const struct build_id *id, struct debug_file **ret_file)
{
	struct debug_file *file = NULL;
	struct build_id found = {0};
	int error = debug_file_open(opener, place, name, &file);

	if (error < 0)
		return error;
	found.length = dwelf_elf_gnu_build_id(file->elf, &found.bytes);
	if (found.length != id->length || memcmp(found.bytes, id->bytes, (size_t)id->length) != 0) {
		debug_file_free(file);
		return -ENOENT;
	}
	*ret_file = file;
	return 0;
}

static int debug_file_open_by_id(const struct debug_opener *opener, const struct build_id *id,
                                 struct debug_file **ret_file)
{
	char name[2 * DEBUG_BUILD_ID_MAX + 1];
	const uint8_t *bytes = id->bytes;

	if (id->length < 2 || id->length > DEBUG_BUILD_ID_MAX)
		return -ENOENT;
	for (ssize_t i = 0; i < id->length; i++)
		(void)snprintf(name + 2 * i, 3, "%02x", bytes[i]);
	return debug_file_open_with_id(opener, DEBUG_PLACE_BUILD_ID, name, id, ret_file);
}

/* The checksum of .gnu_debuglink is zlib's CRC-32 of the whole debug file. */
static int debug_file_check(const struct debug_file *file, GElf_Word expected)
{
	uint8_t buffer[DEBUG_READ_BYTES];
	uLong crc = crc32(0, NULL, 0);
	uint64_t offset = 0;

	for (;;) {
		ssize_t got = fd_read_at(file->fd, buffer, sizeof(buffer), offset);

		if (got < 0)
			return -ENOENT;
		if (got == 0)
			return crc == expected ? 0 : -ENOENT;
		crc = crc32(crc, buffer, (uInt)got);
		offset += (uint64_t)got;
	}
}

static int debug_file_open_with_crc(const struct debug_opener *opener, enum debug_place place,
                                    const char *name, GElf_Word crc, struct debug_file **ret_file)
{
	struct debug_file *file = NULL;
	int error = debug_file_open(opener, place, name, &file);

	if (error < 0)
		return error;
	error = debug_file_check(file, crc);
	if (error < 0) {
		debug_file_free(file);
		return error;
	}
	*ret_file = file;
	return 0;
}

static int debug_file_open_link(Elf *elf, const struct debug_opener *opener, struct debug_file **ret_file)
{
	static const enum debug_place places[] = {DEBUG_PLACE_BESIDE, DEBUG_PLACE_HIDDEN,
	                                          DEBUG_PLACE_INSTALLED};
	GElf_Word crc = 0;
	const char *name = dwelf_elf_gnu_debuglink(elf, &crc);
	int error = -ENOENT;

	if (!name || strlen(name) > DEBUG_NAME_MAX)
		return -ENOENT;
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]) && error == -ENOENT; i++)
		error = debug_file_open_with_crc(opener, places[i], name, crc, ret_file);
	return error;
}

int debug_file_find(Elf *elf, const struct debug_opener *opener, struct debug_file **ret_file)
{
	struct build_id id = {0};
	int error = 0;

	id.length = dwelf_elf_gnu_build_id(elf, &id.bytes);
	error = debug_file_open_by_id(opener, &id, ret_file);
	return error == -ENOENT ? debug_file_open_link(elf, opener, ret_file) : error;
}

int debug_file_find_alternate(Dwarf *dwarf, const struct debug_opener *opener, struct debug_file **ret_file)
{
	static const enum debug_place places[] = {DEBUG_PLACE_SHARED, DEBUG_PLACE_SHARED_MACHINE,
	                                          DEBUG_PLACE_BESIDE, DEBUG_PLACE_HIDDEN,
	                                          DEBUG_PLACE_INSTALLED};
	const char *name = NULL;
	const char *slash = NULL;
	struct build_id id = {0};
	int error = 0;

	id.length = dwelf_dwarf_gnu_debugaltlink(dwarf, &name, &id.bytes);
	if (id.length == 0)
		return -ENODATA;
	if (id.length < 0)
		return -ENOENT;
	error = debug_file_open_by_id(opener, &id, ret_file);
	slash = strrchr(name, '/');
	if (slash)
		name = slash + 1;
	if (strlen(name) > DEBUG_NAME_MAX)
		return error;
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]) && error == -ENOENT; i++)
		error = debug_file_open_with_id(opener, places[i], name, &id, ret_file);
	return error;
}
