/*
 * `leftopen run`: run a command, follow it and all its descendants, say what was left open.
 */
#ifndef LEFTOPEN_CLI_RUN_H
#define LEFTOPEN_CLI_RUN_H

/**
 * Runs the command.
 * @param argv argv[0] is "run"; ended by NULL
 * @return exit status; does not return where CMD died by a signal
 */
int run_main(int argc, char **argv);

#endif
