/*
 * Processes and threads: who holds what after fork, exec, threads and shared tables. Each process tells what
 * it holds that it did not begin with. Usage: processes
 */
#include <sched.h>
#include <spawn.h>

#include "leaks.h"

#define CHILDREN      8
#define SHORT_LIVED   300
#define STORM_FORKS   200
#define STORM_SHARERS 300
#define STORM_THREADS 2
#define THREADS       8

extern char **environ;

static char *label_of(const char *name, int index)
{
	static char label[64];

	(void)snprintf(label, sizeof(label), "%s_%d", name, index);
	return label;
}

/* Children that leave 1, 2, 3 ... open, of a parent that had some before: those are not blamed on them. */
static int children_leave;

static void leave_some(void)
{
	/* Released in the child only. */
	MUST(!close(3));
	truth_made_anew(3);
	leak_many(children_leave);
}

static void children_leak_one_to_n(void)
{
	leak_many(5);
	for (children_leave = 1; children_leave <= CHILDREN; children_leave++)
		scenario_wait_for(scenario_fork(label_of("child", children_leave), leave_some));
}

static void leave_one(void)
{
	(void)leak();
}

static void short_lived_children(void)
{
	for (int i = 0; i < SHORT_LIVED; i++) {
		(void)scenario_fork("short_lived", leave_one);
		/* A few at once. */
		if (i % 10 == 9)
			for (int j = 0; j < 10; j++)
				MUST(wait(NULL) > 0);
	}
}

static void threads_at_once(void)
{
	pthread_t threads[THREADS];

	storm_begin(threads, THREADS, 3);
	for (int i = 0; i < 3000; i++)
		MUST(!close(leak()));
	storm_end(threads, THREADS);
}

static void *leave_two(void *unused)
{
	leak_many(2);
	return unused;
}

static void thread_that_exits(void)
{
	pthread_t thread;

	MUST(!pthread_create(&thread, NULL, leave_two, NULL) && !pthread_join(thread, NULL));
	(void)leak();
}

__attribute__((noinline)) static void exec_keeps_and_closes(void)
{
	int pair[2], kept = leak();

	MUST(!fcntl(kept, F_SETFD, 0));
	(void)leak();
	MUST(!KERNEL_CALL4(SYS_pipe2, pair, 0, 0, 0));
	(void)leak();
	run_self(scenario_name);
}

static void *exec_now(void *unused)
{
	MUST(!fcntl(leak(), F_SETFD, 0));
	run_self("exec_by_a_thread");
	return unused;
}

/* The thread takes the leader's id, and the storm ends in the middle of what it does. */
static void exec_by_a_thread(void)
{
	pthread_t threads[STORM_THREADS], thread;

	MUST(!fcntl(leak(), F_SETFD, 0));
	storm_begin(threads, STORM_THREADS, 0);
	MUST(!pthread_create(&thread, NULL, exec_now, NULL));
	MUST(!pthread_join(thread, NULL));
}

static void vforked_child_leaks(void)
{
	pid_t child;

	(void)leak();
	/* The child has the parent's memory and a table of its own. */
	child = vfork();
	MUST(child >= 0);
	if (!child) {
		(void)syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDONLY);
		(void)syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDONLY);
		truth_begin_line("vforked_child");
		truth_add(&truth_line, ", \"fds\": {\"4\": \"/dev/null\", \"5\": \"/dev/null\"}");
		truth_write();
		_exit(0);
	}
	scenario_wait_for(child);
	(void)leak();
}

static void spawned_child_leaks(void)
{
	static char program[] = "/proc/self/exe", name[] = "processes", option[] = "--leave-two";
	char *arguments[] = {name, option, NULL};
	pid_t child;

	(void)leak();
	MUST(!posix_spawn(&child, program, NULL, NULL, arguments, environ));
	scenario_wait_for(child);
}

static char clone_stack[1 << 18] __attribute__((aligned(16)));

static int leave_two_in_a_shared_table(void *unused)
{
	(void)unused;
	leak_many(2);
	truth_begin_line("shares_its_parents_table");
	truth_add(&truth_line, ", \"fds\": {}");
	truth_write();
	return 0;
}

/* CLONE_FILES: what the child made stays with the table, and its parent holds that to the end. */
static void shared_table_parent_last(void)
{
	pid_t child = clone(leave_two_in_a_shared_table, clone_stack + sizeof(clone_stack),
	                    CLONE_FILES | SIGCHLD, NULL);

	MUST(child > 0);
	scenario_wait_for(child);
	(void)leak();
}

static int outlive_the_other_holder(void *unused)
{
	(void)unused;
	(void)leak();
	wait_for_the_parent_to_end(waited_for);
	(void)leak();
	truth_tell("shared_table_child_last");
	return 0;
}

/* The last one that holds the table answers for all that is in it. */
static void shared_table_child_last(void)
{
	waited_for = getpid();
	(void)leak();
	truth_begin_line("gave_its_table_away");
	truth_add(&truth_line, ", \"fds\": {}");
	truth_write();
	MUST(clone(outlive_the_other_holder, clone_stack + sizeof(clone_stack), CLONE_FILES | SIGCHLD, NULL) >
	     0);
	_exit(0);
}

static int exec_with_a_shared_table(void *unused)
{
	(void)unused;
	/* exec gives it a copy of its own: this stays with the parent's. */
	MUST(!fcntl(leak(), F_SETFD, 0));
	(void)execl("/proc/self/exe", "processes", "--leave-two", NULL);
	return 99;
}

static void shared_table_and_exec(void)
{
	pid_t child = clone(exec_with_a_shared_table, clone_stack + sizeof(clone_stack),
	                    CLONE_FILES | SIGCHLD, NULL);

	MUST(child > 0);
	scenario_wait_for(child);
}

/* A daemon as daemons are made: the grandchild lives on under another parent. */
static void daemon_leaks(void)
{
	wait_for_the_parent_to_end(waited_for);
	leak_many(4);
}

static void become_a_daemon(void)
{
	MUST(setsid() > 0);
	waited_for = getpid();
	(void)scenario_fork("daemon", daemon_leaks);
	_exit(0);
}

static void double_fork(void)
{
	pid_t child = fork();

	MUST(child >= 0);
	if (!child)
		become_a_daemon();
	scenario_wait_for(child);
	(void)leak();
}

static int end_at_once(void *unused)
{
	(void)unused;
	return 0;
}

/* Processes that share a table end while others use it: what they saw of it then is no truth. */
static void shared_table_in_a_storm(void)
{
	pthread_t threads[STORM_THREADS];

	storm_begin(threads, STORM_THREADS, 1);
	for (int i = 0; i < STORM_SHARERS; i++) {
		pid_t child =
		        clone(end_at_once, clone_stack + sizeof(clone_stack), CLONE_FILES | SIGCHLD, NULL);

		MUST(child > 0);
		scenario_wait_for(child);
	}
	storm_end(threads, STORM_THREADS);
}

/* Each child reads its own table, which a fork copied in the middle of a storm. */
static void fork_in_a_storm(void)
{
	pthread_t threads[STORM_THREADS];

	leak_many(3);
	storm_begin(threads, STORM_THREADS, 1);
	for (int i = 0; i < STORM_FORKS; i++) {
		pid_t child = fork();

		MUST(child >= 0);
		if (!child) {
			truth_read_numbers(&truth_held);
			(void)open("/dev/zero", O_RDONLY);
			truth_inherited = truth_held;
			truth_tell("storm_child");
			_exit(0);
		}
		scenario_wait_for(child);
	}
	storm_end(threads, STORM_THREADS);
}

/* Standard streams that are put aside and put back, as shells do for a redirection. */
static void standard_streams_put_back(void)
{
	int saved = fcntl(1, F_DUPFD_CLOEXEC, 10), other = leak();

	MUST(saved == 10 && dup2(other, 1) == 1 && !close(other));
	MUST(dup2(saved, 1) == 1 && !close(saved));
}

static const struct scenario scenarios[] = {
        {"children_leak_one_to_n", children_leak_one_to_n},
        {"short_lived_children", short_lived_children},
        {"threads_at_once", threads_at_once},
        {"thread_that_exits", thread_that_exits},
        {"exec_keeps_and_closes", exec_keeps_and_closes},
        {"exec_by_a_thread", exec_by_a_thread},
        {"vforked_child_leaks", vforked_child_leaks},
        {"spawned_child_leaks", spawned_child_leaks},
        {"shared_table_parent_last", shared_table_parent_last},
        {"shared_table_child_last", shared_table_child_last},
        {"shared_table_and_exec", shared_table_and_exec},
        {"shared_table_in_a_storm", shared_table_in_a_storm},
        {"double_fork", double_fork},
        {"fork_in_a_storm", fork_in_a_storm},
        {"standard_streams_put_back", standard_streams_put_back},
};

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "--after-exec")) {
		tell_after_exec(argv[2]);
		return 0;
	}
	if (argc == 2 && !strcmp(argv[1], "--leave-two")) {
		truth_begin();
		leak_many(2);
		truth_tell("leaves_two");
		return 0;
	}
	MUST(argc == 1);
	truth_begin_alone();
	scenario_run_all(scenarios, sizeof(scenarios) / sizeof(scenarios[0]));
	truth_tell("main");
	return 0;
}
