/*
 * What the handles of a site refer to: sixty names such as app-17.db are one shape, app-*.db.
 * Inputs: the samples of a site's groups. Outputs: text in memory.
 * Trust: names are strangers' and go through text_print.c; how many are compared is limited.
 */
#include "report/text_parts.h"

#include <stdlib.h>
#include <string.h>

#include "model/kinds.h"
#include "model/snapshot.h"
#include "report/report.h"

/* Chosen by: each name may be compared with all shapes before it, and names repeat. */
#define NAMES_READ_MAX 512
/* Chosen by: what fits on a line. */
#define SHAPES_SHOWN_MAX 4
#define SHAPES_BRIEF_MAX 3
/* Chosen by: shorter runs of hexadecimal digits are often words (bad, face). */
#define HEX_RUN_MIN 8
/* Chosen by: fewer are clearer when spelt out. */
#define AFFIX_NAMES_MIN 3
#define RUNS_MAX        64

struct shape {
	const char *name; /* the first of the shape */
	uint64_t varying; /* a bit for each run of digits that differs */
	uint64_t count;   /* 0: merged into another */
	bool affix;       /* only the two ends are common */
	size_t prefix;    /* lengths of them */
	size_t suffix;
};

struct shape_list {
	struct shape *shapes;
	size_t shape_count;
	uint64_t handles; /* of this type and category */
	uint64_t names;   /* of them, samples that were read */
};

static void shape_list_free(struct shape_list *list)
{
	free(list->shapes);
}

/* The others' targets (pipe:[123], anon_inode:[eventpoll]) say no more than their type. */
static bool is_named(enum handle_type type)
{
	return type == HANDLE_TYPE_FILE || type == HANDLE_TYPE_SOCKET || type == HANDLE_TYPE_MEMFD ||
	       type == HANDLE_TYPE_PIDFD || type == HANDLE_TYPE_MOUNT || type == HANDLE_TYPE_MQUEUE ||
	       type == HANDLE_TYPE_OTHER_FD || type == HANDLE_TYPE_FILE_MAP || type == HANDLE_TYPE_SHM;
}

static const char *name_of_target(enum handle_type type, const char *target)
{
	if (!is_named(type))
		return "";
	return target[0] == '/' ? text_path_basename(target) : target;
}

/* Cuts a name into runs of digits, or of hexadecimal digits where they are many, and what is between them. */
static size_t token_length(const char *name, bool *ret_run)
{
	static const char hexadecimal[] = "0123456789abcdefABCDEF";
	size_t digits = strspn(name, "0123456789");
	size_t hex = strspn(name, hexadecimal);
	size_t letters = 0;

	while (letters < hex && (name[letters] < '0' || name[letters] > '9'))
		letters++;

	*ret_run = true;
	if (hex >= HEX_RUN_MIN && letters < hex)
		return hex;
	if (digits > 0)
		return digits;
	*ret_run = false;
	return hex > 0 ? letters : strcspn(name, hexadecimal);
}

/* Whether two names differ in runs of digits only; which of them is added to *varying. */
static bool names_match(const char *a, const char *b, uint64_t *varying)
{
	uint64_t differing = 0;
	unsigned int run = 0;

	while (*a && *b) {
		bool a_run, b_run;
		size_t a_length = token_length(a, &a_run), b_length = token_length(b, &b_run);
		bool same = a_length == b_length && memcmp(a, b, a_length) == 0;

		if (a_run != b_run || (!a_run && !same) || run == RUNS_MAX)
			return false;
		if (!same)
			differing |= 1ULL << run;
		run += a_run;
		a += a_length;
		b += b_length;
	}
	if (*a || *b)
		return false;
	*varying |= differing;
	return true;
}

static void list_add(struct shape_list *list, const char *name)
{
	list->names++;
	if (!name[0])
		return;
	for (size_t i = 0; i < list->shape_count; i++) {
		struct shape *shape = &list->shapes[i];

		if (names_match(shape->name, name, &shape->varying)) {
			shape->count++;
			return;
		}
	}
	list->shapes[list->shape_count++] = (struct shape){.name = name, .count = 1};
}

static const char *extension_of(const char *name)
{
	const char *dot = strrchr(name, '.');

	return dot ? dot : "";
}

/* Shortens the two ends to what they have in common with a name, whole characters only. */
static void affix_narrow(struct shape *shape, const char *name)
{
	size_t own = strlen(shape->name), other = strlen(name), prefix = 0, suffix = 0;

	while (prefix < shape->prefix && shape->name[prefix] == name[prefix])
		prefix++;
	while (prefix > 0 && text_is_continuation(shape->name[prefix]))
		prefix--;
	while (suffix < shape->suffix && suffix < other - prefix &&
	       shape->name[own - 1 - suffix] == name[other - 1 - suffix])
		suffix++;
	while (suffix > 0 && text_is_continuation(shape->name[own - suffix]))
		suffix--;
	shape->prefix = prefix;
	shape->suffix = suffix;
}

static bool is_alone_with_extension(const struct shape *shape, const char *extension)
{
	return shape->count == 1 && strcmp(extension_of(shape->name), extension) == 0;
}

/* Names made by mkstemp() share no digits: those with one extension become one shape by their ends. */
static void list_fold_affixes(struct shape_list *list)
{
	for (size_t i = 0; i < list->shape_count; i++) {
		struct shape folded = list->shapes[i];
		const char *extension = extension_of(folded.name);

		if (folded.count != 1)
			continue;
		folded.affix = true;
		folded.prefix = folded.suffix = strlen(folded.name);
		for (size_t j = i + 1; j < list->shape_count; j++) {
			if (is_alone_with_extension(&list->shapes[j], extension)) {
				affix_narrow(&folded, list->shapes[j].name);
				folded.count++;
			}
		}
		if (folded.count < AFFIX_NAMES_MIN || folded.prefix + folded.suffix == 0)
			continue;
		for (size_t j = i + 1; j < list->shape_count; j++) {
			if (is_alone_with_extension(&list->shapes[j], extension))
				list->shapes[j].count = 0;
		}
		list->shapes[i] = folded;
	}
}

/* Most frequent first, equal ones in their order (which qsort() does not promise); those merged are dropped.
 */
static void list_sort(struct shape_list *list)
{
	size_t kept = 0;

	for (size_t i = 0; i < list->shape_count; i++) {
		struct shape shape = list->shapes[i];
		size_t at = kept;

		if (shape.count == 0)
			continue;
		while (at > 0 && list->shapes[at - 1].count < shape.count) {
			list->shapes[at] = list->shapes[at - 1];
			at--;
		}
		list->shapes[at] = shape;
		kept++;
	}
	list->shape_count = kept;
}

static bool is_alike(const struct snapshot_group *a, const struct snapshot_group *b)
{
	return a->type == b->type && a->category == b->category;
}

/* Collects the shapes of all groups of the type and category of one of them. */
static void list_collect(struct text_output *output, const struct snapshot_site *site,
                         const struct snapshot_group *like, struct shape_list *list)
{
	list->shapes = calloc(NAMES_READ_MAX, sizeof(*list->shapes));
	if (!list->shapes) {
		output->out_of_memory = true;
		return;
	}
	for (size_t i = 0; i < site->group_count; i++) {
		const struct snapshot_group *group = text_group_at(output, site, i);

		if (!is_alike(group, like))
			continue;
		list->handles += group->count;
		for (size_t j = 0; j < group->sample_count && list->names < NAMES_READ_MAX; j++)
			list_add(list, name_of_target(group->type, group->samples[j].target));
	}
	if (list->shape_count > SHAPES_SHOWN_MAX)
		list_fold_affixes(list);
	list_sort(list);
}

static void print_shape(struct text_output *output, const struct shape *shape)
{
	const char *name = shape->name, *literal = name;
	unsigned int run = 0;

	if (shape->affix) {
		text_print_foreign_bytes(output, name, shape->prefix);
		fputc('*', output->stream);
		text_print_foreign(output, name + strlen(name) - shape->suffix);
		return;
	}
	while (*name) {
		bool is_run;
		size_t length = token_length(name, &is_run);

		if (is_run && run < RUNS_MAX && (shape->varying >> run & 1)) {
			text_print_foreign_bytes(output, literal, (size_t)(name - literal));
			fputc('*', output->stream);
			literal = name + length;
		}
		run += is_run;
		name += length;
	}
	text_print_foreign(output, literal);
}

static void print_list(struct text_output *output, const struct snapshot_group *like,
                       const struct shape_list *list)
{
	size_t shown = text_limit_shown(output, list->shape_count, SHAPES_SHOWN_MAX);

	fputs(kinds_type_name(like->type), output->stream);
	if (like->category != CATEGORY_APPLICATION)
		fprintf(output->stream, ", %s", category_name(like->category));
	fputs(" (", output->stream);
	text_print_number(output, list->handles);
	if (list->names < list->handles && shown > 0) {
		fputs(", ", output->stream);
		text_print_number(output, list->names);
		fputs(" sampled", output->stream);
	}
	fputc(')', output->stream);
	for (size_t i = 0; i < shown; i++) {
		fputs(i == 0 ? ": " : ", ", output->stream);
		print_shape(output, &list->shapes[i]);
		if (list->shape_count > 1) {
			fputs(" (", output->stream);
			text_print_number(output, list->shapes[i].count);
			fputc(')', output->stream);
		}
	}
	text_print_more(output, shown, list->shape_count);
	fputc('\n', output->stream);
}

/* Whether no group before this one is of its type and category, so that it stands for them. */
static bool is_first_alike(const struct text_output *output, const struct snapshot_site *site, size_t index)
{
	for (size_t i = 0; i < index; i++) {
		if (is_alike(text_group_at(output, site, i), text_group_at(output, site, index)))
			return false;
	}
	return true;
}

void text_targets_print(struct text_output *output, const struct snapshot_site *site, const char *indentation)
{
	for (size_t i = 0; i < site->group_count; i++) {
		__attribute__((cleanup(shape_list_free))) struct shape_list list = {0};

		if (!is_first_alike(output, site, i))
			continue;
		list_collect(output, site, text_group_at(output, site, i), &list);
		if (i > 0)
			fputs(indentation, output->stream);
		print_list(output, text_group_at(output, site, i), &list);
	}
}

void text_targets_print_brief(struct text_output *output, const struct snapshot_site *site)
{
	enum handle_kind kind = site->fds > 0 ? HANDLE_KIND_FD : HANDLE_KIND_MAP;
	size_t shown = 0, total = 0;

	for (size_t i = 0; i < site->group_count; i++) {
		const struct snapshot_group *group = text_group_at(output, site, i);
		__attribute__((cleanup(shape_list_free))) struct shape_list list = {0};

		/* A file that is open and mapped is not named twice. */
		if (group->kind != kind || !is_first_alike(output, site, i))
			continue;
		list_collect(output, site, group, &list);
		total += list.shape_count > 0 ? list.shape_count : 1;
		if (list.shape_count == 0 && shown < SHAPES_BRIEF_MAX)
			fprintf(output->stream, "%s%s", shown++ == 0 ? " (" : ", ",
			        kinds_type_name(group->type));
		for (size_t j = 0; j < list.shape_count && shown < SHAPES_BRIEF_MAX; j++) {
			fputs(shown++ == 0 ? " (" : ", ", output->stream);
			print_shape(output, &list.shapes[j]);
		}
	}
	text_print_more(output, shown, total);
	if (shown > 0)
		fputc(')', output->stream);
}
