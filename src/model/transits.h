/*
 * munmap and mremap on their way: what they take out of an address space is kept until it is known whether
 * the call came through.
 */
#ifndef LEFTOPEN_MODEL_TRANSITS_H
#define LEFTOPEN_MODEL_TRANSITS_H

#include "model/ranges.h"

/** Frees those of a space that goes. */
void transits_free(struct address_space *space);

/** See ranges_forget_left_open(). */
void transits_forget_left_open(struct address_space *space);

/**
 * Unmaps addresses: a range in their middle splits. The pieces are kept under the thread's id until its next
 * call that changes mappings, in case this one fails; of at most 256 threads of a space.
 * @return 0, or -ENOMEM
 */
int transits_unmap(struct model *model, struct address_space *space, uint64_t start, uint64_t end,
                   uint32_t thread_id);

/**
 * An unmapping failed. Where it is the thread's last transits_unmap(), its pieces are there again, joined to
 * what they were cut from; else nothing changes, as the kernel refused it before it looked at the mappings.
 * @return 0, or -ENOMEM
 */
int transits_unmap_failed(struct model *model, struct address_space *space, uint64_t start, uint64_t end,
                          uint32_t thread_id);

/** mremap(2) began: the range is in transit, and nobody else's mapping is taken for it. @return 0, or -ENOMEM
 */
int transits_move_begin(struct model *model, struct address_space *space, uint64_t start, uint64_t end,
                        uint32_t thread_id);

/**
 * mremap(2) came back.
 * @param maker used where it duplicated a shared mapping (old length 0)
 * @return 0, -ENOMEM or -ENOSPC
 * @source mremap(2); mm/mremap.c
 */
int transits_move_end(struct model *model, struct address_space *space, const struct event_map_moved *event,
                      const struct maker *maker);

#endif
