/*
 * The child that holds what is attached and takes its time to let go of it: detaching a tracepoint makes the
 * kernel wait for a grace period, about 71 ms each (facts: tracing cost).
 */
#ifndef LEFTOPEN_LOAD_HOLDER_H
#define LEFTOPEN_LOAD_HOLDER_H

#include <stddef.h>
#include <sys/types.h>

struct holder;

/**
 * Forks the child. It has its own session, no standard streams and no descriptor but those given, and ends
 * when this process does or holder_free() is called.
 * @param fds link descriptors, which stay the caller's too
 * @return 0, or -errno of socketpair(2) or fork(2)
 */
int holder_start(const int *fds, size_t count, struct holder **ret_holder);

/** Gives the child one more descriptor to hold. @return 0, or -errno of sendmsg(2) */
int holder_add(struct holder *holder, int fd);

/** @return the child's id */
pid_t holder_process_id(const struct holder *holder);

/** Lets the child go, without waiting for it. NULL-safe. */
void holder_free(struct holder *holder);

#endif
