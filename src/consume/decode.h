/*
 * Validation of what comes out of the ring: sizes, counts, terminators. What passes can be read by its
 * struct's members without a further look; its values (addresses, numbers, names) are still of the process's
 * choosing.
 */
#ifndef LEFTOPEN_CONSUME_DECODE_H
#define LEFTOPEN_CONSUME_DECODE_H

#include <stddef.h>

#include "event_abi.h"

/**
 * Validates an event.
 * @param data aligned to 8 bytes
 * @return the event's header, or NULL: it is cut, its size, type or counts are not what its type allows
 */
const struct event_header *decode_event(const void *data, size_t bytes);

/**
 * A path of its names, as the kernel walked them.
 * @param path of a validated event
 * @param names the event's names
 * @return "/a/b", a single name that has no folder ("[eventpoll]", "memfd:x"), ".../b" where the outermost
 *	names are missing, "[detached tmpfs]/a/b" in a mount that hangs nowhere; for free(); NULL: out of
 *	memory
 */
char *decode_path(const struct event_path *path, const char *names);

#endif
