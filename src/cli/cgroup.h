/*
 * Control groups: of which a process is a member. Inputs: /proc/PID/cgroup and what is mounted. Paths are as
 * the kernel shows them, below the mount of their hierarchy.
 */
#ifndef LEFTOPEN_CLI_CGROUP_H
#define LEFTOPEN_CLI_CGROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * Reads what a process's group is called: version 2's path; where that is the root, the first of version 1
 * that is not (a host of both hierarchies has its containers there).
 * @param to at least 2 bytes; a longer path is cut
 * @return 0, or -errno: the process is gone
 * @source cgroups(7), "/proc files"
 */
int cgroup_read(uint32_t process_id, char *to, size_t bytes);

/** @return whether the process is in the group of that path or one below it, in any hierarchy */
bool cgroup_holds(const char *path, uint32_t process_id);

/**
 * Whether there is such a group, in any hierarchy that is mounted here.
 * @param ret_path what /proc/PID/cgroup calls it, for free(): without the place where it is mounted, and
 *	without a slash at its end
 * @return 0; -ENOENT: there is none; -ENOMEM; -errno of reading /proc/self/mounts
 */
int cgroup_find(const char *path, char **ret_path);

#endif
