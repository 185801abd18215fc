/*
 * Made-up snapshots, one for each thing that a report must be able to say.
 */
#include "snapshot_fixture.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "snapshot_builder.h"

#define COUNT_OF(array)   (sizeof(array) / sizeof((array)[0]))
#define PYTHON_LIBRARY    "/usr/lib/python3/dist-packages/"
#define PYTHON_STANDARD   "/usr/lib/python3.11/"
#define PYTHON_EXTENSIONS PYTHON_STANDARD "lib-dynload/"

#define PYTHON_FRAME(name, path, at, where)                                                                  \
	{                                                                                                    \
		.function = (name), .module = "", .file = (path), .line = (at), .language = LANGUAGE_PYTHON, \
		.room = (where)                                                                              \
	}
#define NATIVE_FRAME(name, path, at, where)                                       \
	{                                                                         \
		.function = (name), .module = (path), .file = "", .offset = (at), \
		.language = LANGUAGE_NATIVE, .room = (where)                      \
	}

static const struct snapshot_frame engine_frames[] = {
        NATIVE_FRAME("open64", "/usr/lib/x86_64-linux-gnu/libc.so.6", 0xf8a10, ROOM_LIBC),
        NATIVE_FRAME("", "/usr/lib/x86_64-linux-gnu/libsqlite3.so.0.8.6", 0x2b1c4, ROOM_LIBRARY),
        NATIVE_FRAME("sqlite3_step", "/usr/lib/x86_64-linux-gnu/libsqlite3.so.0.8.6", 0x8d0aa, ROOM_LIBRARY),
        NATIVE_FRAME("", PYTHON_EXTENSIONS "_sqlite3.cpython-311-x86_64-linux-gnu.so", 0x9100, ROOM_RUNTIME),
        PYTHON_FRAME("DefaultDialect.connect", PYTHON_LIBRARY "sqlalchemy/engine/default.py", 598,
                     ROOM_LIBRARY),
        PYTHON_FRAME("Pool._do_get", PYTHON_LIBRARY "sqlalchemy/pool/impl.py", 145, ROOM_LIBRARY),
        PYTHON_FRAME("Engine.connect", PYTHON_LIBRARY "sqlalchemy/engine/base.py", 3264, ROOM_LIBRARY),
        PYTHON_FRAME("test_engine", "/home/ada/shop/tests/integration/conftest.py", 52, ROOM_APPLICATION),
        PYTHON_FRAME("call_fixture_func", PYTHON_LIBRARY "_pytest/fixtures.py", 902, ROOM_LIBRARY),
        PYTHON_FRAME("_multicall", PYTHON_LIBRARY "pluggy/_callers.py", 80, ROOM_LIBRARY),
        PYTHON_FRAME("main", PYTHON_LIBRARY "_pytest/config/__init__.py", 167, ROOM_LIBRARY),
        PYTHON_FRAME("<module>", "/usr/bin/pytest", 8, ROOM_LIBRARY),
};

static const struct snapshot_frame server_frames[] = {
        NATIVE_FRAME("accept4", "/usr/lib/x86_64-linux-gnu/libc.so.6", 0x107f20, ROOM_LIBC),
        {.function = "take_connection",
         .module = "/srv/bin/gateway",
         .file = "/home/ada/shop/src/listen.c",
         .line = 88,
         .offset = 0x1a40,
         .room = ROOM_APPLICATION,
         .inlined = true},
        {.function = "serve",
         .module = "/srv/bin/gateway",
         .file = "/home/ada/shop/src/listen.c",
         .line = 140,
         .offset = 0x1a40,
         .room = ROOM_APPLICATION},
        NATIVE_FRAME("__libc_start_main", "/usr/lib/x86_64-linux-gnu/libc.so.6", 0x27305, ROOM_LIBC),
        NATIVE_FRAME("_start", "/srv/bin/gateway", 0x10c0, ROOM_RUNTIME),
};

const char snapshot_fixture_hostile[] = "\033[2J\033]0;owned\007\r\n%s%n%1$n <script>alert(1)</script> ]]> "
                                        "\"'&|`$(id)`\\ \xff\xfe\xc3( \xed\xa0\x80 "
                                        "\xe2\x80\xae"
                                        "cod.exe\xe2\x81\xa9 \xe2\x80\xa8 \xc2\x9b"
                                        "31m na\xc3\xafve\t\x7f\b";

static struct snapshot_group fd_group(size_t process, const struct snapshot_stack *stack, uint64_t count)
{
	return (struct snapshot_group){
	        .kind = HANDLE_KIND_FD,
	        .type = HANDLE_TYPE_FILE,
	        .origin = HANDLE_ORIGIN_OPENAT,
	        .process = process,
	        .count = count,
	        .instances = count,
	        .stack = stack ? stack->id : 0,
	        .released_at_shutdown = count,
	        .oldest_s = 11.8,
	        .newest_s = 0.2,
	};
}

/* An engine a test that nobody disposed of: a database with its two companions, and the shared memory of one.
 */
static void add_engine_leak(struct snapshot *snapshot, size_t process)
{
	static const char *const suffixes[] = {".db", ".db-wal", ".db-shm"};
	const struct snapshot_stack *stack =
	        builder_add_stack(snapshot, engine_frames, COUNT_OF(engine_frames));
	struct snapshot_site *site =
	        builder_add_site(snapshot, VERDICT_LEAK, "test_engine", "tests/integration/conftest.py", 52);
	struct snapshot_group files = fd_group(process, stack, 180), maps;
	struct snapshot_group *group = builder_add_group(snapshot, &files);

	group->instances = 60;
	for (size_t i = 0; i < COUNT_OF(suffixes); i++)
		builder_add_samples(snapshot, group, 60, "/tmp/pytest-of-ada/app", i == 0, suffixes[i]);
	builder_site_add_group(snapshot, site, group);
	maps = (struct snapshot_group){
	        .kind = HANDLE_KIND_MAP,
	        .type = HANDLE_TYPE_FILE_MAP,
	        .origin = HANDLE_ORIGIN_MMAP,
	        .process = process,
	        .count = 60,
	        .instances = 60,
	        .bytes = 60 * 32768,
	        .stack = stack->id,
	        .released_never = 60,
	        .oldest_s = 11.7,
	        .newest_s = 0.1,
	};
	group = builder_add_group(snapshot, &maps);
	builder_add_samples(snapshot, group, 20, "/tmp/pytest-of-ada/app", false, ".db-shm");
	builder_site_add_group(snapshot, site, group);
	builder_site_add_tests(snapshot, site, 60, "test_export.py::test_updates", 4, 4);
}

static struct snapshot *build_one_leak(void)
{
	struct snapshot *snapshot = builder_new();

	add_engine_leak(snapshot, builder_add_process(snapshot, 4711, "pytest", SHUTDOWN_FINALIZE));
	return snapshot;
}

/* The story as it is told first: three descriptors a test, and nothing else. */
static struct snapshot *build_story(void)
{
	static const char *const names[] = {"/tmp/t/app.db", "/tmp/t/app.db-wal", "/tmp/t/app.db-shm"};
	struct snapshot *snapshot = builder_new();
	size_t process = builder_add_process(snapshot, 4711, "pytest", SHUTDOWN_FINALIZE);
	const struct snapshot_stack *stack =
	        builder_add_stack(snapshot, engine_frames, COUNT_OF(engine_frames));
	struct snapshot_site *site =
	        builder_add_site(snapshot, VERDICT_LEAK, "test_engine", "tests/integration/conftest.py", 52);
	struct snapshot_group wanted = fd_group(process, stack, 180);
	struct snapshot_group *group = builder_add_group(snapshot, &wanted);

	group->instances = 60;
	for (size_t i = 0; i < COUNT_OF(names); i++)
		builder_add_samples(snapshot, group, 60, names[i], true, "");
	builder_site_add_group(snapshot, site, group);
	builder_site_add_tests(snapshot, site, 60, "test_export.py::test_updates", 3, 3);
	return snapshot;
}

static struct snapshot_site *add_simple_site(struct snapshot *snapshot, enum verdict verdict,
                                             const char *function, const char *file, uint32_t line,
                                             const struct snapshot_group *wanted, const char *prefix,
                                             const char *suffix)
{
	struct snapshot_site *site = builder_add_site(snapshot, verdict, function, file, line);
	struct snapshot_group *group = builder_add_group(snapshot, wanted);

	builder_add_samples(snapshot, group, wanted->count < 20 ? wanted->count : 20, prefix, false, suffix);
	builder_site_add_group(snapshot, site, group);
	site->occasions = wanted->instances < 5 ? wanted->instances : 5;
	return site;
}

/* A leak of each sort, one place of every other verdict, a survivor, limits. */
static struct snapshot *build_several(void)
{
	struct snapshot *snapshot = builder_new();
	size_t pytest = builder_add_process(snapshot, 4711, "pytest", SHUTDOWN_FINALIZE);
	size_t gateway = builder_add_process(snapshot, 4720, "gateway", SHUTDOWN_NONE);
	struct snapshot_stack *stack;
	struct snapshot_group group;
	struct snapshot_site *site;

	stack = builder_add_stack(snapshot, server_frames, COUNT_OF(server_frames));
	group = fd_group(gateway, stack, 1200);
	group.type = HANDLE_TYPE_SOCKET;
	group.origin = HANDLE_ORIGIN_ACCEPT4;
	group.released_at_shutdown = 0;
	group.released_never = 1200;
	site = add_simple_site(snapshot, VERDICT_LEAK, "take_connection", "src/listen.c", 88, &group,
	                       "tcp 127.0.0.1:8080 -> 127.0.0.1:5100", "");
	site->slope_per_s = 0.75;
	add_engine_leak(snapshot, pytest);

	group = fd_group(pytest, stack, 4);
	group.released_at_shutdown = 1;
	group.released_never = 3;
	(void)add_simple_site(snapshot, VERDICT_LEFT_OPEN, "load_rates", "shop/rates.py", 19, &group,
	                      "/home/ada/shop/data/rates-", ".csv");
	group = fd_group(pytest, NULL, 1);
	group.type = HANDLE_TYPE_EPOLL;
	group.origin = HANDLE_ORIGIN_UNSEEN;
	site = add_simple_site(snapshot, VERDICT_LATE, "loop", "tests/conftest.py", 7, &group,
	                       "anon_inode:", "");
	builder_site_add_tests(snapshot, site, 1, "tests/test_loop.py::test_one[a b]", 1, 1);
	group = fd_group(pytest, stack, 1);
	(void)add_simple_site(snapshot, VERDICT_HELD, "configure_logging", "shop/log.py", 12, &group,
	                      "/var/log/shop", ".log");
	(void)add_simple_site(snapshot, VERDICT_HELD, "pool", "shop/pool.py", 5, &group, "/tmp/pool", "");
	group = fd_group(gateway, stack, 40);
	group.type = HANDLE_TYPE_PIPE;
	group.origin = HANDLE_ORIGIN_PIPE2;
	group.instances = 20;
	group.released_at_shutdown = 0;
	group.released_never = 40;
	(void)add_simple_site(snapshot, VERDICT_STEADY, "workers", "src/pool.c", 31, &group, "pipe:[", "]");
	builder_add_alert(snapshot, gateway, "nofile", "warn", 717, 1024, 409.3);
	builder_add_alert(snapshot, gateway, "nofile", "exhausted", 1024, 1024, -1);
	return snapshot;
}

static struct snapshot *build_no_leak(void)
{
	struct snapshot *snapshot = builder_new();
	size_t process = builder_add_process(snapshot, 4711, "pytest", SHUTDOWN_FINALIZE);
	struct snapshot_group group = fd_group(process, NULL, 1);

	snapshot->completeness.reconciled = 3;
	(void)builder_add_process(snapshot, 4712, "git", SHUTDOWN_EXIT);
	(void)add_simple_site(snapshot, VERDICT_HELD, "configure_logging", "shop/log.py", 12, &group,
	                      "/var/log/shop", ".log");
	return snapshot;
}

static struct snapshot *build_left_open(void)
{
	struct snapshot *snapshot = builder_new();
	size_t process = builder_add_process(snapshot, 99, "gateway", SHUTDOWN_EXIT_GROUP);
	const struct snapshot_stack *stack =
	        builder_add_stack(snapshot, server_frames, COUNT_OF(server_frames));
	struct snapshot_group group = fd_group(process, stack, 1);

	group.released_at_shutdown = 0;
	group.released_never = 1;
	(void)add_simple_site(snapshot, VERDICT_LEFT_OPEN, "serve", "/srv/bin/gateway", 0, &group,
	                      "/srv/gateway.lock", "");
	return snapshot;
}

static struct snapshot *build_incomplete(void)
{
	static const char *const why[] = {"3 events were lost: the ring was full",
	                                  "a 32-bit task's calls are not seen"};
	struct snapshot *snapshot = build_no_leak();

	builder_set_incomplete(snapshot, 3, why, COUNT_OF(why));
	snapshot->completeness.drift = 1;
	return snapshot;
}

static struct snapshot *build_incomplete_leak(void)
{
	struct snapshot *snapshot = build_story();

	builder_set_incomplete(snapshot, 1, NULL, 0);
	return snapshot;
}

static struct snapshot *build_zero(void)
{
	struct snapshot *snapshot = builder_new();

	snapshot->command_count = 0;
	snapshot->working_directory = "";
	snapshot->self.kernel_ns_per_event = 0;
	snapshot->completeness.events = 0;
	return snapshot;
}

/* Eight letters as mkstemp() makes them up, the same in every run of the test. */
static const char *temporary_name(struct snapshot *snapshot, uint32_t seed)
{
	char letters[9] = "";
	char *name;

	for (size_t i = 0; i < sizeof(letters) - 1; i++) {
		seed = seed * 1103515245U + 12345U;
		letters[i] = (char)('a' + seed / 65536U % 26U);
	}
	name = arena_printf(snapshot->arena, "%s.sock", letters);
	if (!name)
		abort();
	return name;
}

/* Lazy engines open at another line in every test, in three hundred children of one executable. */
static struct snapshot *build_merged(void)
{
	struct snapshot *snapshot = builder_new();
	const struct snapshot_stack *stack =
	        builder_add_stack(snapshot, engine_frames, COUNT_OF(engine_frames));
	struct snapshot_site *site =
	        builder_add_site(snapshot, VERDICT_LEAK, "test_list", "tests/test_orders.py", 18);

	for (uint32_t i = 0; i < 300; i++) {
		size_t process = builder_add_process(snapshot, 5000 + i, "worker", SHUTDOWN_EXIT);
		struct snapshot_group wanted = fd_group(process, stack, 2);
		struct snapshot_group *group = builder_add_group(snapshot, &wanted);

		builder_add_samples(snapshot, group, 1, "/tmp/tmp", true, temporary_name(snapshot, i));
		builder_add_samples(snapshot, group, 1, "/tmp/order-", true, ".lock");
		builder_site_add_group(snapshot, site, group);
	}
	site->instances = 300;
	site->occasions = 5;
	for (uint32_t i = 0; i < 9; i++)
		builder_site_add_line(snapshot, site, "test_list", "tests/test_orders.py", 18 + 7 * i);
	return snapshot;
}

static struct snapshot *build_survivors(void)
{
	struct snapshot *snapshot = build_no_leak();

	for (uint32_t i = 0; i < 14; i++) {
		size_t process = builder_add_process(snapshot, 6000 + i, "postgres", SHUTDOWN_NONE);

		snapshot->processes[process].fds.live = 3 + i % 4;
		snapshot->processes[process].maps.live = i == 0 ? 0 : 1;
		snapshot->processes[process].maps.bytes = i == 0 ? 0 : 4096ULL << (2 * i);
	}
	return snapshot;
}

static struct snapshot *build_signals(void)
{
	static const int signals[] = {9, 11, 40};
	struct snapshot *snapshot = builder_new();
	struct snapshot_site *site = builder_add_site(snapshot, VERDICT_LEAK, "", "", 0);

	for (size_t i = 0; i < COUNT_OF(signals); i++) {
		size_t process = builder_add_process(snapshot, (uint32_t)(70 + i), i == 2 ? "" : "crash",
		                                     SHUTDOWN_LAST_THREAD);
		struct snapshot_group wanted = fd_group(process, NULL, 5);

		wanted.released_at_shutdown = 0;
		wanted.released_never = 5;
		wanted.origin = HANDLE_ORIGIN_INHERITED;
		snapshot->processes[process].signal = signals[i];
		builder_site_add_group(snapshot, site, builder_add_group(snapshot, &wanted));
	}
	snapshot->processes[2].exe = "";
	site->occasions = 4;
	return snapshot;
}

/* A group of each type, origin and category that there is, so that no name is missing anywhere. */
static struct snapshot *build_categories(void)
{
	static const enum handle_type types[] = {
#define HANDLE_TYPE(id, kind, name) HANDLE_TYPE_##id,
#include "handle_kinds.def"
	};
	static const enum handle_kind kinds[] = {
#define HANDLE_TYPE(id, kind, name) HANDLE_KIND_##kind,
#include "handle_kinds.def"
	};
	struct snapshot *snapshot = builder_new();
	size_t process = builder_add_process(snapshot, 4711, "pytest", SHUTDOWN_FINALIZE);
	const struct snapshot_stack *stack =
	        builder_add_stack(snapshot, engine_frames, COUNT_OF(engine_frames));
	struct snapshot_site *site = NULL;

	for (size_t i = 0; i < HANDLE_ORIGIN_COUNT || i < COUNT_OF(types); i++) {
		size_t type = i % COUNT_OF(types);
		struct snapshot_group wanted = fd_group(process, stack, i + 1), *group;

		if (i % 8 == 0)
			site = builder_add_site(snapshot, (enum verdict)(i / 8 % VERDICT_COUNT), "make",
			                        "make.py", (uint32_t)i + 1);
		wanted.kind = kinds[type];
		wanted.type = types[type];
		wanted.origin = (enum handle_origin)(i % HANDLE_ORIGIN_COUNT);
		wanted.category = (enum handle_category)(i % CATEGORY_COUNT);
		wanted.bytes = wanted.kind == HANDLE_KIND_MAP ? (i + 1) * 4096 : 0;
		group = builder_add_group(snapshot, &wanted);
		builder_add_samples(snapshot, group, i + 1, "/tmp/of-type-", false, "");
		builder_site_add_group(snapshot, site, group);
	}
	return snapshot;
}

static const char *very_long(struct snapshot *snapshot)
{
	const size_t length = 9999; /* whole characters */
	char *text = arena_alloc(snapshot->arena, length + 1);

	if (!text)
		abort();
	for (size_t i = 0; i < length; i++)
		text[i] = "\xe6\x97\xa5"[i % 3];
	return text;
}

/* Puts a string wherever a snapshot takes one of a stranger's. */
static struct snapshot *build_with_string(struct snapshot *snapshot, const char *string)
{
	const struct snapshot_frame frames[] = {
	        NATIVE_FRAME(string, string, 0, ROOM_LIBRARY),
	        PYTHON_FRAME(string, string, 3, ROOM_APPLICATION),
	        NATIVE_FRAME("", string, 0x30, ROOM_APPLICATION),
	        NATIVE_FRAME("", "", 0, ROOM_APPLICATION),
	};
	const char *const why[] = {string, string};
	size_t process = builder_add_process(snapshot, 666, string, SHUTDOWN_EXIT);
	struct snapshot_stack *stack = builder_add_stack(snapshot, frames, COUNT_OF(frames));
	struct snapshot_group wanted = fd_group(process, stack, 3), *group;
	struct snapshot_site *site;

	snapshot->command[1] = string;
	snapshot->working_directory = string;
	snapshot->processes[process].exe = string;
	snapshot->processes[process].cgroup = string;
	snapshot->processes[process].cmdline[1] = string;
	stack->complete = false;
	stack->why = string;
	builder_set_incomplete(snapshot, 2, why, COUNT_OF(why));
	builder_add_alert(snapshot, process, string, "critical", 9, 10, 0);
	(void)builder_add_process(snapshot, 667, string, SHUTDOWN_NONE);

	group = builder_add_group(snapshot, &wanted);
	builder_add_samples(snapshot, group, 3, string, false, string);
	for (size_t i = 0; i < group->sample_count; i++)
		group->samples[i].test = string;
	for (int i = 0; i < 3; i++) {
		/* All of it known, no file, nothing. */
		site = builder_add_site(snapshot, VERDICT_LEAK, i < 2 ? string : "", i < 1 ? string : "", 1);
		builder_site_add_group(snapshot, site, group);
		builder_site_add_tests(snapshot, site, 2, string, 1, 1);
		builder_site_add_line(snapshot, site, string, string, 4);
	}
	return snapshot;
}

static struct snapshot *build_hostile(void)
{
	return build_with_string(builder_new(), snapshot_fixture_hostile);
}

static struct snapshot *build_long(void)
{
	struct snapshot *snapshot = builder_new();

	return build_with_string(snapshot, very_long(snapshot));
}

static struct snapshot *build_empty_strings(void)
{
	return build_with_string(builder_new(), "");
}

const struct snapshot_fixture snapshot_fixtures[] = {
        {"story", build_story},
        {"one_leak", build_one_leak},
        {"several", build_several},
        {"no_leak", build_no_leak},
        {"left_open", build_left_open},
        {"incomplete", build_incomplete},
        {"incomplete_leak", build_incomplete_leak},
        {"zero", build_zero},
        {"merged", build_merged},
        {"survivors", build_survivors},
        {"signals", build_signals},
        {"categories", build_categories},
        {"hostile", build_hostile},
        {"long", build_long},
        {"empty_strings", build_empty_strings},
        {NULL, NULL},
};

struct snapshot *snapshot_fixture_build(const char *name)
{
	for (const struct snapshot_fixture *fixture = snapshot_fixtures; fixture->name; fixture++) {
		if (strcmp(fixture->name, name) == 0)
			return fixture->build();
	}
	abort();
}
