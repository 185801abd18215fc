/*
 * A process with very many descriptors or mappings, each of them one by itself.
 * Usage: many descriptors|mappings COUNT; fewer where the kernel allows no more. It says how many it has
 * made, and at each line on standard input releases them all by one call and says 0, or makes them anew. It
 * ends with what it has as standard input does. Output: a line "PID COUNT" each time.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "truth.h"

#define FIRST_NUMBER 3

static size_t page_bytes;
static char *area;

static __attribute__((noinline)) long make_descriptors(long count)
{
	long made = 0;

	if (open("/dev/null", O_RDONLY) != FIRST_NUMBER)
		return -1;
	for (made = 1; made < count; made++)
		if (KERNEL_CALL4(SYS_fcntl, FIRST_NUMBER, F_DUPFD, 0, 0) < 0)
			break;
	return made;
}

/* Protections that alternate: the kernel joins neighbours that are alike (mm/vma.c, can_vma_merge_after). */
static __attribute__((noinline)) long make_mappings(long count)
{
	long made = 0;

	for (; made < count; made++) {
		int protection = made & 1 ? PROT_READ : PROT_READ | PROT_WRITE;

		if (KERNEL_CALL(SYS_mmap, area + (size_t)made * page_bytes, page_bytes, protection,
		                MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) < 0)
			break;
	}
	return made;
}

/* As far as its rights go. */
static void raise_limit(long count)
{
	struct rlimit limit, wanted = {.rlim_cur = (rlim_t)count + 64, .rlim_max = (rlim_t)count + 64};

	if (getrlimit(RLIMIT_NOFILE, &limit) ||
	    (limit.rlim_max < wanted.rlim_max && !setrlimit(RLIMIT_NOFILE, &wanted)))
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

int main(int argc, char **argv)
{
	long count = argc == 3 ? atol(argv[2]) : 0, made;
	bool descriptors = argc == 3 && !strcmp(argv[1], "descriptors");
	char line[16], *volatile heap;

	/* The heap is there before anything is counted. */
	heap = malloc(1);
	free(heap);
	page_bytes = (size_t)sysconf(_SC_PAGESIZE);
	if (descriptors) {
		raise_limit(count);
	} else {
		/* Only the addresses: given back at once. */
		area = mmap(NULL, (size_t)count * page_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (area == MAP_FAILED || munmap(area, (size_t)count * page_bytes))
			return 1;
	}
	for (;;) {
		made = descriptors ? make_descriptors(count) : make_mappings(count);
		dprintf(STDOUT_FILENO, "%d %ld\n", (int)getpid(), made);
		if (read(STDIN_FILENO, line, sizeof(line)) <= 0)
			return 0;
		if (descriptors ? close_range(FIRST_NUMBER, ~0U, 0) : munmap(area, (size_t)made * page_bytes))
			return 1;
		dprintf(STDOUT_FILENO, "%d 0\n", (int)getpid());
		if (read(STDIN_FILENO, line, sizeof(line)) <= 0)
			return 0;
	}
}
