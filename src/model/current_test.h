/*
 * Which test runs: in a process, or where none is known there, in all that is followed.
 */
#ifndef LEFTOPEN_MODEL_CURRENT_TEST_H
#define LEFTOPEN_MODEL_CURRENT_TEST_H

#include "model/internal.h"

/** @return the test that runs in the process or its nearest ancestor that has one; 0: none has */
struct test_id current_test_nearest(const struct process *process);

/**
 * A test begins. A marked one ends with an empty name; of other sources the last one's name stays.
 * @return 0 or -ENOMEM
 */
int current_test_apply(struct model *model, struct process *process, const struct event_test *event);

#endif
