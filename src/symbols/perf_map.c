/*
 * Names that a JIT compiler writes for its code. See perf_map.h.
 * A file is read from its beginning in pieces, and nothing of it is kept but where the names stand that are
 * asked for.
 */
#include "symbols/perf_map.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/fd.h"

#define PIECE_BYTES ((size_t)64 << 10)
/* Addresses that entries hold, in all: each entry may hold every one. Chosen by: a tenth of a second. */
#define STEPS_MAX ((uint64_t)64 << 20)

struct place {
	uint64_t offset; /* in the file */
	size_t bytes;    /* 0: none is known */
};

struct search {
	int fd;
	struct perf_map_name *names;
	struct place *places; /* of each of these */
	size_t count;
	uint64_t entries, steps;
	uint64_t offset; /* of the piece, in the file */
	char *piece;
	size_t piece_bytes;
	bool skips; /* the piece begins in a line of which the beginning was read */
	bool cut;
};

static int digit_of(char character)
{
	if (character >= '0' && character <= '9')
		return character - '0';
	if (character >= 'a' && character <= 'f')
		return character - 'a' + 10;
	return character >= 'A' && character <= 'F' ? character - 'A' + 10 : -1;
}

/* @return the number's end, behind the spaces that follow it, or NULL: it is none, or too large */
static const char *parse_number(const char *at, const char *end, uint64_t *ret_number)
{
	uint64_t number = 0;
	const char *first;
	int digit;

	if (end - at > 2 && at[0] == '0' && (at[1] == 'x' || at[1] == 'X'))
		at += 2;
	first = at;
	for (; at < end && (digit = digit_of(*at)) >= 0; at++) {
		if (number >> 60)
			return NULL;
		number = number << 4 | (uint64_t)digit;
	}
	if (at == first || at == end || *at != ' ')
		return NULL;
	while (at < end && *at == ' ')
		at++;
	*ret_number = number;
	return at;
}

bool perf_map_parse(const char *line, size_t bytes, struct perf_map_entry *ret_entry)
{
	const char *end = line + bytes, *at;
	uint64_t start, size, after;

	at = parse_number(line, end, &start);
	if (at)
		at = parse_number(at, end, &size);
	if (!at || !size || __builtin_add_overflow(start, size, &after))
		return false;
	bytes = strnlen(at, (size_t)(end - at));
	if (!bytes)
		return false;
	*ret_entry = (struct perf_map_entry){.start = start, .end = after, .name = at, .name_bytes = bytes};
	return true;
}

size_t perf_map_first_from(const struct perf_map_name *names, size_t count, uint64_t address)
{
	size_t low = 0, high = count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (names[middle].address < address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void take_line(struct search *search, const char *line, size_t bytes)
{
	struct perf_map_entry entry;

	if (!perf_map_parse(line, bytes, &entry))
		return;
	if (search->entries++ >= PERF_MAP_ENTRIES_MAX || search->steps >= STEPS_MAX) {
		search->cut = true;
		return;
	}
	for (size_t i = perf_map_first_from(search->names, search->count, entry.start);
	     i < search->count && search->names[i].address < entry.end; i++, search->steps++)
		search->places[i] = (struct place){
		        .offset = search->offset + (uint64_t)(entry.name - search->piece),
		        .bytes = entry.name_bytes,
		};
}

/* Takes all lines of the piece that end in it, and of one that fills it the beginning. What is left of a line
 * comes to the beginning of the next piece. */
static void take_piece(struct search *search, bool is_last)
{
	char *line = search->piece, *end = line + search->piece_bytes, *newline;

	while ((newline = memchr(line, '\n', (size_t)(end - line)))) {
		if (!search->skips)
			take_line(search, line, (size_t)(newline - line));
		search->skips = false;
		line = newline + 1;
	}
	if (line == search->piece && search->piece_bytes == PIECE_BYTES) {
		if (!search->skips)
			take_line(search, line, PIECE_BYTES);
		search->skips = true;
	} else if (is_last && !search->skips) {
		take_line(search, line, (size_t)(end - line));
	}
	if (search->skips)
		line = end;
	search->offset += (uint64_t)(line - search->piece);
	search->piece_bytes = (size_t)(end - line);
	memmove(search->piece, line, search->piece_bytes);
}

/* @return 0, or -errno of read(2) */
static int take_file(struct search *search)
{
	uint64_t begun_ns = clock_ns(CLOCK_MONOTONIC);
	ssize_t got = 1;

	while (got > 0 && !search->cut) {
		uint64_t at = search->offset + search->piece_bytes;
		size_t room = PIECE_BYTES - search->piece_bytes;

		if (at >= PERF_MAP_BYTES_MAX || clock_ns(CLOCK_MONOTONIC) - begun_ns > PERF_MAP_TIME_NS) {
			search->cut = true;
			return 0;
		}
		got = fd_read_at(search->fd, search->piece + search->piece_bytes, room, at);
		if (got < 0)
			return (int)got;
		search->piece_bytes += (size_t)got;
		take_piece(search, (size_t)got < room);
		/* Whoever writes all the time is not waited for. */
		if ((size_t)got < room)
			break;
	}
	return 0;
}

/* @return 0; -ENOMEM */
static int read_name(const struct search *search, const struct place *place, char **name)
{
	static const char cut[] = "...";
	size_t bytes = place->bytes < PERF_MAP_NAME_BYTES ? place->bytes : PERF_MAP_NAME_BYTES;
	char *read;

	if (!bytes)
		return 0;
	read = malloc(bytes + sizeof(cut));
	if (!read)
		return -ENOMEM;
	/* Somebody has made the file shorter since: the name is not known. */
	if (fd_read_at(search->fd, read, bytes, place->offset) != (ssize_t)bytes) {
		free(read);
		return 0;
	}
	memcpy(read + bytes, place->bytes > bytes ? cut : "", place->bytes > bytes ? sizeof(cut) : 1);
	free(*name);
	*name = read;
	return 0;
}

int perf_map_find(int fd, struct perf_map_name *names, size_t count, bool *ret_cut)
{
	struct search search = {.fd = fd, .names = names, .count = count};
	int error, failed = 0;

	if (!count) {
		*ret_cut = false;
		return 0;
	}
	search.piece = malloc(PIECE_BYTES);
	search.places = calloc(count, sizeof(*search.places));
	error = search.piece && search.places ? take_file(&search) : -ENOMEM;
	for (size_t i = 0; i < count && search.places && !failed; i++)
		failed = read_name(&search, &search.places[i], &names[i].name);
	free(search.piece);
	free(search.places);
	if (failed || error == -ENOMEM)
		return -ENOMEM;
	*ret_cut = search.cut;
	return error;
}
