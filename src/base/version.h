/*
 * The version, as `leftopen -V` and the reports give it. A build may name another (-DLEFTOPEN_VERSION).
 */
#ifndef LEFTOPEN_BASE_VERSION_H
#define LEFTOPEN_BASE_VERSION_H

#ifndef LEFTOPEN_VERSION
#define LEFTOPEN_VERSION "0.1.0"
#endif

#endif
