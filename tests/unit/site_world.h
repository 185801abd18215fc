/*
 * A world (model_events.h) with a namer of made-up code, for tests of what a snapshot makes of groups.
 */
#ifndef LEFTOPEN_TESTS_SITE_WORLD_H
#define LEFTOPEN_TESTS_SITE_WORLD_H

#include "model/build.h"
#include "model/snapshot.h"
#include "model_events.h"

struct site_world {
	struct world world;
	struct actor command;
	struct snapshot_frame *frames; /* what frames are named; by position */
	size_t frame_count, frame_capacity;
	uint64_t next_stack;
	struct room_rules rules;
	struct build_options options; /* for the next snapshot */
	struct snapshot *snapshot;
};

void site_world_begin(struct site_world *sites);
void site_world_end(struct site_world *sites);

/** A Python frame of a stack to be. The file's place decides the room. */
struct stack_frame site_python(struct site_world *sites, const char *function, const char *file,
                               uint32_t line);

/** A native frame. */
struct stack_frame site_native(struct site_world *sites, const char *function, const char *module,
                               const char *file, uint32_t line);

/** Sends a stack, innermost frame first; handles are made under it from now on. @return its id */
uint64_t site_stack(struct site_world *sites, const struct stack_frame *frames, size_t count);

/** The same for a stack of libc's open, called at that line of Python. */
uint64_t site_line(struct site_world *sites, const char *file, uint32_t line);

/** Opens files in the command under the next numbers, in calls of their own. */
void site_open(struct site_world *sites, size_t count);

/** Opens a file of that path, which is read at the mark. */
void site_open_path(struct site_world *sites, const char *name);

/** Ends the command and takes a snapshot, which lives until the next one. */
struct snapshot *site_report(struct site_world *sites);

/** Takes a snapshot. */
struct snapshot *site_snapshot(struct site_world *sites);

/** @return the site at that file and line; one that is not there fails the test */
const struct snapshot_site *site_at(const struct site_world *sites, const char *file, uint32_t line);

#endif
