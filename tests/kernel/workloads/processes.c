/*
 * Processes and threads: who holds what after fork, exec, threads, shared tables and every way to end. Each
 * process tells what it holds that it did not begin with. Usage: processes
 */
#include <pthread.h>
#include <sched.h>
#include <spawn.h>
#include <stdatomic.h>

#include "scenario.h"

#define CHILDREN      8
#define SHORT_LIVED   300
#define STORM_FORKS   200
#define STORM_THREADS 2
#define THREADS       8

extern char **environ;

__attribute__((noinline)) static int leak(void)
{
	long fd = KERNEL_CALL4(SYS_openat, AT_FDCWD, "/dev/null", O_RDONLY | O_CLOEXEC, 0);

	MUST(fd >= 0);
	return (int)fd;
}

static void leak_many(int count)
{
	for (int i = 0; i < count; i++)
		(void)leak();
}

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

static atomic_bool storm_goes_on;
static int storm_left;

/* Opens and closes until it is told to stop; leaves what it was asked to. */
static void *storm(void *unused)
{
	int held[4];

	(void)unused;
	do {
		for (int i = 0; i < 4; i++)
			held[i] = leak();
		for (int i = 0; i < 4; i++)
			MUST(!close(held[i]));
	} while (atomic_load(&storm_goes_on));
	leak_many(storm_left);
	return NULL;
}

static void storm_begin(pthread_t *threads, int count, int left)
{
	atomic_store(&storm_goes_on, true);
	storm_left = left;
	for (int i = 0; i < count; i++)
		MUST(!pthread_create(&threads[i], NULL, storm, NULL));
}

static void storm_end(const pthread_t *threads, int count)
{
	atomic_store(&storm_goes_on, false);
	for (int i = 0; i < count; i++)
		MUST(!pthread_join(threads[i], NULL));
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

/* /proc/PID/fd of a leader that is gone is empty: its threads' table is what counts. */
static void wait_for_the_leader_to_end(void)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/self/task/%d/stat", getpid());
	do {
		truth_read_file(path);
	} while (!strstr(truth_file.bytes, ") Z "));
}

static void *outlive_the_leader(void *label)
{
	wait_for_the_leader_to_end();
	leak_many(2);
	truth_tell(label);
	return NULL;
}

/* The last thread's pthread_exit calls exit (nptl/pthread_create.c, start_thread). */
static void leader_exits_first(void)
{
	static char label[] = "leader_exits_first";
	pthread_t thread;

	(void)leak();
	MUST(!pthread_create(&thread, NULL, outlive_the_leader, label));
	pthread_exit(NULL);
}

static void *outlive_the_leader_and_end_bare(void *label)
{
	(void)outlive_the_leader(label);
	/* That of its last thread is the process's status (kernel/exit.c, synchronize_group_exit). */
	(void)syscall(SYS_exit, 6);
	return NULL;
}

/* Without libc: nothing is called but the system's exit, once by each thread. */
static void threads_end_bare(void)
{
	static char label[] = "threads_end_bare";
	pthread_t thread;

	(void)leak();
	MUST(!pthread_create(&thread, NULL, outlive_the_leader_and_end_bare, label));
	(void)syscall(SYS_exit, 5);
}

static void run_self(const char *label)
{
	(void)execl("/proc/self/exe", "processes", "--after-exec", label, NULL);
	MUST(false);
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

static void wait_for_the_parent_to_end(pid_t parent)
{
	SCENARIO_WAIT_UNTIL(getppid() != parent);
}

static pid_t waited_for;

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

static void killed(void)
{
	leak_many(2);
	truth_tell("killed");
	MUST(!kill(getpid(), SIGKILL));
	for (;;)
		(void)pause();
}

static void *stay(void *unused)
{
	for (;;)
		(void)pause();
	return unused;
}

static void killed_with_threads(void)
{
	pthread_t threads[THREADS];

	for (int i = 0; i < THREADS; i++)
		MUST(!pthread_create(&threads[i], NULL, stay, NULL));
	leak_many(2);
	truth_tell("killed_with_threads");
	MUST(!kill(getpid(), SIGKILL));
	for (;;)
		(void)pause();
}

/* No truth of the storm's numbers: of each thread between none and four. */
static void killed_in_a_storm(void)
{
	static pthread_t threads[THREADS];

	leak_many(2);
	truth_tell("killed_in_a_storm");
	storm_begin(threads, THREADS, 0);
	for (int i = 0; i < 200; i++)
		MUST(!close(leak()));
	MUST(!kill(getpid(), SIGKILL));
	for (;;)
		(void)pause();
}

static void exits_in_a_storm(void)
{
	static pthread_t threads[THREADS];

	leak_many(2);
	truth_tell("exits_in_a_storm");
	storm_begin(threads, THREADS, 0);
	for (int i = 0; i < 200; i++)
		MUST(!close(leak()));
	exit(3);
}

static void ends_by_exit(void)
{
	(void)leak();
	truth_tell("ends_by_exit");
	exit(7);
}

static void ends_by__exit(void)
{
	(void)leak();
	truth_tell("ends_by__exit");
	_exit(8);
}

static void ends_by_return_from_main(void)
{
	MUST(!fcntl(leak(), F_SETFD, 0));
	run_self("ends_by_return_from_main");
}

static void *end_the_process(void *unused)
{
	(void)leak();
	truth_tell("ends_by_a_threads_exit");
	exit(9);
	return unused;
}

static void ends_by_a_threads_exit(void)
{
	pthread_t thread;

	MUST(!pthread_create(&thread, NULL, end_the_process, NULL));
	for (;;)
		(void)pause();
}

static void close_at_exit(void)
{
	MUST(!close(3));
}

/* Taken before atexit's functions run: what they close was open as the process began to shut down. */
static void released_at_exit(void)
{
	(void)leak();
	MUST(!atexit(close_at_exit));
}

static void open_at_exit(void)
{
	(void)leak();
}

static void made_at_exit(void)
{
	truth_begin_line("made_at_exit");
	truth_add(&truth_line, ", \"fds\": {\"3\": \"/dev/null\"}");
	truth_write();
	MUST(!atexit(open_at_exit));
	exit(0);
}

static void hold_what_was_handed_over(void)
{
	wait_for_the_parent_to_end(waited_for);
}

/* A child that lives goes on holding what its parent had: that is not left open, by neither of them. */
static void handed_over(void)
{
	leak_many(3);
	waited_for = getpid();
	(void)scenario_fork("holds_what_was_handed_over", hold_what_was_handed_over);
	(void)leak();
	truth_begin_line("handed_over");
	truth_add(&truth_line, ", \"fds\": {\"6\": \"/dev/null\"}");
	truth_write();
	_exit(0);
}

static int told[2];

static void let_go_and_say_so(void)
{
	MUST(!syscall(SYS_close_range, 3, 5, 0));
	MUST(write(told[1], "x", 1) == 1);
	wait_for_the_parent_to_end(waited_for);
}

/* As daemons do with what they inherit. */
static void not_handed_over(void)
{
	char byte;

	leak_many(3);
	MUST(!pipe(told));
	waited_for = getpid();
	(void)scenario_fork("lets_go_of_it", let_go_and_say_so);
	MUST(read(told[0], &byte, 1) == 1);
	MUST(!close(told[0]) && !close(told[1]));
	truth_tell("not_handed_over");
	_exit(0);
}

/* Standard streams that are put aside and put back, as shells do for a redirection. */
static void standard_streams_put_back(void)
{
	int saved = fcntl(1, F_DUPFD_CLOEXEC, 10), other = leak();

	MUST(saved == 10 && dup2(other, 1) == 1 && !close(other));
	MUST(dup2(saved, 1) == 1 && !close(saved));
}

static void stay_behind(void)
{
	/* Should nobody end it. */
	(void)alarm(60);
	leak_many(3);
	truth_tell("survivor");
	MUST(!syscall(SYS_close_range, 0, 2, 0));
	MUST(write(told[1], "x", 1) == 1);
	for (;;)
		(void)pause();
}

static void leave_a_survivor(void)
{
	char byte;

	MUST(!pipe(told));
	(void)scenario_fork("survivor", stay_behind);
	MUST(read(told[0], &byte, 1) == 1);
	MUST(!close(told[0]) && !close(told[1]));
	(void)leak();
	truth_tell("survived");
}

static const struct scenario scenarios[] = {
        {"children_leak_one_to_n", children_leak_one_to_n},
        {"short_lived_children", short_lived_children},
        {"threads_at_once", threads_at_once},
        {"thread_that_exits", thread_that_exits},
        {"leader_exits_first", leader_exits_first},
        {"threads_end_bare", threads_end_bare},
        {"exec_keeps_and_closes", exec_keeps_and_closes},
        {"exec_by_a_thread", exec_by_a_thread},
        {"vforked_child_leaks", vforked_child_leaks},
        {"spawned_child_leaks", spawned_child_leaks},
        {"shared_table_parent_last", shared_table_parent_last},
        {"shared_table_child_last", shared_table_child_last},
        {"shared_table_and_exec", shared_table_and_exec},
        {"double_fork", double_fork},
        {"fork_in_a_storm", fork_in_a_storm},
        {"killed", killed},
        {"killed_with_threads", killed_with_threads},
        {"killed_in_a_storm", killed_in_a_storm},
        {"exits_in_a_storm", exits_in_a_storm},
        {"ends_by_exit", ends_by_exit},
        {"ends_by__exit", ends_by__exit},
        {"ends_by_return_from_main", ends_by_return_from_main},
        {"ends_by_a_threads_exit", ends_by_a_threads_exit},
        {"released_at_exit", released_at_exit},
        {"made_at_exit", made_at_exit},
        {"handed_over", handed_over},
        {"not_handed_over", not_handed_over},
        {"standard_streams_put_back", standard_streams_put_back},
};

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "--after-exec")) {
		/* 0, 1 and 2 are all that it began with: what else is there it made before exec. */
		truth_inherited = (struct truth_numbers){.count = 3, .items = {0, 1, 2}};
		truth_tell(argv[2]);
		return 0;
	}
	if (argc == 2 && !strcmp(argv[1], "--leave-two")) {
		truth_begin();
		leak_many(2);
		truth_tell("leaves_two");
		return 0;
	}
	truth_begin_alone();
	if (argc == 2 && !strcmp(argv[1], "--survivor")) {
		leave_a_survivor();
		return 0;
	}
	MUST(argc == 1);
	scenario_run_all(scenarios, sizeof(scenarios) / sizeof(scenarios[0]));
	truth_tell("main");
	return 0;
}
