/*
 * Cases of mremap that fail, some after they have changed what is mapped.
 */
#ifndef LEFTOPEN_WORKLOADS_FAILED_MOVES_H
#define LEFTOPEN_WORKLOADS_FAILED_MOVES_H

#include <signal.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>

#include "pages.h"

/* Younger than the headers of the oldest system that this is built on. */
#ifndef SYS_mseal
#define SYS_mseal 462
#endif

#define TO_PLACE (MREMAP_MAYMOVE | MREMAP_FIXED)

static inline void resize_that_fails(void)
{
	char *address = map(8), *other = map(3);

	/* No room to grow in place. */
	MUST(mmap(address + 6 * PAGE, PAGE, PROT_READ, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0) !=
	     MAP_FAILED);
	MUST(resize(address, 6, 7, 0, NULL) == MAP_FAILED && errno == ENOMEM);
	MUST(resize(address, 6, 0, MREMAP_MAYMOVE, NULL) == MAP_FAILED && errno == EINVAL);
	MUST(resize(address + 1, 2, 3, MREMAP_MAYMOVE, NULL) == MAP_FAILED && errno == EINVAL);
	MUST(resize(address, 6, 6, MREMAP_MAYMOVE | MREMAP_FIXED, address + PAGE) == MAP_FAILED &&
	     errno == EINVAL);
	MUST(resize(address, 6, 6, MREMAP_FIXED, other) == MAP_FAILED && errno == EINVAL);
	/* A private mapping has no second one. */
	MUST(resize(other, 0, 3, MREMAP_MAYMOVE, NULL) == MAP_FAILED && errno == EINVAL);
	MUST(resize(address, 6, 1UL << 50, MREMAP_MAYMOVE, NULL) == MAP_FAILED);
}

/* Kernels from 6.17 on move the first two before they come to what is sealed; before, what was at the new
 * place is all that is gone. */
static inline void move_of_several_that_fails(void)
{
	char *address = map(9), *place = map(40) + 10 * PAGE;

	MUST(!mprotect(address + 2 * PAGE, 3 * PAGE, PROT_READ) && !mprotect(place, 20 * PAGE, PROT_NONE));
	MUST(!mprotect(address + 5 * PAGE, PAGE, PROT_NONE));
	MUST(!syscall(SYS_mseal, address + 5 * PAGE, PAGE, 0) || errno == ENOSYS);
	MUST(resize(address, 6, 6, TO_PLACE, place) == MAP_FAILED);
}

static inline void take_alarm(int signal)
{
	(void)signal;
}

/* Pages that may be merged (MADV_MERGEABLE) are not moved where a signal waits, by when the end of the range
 * is unmapped (mm/ksm.c, unmerge_ksm_pages). */
static inline bool move_interrupted_after(useconds_t delay)
{
	static const size_t pages = 20000, kept = 2000;
	const struct itimerval timer = {.it_value.tv_usec = delay}, none = {.it_value.tv_usec = 0};
	char *address = map(pages), *place = map(kept), *moved;

	MUST(!madvise(address, pages * PAGE, MADV_NOHUGEPAGE));
	MUST(!madvise(address, pages * PAGE, MADV_MERGEABLE));
	memset(address, 1, pages * PAGE);
	MUST(!setitimer(ITIMER_REAL, &timer, NULL));
	moved = resize(address, pages, kept, TO_PLACE, place);
	MUST(moved == place || errno == EINTR);
	MUST(!setitimer(ITIMER_REAL, &none, NULL));
	if (moved == MAP_FAILED)
		return true;
	MUST(!munmap(moved, kept * PAGE));
	return false;
}

static inline void move_that_is_interrupted(void)
{
	const struct sigaction action = {.sa_handler = take_alarm};
	time_t deadline = time(NULL) + 60;
	useconds_t delay = 1;

	MUST(!sigaction(SIGALRM, &action, NULL));
	while (!move_interrupted_after(delay)) {
		MUST(time(NULL) < deadline);
		delay = delay < 5000 ? delay + delay / 8 + 1 : 1;
	}
}

#endif
