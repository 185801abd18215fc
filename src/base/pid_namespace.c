/*
 * The pid namespace that leftopen is in. See pid_namespace.h.
 */
#include "base/pid_namespace.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* include/uapi/linux/nsfs.h, PID_NS_INIT_INO */
#define INITIAL_INODE 0xEFFFFFFCU

bool pid_namespace_is_initial(void)
{
	struct stat status;

	return stat("/proc/self/ns/pid", &status) || status.st_ino == INITIAL_INODE;
}

bool pid_namespace_is_in_proc(void)
{
	char number[24];
	ssize_t length = readlink("/proc/self", number, sizeof(number) - 1);

	if (length < 0)
		return access("/proc/uptime", F_OK);
	number[length] = '\0';
	return strtol(number, NULL, 10) == getpid();
}
