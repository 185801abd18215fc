/*
 * Descriptors that are owned by a scope, and descriptors that are handed from one process to another.
 */
#ifndef LEFTOPEN_BASE_FD_H
#define LEFTOPEN_BASE_FD_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Chosen by: an output file and its folder travel together, nothing else is passed in company. */
#define FD_PASS_MAX 4

/** A local that closes its descriptor as its scope ends; needs an initial value (-1: none). */
#define FD_OWNED __attribute__((cleanup(fd_close)))

/** Closes the descriptor unless it is negative, sets it to -1 and keeps errno. */
void fd_close(int *fd);

/** Takes the descriptor out of an FD_OWNED local. @return the descriptor; the caller closes it */
int fd_take(int *fd);

/**
 * Reads a part of a file, as much of it as there is.
 * @return how many bytes: less than wanted at the end of the file; -errno of pread(2)
 */
ssize_t fd_read_at(int fd, void *buffer, size_t bytes, uint64_t offset);

/**
 * Sends descriptors over a Unix socket, in one message.
 * @param count 1 to FD_PASS_MAX
 * @return 0, or -errno of sendmsg(2)
 * @source unix(7), SCM_RIGHTS
 */
int fd_send(int socket_fd, const int *fds, size_t count);

/**
 * Receives descriptors that fd_send() sent. They are close-on-exec; descriptors of a malformed message are
 * closed.
 * @param ret_fds room for FD_PASS_MAX descriptors, the caller's to close
 * @param ret_count 1 to FD_PASS_MAX
 * @return 0; -EPIPE: the other end is closed; -EBADMSG: no descriptors, or too many; -errno of recvmsg(2)
 */
int fd_receive(int socket_fd, int *ret_fds, size_t *ret_count);

#endif
