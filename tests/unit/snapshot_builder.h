/*
 * A snapshot put together piece by piece, for tests. Memory that runs out aborts.
 */
#ifndef LEFTOPEN_TESTS_SNAPSHOT_BUILDER_H
#define LEFTOPEN_TESTS_SNAPSHOT_BUILDER_H

#include "model/snapshot.h"

/** Makes a complete snapshot of a run that saw nothing. @return a snapshot for snapshot_free() */
struct snapshot *builder_new(void);

/** Adds a process that ended with status 0 after that mark; SHUTDOWN_NONE: that still runs. @return its index
 */
size_t builder_add_process(struct snapshot *snapshot, uint32_t process_id, const char *comm,
                           enum shutdown_mark mark);

/** Adds a copy of frames as a complete stack; an id is given. @return the stack */
struct snapshot_stack *builder_add_stack(struct snapshot *snapshot, const struct snapshot_frame *frames,
                                         size_t frame_count);

/** Adds a copy of a group, without samples. @return the copy */
struct snapshot_group *builder_add_group(struct snapshot *snapshot, const struct snapshot_group *group);

/** Adds samples to a group: targets are prefix, number from 1, suffix; the number is left out where alike. */
void builder_add_samples(struct snapshot *snapshot, struct snapshot_group *group, size_t count,
                         const char *prefix, bool alike, const char *suffix);

/** Adds a site without anything in it. @return the site */
struct snapshot_site *builder_add_site(struct snapshot *snapshot, enum verdict verdict, const char *function,
                                       const char *file, uint32_t line);

/** Puts a group into a site, and its counts and process into the site's. */
void builder_site_add_group(struct snapshot *snapshot, struct snapshot_site *site,
                            const struct snapshot_group *group);

/** Adds tests to a site, named prefix and a number from 1, each with what it made. */
void builder_site_add_tests(struct snapshot *snapshot, struct snapshot_site *site, size_t count,
                            const char *prefix, uint64_t made, uint64_t outlived);

/** Adds a line to a site that is merged of several. */
void builder_site_add_line(struct snapshot *snapshot, struct snapshot_site *site, const char *function,
                           const char *file, uint32_t line);

/** Says that the run was not followed completely. */
void builder_set_incomplete(struct snapshot *snapshot, uint64_t lost, const char *const *why, size_t count);

/** Adds a limit that came near. */
void builder_add_alert(struct snapshot *snapshot, size_t process, const char *limit, const char *level,
                       uint64_t used, uint64_t max, double eta_s);

#endif
