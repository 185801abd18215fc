/*
 * Making a snapshot of the model.
 */
#ifndef LEFTOPEN_MODEL_BUILD_H
#define LEFTOPEN_MODEL_BUILD_H

#include <stdbool.h>

#include "model/model.h"
#include "model/naming.h"
#include "model/rooms.h"
#include "model/snapshot.h"

#define MIN_COUNT_DEFAULT 3
#define SAMPLES_DEFAULT   20

struct build_options {
	uint64_t now_ns;      /* CLOCK_BOOTTIME */
	uint64_t realtime_ns; /* what CLOCK_REALTIME is ahead of CLOCK_BOOTTIME */
	uint64_t started_ns;  /* CLOCK_BOOTTIME */
	uint64_t min_count;   /* instances that make a leak */
	size_t samples;       /* kept of each group, 0: all */
	bool inherited;       /* living processes' groups of what they did not make, too */
	bool names_targets;   /* asks the namer what living processes' descriptors refer to */
	uint64_t maps_limit;  /* vm.max_map_count, UINT64_MAX: unknown */
	const char *const *command;
	size_t command_count;
	const char *working_directory; /* "" where unknown */
	const struct room_rules *rules;
	const uint64_t *losses; /* LOSS_COUNT counters */
	uint64_t left_out;
	uint64_t comparisons_failed; /* with the kernel's own tables, that were to make good what was lost */
	uint64_t not_kept;           /* files, code objects and broken events that the caller left out */
	struct snapshot_self self;
	/* Told before each stack is named how many are; NULL: nobody asks. */
	void (*progress)(void *context, size_t done, size_t total);
	void *progress_context;
};

/**
 * Takes a snapshot. The model is not changed but for left-open sets of living processes, which are taken and
 * dropped.
 * @param ret_snapshot for snapshot_free()
 * @return 0, or -ENOMEM
 */
int snapshot_new(struct model *model, const struct namer *namer, const struct build_options *options,
                 struct snapshot **ret_snapshot);

#endif
