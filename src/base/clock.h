/*
 * The kernel's clocks in nanoseconds.
 */
#ifndef LEFTOPEN_BASE_CLOCK_H
#define LEFTOPEN_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

/** @param clock one that every kernel has: CLOCK_MONOTONIC, CLOCK_BOOTTIME, CLOCK_REALTIME @return its time
 */
uint64_t clock_ns(clockid_t clock);

#endif
