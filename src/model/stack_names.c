/*
 * Stacks of a snapshot. See stack_names.h.
 */
#include "model/stack_names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"

static const char *const stack_ends[STACK_END_COUNT] = {
        [STACK_END_COMPLETE] = "",
        [STACK_END_FRAME_POINTERS] = "native frames by frame pointers: callers may be missing",
        [STACK_END_DEPTH] = "more frames than are kept",
        [STACK_END_FAULT] = "the process's memory could not be read",
        [STACK_END_PYTHON_UNKNOWN] = "the interpreter's thread state was not found",
        [STACK_END_KERNEL_THREAD] = "the kernel's own thread took the request from the ring (SQPOLL)",
        [STACK_END_NO_TABLE] = "code of a file whose unwind table was not made yet",
        [STACK_END_NO_ROW] = "code that says nothing of its caller (.eh_frame), and keeps no frame pointer",
        [STACK_END_NOT_KNOWN] = "code that says of its caller (.eh_frame) what unwind tables cannot",
        [STACK_END_NO_CODE] = "a return address that is no code",
        [STACK_END_EVALUATIONS] = "Python's frames do not match the native ones: some may be out of order",
        [STACK_END_BUSY] = "other threads changed the mappings all the time",
};

/* Code that was compiled from a string ("<string>") belongs to whoever called it. It has no line that anybody
 * wrote, so that an application's file which calls it is the place. */
static void place_generated_frames(struct snapshot_frame *frames, size_t count)
{
	enum frame_room caller = ROOM_APPLICATION;
	bool in_file = false;

	for (size_t i = count; i > 0; i--) {
		struct snapshot_frame *frame = &frames[i - 1];

		if (frame->language != LANGUAGE_PYTHON)
			continue;
		if (frame->file[0] == '<' && frame->room == ROOM_APPLICATION)
			frame->room = in_file && caller == ROOM_APPLICATION ? ROOM_LIBRARY : caller;
		else
			in_file = true;
		caller = frame->room;
	}
}

/* CPython calls each function through code that it made for it, where it is told to (-X perf): the function's
 * own frame has said it all, and its line too. */
static bool is_said(const struct snapshot_frame *frames, size_t count, const struct snapshot_frame *frame)
{
	const struct snapshot_frame *before = count ? &frames[count - 1] : NULL;

	return before && before->language == LANGUAGE_PYTHON && frame->language == LANGUAGE_JIT &&
	       frame->function[0] && !strcmp(frame->function, before->function) &&
	       !strcmp(frame->file, before->file);
}

int stack_names_fill(const struct namer *namer, struct arena *arena, const struct model_stack *from,
                     struct snapshot_stack *ret_stack)
{
	size_t capacity = 0, count = 0;
	struct snapshot_frame *frames = NULL;
	int error = 0;

	for (size_t i = 0; i < from->count && !error; i++) {
		struct snapshot_frame python, *named = &python;
		size_t named_count = 1;

		if (from->frames[i].kind == FRAME_PYTHON)
			error = namer->python(namer->context, arena, &from->frames[i], &python);
		else
			error = namer->native(namer->context, arena, &from->frames[i], &named, &named_count);
		if (!error && is_said(frames, count, named))
			continue;
		if (!error)
			error = array_grow((void **)&frames, &capacity, count + named_count,
			                   sizeof(frames[0]));
		if (!error) {
			memcpy(frames + count, named, named_count * sizeof(frames[0]));
			count += named_count;
		}
	}
	ret_stack->frames = error ? NULL : arena_alloc(arena, count * sizeof(frames[0]));
	if (!error && !ret_stack->frames)
		error = -ENOMEM;
	if (!error && count)
		memcpy(ret_stack->frames, frames, count * sizeof(frames[0]));
	free(frames);
	if (!error)
		place_generated_frames(ret_stack->frames, count);
	ret_stack->id = from->id;
	ret_stack->complete = from->end == STACK_END_COMPLETE;
	ret_stack->why = stack_ends[from->end];
	ret_stack->frame_count = count;
	return error;
}
