/*
 * `leftopen mark NAME`: says to the leftopen that follows this process which test begins.
 */
#ifndef LEFTOPEN_CLI_MARK_H
#define LEFTOPEN_CLI_MARK_H

/** @return the exit status: 0, also where nobody follows this process; LAUNCH_STATUS_FAILED: wrong arguments
 */
int mark_main(int argc, char **argv);

/** Does nothing: whoever follows this process has a uprobe on it, which reads the name (load/marks.c). */
void leftopen_mark_test(const char *name);

#endif
