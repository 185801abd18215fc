/*
 * What the user sees of work that takes longer than a second. See progress.h.
 */
#include "cli/progress.h"

#include <stdio.h>

#include "base/clock.h"

#define QUIET_NS 1000000000ULL
/* A line for each stack would take longer than naming it. */
#define STEP 64

void progress_show_naming(void *context, size_t done, size_t total)
{
	struct progress *progress = context;
	uint64_t now_ns = clock_ns(CLOCK_MONOTONIC);

	if (!done)
		*progress = (struct progress){.started_ns = now_ns};
	if (!progress->shown && now_ns - progress->started_ns < QUIET_NS)
		return;
	if (done % STEP && done + 1 != total)
		return;
	progress->shown = true;
	(void)fprintf(stderr, "\rleftopen: naming stack %zu of %zu%s", done + 1, total,
	              done + 1 == total ? "\n" : "");
}
