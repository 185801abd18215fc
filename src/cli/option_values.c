/*
 * Values of options. See option_values.h.
 */
#include "cli/option_values.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/message.h"
#include "load/loader.h"

/* Chosen by: a year. */
#define SECONDS_MAX 31536000ULL
#define DECIMALS    9

bool option_values_number(const char *name, const char *text, unsigned long long least,
                          unsigned long long most, unsigned long long *ret_number)
{
	char *end;

	errno = 0;
	*ret_number = strtoull(text, &end, 10);
	if (!errno && end != text && !*end && text[0] != '-' && *ret_number >= least && *ret_number <= most)
		return true;
	message_error("%s takes a whole number from %llu to %llu, not \"%s\"", name, least, most, text);
	return false;
}

bool option_values_ring_size(const char *text, uint32_t *ret_bytes)
{
	static const char units[] = "KMG";
	unsigned long long number;
	const char *unit;
	char *end;

	errno = 0;
	number = strtoull(text, &end, 10);
	unit = *end ? strchr(units, *end) : NULL;
	if (number > LOADER_RING_BYTES_MAX) /* also before it is shifted, so that no bit is lost */
		number = 0;
	if (unit)
		number <<= 10 * (unit - units + 1);
	if (!errno && end != text && text[0] != '-' && (!*end || (unit && !end[1])) &&
	    number >= LOADER_RING_BYTES_MIN && number <= LOADER_RING_BYTES_MAX && !(number & (number - 1))) {
		*ret_bytes = (uint32_t)number;
		return true;
	}
	message_error("--ring-size takes a power of two from 64K to 1G, not \"%s\"", text);
	return false;
}

bool option_values_ring_shards(const char *text, uint32_t *ret_shards)
{
	unsigned long long number = 0;

	if (text && !option_values_number("LEFTOPEN_RING_SHARDS", text, 1, RING_SHARDS_MAX, &number))
		return false;
	if (number & (number - 1)) {
		message_error("LEFTOPEN_RING_SHARDS takes a power of two, not \"%s\"", text);
		return false;
	}
	*ret_shards = (uint32_t)number;
	return true;
}

bool option_values_memo(const char *text, enum memo_mode *ret_mode)
{
	static const struct option_choice modes[] = {
	        {"use", MEMO_USE}, {"off", MEMO_OFF}, {"check", MEMO_CHECK}, {"blind", MEMO_BLIND}};
	int mode = MEMO_USE;

	_Static_assert(sizeof(modes) / sizeof(modes[0]) == MEMO_MODE_COUNT, "each has a name");
	if (text && !option_values_choice("LEFTOPEN_MEMO", text, modes, MEMO_MODE_COUNT, &mode))
		return false;
	*ret_mode = (enum memo_mode)mode;
	return true;
}

/* Not by strtod(3), which takes "nan", "0x1p3" and the locale's decimal point.
 * @return whether it is seconds, and at most SECONDS_MAX */
static bool parse_seconds(const char *text, uint64_t *ret_ns)
{
	uint64_t seconds = 0, fraction = 0;
	int decimals = 0;
	const char *at = text;

	for (; isdigit((unsigned char)*at); at++) {
		seconds = seconds * 10 + (uint64_t)(*at - '0');
		if (seconds > SECONDS_MAX)
			return false;
	}
	if (at == text)
		return false;
	if (*at == '.') {
		for (at++; isdigit((unsigned char)*at) && decimals < DECIMALS; at++, decimals++)
			fraction = fraction * 10 + (uint64_t)(*at - '0');
		if (!decimals)
			return false;
	}
	for (; decimals < DECIMALS; decimals++)
		fraction *= 10;
	*ret_ns = seconds * 1000000000ULL + fraction;
	return !*at;
}

bool option_values_seconds(const char *name, const char *text, uint64_t least_ns, uint64_t *ret_ns)
{
	uint64_t ns;

	if (parse_seconds(text, &ns) && ns >= least_ns) {
		*ret_ns = ns;
		return true;
	}
	message_error("%s takes seconds, %g at least, not \"%s\"", name, (double)least_ns / 1e9, text);
	return false;
}

bool option_values_choice(const char *name, const char *text, const struct option_choice *choices,
                          size_t count, int *ret_value)
{
	char list[128] = "";

	for (size_t i = 0; i < count; i++) {
		if (!strcmp(choices[i].name, text)) {
			*ret_value = choices[i].value;
			return true;
		}
		(void)snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s%s", i ? ", " : "",
		               choices[i].name);
	}
	message_error("%s takes one of %s, not \"%s\"", name, list, text);
	return false;
}

static bool append(uint32_t **list, size_t *count, uint32_t process_id)
{
	/* A power of two of places: grown when the count comes to one. */
	if (!(*count & (*count - 1))) {
		uint32_t *grown = realloc(*list, (*count ? 2 * *count : 1) * sizeof(**list));

		if (!grown) {
			message_error("out of memory");
			return false;
		}
		*list = grown;
	}
	(*list)[(*count)++] = process_id;
	return true;
}

bool option_values_process_ids(const char *name, const char *text, uint32_t **process_ids, size_t *count)
{
	const char *at = text;

	for (;;) {
		unsigned long long number;
		char *end;

		errno = 0;
		number = strtoull(at, &end, 10);
		/* No number is as long as to overflow without errno; pid_t is an int. */
		if (errno || end == at || !isdigit((unsigned char)*at) || !number || number > INT_MAX ||
		    (*end && *end != ',')) {
			message_error("%s takes process ids with commas between, as in 4711,4712, not \"%s\"",
			              name, text);
			return false;
		}
		if (!append(process_ids, count, (uint32_t)number))
			return false;
		if (!*end)
			return true;
		at = end + 1;
	}
}
