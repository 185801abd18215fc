/*
 * The worker. See worker.h.
 * Its whole answer to a file that breaks libelf or libdw is to end: it is started again without that file.
 */
#include "symbols/worker.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "symbols/native.h"
#include "symbols/sandbox.h"
#include "symbols/wire.h"

#define SOCKET_FD STDIN_FILENO

/* Memory: chosen by: a browser's engine with its debug information has 3 GiB. Descriptors: a file, its debug
 * file and what that shares, each, and a few. Processor time: a thousand times what a long report takes. */
static const struct sandbox_limits limits = {
        .memory_bytes = (uint64_t)4 << 30,
        .descriptors = 3 * WIRE_FILES_MAX + 16,
        .processor_time_s = 600,
};

struct worker {
	struct native_object *objects[WIRE_FILES_MAX];
	struct wire_message in, out;
};

/* A debug file is asked for while a file is opened: the message that asked to open it is not needed then. */
static int open_debug_file(void *context, enum debug_place place, const char *name, int *ret_fd)
{
	struct worker *worker = context;
	struct wire_need need = {.place = place, .bytes = (uint32_t)strlen(name)};
	struct wire_status status;
	int error;

	wire_begin(&worker->out, WIRE_NEED, -1);
	error = wire_put(&worker->out, &need, sizeof(need));
	if (!error)
		error = wire_put(&worker->out, name, need.bytes);
	if (!error)
		error = wire_send(SOCKET_FD, &worker->out, 0);
	if (!error)
		error = wire_receive(SOCKET_FD, &worker->in, 0);
	if (error)
		return error;
	if (worker->in.type != WIRE_GIVEN || wire_take(&worker->in, &status, sizeof(status)))
		status.error = -EBADMSG;
	if (!status.error && worker->in.fd < 0)
		status.error = -EBADMSG;
	if (status.error)
		fd_close(&worker->in.fd);
	else
		*ret_fd = fd_take(&worker->in.fd);
	return status.error;
}

static int open_file(struct worker *worker)
{
	FD_OWNED int fd = fd_take(&worker->in.fd);
	struct debug_opener opener = {.open = open_debug_file, .context = worker};
	struct wire_open open;
	struct wire_status status;
	int error = wire_take(&worker->in, &open, sizeof(open));

	if (error || fd < 0 || open.slot >= WIRE_FILES_MAX || worker->objects[open.slot])
		return -EBADMSG;
	status.error = native_object_open(fd, &opener, &worker->objects[open.slot]);
	wire_begin(&worker->out, WIRE_OPENED, -1);
	error = wire_put(&worker->out, &status, sizeof(status));
	return error ? error : wire_send(SOCKET_FD, &worker->out, 0);
}

static int send_answer(struct worker *worker)
{
	int error = wire_send(SOCKET_FD, &worker->out, 0);

	wire_begin(&worker->out, WIRE_ANSWER, -1);
	return error;
}

/* Makes room for an item that is in one message. */
static int make_room(struct worker *worker, size_t bytes)
{
	return bytes > WIRE_BYTES_MAX - worker->out.bytes ? send_answer(worker) : 0;
}

static int put_name(struct worker *worker, const struct native_name *name)
{
	struct wire_name item = {
	        .line = name->line,
	        .inlined = name->inlined,
	        .function_bytes = (uint32_t)strnlen(name->function, DEMANGLE_NAME_MAX),
	        .file_bytes = (uint32_t)strnlen(name->file, WIRE_FILE_MAX),
	};
	int error = make_room(worker, sizeof(item) + item.function_bytes + item.file_bytes);

	if (!error)
		error = wire_put(&worker->out, &item, sizeof(item));
	if (!error)
		error = wire_put(&worker->out, name->function, item.function_bytes);
	return error ? error : wire_put(&worker->out, name->file, item.file_bytes);
}

static int answer(struct worker *worker, struct native_object *object, uint64_t file_offset)
{
	struct native_name *names = NULL;
	struct wire_answer item = {0};
	size_t count = 0;
	int error;

	item.error = native_object_name(object, file_offset, true, &names, &count);
	item.count = (uint32_t)count;
	error = make_room(worker, sizeof(item));
	if (!error)
		error = wire_put(&worker->out, &item, sizeof(item));
	for (size_t i = 0; i < count && !error; i++)
		error = put_name(worker, &names[i]);
	native_names_free(names, count);
	return error;
}

static int answer_all(struct worker *worker)
{
	struct wire_ask ask;
	uint64_t file_offset;
	int error = wire_take(&worker->in, &ask, sizeof(ask));

	if (error || ask.slot >= WIRE_FILES_MAX || !worker->objects[ask.slot])
		return -EBADMSG;
	wire_begin(&worker->out, WIRE_ANSWER, -1);
	for (uint32_t i = 0; i < ask.count && !error; i++) {
		error = wire_take(&worker->in, &file_offset, sizeof(file_offset));
		if (!error)
			error = answer(worker, worker->objects[ask.slot], file_offset);
	}
	return error ? error : send_answer(worker);
}

static int forget_all(struct worker *worker)
{
	for (size_t i = 0; i < WIRE_FILES_MAX; i++) {
		native_object_free(worker->objects[i]);
		worker->objects[i] = NULL;
	}
	return 0;
}

static int serve(struct worker *worker)
{
	switch (worker->in.type) {
	case WIRE_OPEN:
		return open_file(worker);
	case WIRE_ASK:
		return answer_all(worker);
	case WIRE_FORGET:
		return forget_all(worker);
	default:
		return -EBADMSG;
	}
}

/* @return the process that made the socket; -1: it is none */
static pid_t find_maker(void)
{
	struct ucred maker;
	socklen_t bytes = sizeof(maker);

	return getsockopt(SOCKET_FD, SOL_SOCKET, SO_PEERCRED, &maker, &bytes) ? -1 : maker.pid;
}

static int say_ready(struct worker *worker)
{
	struct wire_ready ready = {.version = WIRE_VERSION};
	int error;

	wire_begin(&worker->out, WIRE_READY, -1);
	error = wire_put(&worker->out, &ready, sizeof(ready));
	return error ? error : wire_send(SOCKET_FD, &worker->out, 0);
}

int worker_main(void)
{
	struct worker *worker = calloc(1, sizeof(*worker));
	pid_t maker_id = find_maker();
	int error = worker ? 0 : -ENOMEM;

	(void)prctl(PR_SET_NAME, "leftopen-names");
	if (!error)
		error = sandbox_enter(&limits);
	/* Who made it may have ended before the worker asked to end with it. */
	if (!error && getppid() != maker_id)
		error = -EPERM;
	if (!error)
		error = say_ready(worker);
	while (!error) {
		error = wire_receive(SOCKET_FD, &worker->in, 0);
		if (!error)
			error = serve(worker);
		if (worker->in.fd >= 0)
			fd_close(&worker->in.fd);
	}
	if (worker)
		(void)forget_all(worker);
	free(worker);
	return error == -EPIPE ? 0 : 1;
}
