/*
 * Workers that misbehave. See worker_entry.h.
 */
#include "worker_entry.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "random_numbers.h"
#include "symbols/wire.h"
#include "symbols/worker.h"

static struct wire_message message;

static void say(enum wire_type type, const void *content, size_t bytes, int fd)
{
	wire_begin(&message, type, fd);
	if (wire_put(&message, content, bytes) || wire_send(STDIN_FILENO, &message, 0))
		_exit(1);
}

static void hear(void)
{
	if (wire_receive(STDIN_FILENO, &message, 0))
		_exit(0);
}

static void say_opened(void)
{
	struct wire_status status = {0};

	say(WIRE_OPENED, &status, sizeof(status), -1);
}

/* One place with one name. @param nul where the function's name has a NUL; 0: nowhere */
static void say_name(struct wire_answer answer, struct wire_name name, size_t nul, size_t more, int fd)
{
	char content[sizeof(answer) + sizeof(name) + sizeof(WORKER_FUNCTION WORKER_FILE) + 8] = {0};
	char *at = content + sizeof(answer) + sizeof(name);

	memcpy(content, &answer, sizeof(answer));
	memcpy(content + sizeof(answer), &name, sizeof(name));
	memcpy(at, WORKER_FUNCTION WORKER_FILE, sizeof(WORKER_FUNCTION WORKER_FILE) - 1);
	if (nul)
		at[nul] = '\0';
	say(WIRE_ANSWER, content,
	    sizeof(answer) + sizeof(name) + sizeof(WORKER_FUNCTION WORKER_FILE) - 1 + more, fd);
}

static void answer_wrongly(const char *how)
{
	struct wire_answer answer = {.count = 1};
	struct wire_name name = {.function_bytes = sizeof(WORKER_FUNCTION) - 1,
	                         .file_bytes = sizeof(WORKER_FILE) - 1};

	if (!strcmp(how, WORKER_WRONG_COUNT))
		answer.count = UINT32_MAX;
	if (!strcmp(how, WORKER_WRONG_LENGTH))
		name.function_bytes = UINT32_MAX;
	say_name(answer, name, !strcmp(how, WORKER_NUL) ? 3 : 0, !strcmp(how, WORKER_MORE) ? 8 : 0,
	         !strcmp(how, WORKER_DESCRIPTOR) ? STDIN_FILENO : -1);
}

static void answer_garbage(void)
{
	uint64_t seed = (uint64_t)getpid();
	uint8_t bytes[512];
	size_t length = random_below(&seed, sizeof(bytes)) + 1;

	random_fill(&seed, bytes, length);
	if (send(STDIN_FILENO, bytes, length, MSG_NOSIGNAL) < 0)
		_exit(1);
}

static void need(const char *name, enum debug_place place)
{
	char content[sizeof(struct wire_need) + DEBUG_NAME_MAX];
	struct wire_need need = {.place = place, .bytes = (uint32_t)strlen(name)};

	memcpy(content, &need, sizeof(need));
	memcpy(content + sizeof(need), name, need.bytes);
	say(WIRE_NEED, content, sizeof(need) + need.bytes, -1);
	hear();
}

static bool is_given(const char *name, enum debug_place place)
{
	bool given;

	need(name, place);
	given = message.fd >= 0;
	if (given)
		(void)close(message.fd);
	return given;
}

/* What there is beside the file in test_worker_files.c, by its name and by paths. */
static void need_paths(void)
{
	static const char *const others[] = {"folder/inner", "../beside", "./beside", "folder", "fifo",
	                                     "text",         "..",        ".",        "",       "missing"};

	if (!is_given("beside", DEBUG_PLACE_BESIDE) || !is_given("hidden", DEBUG_PLACE_HIDDEN))
		_exit(1);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (is_given(others[i], DEBUG_PLACE_BESIDE))
			_exit(1);
	if (is_given("../../../bin/true", DEBUG_PLACE_BUILD_ID) || is_given("00", DEBUG_PLACE_BUILD_ID))
		_exit(1);
}

static void misbehave(const char *how)
{
	struct wire_ready ready = {.version = strcmp(how, WORKER_OTHER) ? WIRE_VERSION : WIRE_VERSION + 1};

	if (!strcmp(how, WORKER_ENDS))
		return;
	say(WIRE_READY, &ready, sizeof(ready), -1);
	for (;;) {
		bool opens;

		hear();
		opens = message.type == WIRE_OPEN;
		if (!strcmp(how, WORKER_ENDS_ASKED))
			return;
		if (!strcmp(how, WORKER_SILENT))
			continue;
		if (!strcmp(how, WORKER_GARBAGE))
			answer_garbage();
		while (!strcmp(how, WORKER_ENDLESS))
			need("none", DEBUG_PLACE_BESIDE);
		if (!strcmp(how, WORKER_PATHS) && opens)
			need_paths();
		if (opens)
			say_opened();
		else
			answer_wrongly(how);
	}
}

/* Before main(), which is Criterion's. */
__attribute__((constructor)) static void begin(int argc, char **argv)
{
	if (argc != 2)
		return;
	if (!strcmp(argv[1], WORKER_ARGUMENT))
		_exit(worker_main());
	if (!strncmp(argv[1], "worker-", strlen("worker-"))) {
		misbehave(argv[1]);
		_exit(0);
	}
}
