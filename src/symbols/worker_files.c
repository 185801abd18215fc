/*
 * Names of native code, asked of a worker. See worker_files.h.
 */
#include "symbols/worker_files.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <uthash.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/in_time.h"
#include "symbols/mapped_files.h"
#include "symbols/worker.h"
#include "symbols/worker_process.h"

/* A file that was open when the worker ended need not be what ended it. */
#define STRIKES_MAX 2
/* Debug files that one file may ask for. Chosen by: more than the places of its own and of what it shares. */
#define NEEDS_MAX 16
/* Opening a debug file takes no longer, or it is as if there were none; and so many may be waited for in
 * vain. */
#define DEBUG_OPEN_NS 1000000000ULL
#define LATE_MAX      3
/* Workers that cannot be ended, as they wait for a filesystem. Beyond it none is started. */
#define LINGERING_MAX 4

const struct worker_options worker_options_own = {
        .argument = WORKER_ARGUMENT,
        .answer_ns = WORKER_ANSWER_NS,
        .failed_ns = WORKER_FAILED_NS,
};

struct asked_file {
	struct file_key key;
	uint64_t worker; /* the one that has it open; 0: none */
	uint32_t slot;
	unsigned int strikes;
	bool unreadable;
	uint64_t put_off_in; /* a report; 0: never */
	UT_hash_handle hh;
};

struct worker_files {
	struct mapped_files *mapped;
	const struct worker_options *options;
	struct asked_file *asked;
	struct worker_process process;
	uint64_t worker; /* number of the last that was started, from 1 */
	uint32_t open_count;
	pid_t lingering[LINGERING_MAX];
	unsigned int late;           /* openings of debug files that have not returned */
	uint64_t report;             /* number, from 1 */
	uint64_t failed_ns;          /* in this report */
	bool unavailable;            /* in this report: a worker cannot be started */
	uint64_t set_aside, put_off; /* files; those put off in this report */
	struct wire_message message;
};

int worker_files_new(struct mapped_files *mapped, const struct worker_options *options,
                     struct worker_files **ret_files)
{
	struct worker_files *files = calloc(1, sizeof(*files));

	if (!files)
		return -ENOMEM;
	files->mapped = mapped;
	files->options = options;
	files->process = WORKER_PROCESS_NONE;
	files->report = 1;
	*ret_files = files;
	return 0;
}

/* One that another process has started, which this one was forked from, is not this one's to speak to. */
static void end_worker(struct worker_files *files)
{
	pid_t left = 0;

	if (worker_process_is_own(&files->process))
		left = worker_process_end(&files->process);
	else
		worker_process_leave(&files->process);
	files->open_count = 0;
	for (size_t i = 0; i < LINGERING_MAX && left; i++)
		if (!files->lingering[i]) {
			files->lingering[i] = left;
			left = 0;
		}
}

void worker_files_free(struct worker_files *files)
{
	struct asked_file *file, *next;

	if (!files)
		return;
	end_worker(files);
	HASH_ITER (hh, files->asked, file, next) {
		HASH_DEL(files->asked, file);
		free(file);
	}
	free(files);
}

void worker_files_begin(struct worker_files *files)
{
	files->report++;
	files->failed_ns = 0;
	files->unavailable = false;
	files->put_off = 0;
}

void worker_files_rest(struct worker_files *files)
{
	end_worker(files);
}

uint64_t worker_files_unread(const struct worker_files *files)
{
	return files->set_aside + files->put_off;
}

pid_t worker_files_process_id(const struct worker_files *files)
{
	return worker_process_is_own(&files->process) ? files->process.process_id : -1;
}

static int receive(struct worker_files *files, enum wire_type type, uint64_t until_ns)
{
	int error = worker_process_receive(&files->process, until_ns, &files->message);

	if (error)
		return error;
	/* It has no descriptors to give. */
	if (files->message.fd >= 0) {
		fd_close(&files->message.fd);
		return -EBADMSG;
	}
	return type && files->message.type != type ? -EBADMSG : 0;
}

/* @return whether one more worker that cannot be ended could be remembered */
static bool may_linger(struct worker_files *files)
{
	bool may = false;

	for (size_t i = 0; i < LINGERING_MAX; i++) {
		if (files->lingering[i] && waitpid(files->lingering[i], NULL, WNOHANG))
			files->lingering[i] = 0;
		may |= !files->lingering[i];
	}
	return may;
}

/* @return 0; -errno: none can be had, which is no file's fault */
static int start_worker(struct worker_files *files, uint64_t until_ns)
{
	struct wire_ready ready;
	int error;

	if (worker_process_is_own(&files->process))
		return 0;
	end_worker(files);
	if (!may_linger(files))
		return -EBUSY;
	error = worker_process_start(files->options->argument, &files->process);
	if (error)
		return error;
	files->worker++;
	error = receive(files, WIRE_READY, until_ns);
	if (!error)
		error = wire_take(&files->message, &ready, sizeof(ready));
	if (!error)
		error = wire_end(&files->message);
	if (!error && ready.version != WIRE_VERSION)
		error = -EPROTO;
	if (error)
		end_worker(files);
	return error;
}

struct debug_opening {
	enum debug_place place;
	char *path;
	char *name;
	int fd;
};

static void debug_opening_release(void *context)
{
	struct debug_opening *opening = context;

	fd_close(&opening->fd);
	free(opening->path);
	free(opening->name);
	free(opening);
}

static void debug_opening_make(void *context)
{
	struct debug_opening *opening = context;

	(void)debug_place_open(opening->path, opening->place, opening->name, &opening->fd);
}

/* @param ret_fd the caller's; -1: there is none, or it takes too long. @return 0; -ENOMEM */
static int open_debug_file(struct worker_files *files, struct debug_opening *opening, int *ret_fd)
{
	int error = files->late < LATE_MAX
	                    ? in_time_call(debug_opening_make, debug_opening_release, opening, DEBUG_OPEN_NS)
	                    : -EBUSY;

	*ret_fd = -1;
	if (error == -ETIMEDOUT) {
		files->late++;
		return 0;
	}
	if (!error)
		*ret_fd = fd_take(&opening->fd);
	debug_opening_release(opening);
	return error == -ENOMEM ? error : 0;
}

/* The worker names a debug file, as what it reads does. @return 0; -EBADMSG; -errno of sending; -ENOMEM */
static int give_debug_file(struct worker_files *files, const char *path)
{
	struct debug_opening *opening;
	struct wire_need need;
	struct wire_status status;
	FD_OWNED int fd = -1;
	int error = wire_take(&files->message, &need, sizeof(need));

	if (error || need.place >= DEBUG_PLACE_COUNT)
		return -EBADMSG;
	opening = calloc(1, sizeof(*opening));
	if (!opening)
		return -ENOMEM;
	opening->fd = -1;
	opening->place = need.place;
	error = wire_take_text(&files->message, need.bytes, DEBUG_NAME_MAX, &opening->name);
	if (!error)
		error = wire_end(&files->message);
	if (!error) {
		opening->path = strdup(path);
		error = opening->path ? 0 : -ENOMEM;
	}
	if (error) {
		debug_opening_release(opening);
		return error;
	}
	error = open_debug_file(files, opening, &fd);
	if (error)
		return error;
	status.error = fd < 0 ? -ENOENT : 0;
	wire_begin(&files->message, WIRE_GIVEN, fd);
	error = wire_put(&files->message, &status, sizeof(status));
	return error ? error : worker_process_send(&files->process, &files->message);
}

/* @return 0: the file is open, or unreadable; -errno */
static int await_opened(struct worker_files *files, struct asked_file *file, const char *path,
                        uint64_t until_ns)
{
	struct wire_status status;
	int error;

	for (unsigned int needs = 0; needs <= NEEDS_MAX; needs++) {
		error = receive(files, 0, until_ns);
		if (!error && files->message.type == WIRE_NEED) {
			error = give_debug_file(files, path);
			if (error)
				return error;
			continue;
		}
		if (!error && files->message.type != WIRE_OPENED)
			error = -EBADMSG;
		if (!error)
			error = wire_take(&files->message, &status, sizeof(status));
		if (!error)
			error = wire_end(&files->message);
		if (error)
			return error;
		/* Memory may be short because of the others: it is asked again, alone. */
		if (status.error == -ENOMEM)
			return -EPIPE;
		file->unreadable = status.error != 0;
		file->worker = files->worker;
		return 0;
	}
	return -EBADMSG;
}

static int open_file(struct worker_files *files, struct asked_file *file, const char *path, uint64_t until_ns)
{
	struct wire_open open = {.slot = files->open_count};
	int fd, error;

	if (file->worker == files->worker && files->worker)
		return 0;
	error = mapped_files_fd(files->mapped, &file->key, &fd);
	if (error) {
		file->unreadable = true;
		files->set_aside += error == -ETIMEDOUT;
		return 0;
	}
	if (files->open_count >= WIRE_FILES_MAX) {
		/* The others are open in none. */
		files->worker++;
		files->open_count = open.slot = 0;
		wire_begin(&files->message, WIRE_FORGET, -1);
		error = worker_process_send(&files->process, &files->message);
		if (error)
			return error;
	}
	wire_begin(&files->message, WIRE_OPEN, fd);
	error = wire_put(&files->message, &open, sizeof(open));
	if (!error)
		error = worker_process_send(&files->process, &files->message);
	if (!error)
		error = await_opened(files, file, path, until_ns);
	if (!error && !file->unreadable) {
		file->slot = open.slot;
		files->open_count++;
	}
	return error;
}

/* An item of the answer, of which there may be more in the next message. */
static int take_item(struct worker_files *files, void *ret_item, size_t bytes, uint64_t until_ns)
{
	int error = 0;

	if (files->message.taken == files->message.bytes)
		error = receive(files, WIRE_ANSWER, until_ns);
	return error ? error : wire_take(&files->message, ret_item, bytes);
}

/* @param bytes that names may take, less from now on */
static int take_name(struct worker_files *files, uint64_t until_ns, size_t *bytes,
                     struct native_name *ret_name)
{
	struct wire_name item;
	size_t item_bytes;
	int error = take_item(files, &item, sizeof(item), until_ns);

	if (error || item.inlined > 1)
		return error ? error : -EBADMSG;
	item_bytes = (size_t)item.function_bytes + item.file_bytes + sizeof(*ret_name);
	if (item_bytes > *bytes)
		return -EBADMSG;
	*bytes -= item_bytes;
	ret_name->line = item.line;
	ret_name->inlined = item.inlined;
	error = wire_take_text(&files->message, item.function_bytes, DEMANGLE_NAME_MAX, &ret_name->function);
	if (!error)
		error = wire_take_text(&files->message, item.file_bytes, WIRE_FILE_MAX, &ret_name->file);
	return error;
}

static int take_place(struct worker_files *files, uint64_t until_ns, size_t *bytes,
                      struct place_names *ret_place)
{
	struct wire_answer item;
	int error = take_item(files, &item, sizeof(item), until_ns);

	if (error)
		return error;
	if (item.count > NATIVE_INLINE_MAX || (item.error != 0) != (item.count == 0))
		return -EBADMSG;
	if (item.error == -ENOMEM)
		return -EPIPE;
	if (!item.count)
		return 0;
	ret_place->names = calloc(item.count, sizeof(*ret_place->names));
	if (!ret_place->names)
		return -ENOMEM;
	ret_place->count = item.count;
	for (uint32_t i = 0; i < item.count && !error; i++)
		error = take_name(files, until_ns, bytes, &ret_place->names[i]);
	return error;
}

static int ask_places(struct worker_files *files, const struct asked_file *file, uint64_t until_ns,
                      const uint64_t *offsets, size_t count, struct place_names *ret_names)
{
	struct wire_ask ask = {.slot = file->slot, .count = (uint32_t)count};
	size_t bytes = WORKER_NAME_BYTES_MAX;
	int error;

	wire_begin(&files->message, WIRE_ASK, -1);
	error = wire_put(&files->message, &ask, sizeof(ask));
	if (!error)
		error = wire_put(&files->message, offsets, count * sizeof(*offsets));
	if (!error)
		error = worker_process_send(&files->process, &files->message);
	/* Nothing of the answer has come. */
	files->message.taken = files->message.bytes;
	for (size_t i = 0; i < count && !error; i++)
		error = take_place(files, until_ns, &bytes, &ret_names[i]);
	return error ? error : wire_end(&files->message);
}

static void forget_names(struct place_names *names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		native_names_free(names[i].names, names[i].count);
	memset(names, 0, count * sizeof(*names));
}

/* @return 0; -ENOMEM: of this process; another -errno: the worker failed */
static int try_to_ask(struct worker_files *files, struct asked_file *file, const char *path,
                      const uint64_t *offsets, size_t count, struct place_names *ret_names)
{
	uint64_t until_ns = clock_ns(CLOCK_MONOTONIC) + files->options->answer_ns;
	int error = open_file(files, file, path, until_ns);

	if (!error && !file->unreadable)
		error = ask_places(files, file, until_ns, offsets, count, ret_names);
	if (error)
		forget_names(ret_names, count);
	return error;
}

static struct asked_file *find_or_make(struct worker_files *files, const struct file_key *key)
{
	struct asked_file *file;

	HASH_FIND(hh, files->asked, key, sizeof(*key), file);
	if (file)
		return file;
	file = calloc(1, sizeof(*file));
	if (!file)
		return NULL;
	file->key = *key;
	HASH_ADD(hh, files->asked, key, sizeof(file->key), file);
	return file;
}

static void put_off(struct worker_files *files, struct asked_file *file)
{
	files->put_off += file->put_off_in != files->report;
	file->put_off_in = files->report;
}

/* Half an answer may still be on its way, so that this worker is of no more use. */
static void note_failure(struct worker_files *files, struct asked_file *file, int error, uint64_t begun_ns)
{
	end_worker(files);
	files->failed_ns += clock_ns(CLOCK_MONOTONIC) - begun_ns;
	file->strikes += error == -ETIMEDOUT ? STRIKES_MAX : 1;
	files->set_aside += file->strikes >= STRIKES_MAX;
}

int worker_files_ask(struct worker_files *files, const struct file_key *key, const char *path,
                     const uint64_t *offsets, size_t count, struct place_names *ret_names)
{
	struct asked_file *file = find_or_make(files, key);
	int error;

	memset(ret_names, 0, count * sizeof(*ret_names));
	if (!file)
		return -ENOMEM;
	while (!file->unreadable && file->strikes < STRIKES_MAX) {
		uint64_t begun_ns = clock_ns(CLOCK_MONOTONIC);

		if (files->failed_ns >= files->options->failed_ns)
			files->unavailable = true;
		if (!files->unavailable)
			files->unavailable = start_worker(files, begun_ns + files->options->answer_ns) != 0;
		if (files->unavailable) {
			put_off(files, file);
			return -EAGAIN;
		}
		error = try_to_ask(files, file, path, offsets, count, ret_names);
		if (!error && !file->unreadable)
			file->strikes = 0;
		if (!error)
			break;
		/* The worker is in the middle of an answer then, too. */
		if (error == -ENOMEM) {
			end_worker(files);
			return error;
		}
		note_failure(files, file, error, begun_ns);
	}
	return file->unreadable || file->strikes >= STRIKES_MAX ? -ENOENT : 0;
}
