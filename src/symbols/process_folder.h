/*
 * A process's folder in /proc, and whether it is that process's still: ids are given again.
 * Inputs: a process by id and time. Outputs: a descriptor that goes on meaning it.
 */
#ifndef LEFTOPEN_SYMBOLS_PROCESS_FOLDER_H
#define LEFTOPEN_SYMBOLS_PROCESS_FOLDER_H

#include <stdint.h>

/**
 * Opens the folder of a process.
 * @param process_id in leftopen's pid namespace, as /proc has it
 * @param start_ns CLOCK_BOOTTIME, at or after the process's start and before its end: one that started later
 *is another
 * @return descriptor (O_PATH), the caller's; -ESRCH: the process is gone; -errno of open(2)
 * @source proc(5), /proc/PID/stat; fs/proc/base.c: a folder's inode keeps its struct pid
 */
int process_folder_open(uint32_t process_id, uint64_t start_ns);

#endif
