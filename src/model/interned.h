/*
 * What is kept once and named by id or key: stacks, mapped files, tests.
 */
#ifndef LEFTOPEN_MODEL_INTERNED_H
#define LEFTOPEN_MODEL_INTERNED_H

#include "model/internal.h"

/** @return the stack, or NULL */
const struct model_stack *interned_find_stack(const struct model *model, uint64_t id);

/** @return the path of a mapped file, or NULL */
const char *interned_find_file(const struct model *model, const struct file_key *key);

/** Keeps a stack. @return 0, also where it is known or MODEL_STACKS_MAX are kept (counted); -ENOMEM */
int interned_add_stack(struct model *model, const struct event_stack *event);

/** Makes an id stand for another's stack. @return 0, also where MODEL_STACKS_MAX are kept (counted); -ENOMEM
 */
int interned_alias_stack(struct model *model, uint64_t id, uint64_t same_as);

/** @return the id that an id stands for: most for themselves */
uint64_t interned_same_stack(const struct model *model, uint64_t id);

/** Keeps a mapped file's path. @return 0, also where it is known or MODEL_FILES_MAX are kept (counted);
 * -ENOMEM */
int interned_add_file(struct model *model, const struct event_file *event);

/**
 * Keeps a test's name.
 * @param ret_id the test's; none where MODEL_TESTS_MAX are kept (counted)
 * @return 0, or -ENOMEM
 */
int interned_add_test(struct model *model, const char *name, size_t length, struct test_id *ret_id);

/** Frees all that is kept. */
void interned_free(struct model *model);

#endif
