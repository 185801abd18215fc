/*
 * Where code belongs. See rooms.h.
 */
#include "model/rooms.h"

#include <fnmatch.h>
#include <stdbool.h>
#include <string.h>

struct room_pattern {
	const char *glob;
	enum frame_room room;
};

/* Of an ELF file's base name; the first that matches counts. */
static const struct room_pattern native_names[] = {
        {"ld-linux*", ROOM_LOADER},    {"ld-2.*", ROOM_LOADER},        {"ld-musl-*", ROOM_LOADER},
        {"ld.so*", ROOM_LOADER},       {"libc.so*", ROOM_LIBC},        {"libc-2.*", ROOM_LIBC},
        {"libc.musl-*", ROOM_LIBC},    {"libpthread*.so*", ROOM_LIBC}, {"libm.so*", ROOM_LIBC},
        {"libdl.so*", ROOM_LIBC},      {"librt.so*", ROOM_LIBC},       {"[[]vdso]", ROOM_LIBC},
        {"python[23]*", ROOM_RUNTIME}, {"libpython*", ROOM_RUNTIME},   {"perl", ROOM_RUNTIME},
        {"perl5*", ROOM_RUNTIME},      {"libperl.so*", ROOM_RUNTIME},  {"node", ROOM_RUNTIME},
        {"nodejs", ROOM_RUNTIME},      {"ruby*", ROOM_RUNTIME},        {"libruby*", ROOM_RUNTIME},
        {"libjvm.so", ROOM_RUNTIME},   {"libjli.so", ROOM_RUNTIME},
};

/* Of a shared library's path. */
static const struct room_pattern native_paths[] = {
        {"*/lib-dynload/*", ROOM_RUNTIME},
        {"/usr/*", ROOM_LIBRARY},
        {"/lib/*", ROOM_LIBRARY},
        {"/lib64/*", ROOM_LIBRARY},
        {"/opt/*", ROOM_LIBRARY},
        {"*/site-packages/*", ROOM_LIBRARY},
        {"*/dist-packages/*", ROOM_LIBRARY},
        {"*/node_modules/*", ROOM_LIBRARY},
};

static const struct room_pattern python_paths[] = {
        {"<frozen *", ROOM_RUNTIME},
        {"*/site-packages/*", ROOM_LIBRARY},
        {"*/dist-packages/*", ROOM_LIBRARY},
        {"*/.tox/*", ROOM_LIBRARY},
        {"*/.venv/*", ROOM_LIBRARY},
        {"*/lib/python[23].[0-9]/*", ROOM_RUNTIME},
        {"*/lib/python[23].[0-9][0-9]/*", ROOM_RUNTIME},
        {"*/lib64/python[23].[0-9]/*", ROOM_RUNTIME},
        {"*/lib64/python[23].[0-9][0-9]/*", ROOM_RUNTIME},
        {"/usr/lib/python3/*", ROOM_LIBRARY},
        {"/usr/share/*", ROOM_LIBRARY},
};

static const struct room_pattern script_paths[] = {
        {"node:*", ROOM_RUNTIME},
        {"*/node_modules/*", ROOM_LIBRARY},
        {"/usr/share/nodejs/*", ROOM_LIBRARY},
};

static bool is_application(const struct room_rules *rules, const char *path)
{
	for (size_t i = 0; i < rules->glob_count; i++)
		if (!fnmatch(rules->application_globs[i], path, 0))
			return true;
	return false;
}

static bool match(const struct room_pattern *patterns, size_t count, const char *text,
                  enum frame_room *ret_room)
{
	for (size_t i = 0; i < count; i++) {
		if (fnmatch(patterns[i].glob, text, 0))
			continue;
		*ret_room = patterns[i].room;
		return true;
	}
	return false;
}

#define MATCH(patterns, text, ret_room) \
	match(patterns, sizeof(patterns) / sizeof(patterns[0]), text, ret_room)

enum frame_room rooms_of_native(const struct room_rules *rules, const char *path)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	enum frame_room room;

	if (is_application(rules, path))
		return ROOM_APPLICATION;
	if (MATCH(native_names, name, &room))
		return room;
	/* A program is its own application, wherever it is installed. */
	if (strstr(name, ".so") && MATCH(native_paths, path, &room))
		return room;
	return ROOM_APPLICATION;
}

enum frame_room rooms_of_python(const struct room_rules *rules, const char *file)
{
	enum frame_room room;

	if (!is_application(rules, file) && MATCH(python_paths, file, &room))
		return room;
	return ROOM_APPLICATION;
}

enum frame_room rooms_of_script(const struct room_rules *rules, const char *file)
{
	enum frame_room room;

	if (!is_application(rules, file) && MATCH(script_paths, file, &room))
		return room;
	return rooms_of_python(rules, file);
}
