/*
 * report/watch_table.c: the table of made-up snapshots, against golden files.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "golden.h"
#include "model/snapshot.h"
#include "report/report.h"
#include "report/text_parts.h"
#include "report/watch_table.h"
#include "snapshot_builder.h"
#include "snapshot_fixture.h"

static struct watch_table *table;

static void setup(void)
{
	cr_assert_eq(setenv("TZ", "UTC", 1), 0);
	tzset();
	cr_assert_eq(watch_table_new(&table), 0);
}

static void teardown(void)
{
	watch_table_free(table);
}

TestSuite(watch_table, .init = setup, .fini = teardown);

struct text {
	char *bytes;
	size_t length;
	FILE *stream;
};

static void begin(struct text *text)
{
	text->stream = open_memstream(&text->bytes, &text->length);
	cr_assert_not_null(text->stream);
}

static void end(struct text *text, const char *golden)
{
	cr_assert_eq(fclose(text->stream), 0);
	if (golden)
		golden_check(golden, text->bytes, text->length);
}

static void print(const struct snapshot *snapshot, const struct report_options *options,
                  const struct watch_notes *notes, struct text *text)
{
	const struct watch_notes none = {0};

	cr_assert_eq(watch_table_write(table, snapshot, options, notes ? notes : &none, text->stream), 0);
}

/* A place of one type, in one process. */
static struct snapshot_group *add_place(struct snapshot *snapshot, size_t process, const char *function,
                                        const char *file, uint32_t line, uint64_t count)
{
	struct snapshot_site *site = builder_add_site(
	        snapshot, count >= 100 ? VERDICT_LEAK : VERDICT_LEFT_OPEN, function, file, line);
	const struct snapshot_group wanted = {.kind = HANDLE_KIND_FD,
	                                      .type = HANDLE_TYPE_SOCKET,
	                                      .origin = HANDLE_ORIGIN_SOCKET,
	                                      .process = process,
	                                      .count = count,
	                                      .instances = count};
	struct snapshot_group *group = builder_add_group(snapshot, &wanted);

	builder_site_add_group(snapshot, site, group);
	return group;
}

static struct snapshot *build(uint64_t pool, uint64_t cache)
{
	struct snapshot *snapshot = builder_new();
	size_t server = builder_add_process(snapshot, 4711, "server", SHUTDOWN_NONE);
	size_t worker = builder_add_process(snapshot, 4712, "a-long-worker15", SHUTDOWN_NONE);

	snapshot->processes[server].fds.live = 980;
	snapshot->processes[server].fds.limit = 1024;
	snapshot->processes[worker].fds.live = 20;
	snapshot->processes[worker].fds.limit = 1024;
	snapshot->live = (struct snapshot_live){.processes = 2,
	                                        .fds = 1000 + pool + cache,
	                                        .maps = 300,
	                                        .inherited_fds = 904,
	                                        .inherited_maps = 300};
	if (cache)
		(void)add_place(snapshot, worker, "Cache.fill", "/srv/app/store/cache.py", 7, cache);
	if (pool)
		(void)add_place(snapshot, server, "connect", "/srv/app/lib/with/many/folders/in/it/pool.py",
		                52, pool);
	return snapshot;
}

/* Three tables: what came, what grew and shrank, what went and came again. */
Test(watch_table, change)
{
	static const uint64_t held[][2] = {{120, 5}, {123, 2}, {0, 2}, {4, 1234567}};
	const struct report_options options = {.top = 10, .columns = 80};
	struct text text;

	begin(&text);
	for (size_t i = 0; i < sizeof(held) / sizeof(held[0]); i++) {
		struct snapshot *snapshot = build(held[i][0], held[i][1]);

		print(snapshot, &options, NULL, &text);
		snapshot_free(snapshot);
	}
	end(&text, "watch_change");
	free(text.bytes);
}

Test(watch_table, nothing)
{
	const struct report_options options = {.top = 10, .columns = 80};
	struct snapshot *snapshot = builder_new();
	struct text text;

	begin(&text);
	print(snapshot, &options, NULL, &text);
	end(&text, "watch_nothing");
	free(text.bytes);
	snapshot_free(snapshot);
}

Test(watch_table, notes)
{
	static const char *const why[] = {
	        "the ring was full for 5 events of handles: try a larger --ring-size"};
	static const uint32_t gone[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
	const struct watch_notes notes = {.gone = gone, .gone_count = sizeof(gone) / sizeof(gone[0])};
	const struct report_options options = {.top = 1, .color = true};
	struct snapshot *snapshot = build(120, 5);
	struct text text;

	begin(&text);
	builder_set_incomplete(snapshot, 5, why, 1);
	print(snapshot, &options, &notes, &text);
	end(&text, "watch_notes");
	free(text.bytes);
	snapshot_free(snapshot);
}

/* All that reports are tried with: as wide as the terminal and no wider, and no byte of a stranger's as it
 * is. */
Test(watch_table, fixtures)
{
	for (const struct snapshot_fixture *fixture = snapshot_fixtures; fixture->name; fixture++) {
		struct snapshot *snapshot = fixture->build();
		const struct report_options options = {.columns = 80};
		struct text text;

		begin(&text);
		print(snapshot, &options, NULL, &text);
		end(&text, NULL);
		for (const char *line = text.bytes; *line; line = strchr(line, '\n') + 1) {
			size_t columns = 0;

			for (const char *at = line; *at != '\n'; at++) {
				cr_assert((unsigned char)*at >= 0x20 && *at != 0x7f, "%s", fixture->name);
				columns += !text_is_continuation(*at);
			}
			/* Sentences wrap; rows do not. */
			if (line[0] == ' ' && strspn(line, " ") != 2)
				cr_expect_leq(columns, 80, "%s: %s", fixture->name, text.bytes);
		}
		free(text.bytes);
		snapshot_free(snapshot);
	}
}

Test(watch_table, hostile)
{
	const struct report_options options = {.columns = 80};
	struct snapshot *snapshot = snapshot_fixture_build("hostile");
	struct text text;

	begin(&text);
	print(snapshot, &options, NULL, &text);
	end(&text, "watch_hostile");
	free(text.bytes);
	snapshot_free(snapshot);
}

/* The whole of a place where nobody's terminal bounds it, and its stack where that is asked for. */
Test(watch_table, verbose)
{
	const struct report_options options = {.verbose = true};
	struct snapshot *snapshot = snapshot_fixture_build("several");
	struct text text;

	begin(&text);
	print(snapshot, &options, NULL, &text);
	end(&text, "watch_verbose");
	free(text.bytes);
	snapshot_free(snapshot);
}
