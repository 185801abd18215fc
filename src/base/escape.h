/*
 * Strings made safe for the place where they are shown. What processes are called and what paths they open is
 * of their choosing: escape sequences, newlines and invalid UTF-8 included.
 */
#ifndef LEFTOPEN_BASE_ESCAPE_H
#define LEFTOPEN_BASE_ESCAPE_H

#include <stdbool.h>
#include <stddef.h>

/**
 * Makes bytes safe for a terminal and a text file: control characters (C0, DEL, C1), a backslash,
 * bidirectional controls and line separators become \n, \t, \e, \\, \xNN or \u{NNNN}; each byte that is not
 * valid UTF-8 becomes \xNN.
 * @param bytes any bytes, need not be terminated
 * @return a string for free(), or NULL: out of memory
 */
char *escape_for_terminal(const char *bytes, size_t length);

/**
 * Makes bytes into valid UTF-8 for JSON: each byte that is not part of valid UTF-8 becomes \xNN (four
 * characters), and so does a NUL, which would end the string; all else stays, as JSON's writer escapes
 * control characters itself.
 * @param ret_marked set to whether anything was replaced; may be NULL
 * @return a string for free(), or NULL: out of memory
 */
char *escape_for_json(const char *bytes, size_t length, bool *ret_marked);

#endif
