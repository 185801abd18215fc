/*
 * `leftopen doctor`: what this kernel and this user can do, and what to do about the rest.
 */
#ifndef LEFTOPEN_CLI_DOCTOR_H
#define LEFTOPEN_CLI_DOCTOR_H

/**
 * Runs the command: prints one line a feature, facts about the machine, the CPythons that are found, and a
 * verdict.
 * @param argv argv[0] is "doctor"; ended by NULL
 * @return exit status: 0: all that is required is there; 1: something is not; 125: usage, or output that
 * failed
 */
int doctor_main(int argc, char **argv);

#endif
