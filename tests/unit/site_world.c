/*
 * A world with a namer. See site_world.h.
 */
#include "site_world.h"

#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "base/array.h"
#include "model/points.h"

#define LIBC "/usr/lib/x86_64-linux-gnu/libc.so.6"

static int name_native(void *context, struct arena *arena, const struct stack_frame *frame,
                       struct snapshot_frame **ret_frames, size_t *ret_count)
{
	const struct site_world *sites = context;
	struct snapshot_frame *named = arena_alloc(arena, sizeof(*named));

	cr_assert_not_null(named);
	*named = sites->frames[frame->position];
	named->room = rooms_of_native(sites->options.rules, named->module);
	*ret_frames = named;
	*ret_count = 1;
	return 0;
}

static int name_python(void *context, struct arena *arena, const struct stack_frame *frame,
                       struct snapshot_frame *ret_frame)
{
	const struct site_world *sites = context;

	(void)arena;
	*ret_frame = sites->frames[frame->code];
	ret_frame->room = rooms_of_python(sites->options.rules, ret_frame->file);
	return 0;
}

static const char *read_target(void *context, struct arena *arena, uint32_t process_id, uint64_t start_ns,
                               int fd)
{
	(void)context;
	(void)start_ns;
	return arena_printf(arena, "/proc/%u/fd/%d", process_id, fd);
}

void site_world_begin(struct site_world *sites)
{
	static const uint64_t losses[LOSS_COUNT];
	static const char *const command[] = {"pytest", "-q"};

	memset(sites, 0, sizeof(*sites));
	world_begin(&sites->world);
	sites->command = world_command(&sites->world);
	sites->options = (struct build_options){
	        .started_ns = sites->command.start_ns,
	        .min_count = MIN_COUNT_DEFAULT,
	        .samples = SAMPLES_DEFAULT,
	        .names_targets = true,
	        .maps_limit = 65530,
	        .command = command,
	        .command_count = 2,
	        .working_directory = "/home/ada/shop",
	        .losses = losses,
	};
}

void site_world_end(struct site_world *sites)
{
	snapshot_free(sites->snapshot);
	world_end(&sites->world);
	free(sites->frames);
}

static uint64_t add_frame(struct site_world *sites, const struct snapshot_frame *frame)
{
	cr_assert_eq(array_grow((void **)&sites->frames, &sites->frame_capacity, sites->frame_count + 1,
	                        sizeof(*frame)),
	             0);
	sites->frames[sites->frame_count] = *frame;
	return sites->frame_count++;
}

struct stack_frame site_python(struct site_world *sites, const char *function, const char *file,
                               uint32_t line)
{
	struct snapshot_frame frame = {
	        .function = function, .module = "", .file = file, .line = line, .language = LANGUAGE_PYTHON};

	return (struct stack_frame){.kind = FRAME_PYTHON, .code = add_frame(sites, &frame)};
}

struct stack_frame site_native(struct site_world *sites, const char *function, const char *module,
                               const char *file, uint32_t line)
{
	struct snapshot_frame frame = {.function = function,
	                               .module = module,
	                               .file = file,
	                               .line = line,
	                               .language = LANGUAGE_NATIVE};

	return (struct stack_frame){
	        .kind = FRAME_NATIVE, .file = {.inode = 5}, .position = add_frame(sites, &frame)};
}

uint64_t site_stack(struct site_world *sites, const struct stack_frame *frames, size_t count)
{
	/* Ids are hashes: their order is not that of their birth. */
	uint64_t id = ++sites->next_stack * 0x9e3779b97f4a7c15ULL;

	events_stack(&sites->world, id, frames, count);
	sites->world.stack = id;
	return id;
}

uint64_t site_line(struct site_world *sites, const char *file, uint32_t line)
{
	struct stack_frame frames[] = {
	        site_native(sites, "open64", LIBC, "", 0),
	        site_python(sites, "f", file, line),
	};

	return site_stack(sites, frames, 2);
}

static int next_fd(const struct site_world *sites)
{
	return (int)world_live(&sites->world, &sites->command);
}

void site_open(struct site_world *sites, size_t count)
{
	for (size_t i = 0; i < count; i++)
		events_open(&sites->world, &sites->command, next_fd(sites), 1000 + sites->world.now_ns);
}

void site_open_path(struct site_world *sites, const char *name)
{
	int fd = next_fd(sites);

	events_open(&sites->world, &sites->command, fd, 500);
	events_target(&sites->world, &sites->command, fd, 500, S_IFREG, name);
}

struct snapshot *site_snapshot(struct site_world *sites)
{
	const struct namer namer = {
	        .context = sites, .native = name_native, .python = name_python, .target = read_target};

	snapshot_free(sites->snapshot);
	sites->snapshot = NULL;
	sites->options.now_ns = sites->world.now_ns;
	sites->options.rules = &sites->rules;
	cr_assert_eq(snapshot_new(sites->world.model, &namer, &sites->options, &sites->snapshot), 0);
	return sites->snapshot;
}

struct snapshot *site_report(struct site_world *sites)
{
	events_exit(&sites->world, &sites->command, 0);
	return site_snapshot(sites);
}

const struct snapshot_site *site_at(const struct site_world *sites, const char *file, uint32_t line)
{
	const struct snapshot *snapshot = sites->snapshot;

	for (size_t i = 0; i < snapshot->site_count; i++)
		if (!strcmp(snapshot->sites[i].location.file, file) &&
		    snapshot->sites[i].location.line == line)
			return &snapshot->sites[i];
	cr_assert_fail("no site at %s:%u", file, line);
	return NULL;
}
