/*
 * What the snapshot asks for names of: implemented by src/symbols/client.c, so that the model parses no file.
 */
#ifndef LEFTOPEN_MODEL_NAMING_H
#define LEFTOPEN_MODEL_NAMING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/snapshot.h"

struct arena;

struct namer {
	void *context;

	/**
	 * Told of each native frame before the first is named, so that those of one file are looked up
	 * together. NULL: the namer does not need it.
	 * @return 0, or -ENOMEM
	 */
	int (*expect)(void *context, const struct stack_frame *frame);

	/**
	 * Names a native frame by the call before its address, which every frame's is behind, the innermost
	 * one's behind its system call: inlined functions first. All strings are the arena's, none is NULL.
	 * @return 0, at least one frame; -ENOMEM
	 */
	int (*native)(void *context, struct arena *arena, const struct stack_frame *frame,
	              struct snapshot_frame **ret_frames, size_t *ret_count);

	/** Names a frame of CPython's. @return 0, or -ENOMEM */
	int (*python)(void *context, struct arena *arena, const struct stack_frame *frame,
	              struct snapshot_frame *ret_frame);

	/**
	 * What a living process's descriptor refers to.
	 * @param start_ns not before the process's start, CLOCK_BOOTTIME: a later one of the same id is
	 * another
	 * @return a string of the arena, or NULL: unknown
	 */
	const char *(*target)(void *context, struct arena *arena, uint32_t process_id, uint64_t start_ns,
	                      int fd);

	/** @return files that could not be read for names, and may have some. NULL: there are none */
	uint64_t (*unread)(void *context);
};

#endif
