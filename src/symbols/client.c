/*
 * Names for snapshots. See client.h.
 */
#include "symbols/client.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "base/arena.h"
#include "symbols/generated_code.h"
#include "symbols/jit_name.h"
#include "symbols/mapped_files.h"
#include "symbols/native.h"
#include "symbols/python_codes.h"
#include "symbols/target_reader.h"

/* Files that are open for naming, each with its debug information in memory. Beyond it all are closed, and
 * opened anew where they are asked for again. Chosen by: a desktop program maps some 200. */
#define OBJECTS_MAX 512

struct known_object {
	struct file_key key;
	struct native_object *object; /* NULL: it cannot be read */
	UT_hash_handle hh;
};

/* Places whose names are kept, so that a report that is made again and again names only what is new. Beyond
 * it all are dropped. Chosen by: a large program's stacks go through some ten thousand; 200 bytes each. */
#define NAMES_MAX 100000

struct known_place {
	struct file_key file;
	uint64_t position;
};

struct known_name {
	struct known_place place;
	struct native_name *names;
	size_t count; /* 0: it has none */
	UT_hash_handle hh;
};

struct symbols {
	struct mapped_files *files;
	const struct python_codes *codes;
	const struct generated_code *generated;
	const struct room_rules *rules;
	struct known_object *objects;
	struct known_name *names;
	struct target_reader targets;
};

int symbols_new(struct mapped_files *files, const struct python_codes *codes,
                const struct generated_code *generated, const struct room_rules *rules,
                struct symbols **ret_symbols)
{
	struct symbols *symbols = calloc(1, sizeof(*symbols));

	if (!symbols)
		return -ENOMEM;
	symbols->files = files;
	symbols->codes = codes;
	symbols->generated = generated;
	symbols->rules = rules;
	target_reader_init(&symbols->targets);
	*ret_symbols = symbols;
	return 0;
}

static void forget_objects(struct symbols *symbols)
{
	struct known_object *known, *next;

	HASH_ITER (hh, symbols->objects, known, next) {
		HASH_DEL(symbols->objects, known);
		native_object_free(known->object);
		free(known);
	}
}

static void forget_names(struct symbols *symbols)
{
	struct known_name *known, *next;

	HASH_ITER (hh, symbols->names, known, next) {
		HASH_DEL(symbols->names, known);
		native_names_free(known->names, known->count);
		free(known);
	}
}

void symbols_free(struct symbols *symbols)
{
	if (!symbols)
		return;
	forget_names(symbols);
	forget_objects(symbols);
	target_reader_clear(&symbols->targets);
	free(symbols);
}

/* @return the file's object, or NULL: it cannot be read (asked once), or out of memory */
static struct native_object *find_object(struct symbols *symbols, const struct file_key *key,
                                         const char *path)
{
	struct known_object *known;
	int fd;

	HASH_FIND(hh, symbols->objects, key, sizeof(*key), known);
	if (known)
		return known->object;
	if (HASH_COUNT(symbols->objects) >= OBJECTS_MAX)
		forget_objects(symbols);
	known = calloc(1, sizeof(*known));
	if (!known)
		return NULL;
	known->key = *key;
	if (mapped_files_fd(symbols->files, key, &fd) || native_object_open(path, fd, &known->object))
		known->object = NULL;
	HASH_ADD(hh, symbols->objects, key, sizeof(known->key), known);
	return known->object;
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

/* @return 0: ret_known is the client's; it has no names where the file cannot be read; -ENOMEM */
static int find_names(struct symbols *symbols, const struct stack_frame *frame, const char *path,
                      const struct known_name **ret_known)
{
	struct known_place place = {
	        .file = frame->file,
	        .position = frame->position,
	};
	struct native_object *object;
	struct known_name *known;
	int error;

	HASH_FIND(hh, symbols->names, &place, sizeof(place), known);
	if (known) {
		*ret_known = known;
		return 0;
	}
	if (HASH_COUNT(symbols->names) >= NAMES_MAX)
		forget_names(symbols);
	known = calloc(1, sizeof(*known));
	if (!known)
		return -ENOMEM;
	known->place = place;
	object = find_object(symbols, &frame->file, path);
	error = object ? native_object_name(object, frame->position, true, &known->names, &known->count)
	               : -ENOENT;
	if (error == -ENOMEM) {
		free(known);
		return error;
	}
	HASH_ADD(hh, symbols->names, place, sizeof(known->place), known);
	*ret_known = known;
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
	const struct known_name *known = NULL;
	struct snapshot_frame *frames;
	int error = module ? 0 : -ENOMEM;

	if (!error && generated)
		return name_generated(symbols, arena, frame, generated, ret_frames, ret_count);
	if (!error && path)
		error = find_names(symbols, frame, path, &known);
	if (error)
		return error;
	if (!known || !known->count)
		return unnamed(arena, module, frame, room, ret_frames, ret_count);
	frames = arena_alloc(arena, known->count * sizeof(*frames));
	for (size_t i = 0; frames && i < known->count; i++) {
		const struct native_name *name = &known->names[i];

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
	*ret_count = known->count;
	return 0;
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
	return (struct namer){
	        .context = symbols,
	        .native = name_native,
	        .python = name_python,
	        .target = read_target,
	};
}
