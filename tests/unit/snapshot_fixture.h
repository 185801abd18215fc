/*
 * Snapshots made up for the tests of what reads them: reports, views, metrics.
 */
#ifndef LEFTOPEN_TESTS_SNAPSHOT_FIXTURE_H
#define LEFTOPEN_TESTS_SNAPSHOT_FIXTURE_H

#include "model/snapshot.h"

struct snapshot_fixture {
	const char *name;
	/* @return a snapshot for snapshot_free(); aborts where memory runs out */
	struct snapshot *(*build)(void);
};

/** All fixtures, ended by a row whose name is NULL. */
extern const struct snapshot_fixture snapshot_fixtures[];

/** Builds the fixture of that name, which must exist. @return a snapshot for snapshot_free() */
struct snapshot *snapshot_fixture_build(const char *name);

/** A string of escape sequences, newlines, invalid UTF-8, formats, markup and bidirectional controls. */
extern const char snapshot_fixture_hostile[];

#endif
