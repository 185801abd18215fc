/*
 * Names of code that is in no file. See generated_code.h.
 */
#include "symbols/generated_code.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <uthash.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/in_time.h"
#include "symbols/perf_map.h"
#include "symbols/perf_map_file.h"

/* What tells that a file has not changed. */
struct map_state {
	uint64_t bytes;
	struct timespec changed;
};

/* A process, from one exec to the next. */
struct image {
	uint64_t id;
	uint32_t process_id;
	uint64_t start_ns;
	uint32_t own_process_id, user_id;
	bool in_own_mounts; /* it sees the same /tmp as leftopen */
	bool ended;
	bool more; /* addresses have come since the file was read */
	bool cut;  /* counted already: the file has more than is read */
	uint32_t tries;
	int fd; /* -1: not open */
	struct map_state state;
	struct perf_map_name *names; /* by address */
	size_t count, capacity;
	UT_hash_handle hh;
	UT_hash_handle living; /* while it has not ended */
};

struct generated_code {
	struct image *images; /* by id */
	struct image *living; /* of these, by process id */
	uint64_t own_mount_namespace;
	uint64_t name_bytes;
	uint64_t not_kept;
	uint32_t late, open;
};

/* What a thread does: all of it is its own. */
struct reading {
	uint32_t process_id, own_process_id, user_id;
	uint64_t start_ns;
	bool in_own_mounts;
	bool looks; /* for the file only */
	bool more, cut;
	int fd;
	int error;
	struct map_state state;
	struct perf_map_name *names;
	size_t count;
};

int generated_code_new(struct generated_code **ret_code)
{
	struct generated_code *code = calloc(1, sizeof(*code));
	struct stat status;

	if (!code)
		return -ENOMEM;
	/* Elsewhere files of processes that have ended are not found. */
	if (!stat("/proc/self/ns/mnt", &status))
		code->own_mount_namespace = status.st_ino;
	*ret_code = code;
	return 0;
}

static void names_free(struct perf_map_name *names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(names[i].name);
	free(names);
}

static void close_map(struct generated_code *code, struct image *image)
{
	if (image->fd >= 0)
		code->open--;
	fd_close(&image->fd);
}

static void forget(struct generated_code *code, struct image *image)
{
	for (size_t i = 0; i < image->count; i++)
		code->name_bytes -= image->names[i].name ? strlen(image->names[i].name) + 1 : 0;
	close_map(code, image);
	if (!image->ended)
		HASH_DELETE(living, code->living, image);
	HASH_DEL(code->images, image);
	names_free(image->names, image->count);
	free(image);
}

void generated_code_free(struct generated_code *code)
{
	struct image *image, *next;

	if (!code)
		return;
	HASH_ITER (hh, code->images, image, next)
		forget(code, image);
	free(code);
}

void generated_code_forget_ended(struct generated_code *code)
{
	struct image *image, *next;

	HASH_ITER (hh, code->images, image, next)
		if (image->ended)
			forget(code, image);
}

uint64_t generated_code_not_kept(const struct generated_code *code)
{
	return code->not_kept;
}

static void reading_release(void *context)
{
	struct reading *reading = context;

	fd_close(&reading->fd);
	names_free(reading->names, reading->count);
	free(reading);
}

/* A process that has ended has no folder any more. @return descriptor, or -errno */
static int open_map(const struct reading *reading)
{
	uint64_t since_ns = clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_BOOTTIME);
	FD_OWNED int root_fd = perf_map_file_open_root(reading->process_id, reading->start_ns);

	if (root_fd == -ESRCH && reading->in_own_mounts)
		root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root_fd < 0)
		return root_fd;
	return perf_map_file_open(root_fd, reading->own_process_id, reading->user_id,
	                          (int64_t)((reading->start_ns + since_ns) / 1000000000ULL));
}

static void read_map(void *context)
{
	struct reading *reading = context;
	struct stat status;

	if (reading->fd < 0)
		reading->fd = open_map(reading);
	if (reading->fd < 0 || reading->looks || fstat(reading->fd, &status))
		return;
	if (!reading->more && reading->state.bytes == (uint64_t)status.st_size &&
	    reading->state.changed.tv_sec == status.st_mtim.tv_sec &&
	    reading->state.changed.tv_nsec == status.st_mtim.tv_nsec)
		return;
	reading->state = (struct map_state){.bytes = (uint64_t)status.st_size, .changed = status.st_mtim};
	reading->error = perf_map_find(reading->fd, reading->names, reading->count, &reading->cut);
}

/* @return 0; -ENOMEM */
static int reading_new(struct image *image, bool looks, struct reading **ret_reading)
{
	struct reading *reading = calloc(1, sizeof(*reading));

	if (!reading)
		return -ENOMEM;
	*reading = (struct reading){
	        .process_id = image->process_id,
	        .own_process_id = image->own_process_id,
	        .user_id = image->user_id,
	        .start_ns = image->start_ns,
	        .in_own_mounts = image->in_own_mounts,
	        .looks = looks,
	        .more = image->more,
	        .fd = -1,
	        .state = image->state,
	};
	if (!looks) {
		reading->names = calloc(image->count + 1, sizeof(*reading->names));
		if (!reading->names) {
			free(reading);
			return -ENOMEM;
		}
		reading->count = image->count;
		for (size_t i = 0; i < image->count; i++)
			reading->names[i].address = image->names[i].address;
	}
	if (image->fd >= 0)
		reading->fd = fcntl(image->fd, F_DUPFD_CLOEXEC, 0);
	*ret_reading = reading;
	return 0;
}

/* The name that an address had before is kept where it has none now. */
static void take_name(struct generated_code *code, struct perf_map_name *known, struct perf_map_name *found)
{
	uint64_t bytes = found->name ? strlen(found->name) + 1 : 0;
	uint64_t before = known->name ? strlen(known->name) + 1 : 0;

	if (!bytes)
		return;
	if (code->name_bytes - before + bytes > GENERATED_NAMES_MAX) {
		code->not_kept++;
		return;
	}
	code->name_bytes += bytes - before;
	free(known->name);
	known->name = found->name;
	found->name = NULL;
}

static void take_reading(struct generated_code *code, struct image *image, struct reading *reading)
{
	if (image->fd < 0 && reading->fd >= 0 && code->open < GENERATED_OPEN_MAX) {
		image->fd = fd_take(&reading->fd);
		code->open++;
	}
	if (reading->looks)
		return;
	image->more = false;
	image->state = reading->state;
	code->not_kept += reading->cut && !image->cut;
	image->cut |= reading->cut;
	for (size_t i = 0; i < reading->count; i++)
		take_name(code, &image->names[i], &reading->names[i]);
}

/* @param looks for the file, and does not read it. @return 0; -ENOMEM */
static int read_image(struct generated_code *code, struct image *image, bool looks)
{
	struct reading *reading;
	int error;

	if (code->late >= GENERATED_LATE_MAX || (!looks && !image->count))
		return 0;
	error = reading_new(image, looks, &reading);
	if (error)
		return error;
	error = in_time_call(read_map, reading_release, reading,
	                     looks ? GENERATED_LOOK_NS : GENERATED_READ_NS);
	if (error == -ETIMEDOUT) {
		code->late++;
		code->not_kept++;
		return 0;
	}
	if (!error) {
		error = reading->error == -ENOMEM ? -ENOMEM : 0;
		take_reading(code, image, reading);
	}
	reading_release(reading);
	/* Without a thread nothing is read: it is as if no file were there. */
	return error == -ENOMEM ? error : 0;
}

static bool has_names(const struct image *image)
{
	for (size_t i = 0; i < image->count; i++)
		if (image->names[i].name)
			return true;
	return false;
}

/* Most compilers write no map: what has no name now has none later. @return 0; -ENOMEM */
static int end_image(struct generated_code *code, struct image *image)
{
	int error = read_image(code, image, false);

	if (!has_names(image)) {
		forget(code, image);
		return error;
	}
	close_map(code, image);
	HASH_DELETE(living, code->living, image);
	image->ended = true;
	return error;
}

static struct image *find_living(const struct generated_code *code, uint32_t process_id)
{
	struct image *image;

	HASH_FIND(living, code->living, &process_id, sizeof(process_id), image);
	return image;
}

/* @return 0; -ENOMEM */
static int end_process(struct generated_code *code, uint32_t process_id)
{
	struct image *image = find_living(code, process_id);

	return image ? end_image(code, image) : 0;
}

/* What an instruction's address is looked up by: the call is before the address to return to. */
static uint64_t call_before(const struct stack_frame *frame)
{
	return frame->position ? frame->position - 1 : 0;
}

static bool is_known(const struct image *image, size_t at, uint64_t address)
{
	return at < image->count && image->names[at].address == address;
}

/* @return 0; -ENOMEM */
static int add_address(struct generated_code *code, struct image *image, uint64_t address)
{
	size_t at = perf_map_first_from(image->names, image->count, address);

	if (is_known(image, at, address))
		return 0;
	if (image->count >= GENERATED_ADDRESSES_MAX) {
		/* Without a file it would have no name either. */
		code->not_kept += image->fd >= 0;
		return 0;
	}
	if (array_grow((void **)&image->names, &image->capacity, image->count + 1, sizeof(*image->names)))
		return -ENOMEM;
	memmove(image->names + at + 1, image->names + at, (image->count - at) * sizeof(*image->names));
	image->names[at] = (struct perf_map_name){.address = address};
	image->count++;
	image->more = true;
	return 0;
}

static struct image *find_image(const struct generated_code *code, uint64_t id)
{
	struct image *image;

	HASH_FIND(hh, code->images, &id, sizeof(id), image);
	return image;
}

/* @return 0; -ENOSPC; -ENOMEM */
static int add_image(struct generated_code *code, const struct event_stack *event, struct image **ret_image)
{
	/* What it was before has ended, whether that was seen or not. */
	int error = end_process(code, event->header.process_id);
	struct image *image;

	if (error)
		return error;
	if (HASH_COUNT(code->images) >= GENERATED_IMAGES_MAX)
		return -ENOSPC;
	image = calloc(1, sizeof(*image));
	if (!image)
		return -ENOMEM;
	*image = (struct image){
	        .id = event->image,
	        .process_id = event->header.process_id,
	        .start_ns = event->header.process_start_ns,
	        .own_process_id = event->own_process_id,
	        .user_id = event->user_id,
	        .in_own_mounts =
	                event->mount_namespace && event->mount_namespace == code->own_mount_namespace,
	        .fd = -1,
	};
	HASH_ADD(hh, code->images, id, sizeof(image->id), image);
	HASH_ADD(living, code->living, process_id, sizeof(image->process_id), image);
	*ret_image = image;
	return 0;
}

/* @return 0; -ENOMEM */
static int take_stack(struct generated_code *code, const struct event_stack *event)
{
	struct image *image = find_image(code, event->image);
	int error = image ? 0 : add_image(code, event, &image);

	if (error == -ENOSPC) {
		code->not_kept++;
		return 0;
	}
	for (uint32_t i = 0; i < event->count && !error; i++)
		if (event->frames[i].kind == FRAME_NATIVE && event->frames[i].code == event->image)
			error = add_address(code, image, call_before(&event->frames[i]));
	if (error || image->ended || image->fd >= 0 || image->tries >= GENERATED_TRIES_MAX)
		return error;
	image->tries++;
	return read_image(code, image, true);
}

int generated_code_take(struct generated_code *code, const struct event_header *event)
{
	switch (event->type) {
	case EVENT_STACK:
		return ((const struct event_stack *)event)->image ? take_stack(code, (const void *)event) : 0;
	case EVENT_PROCESS_EXECED:
	case EVENT_PROCESS_EXITED:
		return end_process(code, event->process_id);
	default:
		return 0;
	}
}

int generated_code_read(struct generated_code *code)
{
	struct image *image, *next;
	int error = 0;

	HASH_ITER (living, code->living, image, next)
		if (!error)
			error = read_image(code, image, false);
	return error;
}

const char *generated_code_name(const struct generated_code *code, const struct stack_frame *frame)
{
	const struct image *image = find_image(code, frame->code);
	uint64_t address = call_before(frame);
	size_t at = image ? perf_map_first_from(image->names, image->count, address) : 0;

	return image && is_known(image, at, address) ? image->names[at].name : NULL;
}
