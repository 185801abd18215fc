/*
 * Reading the ring, or its shards as if they were one.
 * Where there are several, an event is handed on before all that come after it: each has a time, taken by its
 * program before it went into its ring, and later than that of every event whose program had ended by then.
 */
#ifndef LEFTOPEN_LOAD_RINGS_H
#define LEFTOPEN_LOAD_RINGS_H

#include <stddef.h>
#include <stdint.h>

/** A ring as it is mapped. @source kernel/bpf/ringbuf.c */
struct ring_memory {
	unsigned long *consumed;       /* bytes, from the beginning of time; written by the reader */
	const unsigned long *produced; /* the same of who writes events */
	const char *data;              /* twice, one after the other */
	size_t bytes;                  /* of data, a power of two */
};

struct rings;

/**
 * Maps rings, and reads them.
 * @param map_fds of maps of type BPF_MAP_TYPE_RINGBUF; they stay the caller's, open as long as the reader is
 * @param bytes of each
 * @return 0; -ENOMEM; -errno of mmap(2), epoll_create1(2) or epoll_ctl(2)
 */
int rings_open(const int *map_fds, size_t count, size_t bytes, struct rings **ret_rings);

/**
 * Reads rings that are mapped.
 * @param memory of each ring, which stays the caller's
 * @return 0, or -ENOMEM
 */
int rings_new(const struct ring_memory *memory, size_t count, struct rings **ret_rings);

/** @return the descriptor that is readable once a program has woken the reader; -1 after rings_new() */
int rings_fd(const struct rings *rings);

/**
 * Takes the next event; the one before is not read any more, and its room is free.
 * @param ret_bytes of it
 * @return the event, or NULL: none waits, or one that may come before all that wait is not finished within a
 *	second
 */
const void *rings_next(struct rings *rings, size_t *ret_bytes);

/** Gives free the event that rings_next() gave last. */
void rings_done(struct rings *rings);

/** NULL-safe. */
void rings_free(struct rings *rings);

#endif
