/*
 * Paths of files, each file once. See file_set.h.
 */
#include "cli/file_set.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int file_set_add(struct file_set *set, const char *path)
{
	struct stat status;

	if (set->count == FILE_SET_MAX || stat(path, &status) || !S_ISREG(status.st_mode))
		return 0;
	for (size_t i = 0; i < set->count; i++)
		if (set->seen[i].device == status.st_dev && set->seen[i].inode == status.st_ino)
			return 0;
	set->paths[set->count] = strdup(path);
	if (!set->paths[set->count])
		return -ENOMEM;
	set->seen[set->count++] = (struct file_identity){status.st_dev, status.st_ino};
	return 0;
}

void file_set_clear(struct file_set *set)
{
	while (set->count)
		free(set->paths[--set->count]);
}
