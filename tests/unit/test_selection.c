/*
 * cli/selection.c, cli/cgroup.c and symbols/target_reader.c: this process and its children, as /proc has
 * them.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cli/cgroup.h"
#include "cli/selection.h"
#include "symbols/target_reader.h"

/* A child of that name, which waits to be killed. */
static pid_t start_child(const char *name)
{
	int ready[2];
	char byte;
	pid_t child;

	cr_assert_eq(pipe2(ready, O_CLOEXEC), 0);
	child = fork();
	if (!child) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)prctl(PR_SET_NAME, name);
		(void)!write(ready[1], "", 1);
		for (;;)
			pause();
	}
	cr_assert_gt(child, 0);
	cr_assert_eq(read(ready[0], &byte, 1), 1);
	(void)close(ready[0]);
	(void)close(ready[1]);
	return child;
}

static void end_child(pid_t child)
{
	cr_assert_eq(kill(child, SIGKILL), 0);
	cr_assert_eq(waitpid(child, NULL, 0), child);
}

static bool has(const struct selected *selected, pid_t process_id)
{
	for (size_t i = 0; i < selected->count; i++)
		if (selected->process_ids[i] == (uint32_t)process_id)
			return true;
	return false;
}

Test(selection, listed)
{
	pid_t living = start_child("living"), gone = start_child("gone"), unwaited = start_child("unwaited");
	uint32_t ids[] = {(uint32_t)living,   (uint32_t)gone,    (uint32_t)living, 2,
	                  (uint32_t)getpid(), (uint32_t)unwaited};
	const struct selection selection = {.kind = SELECTION_PROCESSES,
	                                    .process_ids = ids,
	                                    .process_count = sizeof(ids) / sizeof(ids[0])};
	struct selected selected = {0};
	siginfo_t info;

	end_child(gone);
	cr_assert_eq(kill(unwaited, SIGKILL), 0);
	cr_assert_eq(waitid(P_PID, (id_t)unwaited, &info, WEXITED | WNOWAIT), 0);
	cr_assert_eq(selection_find(&selection, &selected), 0);
	cr_assert_eq(selected.count, 1, "of those that live each once, no kernel thread, not itself");
	cr_assert_eq(selected.process_ids[0], living);
	end_child(living);
	cr_assert_eq(waitpid(unwaited, NULL, 0), unwaited);
	cr_assert_eq(selection_find(&selection, &selected), 0);
	cr_assert_eq(selected.count, 0);
	selected_free(&selected);
}

Test(selection, by_name)
{
	pid_t first = start_child("lo-a) (b"), second = start_child("lo-a) (c"), other = start_child("other");
	struct selection selection = {.kind = SELECTION_COMM, .pattern = "lo-a) (?"};
	struct selected selected = {0};

	cr_assert_eq(selection_find(&selection, &selected), 0);
	cr_assert(has(&selected, first) && has(&selected, second) && !has(&selected, other));
	selection.pattern = "*";
	cr_assert_eq(selection_find(&selection, &selected), 0);
	cr_assert(has(&selected, first) && has(&selected, other));
	cr_assert(!has(&selected, getpid()) && !has(&selected, 2));
	for (size_t i = 1; i < selected.count; i++)
		cr_assert_lt(selected.process_ids[i - 1], selected.process_ids[i]);
	end_child(first);
	end_child(second);
	end_child(other);
	selected_free(&selected);
}

Test(selection, cgroup)
{
	struct selection selection = {.kind = SELECTION_CGROUP, .pattern = "/no/such/group"};
	struct selected selected = {0};
	pid_t child = start_child("child");
	char path[PATH_MAX], *found = NULL;

	cr_assert_eq(selection_find(&selection, &selected), -ENOENT);
	cr_assert_eq(cgroup_read((uint32_t)child, path, sizeof(path)), 0);
	cr_assert_eq(path[0], '/');
	cr_assert(cgroup_holds(path, (uint32_t)child));
	cr_assert(cgroup_holds("", (uint32_t)child), "the root holds all");
	cr_assert_not(cgroup_holds("/no/such/group", (uint32_t)child));
	selection.pattern = "/";
	cr_assert_eq(selection_find(&selection, &selected), 0);
	cr_assert(has(&selected, child));
	cr_assert_eq(cgroup_find("//", &found), 0);
	cr_assert_str_eq(found, "");
	free(found);
	end_child(child);
	cr_assert_lt(cgroup_read((uint32_t)child, path, sizeof(path)), 0);
	cr_assert_not(cgroup_holds("", (uint32_t)child));
	selected_free(&selected);
}

static uint64_t boottime_ns(void)
{
	struct timespec now;

	cr_assert_eq(clock_gettime(CLOCK_BOOTTIME, &now), 0);
	return (uint64_t)now.tv_sec * 1000000000ULL + (uint64_t)now.tv_nsec;
}

/* A process that had not started by then is another of the same id. */
Test(selection, targets)
{
	int fd = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
	struct target_reader reader;
	pid_t child = start_child("child");
	uint64_t now = boottime_ns();
	char target[PATH_MAX];

	cr_assert_geq(fd, 0);
	target_reader_init(&reader);
	cr_assert(target_reader_read(&reader, (uint32_t)getpid(), now, fd, target, sizeof(target)));
	cr_assert_str_eq(target, "/etc/passwd");
	cr_assert(target_reader_read(&reader, (uint32_t)getpid(), now, fd, target, 5), "cut");
	cr_assert_str_eq(target, "/etc");
	cr_assert_not(target_reader_read(&reader, (uint32_t)getpid(), now, 100000, target, sizeof(target)));
	cr_assert_not(
	        target_reader_read(&reader, (uint32_t)getpid(), 1000000000, fd, target, sizeof(target)));
	cr_assert(target_reader_read(&reader, (uint32_t)child, now, 0, target, sizeof(target)));
	end_child(child);
	cr_assert_not(target_reader_read(&reader, (uint32_t)child, now, 0, target, sizeof(target)));
	target_reader_clear(&reader);
	(void)close(fd);
}
