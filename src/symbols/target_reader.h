/*
 * What descriptors of living processes refer to, as /proc says. Inputs: a process by id and start time.
 * Outputs: text of the process's choosing.
 */
#ifndef LEFTOPEN_SYMBOLS_TARGET_READER_H
#define LEFTOPEN_SYMBOLS_TARGET_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The process that was asked for last: its folder in /proc goes on meaning it when its id is given out again.
 */
struct target_reader {
	uint64_t start_ns;
	uint32_t process_id;
	bool known;    /* the two above are meant */
	int folder_fd; /* -1: there is no such process */
};

/** Makes a reader that knows no process. */
void target_reader_init(struct target_reader *reader);

/**
 * Reads a target.
 * @param start_ns CLOCK_BOOTTIME, at or after the process's start and before its end: one that started later
 *is another
 * @param to set to the target, cut where it is longer
 * @return false: the process or its descriptor is gone
 * @source proc(5), /proc/PID/fd and /proc/PID/stat; fs/proc/base.c: a folder's inode keeps its struct pid
 */
bool target_reader_read(struct target_reader *reader, uint32_t process_id, uint64_t start_ns, int fd,
                        char *to, size_t bytes);

/** Closes what is open. */
void target_reader_clear(struct target_reader *reader);

#endif
