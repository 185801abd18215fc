/*
 * Where code belongs: application, library, runtime, libc, loader. It decides which frame is the site.
 */
#ifndef LEFTOPEN_MODEL_ROOMS_H
#define LEFTOPEN_MODEL_ROOMS_H

#include <stddef.h>

#include "model/snapshot.h"

struct room_rules {
	const char *const *application_globs; /* --app, before every pattern (fnmatch(3)) */
	size_t glob_count;
};

/**
 * @param path of an ELF file, any bytes
 * @return where its code belongs
 */
enum frame_room rooms_of_native(const struct room_rules *rules, const char *path);

/**
 * @param file as a code object has it: absolute, relative or "<frozen os>"
 * @return where its code belongs
 */
enum frame_room rooms_of_python(const struct room_rules *rules, const char *file);

/**
 * @param file as a JIT compiler has it: absolute, "node:fs" for what is in its engine, or a code object's
 * @return where its code belongs
 */
enum frame_room rooms_of_script(const struct room_rules *rules, const char *file);

#endif
