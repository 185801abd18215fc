/*
 * What all threads of a process hold, where they have different descriptor tables.
 * Outputs: one JSON object a line, {"label", "pid", "tables": {"TID": {"NUMBER": "link"}}}.
 */
#ifndef LEFTOPEN_WORKLOADS_TABLES_TRUTH_H
#define LEFTOPEN_WORKLOADS_TABLES_TRUTH_H

#include "scenario.h"

/* Adds "TID": {"NUMBER": "link"} of one thread; the standard streams and what reading needs are left out. */
static inline void add_table(pid_t process, const char *thread, const char *comma)
{
	char path[64], link[96], target[512];
	const char *inner = "";
	struct dirent *entry;
	DIR *numbers;

	(void)snprintf(path, sizeof(path), "/proc/%d/task/%s/fd", process, thread);
	numbers = opendir(path);
	/* A leader that is gone has no table. */
	if (!numbers)
		return;
	truth_add(&truth_line, "%s\"%s\": {", comma, thread);
	while ((entry = readdir(numbers))) {
		ssize_t length;

		(void)snprintf(link, sizeof(link), "%s/%.16s", path, entry->d_name);
		length = readlink(link, target, sizeof(target) - 1);
		if (entry->d_name[0] == '.' || atoi(entry->d_name) < 3 || length < 0)
			continue;
		target[length] = '\0';
		if (!strncmp(target, "/proc/", 6))
			continue;
		truth_add(&truth_line, "%s\"%s\": \"%s\"", inner, entry->d_name, target);
		inner = ", ";
	}
	truth_add(&truth_line, "}");
	MUST(!closedir(numbers));
}

/* The tables of all threads of a process, none of which makes or closes any meanwhile. */
static inline void tell_tables_of(pid_t process)
{
	char path[64];
	const char *comma = "";
	struct dirent *entry;
	DIR *threads;

	(void)snprintf(path, sizeof(path), "/proc/%d/task", process);
	threads = opendir(path);
	MUST(threads);
	truth_line.length = 0;
	truth_add(&truth_line, "{\"label\": \"tables_of_%s\", \"pid\": %d, \"tables\": {", scenario_name,
	          process);
	while ((entry = readdir(threads))) {
		size_t before = truth_line.length;

		if (entry->d_name[0] == '.')
			continue;
		add_table(process, entry->d_name, comma);
		if (truth_line.length > before)
			comma = ", ";
	}
	MUST(!closedir(threads));
	truth_add(&truth_line, "}");
	truth_write();
}

#endif
