/*
 * What workloads of makers share: a function named for each call that gives descriptors, which leaves what it
 * made open and says so. Outputs: for each maker a line of its numbers, beside the truth.
 */
#ifndef LEFTOPEN_WORKLOADS_MAKERS_H
#define LEFTOPEN_WORKLOADS_MAKERS_H

#include "scenario.h"

#define LEAVES __attribute__((noinline)) static void

/* The compiler must not end a maker in a jump: its frame would be gone. */
#define KEEP_FRAME() __asm__ volatile("")

/* What makers open by name lies in here. */
static const char *folder;

static inline const char *path(const char *name)
{
	static char text[512];

	(void)snprintf(text, sizeof(text), "%s/%s", folder, name);
	return text;
}

static inline void made_many(const char *maker, const char *origin, const char *type, const int *numbers,
                             size_t count)
{
	truth_begin_line(maker);
	truth_add(&truth_line, ", \"origin\": \"%s\", \"type\": \"%s\", \"numbers\": [", origin, type);
	for (size_t i = 0; i < count; i++) {
		MUST(numbers[i] >= 0);
		truth_add(&truth_line, "%s%d", i ? ", " : "", numbers[i]);
	}
	truth_add(&truth_line, "]");
	truth_write();
}

static inline void made_one(const char *maker, const char *origin, const char *type, long fd)
{
	int number = (int)fd;

	made_many(maker, origin, type, &number, 1);
}

/* A call that this kernel may lack. */
static inline void made_if_there(const char *maker, const char *origin, const char *type, long result)
{
	if (result == -ENOSYS) {
		truth_begin_line(maker);
		truth_add(&truth_line, ", \"lacks\": \"%s\"", origin);
		truth_write();
		return;
	}
	made_one(maker, origin, type, result);
}

#endif
