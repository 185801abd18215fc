/*
 * Which runtimes running processes have mapped. See running_files.h.
 */
#include "cli/running_files.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Chosen by: a machine has a handful of interpreters; of what is left out nothing is lost but the frames of
 * the first moment. */
#define FILES_MAX     64
#define PROCESSES_MAX 2000

struct file {
	uint64_t inode;
	unsigned int major, minor;
};

struct list {
	char **paths;
	size_t count;
	struct file files[FILES_MAX];
};

static int add(struct list *list, uint32_t process_id, uint64_t start, uint64_t end, const struct file *file)
{
	for (size_t i = 0; i < list->count; i++)
		if (list->files[i].inode == file->inode && list->files[i].major == file->major &&
		    list->files[i].minor == file->minor)
			return 0;
	/* Without the zeros that /proc/PID/maps fills addresses up with (fs/proc/base.c,
	 * proc_map_files_readdir). */
	if (asprintf(&list->paths[list->count], "/proc/%u/map_files/%" PRIx64 "-%" PRIx64, process_id, start,
	             end) < 0)
		return -ENOMEM;
	list->files[list->count++] = *file;
	return 0;
}

/* "python3.11", "libpython3.11.so.1.0": what a file is called is only a hint at what to look at. */
static int look_at(struct list *list, uint32_t process_id)
{
	char path[64], line[PATH_MAX + 128];
	int error = 0;
	FILE *maps;

	(void)snprintf(path, sizeof(path), "/proc/%u/maps", process_id);
	maps = fopen(path, "re");
	/* It is gone. */
	if (!maps)
		return 0;
	while (!error && list->count < FILES_MAX && fgets(line, sizeof(line), maps)) {
		uint64_t start, end;
		struct file file;
		char rights[8];
		const char *slash = strrchr(line, '/');

		if (!slash || !strstr(slash, "python") ||
		    sscanf(line, "%" SCNx64 "-%" SCNx64 " %7s %*s %x:%x %" SCNu64, &start, &end, rights,
		           &file.major, &file.minor, &file.inode) != 6)
			continue;
		if (rights[2] == 'x')
			error = add(list, process_id, start, end, &file);
	}
	(void)fclose(maps);
	return error;
}

int running_files_list(const uint32_t *process_ids, size_t count, char ***ret_paths, size_t *ret_count)
{
	struct list list = {.paths = calloc(FILES_MAX, sizeof(char *))};
	int error = list.paths ? 0 : -ENOMEM;

	for (size_t i = 0; i < count && i < PROCESSES_MAX && !error; i++)
		error = look_at(&list, process_ids[i]);
	if (error) {
		running_files_free(list.paths, list.count);
		return error;
	}
	*ret_paths = list.paths;
	*ret_count = list.count;
	return 0;
}

void running_files_free(char **paths, size_t count)
{
	if (!paths)
		return;
	for (size_t i = 0; i < count; i++)
		free(paths[i]);
	free(paths);
}
