/*
 * Calls that may never return, as those that read files of a stranger's: made in a thread, and waited for so
 * long and no longer.
 */
#ifndef LEFTOPEN_BASE_IN_TIME_H
#define LEFTOPEN_BASE_IN_TIME_H

#include <stdint.h>

/**
 * Calls a function in a thread of its own, and waits for it. Cost: some 50 us more than the call.
 * @param context on -ETIMEDOUT no longer the caller's: the thread hands it to release when it does return
 * @return 0; -ETIMEDOUT: it has not returned by then, and the thread goes on; -errno of pthread_create(3)
 */
int in_time_call(void (*function)(void *context), void (*release)(void *context), void *context,
                 uint64_t timeout_ns);

#endif
