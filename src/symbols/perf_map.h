/*
 * Names that a JIT compiler writes for its code into /tmp/perf-PID.map: "START SIZE name", a line each.
 * Inputs: a file of a process's choosing. Outputs: the names of those addresses that are asked for.
 */
#ifndef LEFTOPEN_SYMBOLS_PERF_MAP_H
#define LEFTOPEN_SYMBOLS_PERF_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is read of a file. Chosen by: V8 writes 60 bytes an entry, and has a million in the largest programs.
 */
#define PERF_MAP_BYTES_MAX   ((uint64_t)64 << 20)
#define PERF_MAP_ENTRIES_MAX 4000000
/* What is read in this time and no more: a disk may be slow. */
#define PERF_MAP_TIME_NS 2000000000ULL
/* A longer name is cut, and "..." is behind it. */
#define PERF_MAP_NAME_BYTES 512

struct perf_map_entry {
	uint64_t start;
	uint64_t end;     /* exclusive, after start */
	const char *name; /* in the line, not terminated */
	size_t name_bytes;
};

/**
 * Reads one line: "START SIZE name", in hexadecimal with or without 0x; the name goes to the line's end, or
 * to a NUL before it.
 * @param line without its newline
 * @return false: it is no such line, is of no byte, or of more than there are addresses; *ret_entry is
 * untouched
 * @source linux/tools/perf/Documentation/jit-interface.txt
 */
bool perf_map_parse(const char *line, size_t bytes, struct perf_map_entry *ret_entry);

struct perf_map_name {
	uint64_t address;
	char *name; /* for free(3); NULL: none is known */
};

/**
 * @param names by address, ascending
 * @return the index of the first that is not before an address, where one of this address belongs; or count
 */
size_t perf_map_first_from(const struct perf_map_name *names, size_t count, uint64_t address);

/**
 * Finds names in a file, as it is now. Of entries that overlap, the last one counts: compilers use memory
 * again. Cost: a nanosecond for each byte of the file.
 * @param fd of a regular file; stays the caller's, as does its position
 * @param names by address, ascending; the name of each that is found is replaced
 * @param ret_cut set to whether there is more in it than the maxima above, or it took longer
 * @return 0; -ENOMEM; -errno of read(2), what was found by then is there
 */
int perf_map_find(int fd, struct perf_map_name *names, size_t count, bool *ret_cut);

#endif
