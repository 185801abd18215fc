/*
 * Names for snapshots. See client.h.
 */
#include "symbols/client.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include "base/arena.h"
#include "symbols/generated_code.h"
#include "symbols/jit_name.h"
#include "symbols/mapped_files.h"
#include "symbols/native_places.h"
#include "symbols/python_codes.h"
#include "symbols/target_reader.h"
#include "symbols/worker_files.h"

struct symbols {
	struct mapped_files *files;
	const struct python_codes *codes;
	const struct generated_code *generated;
	const struct room_rules *rules;
	struct worker_files *worker;
	struct native_places *places;
	struct target_reader targets;
};

int symbols_new(struct mapped_files *files, const struct python_codes *codes,
                const struct generated_code *generated, const struct room_rules *rules,
                struct symbols **ret_symbols)
{
	struct symbols *symbols = calloc(1, sizeof(*symbols));
	int error;

	if (!symbols)
		return -ENOMEM;
	symbols->files = files;
	symbols->codes = codes;
	symbols->generated = generated;
	symbols->rules = rules;
	target_reader_init(&symbols->targets);
	error = worker_files_new(files, &worker_options_own, &symbols->worker);
	if (!error)
		error = native_places_new(symbols->worker, &symbols->places);
	if (error) {
		symbols_free(symbols);
		return error;
	}
	*ret_symbols = symbols;
	return 0;
}

void symbols_free(struct symbols *symbols)
{
	if (!symbols)
		return;
	native_places_free(symbols->places);
	worker_files_free(symbols->worker);
	target_reader_clear(&symbols->targets);
	free(symbols);
}

static int unnamed(struct arena *arena, const char *path, const struct stack_frame *frame,
                   enum frame_room room, struct snapshot_frame **ret_frames, size_t *ret_count)
{
	struct snapshot_frame *named = arena_alloc(arena, sizeof(*named));

	if (!named)
		return -ENOMEM;
	*named = (struct snapshot_frame){
	        .function = "",
	        .module = path,
	        .file = "",
	        .offset = frame->position,
	        .language = frame->file.inode ? LANGUAGE_NATIVE : LANGUAGE_JIT,
	        .room = room,
	};
	*ret_frames = named;
	*ret_count = 1;
	return 0;
}

/* A name says whose code it is where it says a file; what an engine does not call its own is a program's. */
static enum frame_room room_of(const struct symbols *symbols, const struct jit_name *name, const char *file)
{
	if (name->is_runtime)
		return ROOM_RUNTIME;
	return file[0] ? rooms_of_script(symbols->rules, file) : ROOM_APPLICATION;
}

static int name_generated(struct symbols *symbols, struct arena *arena, const struct stack_frame *frame,
                          const char *text, struct snapshot_frame **ret_frames, size_t *ret_count)
{
	struct snapshot_frame *named = arena_alloc(arena, sizeof(*named));
	struct jit_name name;

	if (!named)
		return -ENOMEM;
	jit_name_parse(text, &name);
	*named = (struct snapshot_frame){
	        .function = arena_printf(arena, "%.*s", (int)name.function_bytes, name.function),
	        .module = "",
	        .file = arena_printf(arena, "%.*s", (int)name.file_bytes, name.file),
	        .line = name.line,
	        .offset = frame->position,
	        .language = LANGUAGE_JIT,
	};
	if (!named->function || !named->file)
		return -ENOMEM;
	named->room = room_of(symbols, &name, named->file);
	*ret_frames = named;
	*ret_count = 1;
	return 0;
}

static int name_native(void *context, struct arena *arena, const struct stack_frame *frame,
                       struct snapshot_frame **ret_frames, size_t *ret_count)
{
	struct symbols *symbols = context;
	const char *generated = frame->file.inode ? NULL : generated_code_name(symbols->generated, frame);
	const char *path = frame->file.inode ? mapped_files_path(symbols->files, &frame->file) : NULL;
	char *module = arena_strdup(arena, path ? path : "");
	enum frame_room room = path ? rooms_of_native(symbols->rules, path) : ROOM_RUNTIME;
	const struct native_name *names = NULL;
	struct snapshot_frame *frames;
	size_t count = 0;
	int error = module ? 0 : -ENOMEM;

	if (!error && generated)
		return name_generated(symbols, arena, frame, generated, ret_frames, ret_count);
	if (!error && path)
		error = native_places_find(symbols->places, &frame->file, frame->position, path, &names,
		                           &count);
	if (error)
		return error;
	if (!count)
		return unnamed(arena, module, frame, room, ret_frames, ret_count);
	frames = arena_alloc(arena, count * sizeof(*frames));
	for (size_t i = 0; frames && i < count; i++) {
		const struct native_name *name = &names[i];

		frames[i] = (struct snapshot_frame){
		        .function = arena_strdup(arena, name->function),
		        .module = module,
		        .file = arena_strdup(arena, name->file),
		        .line = name->line,
		        .offset = frame->position,
		        .language = LANGUAGE_NATIVE,
		        .room = room,
		        .inlined = name->inlined,
		};
		if (!frames[i].function || !frames[i].file)
			frames = NULL;
	}
	if (!frames)
		return -ENOMEM;
	*ret_frames = frames;
	*ret_count = count;
	return 0;
}

static int expect_native(void *context, const struct stack_frame *frame)
{
	struct symbols *symbols = context;

	return frame->file.inode && mapped_files_path(symbols->files, &frame->file)
	               ? native_places_expect(symbols->places, &frame->file, frame->position)
	               : 0;
}

static uint64_t count_unread(void *context)
{
	const struct symbols *symbols = context;

	return worker_files_unread(symbols->worker);
}

static int name_python(void *context, struct arena *arena, const struct stack_frame *frame,
                       struct snapshot_frame *ret_frame)
{
	struct symbols *symbols = context;
	struct python_name name = {.function = "", .file = "", .line = 0};

	/* A code object that was lost is counted where it was; its frame stays, without a name. */
	(void)python_codes_name(symbols->codes, frame->code, (int32_t)frame->position, &name);
	*ret_frame = (struct snapshot_frame){
	        .function = arena_strdup(arena, name.function),
	        .module = "",
	        .file = arena_strdup(arena, name.file),
	        .line = name.line,
	        .offset = frame->position,
	        .language = LANGUAGE_PYTHON,
	        .room = name.file[0] ? rooms_of_python(symbols->rules, name.file) : ROOM_RUNTIME,
	};
	return ret_frame->function && ret_frame->file ? 0 : -ENOMEM;
}

static const char *read_target(void *context, struct arena *arena, uint32_t process_id, uint64_t start_ns,
                               int fd)
{
	struct symbols *symbols = context;
	char target[PATH_MAX];

	return target_reader_read(&symbols->targets, process_id, start_ns, fd, target, sizeof(target))
	               ? arena_strdup(arena, target)
	               : NULL;
}

struct namer symbols_namer(struct symbols *symbols)
{
	worker_files_begin(symbols->worker);
	return (struct namer){
	        .context = symbols,
	        .expect = expect_native,
	        .native = name_native,
	        .python = name_python,
	        .target = read_target,
	        .unread = count_unread,
	};
}

uint32_t symbols_worker_id(const struct symbols *symbols)
{
	pid_t process_id = worker_files_process_id(symbols->worker);

	return process_id > 0 ? (uint32_t)process_id : 0;
}

void symbols_rest(struct symbols *symbols)
{
	worker_files_rest(symbols->worker);
}
