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
	case FD_GIVES_CLONE:
	case FD_GIVES_CLONE3:
		return skeleton->progs.fd_by_clone;
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

/* Mappings whose length the kernel chose. */
static const char *const map_makers[] = {"sys_exit_shmat", "sys_exit_io_setup", "sys_exit_map_shadow_stack"};
static const char *const map_releasers[] = {"sys_enter_shmdt", "sys_enter_io_destroy"};
static const char *const map_release_ends[] = {"sys_exit_shmdt", "sys_exit_io_destroy"};

struct bpf_program *calls_find(const struct leftopen_bpf *skeleton, size_t index, const char **ret_event)
{
	const struct {
		const char *const *events;
		size_t count;
		struct bpf_program *program;
	} lists[] = {
	        {map_makers, sizeof(map_makers) / sizeof(map_makers[0]), skeleton->progs.map_whole},
	        {map_releasers, sizeof(map_releasers) / sizeof(map_releasers[0]),
	         skeleton->progs.unmap_whole},
	        {map_release_ends, sizeof(map_release_ends) / sizeof(map_release_ends[0]),
	         skeleton->progs.unmap_whole_failed},
	};

	if (index < FD_CALL_COUNT) {
		*ret_event = fd_calls[index].event;
		return fd_program(skeleton, fd_calls[index].gives);
	}
	index -= FD_CALL_COUNT;
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		if (index < lists[i].count) {
			*ret_event = lists[i].events[index];
			return lists[i].program;
		}
		index -= lists[i].count;
	}
	return NULL;
}
