/*
 * Every way in which a process ends, and who then holds what it had. Each process tells what it holds that it
 * did not begin with. Usage: endings [--survivor]. With it a child outlives the program, for whoever started
 * it to end; without it all the other cases are run.
 */
#include "leaks.h"

#define THREADS 8

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
        {"leader_exits_first", leader_exits_first},
        {"threads_end_bare", threads_end_bare},
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
};

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "--after-exec")) {
		tell_after_exec(argv[2]);
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
