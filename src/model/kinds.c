/*
 * The table of handle kinds as data. See kinds.h.
 */
#include "model/kinds.h"

#include <string.h>
#include <sys/stat.h>

struct kind_row {
	const char *name;
	enum handle_shape shape;
};

static const struct kind_row kind_rows[HANDLE_KIND_COUNT] = {
#define HANDLE_KIND(id, name, unit, shape, on_fork, on_exec, limit) \
	[HANDLE_KIND_##id] = {name, HANDLE_SHAPE_##shape},
#include "handle_kinds.def"
};

struct type_row {
	const char *name;
	enum handle_kind kind;
};

static const struct type_row type_rows[HANDLE_TYPE_COUNT] = {
#define HANDLE_TYPE(id, kind, name) [HANDLE_TYPE_##id] = {name, HANDLE_KIND_##kind},
#include "handle_kinds.def"
};

struct origin_row {
	const char *name;
	enum handle_type type;
};

static const struct origin_row origin_rows[HANDLE_ORIGIN_COUNT] = {
#define HANDLE_ORIGIN(id, kind, name, type) [HANDLE_ORIGIN_##id] = {name, HANDLE_TYPE_##type},
#include "handle_kinds.def"
};

const char *kinds_kind_name(enum handle_kind kind)
{
	return kind_rows[kind].name;
}

enum handle_shape kinds_shape_of_kind(enum handle_kind kind)
{
	return kind_rows[kind].shape;
}

const char *kinds_type_name(enum handle_type type)
{
	return type_rows[type].name;
}

enum handle_kind kinds_kind_of_type(enum handle_type type)
{
	return type_rows[type].kind;
}

const char *kinds_origin_name(enum handle_origin origin)
{
	return origin_rows[origin].name;
}

enum handle_type kinds_type_of_origin(enum handle_origin origin)
{
	return origin_rows[origin].type;
}

enum handle_type kinds_type_of_mapping(uint64_t inode, uint32_t mode, bool shared)
{
	if (inode && !S_ISCHR(mode))
		return HANDLE_TYPE_FILE_MAP;
	return shared ? HANDLE_TYPE_SHM : HANDLE_TYPE_ANON;
}

enum handle_type kinds_type_of_mode(uint32_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
	case S_IFDIR:
	case S_IFCHR:
	case S_IFBLK:
		return HANDLE_TYPE_FILE;
	case S_IFIFO:
		return HANDLE_TYPE_PIPE;
	case S_IFSOCK:
		return HANDLE_TYPE_SOCKET;
	default:
		/* fs/anon_inodes.c: an anonymous inode has no type bits. */
		return HANDLE_TYPE_OTHER_FD;
	}
}

static const struct {
	const char *prefix;
	enum handle_type type;
} bare_names[] = {
        {"[eventfd]", HANDLE_TYPE_EVENTFD},
        {"[eventpoll]", HANDLE_TYPE_EPOLL},
        {"[timerfd]", HANDLE_TYPE_TIMERFD},
        {"[signalfd]", HANDLE_TYPE_SIGNALFD},
        {"inotify", HANDLE_TYPE_INOTIFY},
        {"[fanotify]", HANDLE_TYPE_FANOTIFY},
        {"memfd:", HANDLE_TYPE_MEMFD},
        {"secretmem", HANDLE_TYPE_MEMFD},
        {"[pidfd]", HANDLE_TYPE_PIDFD},
        {"[userfaultfd]", HANDLE_TYPE_USERFAULTFD},
        {"[perf_event]", HANDLE_TYPE_PERF},
        {"bpf", HANDLE_TYPE_BPF}, /* bpf-map, bpf-prog, bpf_link, bpf_iter */
        {"btf", HANDLE_TYPE_BPF},
        {"[io_uring]", HANDLE_TYPE_IO_URING},
        {"[fscontext]", HANDLE_TYPE_MOUNT},
        {"[landlock-ruleset]", HANDLE_TYPE_LANDLOCK},
        {"seccomp notify", HANDLE_TYPE_SECCOMP},
};

enum handle_type kinds_type_of_bare_name(const char *name)
{
	for (size_t i = 0; i < sizeof(bare_names) / sizeof(bare_names[0]); i++)
		if (!strncmp(name, bare_names[i].prefix, strlen(bare_names[i].prefix)))
			return bare_names[i].type;
	return HANDLE_TYPE_OTHER_FD;
}
