/*
 * A stack as text: the frames that a person wrote, and what lies between them in one line each.
 * Inputs: a snapshot's stack. Outputs: text in memory.
 * Trust: strings go through text_print.c; names of packages are guesses from paths and only for reading.
 */
#include "report/text_parts.h"

#include <inttypes.h>
#include <string.h>

#include "model/snapshot.h"
#include "report/report.h"

/* Chosen by: a screen; recursion is cut, -v shows it whole. */
#define FRAMES_SHOWN_MAX 24
/* Chosen by: what fits on a line. */
#define PACKAGES_SHOWN_MAX 3
/* Chosen by: a run through more packages than this says "and more" all the same. */
#define PACKAGES_COUNTED_MAX 16

/* A part of a frame's path, not terminated. */
struct package {
	const char *name;
	size_t length;
};

static struct package package_until(const char *name, size_t length, const char *ending)
{
	const char *end = memmem(name, length, ending, strlen(ending));

	return (struct package){name, end && end != name ? (size_t)(end - name) : length};
}

static struct package package_without_suffix(const char *name, size_t length)
{
	const size_t suffix = strlen(".py");

	if (length > suffix && memcmp(name + length - suffix, ".py", suffix) == 0)
		length -= suffix;
	return (struct package){name, length};
}

/* The part of a path after a folder of packages, without ".py"; empty where there is no such folder. */
static struct package package_below(const char *path, const char *folder)
{
	const char *found = strstr(path, folder), *name;
	size_t length;

	if (!found)
		return (struct package){"", 0};
	name = found + strlen(folder);
	length = strcspn(name, "/");
	/* npm: @scope/name */
	if (name[0] == '@' && name[length] == '/')
		length += 1 + strcspn(name + length + 1, "/");
	return package_without_suffix(name, length);
}

/* "/usr/lib/python3.11/sqlite3/dbapi2.py": the standard library's module. */
static struct package package_of_standard_library(const char *path)
{
	const char *found = strstr(path, "/lib/python3");
	const char *slash = found ? strchr(found + strlen("/lib/"), '/') : NULL;

	if (!slash || strstr(slash, "-packages/"))
		return (struct package){"", 0};
	return package_without_suffix(slash + 1, strcspn(slash + 1, "/"));
}

static struct package package_of_frame(const struct snapshot_frame *frame)
{
	static const char *const folders[] = {"/site-packages/", "/dist-packages/", "/node_modules/"};
	const char *path = frame->module[0] ? frame->module : frame->file;
	struct package package = {"", 0};
	const char *name;

	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		package = package_below(path, folders[i]);
		if (package.length > 0)
			return package;
	}
	if (frame->language == LANGUAGE_PYTHON)
		package = package_of_standard_library(path);
	if (package.length > 0)
		return package;
	name = text_path_basename(path);
	package = package_until(name, strlen(name), ".so");
	return package_until(package.name, package.length, ".cpython-");
}

struct package_list {
	struct package packages[PACKAGES_COUNTED_MAX];
	size_t count;
};

/* Adds the packages of those frames that belong to a room, each once. */
static void packages_collect(struct package_list *list, const struct snapshot_frame *frames, size_t count,
                             enum frame_room room)
{
	for (size_t i = 0; i < count && list->count < PACKAGES_COUNTED_MAX; i++) {
		struct package package = package_of_frame(&frames[i]);
		bool known = package.length == 0 || frames[i].room != room;

		for (size_t j = 0; j < list->count && !known; j++)
			known = list->packages[j].length == package.length &&
			        memcmp(list->packages[j].name, package.name, package.length) == 0;
		if (!known)
			list->packages[list->count++] = package;
	}
}

static void print_packages(struct text_output *output, const struct snapshot_frame *frames, size_t count)
{
	/* In the order of what they tell; that it all goes through libc tells nothing where there is more. */
	static const enum frame_room rooms[] = {ROOM_LIBRARY, ROOM_RUNTIME};
	struct package_list list = {0};

	for (size_t i = 0; i < sizeof(rooms) / sizeof(rooms[0]); i++)
		packages_collect(&list, frames, count, rooms[i]);
	if (list.count == 0) {
		packages_collect(&list, frames, count, ROOM_LIBC);
		packages_collect(&list, frames, count, ROOM_LOADER);
	}
	for (size_t i = 0; i < list.count && i < PACKAGES_SHOWN_MAX; i++) {
		fputs(i == 0 ? " in " : ", ", output->stream);
		text_print_foreign_bytes(output, list.packages[i].name, list.packages[i].length);
	}
	if (list.count > PACKAGES_SHOWN_MAX)
		fputs(" and others", output->stream);
}

static void print_frame(struct text_output *output, const struct snapshot_frame *frame)
{
	const char *file = frame->file[0] ? frame->file : frame->module;

	if (!frame->function[0] && frame->line == 0 && frame->module[0]) {
		text_print_path(output, frame->module);
		fprintf(output->stream, "+0x%" PRIx64, frame->offset);
	} else if (!text_print_code(output, file, frame->line, frame->function)) {
		fputs("unknown code", output->stream);
	}
	if (frame->inlined)
		fputs(" (inlined)", output->stream);
}

static bool is_site(const struct snapshot_frame *frame, const struct snapshot_site *site)
{
	return site && frame->function[0] && frame->line == site->location.line &&
	       strcmp(frame->function, site->location.function) == 0;
}

static bool is_shown(const struct text_output *output, const struct snapshot_frame *frame,
                     const struct snapshot_site *site)
{
	return output->options->verbose || frame->room == ROOM_APPLICATION || is_site(frame, site);
}

static void print_folded(struct text_output *output, const struct snapshot_frame *frames, size_t count,
                         const char *indentation)
{
	fputs(indentation, output->stream);
	text_print_color(output, TEXT_COLOR_DIM);
	fputs("... ", output->stream);
	text_print_count(output, count, "frame", "frames");
	print_packages(output, frames, count);
	text_print_color_end(output, TEXT_COLOR_DIM);
	fputc('\n', output->stream);
}

void text_stack_print(struct text_output *output, const struct snapshot_stack *stack,
                      const struct snapshot_site *site, const char *indentation)
{
	size_t at = 0, lines = 0;

	while (at < stack->frame_count && (output->options->verbose || lines < FRAMES_SHOWN_MAX)) {
		size_t end = at;

		while (end < stack->frame_count && !is_shown(output, &stack->frames[end], site))
			end++;
		if (end > at) {
			print_folded(output, stack->frames + at, end - at, indentation);
			at = end;
		} else {
			fputs(indentation, output->stream);
			print_frame(output, &stack->frames[at]);
			fputc('\n', output->stream);
			at++;
		}
		lines++;
	}
	if (at < stack->frame_count) {
		fprintf(output->stream, "%s... ", indentation);
		text_print_count(output, stack->frame_count - at, "more frame", "more frames");
		fputc('\n', output->stream);
	}
	if (!stack->complete) {
		fprintf(output->stream, "%s(the stack ends early: ", indentation);
		text_print_foreign(output, stack->why[0] ? stack->why : "the reason is not known");
		fputs(")\n", output->stream);
	}
}
