/*
 * What leftopen itself uses: its processes, as reports tell.
 */
#ifndef LEFTOPEN_CLI_OWN_USAGE_H
#define LEFTOPEN_CLI_OWN_USAGE_H

#include <stdint.h>

struct own_usage {
	double cpu_s;            /* of all together */
	uint64_t rss_peak_bytes; /* of the largest */
};

/** Adds what one process, or those that it has waited for, used. @param whose RUSAGE_*, as getrusage(2) takes
 * it */
void own_usage_add(struct own_usage *usage, int whose);

#endif
