/*
 * The worker: a process of its own that reads ELF and DWARF which anybody may have written, confined before
 * it reads anything. What it is asked and what it answers: wire.h.
 */
#ifndef LEFTOPEN_SYMBOLS_WORKER_H
#define LEFTOPEN_SYMBOLS_WORKER_H

/* The first argument of a program that is started as a worker, its socket being standard input. */
#define WORKER_ARGUMENT "names-worker"

/**
 * Confines the process and answers until whoever started it has gone, or says what has no meaning.
 * @return an exit status: 0; 1: standard input is no socket that this process's parent made, or the process
 *	could not be confined, or a message had no meaning
 */
int worker_main(void);

#endif
