/*
 * Report files: opened before CMD starts, with the rights of whoever called leftopen, and put in place whole.
 * A report that cannot be written must be known before a long run, and a run as root must not write where its
 * caller could not.
 */
#ifndef LEFTOPEN_CLI_OUTPUT_FILE_H
#define LEFTOPEN_CLI_OUTPUT_FILE_H

#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

struct launch_identity;
struct output_file;

/** A local that gives up its file, unless committed, as its scope ends; needs an initial value (NULL: none).
 */
#define OUTPUT_FILE_OWNED __attribute__((cleanup(output_file_abortp)))

/**
 * Opens a report file for writing: a temporary file `.NAME.leftopen-XXXXXX` in the folder of the file to be,
 *mode 0666 less the umask and less what an existing file of that name does not allow. A FIFO or a character
 *device is written directly. The working directory and the umask are the process's own.
 * @param path `%p` becomes process_id and `%%` becomes `%`; "-" means standard output
 * @param identity whose rights count: the caller's own (launch_identity_find(false, NULL, ..)), whoever CMD
 *runs as; copied
 * @param ret_file for output_file_abort()
 * @return 0; -EINVAL: another letter after %; -ELOOP: a symbolic link; -EISDIR; -EACCES: he cannot write the
 *file, or make files in its folder; -EPERM: another's file in a sticky folder; -ENXIO: a FIFO that nobody
 *reads; -ENOTSUP: a block device or a socket; -ENOMEM; -errno of opening: output_file_explain() says it in
 *words
 */
int output_file_open(const char *path, const struct launch_identity *identity, pid_t process_id,
                     struct output_file **ret_file);

/** @return what to write to; the file's own, not to be closed. Writing to a FIFO needs SIGPIPE to be ignored.
 */
FILE *output_file_stream(struct output_file *file);

/** @return the file's name with its % sequences replaced, for messages */
const char *output_file_path(const struct output_file *file);

/**
 * Writes out what is buffered, makes sure that it is on the disk, and renames the file into place. After a
 * failure the old file is whole and no temporary file is left.
 * @return 0; -ENOSPC, -EDQUOT, -EIO: the first error of any write since opening; -errno of fsync or rename
 */
int output_file_commit(struct output_file *file);

/** Frees; removes the temporary file unless the file was committed, and drops what is buffered. NULL-safe. */
void output_file_abort(struct output_file *file);

/** Frees what a child of this process has committed. NULL-safe. */
void output_file_leave(struct output_file *file);

/** @return whether the file is put in place whole, and is not a stream that others write to */
bool output_file_is_replaced(const struct output_file *file);

/** output_file_abort() for a cleanup attribute. */
void output_file_abortp(struct output_file **file);

/** @return what an error of output_file_open() or output_file_commit() means, and what to do; never NULL */
const char *output_file_explain(int error);

#endif
