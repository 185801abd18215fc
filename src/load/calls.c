/*
 * Programs that several system calls share. See calls.h.
 */
#include "load/calls.h"

#include <bpf/libbpf.h>

#include "fd_calls.h"
#include "leftopen.skel.h"

static struct bpf_program *fd_program(const struct leftopen_bpf *skeleton, enum fd_gives gives)
{
	switch (gives) {
	case FD_GIVES_RESULT:
	case FD_GIVES_COPY:
		return skeleton->progs.fd_by_result;
	case FD_GIVES_PAIR_0:
	case FD_GIVES_PAIR_3:
		return skeleton->progs.fd_by_pair;
	case FD_GIVES_MESSAGE:
		return skeleton->progs.fd_by_message;
	case FD_GIVES_MESSAGES:
		return skeleton->progs.fd_by_messages;
	default:
		return NULL;
	}
}

static const struct {
	const char *event;
	enum fd_gives gives;
} fd_calls[] = {
#define FD_CALL(call, origin, gives) {"sys_exit_" #call, FD_GIVES_##gives},
#include "fd_calls.def"
};

#define FD_CALL_COUNT (sizeof(fd_calls) / sizeof(fd_calls[0]))

struct bpf_program *calls_find(const struct leftopen_bpf *skeleton, size_t index, const char **ret_event)
{
	const struct {
		const char *event;
		struct bpf_program *program;
	} map_calls[] = {
#define MAP_CALL(event, program) {#event, skeleton->progs.program},
#include "map_calls.def"
	};

	if (index < FD_CALL_COUNT) {
		*ret_event = fd_calls[index].event;
		return fd_program(skeleton, fd_calls[index].gives);
	}
	index -= FD_CALL_COUNT;
	if (index >= sizeof(map_calls) / sizeof(map_calls[0]))
		return NULL;
	*ret_event = map_calls[index].event;
	return map_calls[index].program;
}
