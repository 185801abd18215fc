/*
 * What the table of calls that give descriptors (fd_calls.def) is made of, for both sides of the kernel
 * boundary.
 */
#ifndef LEFTOPEN_FD_CALLS_H
#define LEFTOPEN_FD_CALLS_H

/* Where a call's numbers are. */
enum fd_gives {
	FD_GIVES_NOTHING = 0,
	FD_GIVES_RESULT,
	FD_GIVES_COPY,
	FD_GIVES_PAIR_0,
	FD_GIVES_PAIR_3,
	FD_GIVES_MESSAGE,
	FD_GIVES_MESSAGES,
	FD_GIVES_WITH_CHILD /* a pidfd besides the result, told as the child begins */
};

#endif
