/*
 * What a descriptor refers to, in words.
 */
#ifndef LEFTOPEN_MODEL_TARGETS_H
#define LEFTOPEN_MODEL_TARGETS_H

#include "event_abi.h"
#include "handle_kinds.h"

/**
 * Describes a target as reports show it: a path, "tcp 127.0.0.1:80 -> 127.0.0.1:4711", "tcp listening on
 * [::1]:80", "unix", "pipe", "[eventpoll]", "memfd:name", "pidfd of 4711", "net namespace", "[detached
 * tmpfs]/file".
 * @return a string for free(), or NULL: out of memory
 */
char *targets_describe(const struct event_fd_target *event);

/**
 * The type that a target tells by its filesystem or its name, for a descriptor whose maker did not.
 * @return the type; HANDLE_TYPE_OTHER_FD: it does not tell
 */
enum handle_type targets_type(const struct event_fd_target *event);

#endif
