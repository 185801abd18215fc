/*
 * Texts against the golden files of tests/golden, by `diff -u`.
 *
 * LEFTOPEN_GOLDEN=write in the environment writes the golden files anew instead of comparing with them: look
 * at what `git diff tests/golden` says afterwards.
 */
#ifndef LEFTOPEN_TESTS_GOLDEN_H
#define LEFTOPEN_TESTS_GOLDEN_H

#include <stddef.h>

/** Fails the test where the text is not that of tests/golden/NAME.txt. */
void golden_check(const char *name, const char *bytes, size_t length);

#endif
