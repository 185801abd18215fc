/*
 * Which running processes are watched. See selection.h.
 */
#include "cli/selection.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cgroup.h"

/* include/linux/sched.h: a kernel thread */
#define PF_KTHREAD 0x00200000
/* A comm of 15 bytes and its brackets among 20 numbers (proc(5), stat). */
#define STAT_BYTES 1024

/* Of /proc/PID/stat. */
struct process_stat {
	char comm[64];
	bool is_user; /* neither a kernel thread nor a process that nobody has waited for */
};

/* @return whether there is such a process */
static bool read_stat(uint32_t process_id, struct process_stat *ret_stat)
{
	char path[64], text[STAT_BYTES], *open_bracket, *close_bracket, state;
	unsigned long flags;
	size_t length;
	FILE *file;

	(void)snprintf(path, sizeof(path), "/proc/%u/stat", process_id);
	file = fopen(path, "re");
	if (!file)
		return false;
	length = fread(text, 1, sizeof(text) - 1, file);
	(void)fclose(file);
	text[length] = '\0';
	/* The name may have brackets of its own: its end is the last one. */
	open_bracket = strchr(text, '(');
	close_bracket = strrchr(text, ')');
	if (!open_bracket || !close_bracket ||
	    sscanf(close_bracket + 1, " %c %*d %*d %*d %*d %*d %lu", &state, &flags) != 2)
		return false;
	*close_bracket = '\0';
	(void)snprintf(ret_stat->comm, sizeof(ret_stat->comm), "%s", open_bracket + 1);
	ret_stat->is_user = !(flags & PF_KTHREAD) && state != 'Z' && state != 'X';
	return true;
}

/* @param path of the cgroup, where it is asked for */
static bool is_meant(const struct selection *selection, const char *path, uint32_t process_id)
{
	struct process_stat stat;

	if (!read_stat(process_id, &stat) || !stat.is_user || process_id == (uint32_t)getpid())
		return false;
	if (selection->kind == SELECTION_COMM)
		return !fnmatch(selection->pattern, stat.comm, 0);
	return selection->kind != SELECTION_CGROUP || cgroup_holds(path, process_id);
}

static int add(struct selected *selected, uint32_t process_id)
{
	if (selected->count == selected->capacity) {
		size_t capacity = selected->capacity ? 2 * selected->capacity : 64;
		uint32_t *grown = realloc(selected->process_ids, capacity * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		selected->process_ids = grown;
		selected->capacity = capacity;
	}
	selected->process_ids[selected->count++] = process_id;
	return 0;
}

static int compare_ids(const void *a, const void *b)
{
	uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;

	return left < right ? -1 : left > right;
}

static void sort_unique(struct selected *selected)
{
	size_t kept = 0;

	if (!selected->count)
		return;
	qsort(selected->process_ids, selected->count, sizeof(selected->process_ids[0]), compare_ids);
	for (size_t i = 1; i < selected->count; i++)
		if (selected->process_ids[i] != selected->process_ids[kept])
			selected->process_ids[++kept] = selected->process_ids[i];
	selected->count = kept + 1;
}

static int find_listed(const struct selection *selection, struct selected *selected)
{
	int error = 0;

	for (size_t i = 0; i < selection->process_count && !error; i++)
		if (is_meant(selection, NULL, selection->process_ids[i]))
			error = add(selected, selection->process_ids[i]);
	return error;
}

static int find_in_proc(const struct selection *selection, const char *path, struct selected *selected)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	int error = 0;

	if (!proc)
		return -errno;
	while (!error && (entry = readdir(proc))) {
		uint32_t process_id = (uint32_t)strtoul(entry->d_name, NULL, 10);

		if (isdigit((unsigned char)entry->d_name[0]) && is_meant(selection, path, process_id))
			error = add(selected, process_id);
	}
	(void)closedir(proc);
	return error;
}

int selection_find(const struct selection *selection, struct selected *ret_selected)
{
	char *path = NULL;
	int error = 0;

	ret_selected->count = 0;
	if (selection->kind == SELECTION_CGROUP)
		error = cgroup_find(selection->pattern, &path);
	if (!error)
		error = selection->kind == SELECTION_PROCESSES ? find_listed(selection, ret_selected)
		                                               : find_in_proc(selection, path, ret_selected);
	free(path);
	sort_unique(ret_selected);
	return error;
}

void selected_free(struct selected *selected)
{
	free(selected->process_ids);
	*selected = (struct selected){0};
}
