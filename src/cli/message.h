/*
 * What commands say to the user: errors as one line on standard error with nothing in it that a terminal
 * would act on; help and answers on standard output.
 */
#ifndef LEFTOPEN_CLI_MESSAGE_H
#define LEFTOPEN_CLI_MESSAGE_H

#include <stdbool.h>

/** Prints "leftopen: " and the text, escaped, as a line. */
void message_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/** Writes out what was printed to standard output. @return whether all of it was written; says what failed */
bool message_is_written(void);

#endif
