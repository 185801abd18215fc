/*
 * What workloads of mappings share: mappings in whole pages. Outputs: lines of what a test asks for by name.
 */
#ifndef LEFTOPEN_WORKLOADS_PAGES_H
#define LEFTOPEN_WORKLOADS_PAGES_H

#include <sys/mman.h>

#include "truth.h"

#define PAGE 4096UL

static inline char *map(size_t pages)
{
	char *address = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	MUST(address != MAP_FAILED);
	return address;
}

static inline char *map_shared(size_t pages)
{
	char *address = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	MUST(address != MAP_FAILED);
	return address;
}

/* Addresses that are free and stay free for what the case puts there. */
static inline char *reserve(size_t pages)
{
	char *address = map(pages);

	MUST(!munmap(address, pages * PAGE));
	return address;
}

/* A mapping that the test asks for by name. */
static inline void made(const char *name, const void *address, size_t pages, const char *type,
                        uint64_t offset)
{
	truth_begin_line(name);
	truth_add(&truth_line, ", \"made\": [%llu, %llu], \"type\": \"%s\", \"offset\": %llu",
	          (unsigned long long)(uintptr_t)address,
	          (unsigned long long)(uintptr_t)address + pages * PAGE, type, (unsigned long long)offset);
	truth_write();
}

static inline void *resize(void *address, size_t old_pages, size_t new_pages, int flags, void *to)
{
	return mremap(address, old_pages * PAGE, new_pages * PAGE, flags, to);
}

#endif
