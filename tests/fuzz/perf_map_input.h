/*
 * One input of the reader of perf maps: names are found in it, and taken apart. Each has to be part of it.
 */
#ifndef LEFTOPEN_TESTS_FUZZ_PERF_MAP_INPUT_H
#define LEFTOPEN_TESTS_FUZZ_PERF_MAP_INPUT_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "symbols/jit_name.h"
#include "symbols/perf_map.h"

static inline void perf_map_check_name(const char *name)
{
	size_t length = strlen(name);
	struct jit_name parts;

	jit_name_parse(name, &parts);
	if (!length || length > PERF_MAP_NAME_BYTES + 3 || parts.function_bytes > length + 11 ||
	    parts.file_bytes > length ||
	    strnlen(parts.function, parts.function_bytes) != parts.function_bytes ||
	    strnlen(parts.file, parts.file_bytes) != parts.file_bytes)
		abort();
}

static inline void perf_map_input(const uint8_t *data, size_t bytes)
{
	struct perf_map_name names[] = {
	        {0, NULL}, {1, NULL}, {0x1000, NULL}, {0x7f0000001234, NULL}, {UINT64_MAX, NULL}};
	const size_t count = sizeof(names) / sizeof(names[0]);
	int fd = memfd_create("map", MFD_CLOEXEC);
	bool cut;

	if (fd < 0 || write(fd, data, bytes) != (ssize_t)bytes || perf_map_find(fd, names, count, &cut) ||
	    cut)
		abort();
	for (size_t i = 0; i < count; i++)
		if (names[i].name)
			perf_map_check_name(names[i].name);
	/* No end of an entry is beyond the last address. */
	if (names[count - 1].name)
		abort();
	for (size_t i = 0; i < count; i++)
		free(names[i].name);
	close(fd);
}

#endif
