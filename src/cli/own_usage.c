/*
 * What leftopen itself uses. See own_usage.h.
 */
#include "cli/own_usage.h"

#include <stdio.h>
#include <sys/resource.h>

static double seconds(const struct timeval *time)
{
	return (double)time->tv_sec + (double)time->tv_usec / 1e6;
}

/* getrusage(2) would tell no less than what the program had that started this one: exec carries it on. */
static uint64_t read_own_peak_bytes(void)
{
	FILE *file = fopen("/proc/self/status", "re");
	unsigned long long kilobytes = 0;
	char line[256];

	if (!file)
		return 0;
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "VmHWM: %llu kB", &kilobytes) == 1)
			break;
	(void)fclose(file);
	return kilobytes * 1024;
}

void own_usage_add(struct own_usage *usage, int whose)
{
	struct rusage more = {0};
	uint64_t rss_peak_bytes;

	(void)getrusage(whose, &more);
	usage->cpu_s += seconds(&more.ru_utime) + seconds(&more.ru_stime);
	/* A child begins with what this process has. */
	rss_peak_bytes = whose == RUSAGE_SELF ? read_own_peak_bytes() : (uint64_t)more.ru_maxrss * 1024;
	if (rss_peak_bytes > usage->rss_peak_bytes)
		usage->rss_peak_bytes = rss_peak_bytes;
}
