/*
 * The pid namespace that leftopen is in: a container's, or the machine's own.
 */
#ifndef LEFTOPEN_BASE_PID_NAMESPACE_H
#define LEFTOPEN_BASE_PID_NAMESPACE_H

#include <stdbool.h>

/** @return whether it is the machine's own; true where /proc does not say */
bool pid_namespace_is_initial(void);

/** @return whether /proc shows it, so that a number there is the same process as here; true where there is no
 * /proc */
bool pid_namespace_is_in_proc(void);

#endif
