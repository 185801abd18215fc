/*
 * Names of places in native code. See native_places.h.
 */
#include "symbols/native_places.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "symbols/worker_files.h"

struct place {
	struct file_key file;
	uint64_t offset;
};

struct known_place {
	struct place place;
	bool asked;
	struct place_names names;
	struct known_place *next_expected; /* of its file */
	UT_hash_handle hh;
};

/* A file with places that are expected. */
struct expected_file {
	struct file_key key;
	struct known_place *first;
	UT_hash_handle hh;
};

struct native_places {
	struct worker_files *files;
	struct known_place *known;
	struct expected_file *expected;
	size_t bytes; /* of names */
};

int native_places_new(struct worker_files *files, struct native_places **ret_places)
{
	struct native_places *places = calloc(1, sizeof(*places));

	if (!places)
		return -ENOMEM;
	places->files = files;
	*ret_places = places;
	return 0;
}

static void forget(struct native_places *places)
{
	struct known_place *known, *next;
	struct expected_file *file, *next_file;

	HASH_ITER (hh, places->known, known, next) {
		HASH_DEL(places->known, known);
		native_names_free(known->names.names, known->names.count);
		free(known);
	}
	HASH_ITER (hh, places->expected, file, next_file) {
		HASH_DEL(places->expected, file);
		free(file);
	}
	places->bytes = 0;
}

void native_places_free(struct native_places *places)
{
	if (!places)
		return;
	forget(places);
	free(places);
}

static struct known_place *find(const struct native_places *places, const struct file_key *key,
                                uint64_t offset)
{
	struct place place = {.file = *key, .offset = offset};
	struct known_place *known;

	HASH_FIND(hh, places->known, &place, sizeof(place), known);
	return known;
}

static struct known_place *add(struct native_places *places, const struct file_key *key, uint64_t offset)
{
	struct known_place *known = calloc(1, sizeof(*known));

	if (!known)
		return NULL;
	known->place = (struct place){.file = *key, .offset = offset};
	HASH_ADD(hh, places->known, place, sizeof(known->place), known);
	return known;
}

static struct expected_file *find_expected(const struct native_places *places, const struct file_key *key)
{
	struct expected_file *file;

	HASH_FIND(hh, places->expected, key, sizeof(*key), file);
	return file;
}

static bool are_full(const struct native_places *places)
{
	return HASH_COUNT(places->known) >= NATIVE_PLACES_MAX || places->bytes >= NATIVE_PLACE_BYTES_MAX;
}

int native_places_expect(struct native_places *places, const struct file_key *key, uint64_t offset)
{
	struct expected_file *file = find_expected(places, key);
	struct known_place *known;

	if (are_full(places) || find(places, key, offset))
		return 0;
	if (!file) {
		file = calloc(1, sizeof(*file));
		if (!file)
			return -ENOMEM;
		file->key = *key;
		HASH_ADD(hh, places->expected, key, sizeof(file->key), file);
	}
	known = add(places, key, offset);
	if (!known)
		return -ENOMEM;
	known->next_expected = file->first;
	file->first = known;
	return 0;
}

/* @return how many of the file's expected places, which are none from now on */
static size_t take_expected(struct native_places *places, const struct file_key *key,
                            const struct known_place *but, struct known_place **ret_places, size_t most)
{
	struct expected_file *file = find_expected(places, key);
	size_t count = 0;

	while (file && file->first && count < most) {
		struct known_place *known = file->first;

		file->first = known->next_expected;
		known->next_expected = NULL;
		if (known != but && !known->asked)
			ret_places[count++] = known;
	}
	if (file && !file->first) {
		HASH_DEL(places->expected, file);
		free(file);
	}
	return count;
}

static size_t bytes_of(const struct place_names *names)
{
	size_t bytes = 0;

	for (size_t i = 0; i < names->count; i++)
		bytes += sizeof(names->names[i]) + strlen(names->names[i].function) +
		         strlen(names->names[i].file) + 2;
	return bytes;
}

/* Asks for a place, and those of its file that are expected. @return 0; -ENOMEM */
static int ask(struct native_places *places, struct known_place *wanted, const char *path)
{
	struct known_place *asked[WIRE_PLACES_MAX] = {wanted};
	struct place_names names[WIRE_PLACES_MAX];
	uint64_t offsets[WIRE_PLACES_MAX];
	size_t count = 1 + take_expected(places, &wanted->place.file, wanted, asked + 1, WIRE_PLACES_MAX - 1);
	int error;

	for (size_t i = 0; i < count; i++)
		offsets[i] = asked[i]->place.offset;
	error = worker_files_ask(places->files, &wanted->place.file, path, offsets, count, names);
	/* Not in this report: each is asked for again when it is wanted. */
	if (error == -EAGAIN)
		return 0;
	if (error && error != -ENOENT)
		return error;
	for (size_t i = 0; i < count; i++) {
		asked[i]->asked = true;
		asked[i]->names = names[i];
		places->bytes += bytes_of(&names[i]);
	}
	return 0;
}

int native_places_find(struct native_places *places, const struct file_key *key, uint64_t offset,
                       const char *path, const struct native_name **ret_names, size_t *ret_count)
{
	struct known_place *known = find(places, key, offset);
	int error = 0;

	if (!known) {
		if (are_full(places))
			forget(places);
		known = add(places, key, offset);
		if (!known)
			return -ENOMEM;
	}
	if (!known->asked)
		error = ask(places, known, path);
	if (error)
		return error;
	*ret_names = known->names.names;
	*ret_count = known->names.count;
	return 0;
}
