/*
 * Opens /tmp/perf-PID.map as its process sees it, or would have: where that is, whose it is, and what.
 * Inputs: folders that a process may have made. Outputs: a descriptor of a regular file of its own.
 */
#ifndef LEFTOPEN_SYMBOLS_PERF_MAP_FILE_H
#define LEFTOPEN_SYMBOLS_PERF_MAP_FILE_H

#include <stdint.h>

/**
 * Opens the file below a root; no link in it leads out of there. What is not opened is not touched: a FIFO
 * has no reader for a moment, and a device is not woken.
 * @param root_fd of a folder; stays the caller's
 * @param own_process_id in the process's own pid namespace
 * @param user_id whose the file has to be, or root's
 * @param started_s when the process started, CLOCK_REALTIME: a file that was last written before is what
 * another process of that id has left
 * @return descriptor, the caller's; -EPERM: it is another's, or has another name too; -EINVAL: it is no
 * regular file; -ESTALE: it was written before the process started; -errno of openat2(2), open(2)
 * @source openat2(2), RESOLVE_IN_ROOT
 */
int perf_map_file_open(int root_fd, uint32_t own_process_id, uint32_t user_id, int64_t started_s);

/**
 * Opens the root folder of a process.
 * @param start_ns as process_folder_open() takes it
 * @return descriptor (O_PATH), the caller's; -ESRCH: the process is gone; -errno of open(2)
 * @source proc(5), /proc/PID/root
 */
int perf_map_file_open_root(uint32_t process_id, uint64_t start_ns);

#endif
