/*
 * load/survey.c and its programs against the running kernel: what they tell of a process is what /proc says.
 */
#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "consume/decode.h"
#include "load/loader.h"

#define NUMBERS_MAX 1024
#define RANGES_MAX  4096
#define MAPPINGS    300 /* several chunks */
#define DESCRIPTORS 200

struct told {
	uint32_t process_id;
	unsigned int found, begins, tables, spaces, others;
	int numbers[NUMBERS_MAX];
	size_t number_count;
	struct space_entry ranges[RANGES_MAX];
	size_t range_count;
};

static int take_event(void *context, const void *data, size_t bytes)
{
	const struct event_header *header = decode_event(data, bytes);
	const struct event_table_numbers *numbers = data;
	const struct event_space_ranges *ranges = data;
	struct told *told = context;

	cr_assert_not_null(header);
	if (header->process_id != told->process_id) {
		told->others++;
		return 0;
	}
	switch (header->type) {
	case EVENT_PROCESS_FOUND:
		told->found++;
		told->begins += ((const struct event_process_found *)data)->begins;
		break;
	case EVENT_TABLE_NUMBERS:
		cr_assert_eq(numbers->cause, TABLE_SURVEYED);
		told->tables += numbers->last;
		for (uint32_t i = 0; i < numbers->count && told->number_count < NUMBERS_MAX; i++)
			told->numbers[told->number_count++] = numbers->entries[i].fd;
		break;
	case EVENT_SPACE_RANGES:
		told->spaces += ranges->last;
		for (uint32_t i = 0; i < ranges->count && told->range_count < RANGES_MAX; i++)
			told->ranges[told->range_count++] = ranges->entries[i];
		break;
	default:
		break;
	}
	return 0;
}

/* @return a process that holds descriptors with gaps, and mappings of alternating protection, until it is
 * killed */
static pid_t start_holder(void)
{
	char *base;
	int ready[2];
	pid_t child;

	cr_assert_eq(pipe(ready), 0);
	child = fork();
	cr_assert_geq(child, 0);
	if (!child) {
		/* Also where the test fails. */
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (int i = 0; i < DESCRIPTORS; i++)
			(void)dup2(0, 20 + i * 3);
		base = mmap(NULL, MAPPINGS * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		            0);
		for (int i = 0; i < MAPPINGS; i += 2)
			(void)mprotect(base + i * 4096, 4096, PROT_READ);
		(void)!write(ready[1], "x", 1);
		for (;;)
			(void)pause();
	}
	cr_assert_eq(read(ready[0], &(char){0}, 1), 1);
	(void)close(ready[0]);
	(void)close(ready[1]);
	return child;
}

static int compare_numbers(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

static void check_numbers(const struct told *told)
{
	int numbers[NUMBERS_MAX];
	size_t count = 0;
	char path[64];
	struct dirent *entry;
	DIR *folder;

	(void)snprintf(path, sizeof(path), "/proc/%u/fd", told->process_id);
	folder = opendir(path);
	cr_assert_not_null(folder);
	while ((entry = readdir(folder)))
		if (entry->d_name[0] != '.' && count < NUMBERS_MAX)
			numbers[count++] = atoi(entry->d_name);
	(void)closedir(folder);
	qsort(numbers, count, sizeof(numbers[0]), compare_numbers);
	cr_assert_eq(told->number_count, count, "%zu and %zu", told->number_count, count);
	cr_assert_arr_eq(told->numbers, numbers, count * sizeof(numbers[0]));
}

static enum space_role role_of(const char *name)
{
	if (!strcmp(name, "[stack]"))
		return SPACE_ROLE_STACK;
	if (!strcmp(name, "[heap]"))
		return SPACE_ROLE_HEAP;
	if (!strncmp(name, "[vvar", 5) || !strcmp(name, "[vdso]") || !strcmp(name, "[uprobes]"))
		return SPACE_ROLE_KERNEL;
	return SPACE_ROLE_NONE;
}

static void check_ranges(const struct told *told)
{
	char path[64], line[4096];
	size_t count = 0;
	FILE *file;

	(void)snprintf(path, sizeof(path), "/proc/%u/maps", told->process_id);
	file = fopen(path, "re");
	cr_assert_not_null(file);
	while (fgets(line, sizeof(line), file)) {
		unsigned long start, end, offset, inode;
		char protection[8], name[256] = "";
		unsigned int major, minor;

		cr_assert_geq(sscanf(line, "%lx-%lx %7s %lx %x:%x %lu %255[^\n]", &start, &end, protection,
		                     &offset, &major, &minor, &inode, name),
		              7);
		/* A page of the kernel's own, in no tree of mappings. */
		if (strstr(line, "[vsyscall]"))
			continue;
		cr_assert_lt(count, told->range_count, "%s", line);
		cr_assert_eq(told->ranges[count].start, start, "%s", line);
		cr_assert_eq(told->ranges[count].end, end, "%s", line);
		cr_assert_eq(told->ranges[count].key.inode, inode, "%s", line);
		cr_assert_eq(told->ranges[count].role, role_of(name), "%s", line);
		if (inode)
			cr_assert_eq(told->ranges[count].file_offset, offset, "%s", line);
		count++;
	}
	(void)fclose(file);
	cr_assert_gt(count, MAPPINGS);
	cr_assert_eq(told->range_count, count);
}

Test(survey, tells_what_proc_says, .timeout = 60)
{
	const struct loader_options options = {.stacks = STACKS_MODE_NONE,
	                                       .ring_bytes = LOADER_RING_BYTES_MIN};
	static struct told told;
	struct loader_error error = {""};
	struct loader *loader;

	told.process_id = (uint32_t)start_holder();
	cr_assert_eq(loader_open(&options, &loader, &error), 0, "%s", error.text);
	cr_assert_eq(loader_set_consumer(loader, take_event, &told), 0);
	cr_assert_eq(loader_survey(loader, SURVEY_FOLLOWS_NONE), 0);
	cr_assert_eq(told.found, 0, "nobody is followed");
	cr_assert_eq(loader_want(loader, told.process_id, true), 0);
	cr_assert_eq(loader_survey(loader, SURVEY_FOLLOWS_WANTED), 0);
	cr_assert_eq(told.found, 1);
	cr_assert_eq(told.begins, 1);
	cr_assert_eq(told.tables, 1);
	cr_assert_eq(told.spaces, 1);
	cr_assert_eq(told.others, 0);
	check_numbers(&told);
	check_ranges(&told);
	/* Followed once, it is found by each survey. */
	cr_assert_eq(loader_survey(loader, SURVEY_FOLLOWS_NONE), 0);
	cr_assert_eq(told.found, 2);
	cr_assert_eq(told.begins, 1);
	for (int cause = 0; cause < LOSS_COUNT; cause++)
		cr_assert_eq(loader_losses(loader)[cause], 0, "%d", cause);
	loader_free(loader);
	(void)kill((pid_t)told.process_id, SIGKILL);
	(void)waitpid((pid_t)told.process_id, NULL, 0);
}

/* Every process but this one, and each once. */
Test(survey, all_processes, .timeout = 60)
{
	const struct loader_options options = {.stacks = STACKS_MODE_NONE,
	                                       .ring_bytes = LOADER_RING_BYTES_DEFAULT};
	static struct told told;
	struct loader_error error = {""};
	pid_t child = start_holder();
	struct loader *loader;

	told.process_id = (uint32_t)child;
	cr_assert_eq(loader_open(&options, &loader, &error), 0, "%s", error.text);
	cr_assert_eq(loader_set_consumer(loader, take_event, &told), 0);
	cr_assert_eq(loader_survey(loader, SURVEY_FOLLOWS_ALL), 0);
	cr_assert_eq(told.found, 1);
	check_numbers(&told);
	/* No child of this one. Its numbers are not compared: it runs the other tests meanwhile. */
	told = (struct told){.process_id = (uint32_t)getppid()};
	cr_assert_eq(loader_survey(loader, SURVEY_FOLLOWS_ALL), 0);
	cr_assert_eq(told.found, 1);
	cr_assert_gt(told.number_count, 0);
	told = (struct told){.process_id = (uint32_t)getpid()};
	cr_assert_eq(loader_survey(loader, SURVEY_FOLLOWS_ALL), 0);
	cr_assert_eq(told.found, 0);
	loader_free(loader);
	(void)kill(child, SIGKILL);
	(void)waitpid(child, NULL, 0);
}
