/*
 * What commands say to the user on standard error: one line each, nothing in it that a terminal would act on.
 */
#ifndef LEFTOPEN_CLI_MESSAGE_H
#define LEFTOPEN_CLI_MESSAGE_H

/** Prints "leftopen: " and the text, escaped, as a line. */
void message_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
