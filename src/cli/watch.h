/*
 * `leftopen watch`: follow what runs already, and print again and again which places hold most.
 */
#ifndef LEFTOPEN_CLI_WATCH_H
#define LEFTOPEN_CLI_WATCH_H

/**
 * Runs the command.
 * @param argv argv[0] is "watch"; ended by NULL
 * @return exit status
 */
int watch_main(int argc, char **argv);

#endif
