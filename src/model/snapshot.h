/*
 * The snapshot: an immutable view of the model, with names. Every output takes a snapshot and nothing else.
 * Inputs: a model and a namer. Outputs: plain structs that one arena owns.
 * Strings are raw bytes as the kernel or a program gave them, NUL-terminated, of any content: each output
 * escapes them for its own place (base/escape.h).
 */
#ifndef LEFTOPEN_MODEL_SNAPSHOT_H
#define LEFTOPEN_MODEL_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "event_abi.h"
#include "handle_kinds.h"

struct arena;

enum frame_language { LANGUAGE_NATIVE = 0, LANGUAGE_PYTHON, LANGUAGE_JIT, LANGUAGE_COUNT };

/* Where a frame's code belongs, which decides the site. */
enum frame_room {
	ROOM_APPLICATION = 0,
	ROOM_LIBRARY, /* installed packages and shared libraries */
	ROOM_RUNTIME, /* an interpreter and its standard library */
	ROOM_LIBC,    /* libc, libpthread, the vdso */
	ROOM_LOADER,  /* ld.so */
	ROOM_COUNT
};

struct snapshot_frame {
	const char *function; /* "" where unknown */
	const char *module;   /* path of the ELF file, "" for Python */
	const char *file;     /* source file, "" where unknown */
	uint32_t line;        /* 0 where unknown; of a JIT's code where the function begins */
	uint64_t offset;      /* file offset for native frames, address for a JIT's */
	enum frame_language language;
	enum frame_room room;
	bool inlined; /* into the frame that follows */
};

struct snapshot_stack {
	uint64_t id;
	bool complete;
	const char *why;               /* why it ends early, "" where complete */
	struct snapshot_frame *frames; /* innermost first */
	size_t frame_count;
};

enum handle_category {
	CATEGORY_APPLICATION = 0,
	CATEGORY_LOADER,
	CATEGORY_THREAD_STACK,
	CATEGORY_ALLOCATOR,
	CATEGORY_COUNT
};

struct snapshot_sample {
	int fd;             /* -1 for mappings */
	const char *target; /* "" where unknown */
	uint64_t address;   /* 0 for descriptors */
	uint64_t bytes;
	uint32_t thread_id;
	uint64_t opened_ns; /* CLOCK_REALTIME */
	const char *test;   /* "" where none was announced */
};

struct snapshot_group {
	enum handle_kind kind;
	enum handle_type type;
	enum handle_origin origin;
	enum handle_category category;
	bool inherited; /* of a process that did not make them: in no site */
	size_t process; /* index */
	uint64_t count;
	uint64_t instances;
	uint64_t bytes;
	uint64_t stack; /* id, 0: none */
	uint64_t released_never;
	uint64_t released_at_shutdown;
	double oldest_s; /* age at the mark, or at the report while alive */
	double newest_s;
	struct snapshot_sample *samples;
	size_t sample_count;
};

enum verdict {
	VERDICT_LEAK = 0,
	VERDICT_LEFT_OPEN,
	VERDICT_LATE,
	VERDICT_HELD,
	VERDICT_STEADY,
	VERDICT_COUNT
};

struct snapshot_location {
	const char *function;
	const char *file; /* relative to the working directory where it is below it */
	uint32_t line;
	enum frame_language language;
};

struct snapshot_site_process {
	size_t process;
	uint64_t count;
};

struct snapshot_site_test {
	const char *name;
	uint64_t made;
	uint64_t outlived;
};

struct snapshot_site {
	const char *id; /* 16 hex digits */
	enum verdict verdict;
	struct snapshot_site_process *processes; /* by index, ascending */
	size_t process_count;
	struct snapshot_location location;
	struct snapshot_location *lines; /* where merged of several, else count 0 */
	size_t line_count;
	uint64_t fds;
	uint64_t maps;
	uint64_t bytes;
	uint64_t instances;
	uint64_t occasions;
	bool occasions_are_tests;         /* else slices of the process's life */
	struct snapshot_site_test *tests; /* in the order in which they first ran */
	size_t test_count;
	double slope_per_s;
	size_t *groups; /* indexes, largest first */
	size_t group_count;
};

struct snapshot_process {
	uint32_t process_id;
	uint32_t parent_id;
	uint64_t start_ns; /* CLOCK_BOOTTIME */
	const char *comm;
	const char *exe;
	const char **cmdline;
	size_t cmdline_count;
	const char *cgroup;
	bool exited;
	bool exit_known; /* false: exit_code is null in JSON */
	int exit_code;
	int signal;
	enum shutdown_mark left_open_at; /* SHUTDOWN_NONE: "live" */
	bool is_command;                 /* the one that run started */
	struct {
		uint64_t live, peak;
		uint64_t opened, closed; /* by it; of these, how many it closed: none that it inherited */
		uint64_t limit;          /* UINT64_MAX: unknown or none */
	} fds;
	struct {
		uint64_t live, bytes, peak, vmas;
		uint64_t limit;
	} maps;
};

struct snapshot_alert {
	uint64_t time_ns; /* CLOCK_REALTIME */
	const char *limit;
	size_t process;
	uint64_t used, max;
	const char *level;
	double eta_s; /* < 0: null */
};

struct snapshot_self {
	double cpu_s;
	uint64_t rss_peak_bytes;
	uint64_t kernel_ns_per_event; /* 0: not measured */
	/* Captured stacks: unwound, told by a memo without that, and of these wrong where it was checked. */
	uint64_t stacks_unwound, stacks_recalled, stacks_wrong;
	double armed_s; /* from start to armed */
};

struct snapshot_completeness {
	uint64_t events, lost, reconciled, drift;
	bool complete;
	const char **why;
	size_t why_count;
};

/* What living processes hold; a table or space that several share counts once. */
struct snapshot_live {
	uint64_t processes;
	uint64_t fds, maps;
	uint64_t inherited_fds, inherited_maps; /* of these: open before following began, or handed down */
};

struct snapshot {
	struct arena *arena; /* owns this struct too: both are gone with snapshot_free() */
	const char **command;
	size_t command_count;
	uint64_t started_ns; /* CLOCK_REALTIME */
	double duration_s;
	const char *working_directory;
	struct snapshot_completeness completeness;
	struct snapshot_self self;
	struct snapshot_live live;
	struct snapshot_process *processes;
	size_t process_count;
	struct snapshot_site *sites; /* by verdict, then by what they hold */
	size_t site_count;
	struct snapshot_group *groups;
	size_t group_count;
	struct snapshot_stack *stacks; /* by id, ascending */
	size_t stack_count;
	struct snapshot_alert *alerts;
	size_t alert_count;
};

/* Names of enumerators, as the JSON contract spells them; never NULL for a value below its _COUNT. */

/** @return "leak", "left-open", "held", "late" or "steady" */
const char *verdict_name(enum verdict verdict);

/** @return "application", "loader", "thread-stack" or "allocator" */
const char *category_name(enum handle_category category);

/** @return "native", "python" or "jit" */
const char *language_name(enum frame_language language);

/** @return "finalize", "exit", "exit_group", "last_thread" or "live" */
const char *shutdown_mark_name(enum shutdown_mark mark);

/**
 * Finds a stack by id. Cost: the logarithm of the number of stacks.
 * @return the stack, or NULL: no stack was captured under that id
 */
const struct snapshot_stack *snapshot_find_stack(const struct snapshot *snapshot, uint64_t id);

/** Frees a snapshot and all that it owns. NULL-safe. */
void snapshot_free(struct snapshot *snapshot);

#endif
