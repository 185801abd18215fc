/*
 * Confinement of the process that reads what anybody may have written: it can use the processor, so much
 * memory, and the descriptors that it has or is sent. It opens nothing, reaches no network, starts nothing.
 */
#ifndef LEFTOPEN_SYMBOLS_SANDBOX_H
#define LEFTOPEN_SYMBOLS_SANDBOX_H

#include <stdint.h>

struct sandbox_limits {
	uint64_t memory_bytes;     /* beyond what the process has by now */
	uint64_t descriptors;      /* open at once */
	uint64_t processor_time_s; /* in all; whoever asks has limits of his own for each question */
};

/**
 * Confines the calling process, which has one thread, for good: another user (nobody) and an empty root where
 * it is root, no capabilities, no new privileges, resource limits, and system calls by a list. Opening fails
 * with EACCES; a call that is not on the list ends the process (SIGSYS). It ends when its parent does.
 * @return 0; -errno: what it asked for could not be had, and nothing may be read
 * @source seccomp(2), capabilities(7), setrlimit(2)
 */
int sandbox_enter(const struct sandbox_limits *limits);

#endif
