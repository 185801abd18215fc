/*
 * Processes whose threads have different descriptor tables, and tables that processes share and leave. What
 * is kept bears a name, so that a descriptor that two tables hold is known for one. Usage: tables FOLDER,
 * which takes a core file. Outputs: for each process the truth of all its tables, before it ends.
 */
#include <linux/close_range.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "leaks.h"
#include "tables_truth.h"

#define STORM_THREADS 2
#define STORM_ROUNDS  200

static const char *folder;

/* @return the number of a new memfd of that name */
__attribute__((noinline)) static int keep(const char *name)
{
	long fd = KERNEL_CALL4(SYS_memfd_create, name, 0, 0, 0);

	MUST(fd >= 0);
	return (int)fd;
}

/* What a thread does between two steps of another one. */
static atomic_int step;

static void go_to(int number)
{
	atomic_store(&step, number);
}

static void wait_for_step(int number)
{
	SCENARIO_WAIT_UNTIL(atomic_load(&step) >= number);
}

static void begin_thread(void *(*run)(void *))
{
	pthread_t thread;

	MUST(!pthread_create(&thread, NULL, run, NULL) && !pthread_detach(thread));
}

/* Waits until that many threads are there: one that was joined lets go of its table a little later
 * (kernel/exit.c, do_exit: exit_mm before exit_files). */
static void wait_for_threads(unsigned int count)
{
	struct stat task;

	/* A link each, beside the folder's own two (fs/proc/base.c, proc_task_getattr). */
	SCENARIO_WAIT_UNTIL(!stat("/proc/self/task", &task) && task.st_nlink == count + 2);
}

static void take_own_table(void)
{
	MUST(!unshare(CLONE_FILES));
}

static int of_leader;

/* Keeps one in a table of its own, and lives until the process ends. */
static void *stay_apart(void *unused)
{
	take_own_table();
	MUST(!close(of_leader));
	(void)keep("of_thread");
	go_to(1);
	wait_for_step(99);
	return unused;
}

static void thread_apart(void)
{
	of_leader = keep("of_leader");
	begin_thread(stay_apart);
	wait_for_step(1);
	(void)keep("of_leader_later");
	tell_tables_of(getpid());
	exit(0);
}

/* The thread's copy is all that is left of what the leader made. */
static void *stay_with_a_copy(void *unused)
{
	take_own_table();
	go_to(1);
	wait_for_step(99);
	return unused;
}

static void copy_is_left(void)
{
	of_leader = keep("of_leader");
	begin_thread(stay_with_a_copy);
	wait_for_step(1);
	MUST(!close(of_leader));
	tell_tables_of(getpid());
	exit(0);
}

static void *end_apart(void *unused)
{
	take_own_table();
	(void)keep("gone_with_its_thread");
	return unused;
}

static void thread_apart_ends(void)
{
	pthread_t thread;

	(void)keep("of_leader");
	for (int i = 0; i < 3; i++)
		MUST(!pthread_create(&thread, NULL, end_apart, NULL) && !pthread_join(thread, NULL));
	wait_for_threads(1);
	tell_tables_of(getpid());
	exit(0);
}

static void *stay(void *unused)
{
	go_to(1);
	wait_for_step(99);
	return unused;
}

static void leader_apart(void)
{
	of_leader = keep("made_by_the_leader_left_to_the_thread");
	begin_thread(stay);
	wait_for_step(1);
	take_own_table();
	MUST(!close(of_leader));
	(void)keep("of_leader");
	tell_tables_of(getpid());
	exit(0);
}

static void *wait_and_end(void *unused)
{
	go_to(1);
	wait_for_step(2);
	return unused;
}

/* The first table ends with the last thread that has it, and what only it held is closed. */
static void leader_apart_and_the_rest_ends(void)
{
	pthread_t thread;
	int first = keep("gone_with_the_first_table");

	(void)keep("in_both");
	MUST(!pthread_create(&thread, NULL, wait_and_end, NULL));
	wait_for_step(1);
	take_own_table();
	MUST(!close(first));
	(void)keep("of_leader");
	go_to(2);
	MUST(!pthread_join(thread, NULL));
	wait_for_threads(1);
	tell_tables_of(getpid());
	exit(0);
}

static void *close_all_in_own_table(void *unused)
{
	MUST(!syscall(SYS_close_range, 3, ~0U, CLOSE_RANGE_UNSHARE));
	(void)keep("of_thread");
	go_to(1);
	wait_for_step(99);
	return unused;
}

static void thread_apart_by_close_range(void)
{
	(void)keep("of_leader");
	begin_thread(close_all_in_own_table);
	wait_for_step(1);
	tell_tables_of(getpid());
	exit(0);
}

static void *stay_with_the_thread(void *unused)
{
	go_to(1);
	wait_for_step(99);
	return unused;
}

/* Of two threads that have one table the first ends: the table lives on. */
static void *begin_another_and_end(void *unused)
{
	take_own_table();
	(void)keep("of_first_thread");
	begin_thread(stay_with_the_thread);
	wait_for_step(1);
	(void)keep("of_first_thread_later");
	return unused;
}

static void table_lives_on(void)
{
	pthread_t thread;

	(void)keep("of_leader");
	MUST(!pthread_create(&thread, NULL, begin_another_and_end, NULL) && !pthread_join(thread, NULL));
	wait_for_threads(2);
	tell_tables_of(getpid());
	exit(0);
}

/* CLONE_THREAD without CLONE_FILES. It has no thread-local storage of its own: system calls alone. */
static int be_born_apart(void *unused)
{
	(void)unused;
	(void)KERNEL_CALL4(SYS_memfd_create, "of_thread", 0, 0, 0);
	go_to(1);
	for (;;)
		(void)KERNEL_CALL4(SYS_pause, 0, 0, 0, 0);
	return 0;
}

static void thread_born_apart(void)
{
	static char stack[1 << 16] __attribute__((aligned(16)));

	(void)keep("of_leader");
	MUST(clone(be_born_apart, stack + sizeof(stack), CLONE_VM | CLONE_SIGHAND | CLONE_THREAD, NULL) > 0);
	wait_for_step(1);
	(void)keep("of_leader_later");
	tell_tables_of(getpid());
	exit(0);
}

/* The program begins in the thread's table; the leader's ends with the leader. */
static void *exec_apart(void *unused)
{
	take_own_table();
	MUST(!close(of_leader));
	(void)keep("of_thread");
	run_self(scenario_name);
	return unused;
}

static void exec_by_a_thread_apart(void)
{
	of_leader = keep("gone_with_the_leader");
	(void)keep("in_both");
	begin_thread(exec_apart);
	wait_for_step(99);
}

static void exec_by_the_leader_with_a_thread_apart(void)
{
	of_leader = keep("of_leader");
	begin_thread(stay_apart);
	wait_for_step(1);
	run_self(scenario_name);
}

static void be_killed(void)
{
	of_leader = keep("of_leader");
	begin_thread(stay_apart);
	wait_for_step(1);
	tell_tables_of(getpid());
	MUST(!kill(getpid(), SIGKILL));
	wait_for_step(99);
}

/* What was open in the table of a leader that ends is closed, if no other thread has it. A leader that has
 * ended is a zombie until the last thread has, and its table is gone. */
static void *end_last_apart(void *unused)
{
	char link[64], target[64];

	take_own_table();
	(void)keep("of_thread");
	go_to(1);
	wait_for_step(2);
	(void)snprintf(link, sizeof(link), "/proc/self/task/%d/fd/%d", getpid(), of_leader);
	SCENARIO_WAIT_UNTIL(readlink(link, target, sizeof(target)) < 0);
	(void)keep("of_thread_later");
	tell_tables_of(getpid());
	_exit(0);
	return unused;
}

static void leader_ends_first(void)
{
	begin_thread(end_last_apart);
	wait_for_step(1);
	of_leader = keep("gone_with_the_leader");
	go_to(2);
	(void)syscall(SYS_exit, 0);
}

/* Two processes of one table: the one that unshares has copies, for which the other one answers. */
static int unshare_in_a_child(void *unused)
{
	(void)unused;
	take_own_table();
	MUST(!close(of_leader));
	(void)keep("of_child");
	scenario_name = "child_unshares_child";
	tell_tables_of(getpid());
	return 0;
}

static char child_stack[1 << 18] __attribute__((aligned(16)));

static void child_unshares(void)
{
	pid_t child;

	of_leader = keep("of_parent");
	child = clone(unshare_in_a_child, child_stack + sizeof(child_stack), CLONE_FILES | SIGCHLD, NULL);
	MUST(child > 0);
	scenario_wait_for(child);
	(void)keep("of_parent_later");
	tell_tables_of(getpid());
	exit(0);
}

static int hold_the_parents_table(void *unused)
{
	(void)unused;
	wait_for_the_parent_to_end(waited_for);
	(void)keep("of_child");
	scenario_name = "parent_unshares_child";
	tell_tables_of(getpid());
	return 0;
}

/* The child goes on with the first table and answers for what is in it. */
static void parent_unshares(void)
{
	waited_for = getpid();
	(void)keep("left_to_the_child");
	MUST(clone(hold_the_parents_table, child_stack + sizeof(child_stack), CLONE_FILES | SIGCHLD, NULL) >
	     0);
	take_own_table();
	(void)keep("of_parent");
	tell_tables_of(getpid());
	exit(0);
}

static void fork_from_a_child_table(void)
{
	(void)keep("of_forked_child");
	tell_tables_of(getpid());
	exit(0);
}

/* A child that a thread forks has a copy of that thread's table, none of which it made. */
static void *fork_apart(void *unused)
{
	pid_t child;

	take_own_table();
	(void)keep("of_thread");
	child = fork();
	MUST(child >= 0);
	if (!child) {
		scenario_name = "thread_apart_forks_child";
		fork_from_a_child_table();
	}
	scenario_wait_for(child);
	go_to(1);
	wait_for_step(99);
	return unused;
}

static void thread_apart_forks(void)
{
	(void)keep("of_leader");
	begin_thread(fork_apart);
	wait_for_step(1);
	tell_tables_of(getpid());
	exit(0);
}

/* Threads take themselves tables and end, while others open and close in the first one. */
static void *take_a_table_and_end(void *unused)
{
	take_own_table();
	(void)leak();
	return unused;
}

static void storm_of_tables(void)
{
	pthread_t threads[STORM_THREADS], thread;

	(void)keep("of_leader");
	storm_begin(threads, STORM_THREADS, 0);
	for (int i = 0; i < STORM_ROUNDS; i++)
		MUST(!pthread_create(&thread, NULL, take_a_table_and_end, NULL) &&
		     !pthread_join(thread, NULL));
	storm_end(threads, STORM_THREADS);
	wait_for_threads(1);
	tell_tables_of(getpid());
	exit(0);
}

/* The thread that dumps core is given a copy of the table (fs/coredump.c, do_coredump), whose numbers are the
 * first one's. */
static void *crash(void *unused)
{
	(void)keep("of_thread");
	tell_tables_of(getpid());
	MUST(!raise(SIGABRT));
	return unused;
}

static void dumps_core(void)
{
	struct rlimit limit = {.rlim_cur = 1 << 24, .rlim_max = 1 << 24};

	MUST(!chdir(folder) && !setrlimit(RLIMIT_CORE, &limit));
	(void)keep("of_leader");
	begin_thread(crash);
	wait_for_step(99);
}

static const struct scenario scenarios[] = {
        {"thread_apart", thread_apart},
        {"copy_is_left", copy_is_left},
        {"thread_apart_ends", thread_apart_ends},
        {"leader_apart", leader_apart},
        {"leader_apart_and_the_rest_ends", leader_apart_and_the_rest_ends},
        {"thread_apart_by_close_range", thread_apart_by_close_range},
        {"table_lives_on", table_lives_on},
        {"thread_born_apart", thread_born_apart},
        {"exec_by_a_thread_apart", exec_by_a_thread_apart},
        {"exec_by_the_leader_with_a_thread_apart", exec_by_the_leader_with_a_thread_apart},
        {"be_killed", be_killed},
        {"leader_ends_first", leader_ends_first},
        {"child_unshares", child_unshares},
        {"parent_unshares", parent_unshares},
        {"thread_apart_forks", thread_apart_forks},
        {"storm_of_tables", storm_of_tables},
};

int main(int argc, char **argv)
{
	int status;
	pid_t child;

	if (argc == 3 && !strcmp(argv[1], "--after-exec")) {
		scenario_name = argv[2];
		tell_tables_of(getpid());
		return 0;
	}
	MUST(argc == 2);
	folder = argv[1];
	truth_begin_alone();
	scenario_run_all(scenarios, sizeof(scenarios) / sizeof(scenarios[0]));
	child = scenario_fork("dumps_core", dumps_core);
	MUST(waitpid(child, &status, 0) == child && WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	return 0;
}
