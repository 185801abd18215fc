/*
 * tracefs without anybody else seeing it: many machines do not mount it, and a monitor has no business
 * mounting things into its users' view.
 */
#ifndef LEFTOPEN_LOAD_TRACEFS_H
#define LEFTOPEN_LOAD_TRACEFS_H

#include <stdint.h>

/**
 * Opens the root of tracefs: where it is mounted already, else as a detached mount, else as a mount in a
 * namespace that has no process any more. The mount lives as long as the descriptor.
 * @param ret_dir_fd a folder's descriptor, close-on-exec, the caller's
 * @return 0; -EPERM: not mounted, and no right to mount (CAP_SYS_ADMIN); -EACCES: mounted, not readable;
 *	-ENODEV: a kernel without tracefs; -errno of mounting
 */
int tracefs_open(int *ret_dir_fd);

/**
 * Opens the root of tracefs by a forked child that mounts it in a namespace of its own: what tracefs_open()
 * does where fsopen(2) is unknown (before Linux 5.2) or forbidden (seccomp filters of containers).
 * @return as tracefs_open(); -EIO: the child was killed
 */
int tracefs_open_by_child(int *ret_dir_fd);

/**
 * Reads the id of an event, which perf_event_open(2) takes as its config.
 * @param dir_fd what tracefs_open() gave
 * @param group "syscalls", for example
 * @param name "sys_exit_openat", for example
 * @return 0; -ENOENT: the kernel has no such event; -EACCES; -EBADMSG: not a number; -ENAMETOOLONG; -errno of
 * reading
 */
int tracefs_event_id(int dir_fd, const char *group, const char *name, uint64_t *ret_id);

#endif
