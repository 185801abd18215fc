/*
 * Every call that makes a descriptor, each in a function named for it that leaves one (or one pair) open; and
 * every way to release one, which leaves none. Usage: descriptors FOLDER. FOLDER takes the files and sockets.
 * Outputs: for each maker a line of its numbers, for each process the truth.
 */
#include <linux/close_range.h>
#include <linux/openat2.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "makers.h"

static int listener, copied;
static struct sockaddr_un address;

LEAVES leave_open(void)
{
	long fd = KERNEL_CALL4(SYS_open, path("open"), O_RDWR | O_CREAT, 0600, 0);

	made_one(__func__, "open", "file", fd);
	KEEP_FRAME();
}

LEAVES leave_openat(void)
{
	long fd = KERNEL_CALL4(SYS_openat, AT_FDCWD, path("openat"), O_RDWR | O_CREAT, 0600);

	made_one(__func__, "openat", "file", fd);
	KEEP_FRAME();
}

LEAVES leave_openat2(void)
{
	struct open_how how = {.flags = O_RDWR | O_CREAT, .mode = 0600};
	long fd = KERNEL_CALL4(SYS_openat2, AT_FDCWD, path("openat2"), &how, sizeof(how));

	made_one(__func__, "openat2", "file", fd);
	KEEP_FRAME();
}

LEAVES leave_creat(void)
{
	long fd = KERNEL_CALL4(SYS_creat, path("creat"), 0600, 0, 0);

	made_one(__func__, "creat", "file", fd);
	KEEP_FRAME();
}

LEAVES leave_dup(void)
{
	long fd = KERNEL_CALL4(SYS_dup, copied, 0, 0, 0);

	made_one(__func__, "dup", "eventfd", fd);
	KEEP_FRAME();
}

LEAVES leave_dup2(void)
{
	long fd = KERNEL_CALL4(SYS_dup2, copied, 101, 0, 0);

	made_one(__func__, "dup2", "eventfd", fd);
	KEEP_FRAME();
}

LEAVES leave_dup3(void)
{
	long fd = KERNEL_CALL4(SYS_dup3, copied, 102, O_CLOEXEC, 0);

	made_one(__func__, "dup3", "eventfd", fd);
	KEEP_FRAME();
}

LEAVES leave_fcntl_dupfd(void)
{
	long fd = KERNEL_CALL4(SYS_fcntl, copied, F_DUPFD, 110, 0);

	made_one(__func__, "fcntl", "eventfd", fd);
	KEEP_FRAME();
}

LEAVES leave_fcntl_dupfd_cloexec(void)
{
	long fd = KERNEL_CALL4(SYS_fcntl, copied, F_DUPFD_CLOEXEC, 120, 0);

	made_one(__func__, "fcntl", "eventfd", fd);
	KEEP_FRAME();
}

LEAVES leave_socket(void)
{
	long fd = KERNEL_CALL4(SYS_socket, AF_INET, SOCK_DGRAM, 0, 0);

	made_one(__func__, "socket", "socket", fd);
	KEEP_FRAME();
}

LEAVES leave_socketpair(void)
{
	int pair[2];

	MUST(!KERNEL_CALL4(SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, pair));
	made_many(__func__, "socketpair", "socket", pair, 2);
	KEEP_FRAME();
}

/* Connects to the listener and lets go again: what waits to be accepted remains. */
static void knock(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	MUST(fd >= 0 && !connect(fd, (struct sockaddr *)&address, sizeof(address)) && !close(fd));
}

LEAVES leave_accept(void)
{
	long fd;

	knock();
	fd = KERNEL_CALL4(SYS_accept, listener, NULL, NULL, 0);
	made_one(__func__, "accept", "socket", fd);
	KEEP_FRAME();
}

LEAVES leave_accept4(void)
{
	long fd;

	knock();
	fd = KERNEL_CALL4(SYS_accept4, listener, NULL, NULL, SOCK_CLOEXEC);
	made_one(__func__, "accept4", "socket", fd);
	KEEP_FRAME();
}

LEAVES leave_pipe(void)
{
	int pair[2];

	MUST(!KERNEL_CALL4(SYS_pipe, pair, 0, 0, 0));
	made_many(__func__, "pipe", "pipe", pair, 2);
	KEEP_FRAME();
}

LEAVES leave_pipe2(void)
{
	int pair[2];

	MUST(!KERNEL_CALL4(SYS_pipe2, pair, O_CLOEXEC, 0, 0));
	made_many(__func__, "pipe2", "pipe", pair, 2);
	KEEP_FRAME();
}

LEAVES leave_eventfd(void)
{
	long fd = KERNEL_CALL4(SYS_eventfd, 0, 0, 0, 0);

	made_one(__func__, "eventfd", "eventfd", fd);
	KEEP_FRAME();
}

LEAVES leave_eventfd2(void)
{
	long fd = KERNEL_CALL4(SYS_eventfd2, 0, O_CLOEXEC, 0, 0);

	made_one(__func__, "eventfd2", "eventfd", fd);
	KEEP_FRAME();
}

LEAVES leave_epoll_create(void)
{
	long fd = KERNEL_CALL4(SYS_epoll_create, 1, 0, 0, 0);

	made_one(__func__, "epoll_create", "epoll", fd);
	KEEP_FRAME();
}

LEAVES leave_epoll_create1(void)
{
	long fd = KERNEL_CALL4(SYS_epoll_create1, EPOLL_CLOEXEC, 0, 0, 0);

	made_one(__func__, "epoll_create1", "epoll", fd);
	KEEP_FRAME();
}

LEAVES leave_memfd_create(void)
{
	long fd = KERNEL_CALL4(SYS_memfd_create, "kept", 0, 0, 0);

	made_one(__func__, "memfd_create", "memfd", fd);
	KEEP_FRAME();
}

static void makers(void)
{
	leave_open();
	leave_openat();
	leave_openat2();
	leave_creat();
	leave_dup();
	leave_dup2();
	leave_dup3();
	leave_fcntl_dupfd();
	leave_fcntl_dupfd_cloexec();
	leave_socket();
	leave_socketpair();
	leave_accept();
	leave_accept4();
	leave_pipe();
	leave_pipe2();
	leave_eventfd();
	leave_eventfd2();
	leave_epoll_create();
	leave_epoll_create1();
	leave_memfd_create();
}

static int open_null(void)
{
	int fd = open("/dev/null", O_RDONLY);

	MUST(fd >= 0);
	return fd;
}

static void release_by_close(void)
{
	MUST(!close(open_null()));
}

/* The number is given out again: only the second is there. */
static void number_used_again(void)
{
	int first = open_null(), second;

	MUST(!close(first));
	second = memfd_create("second", 0);
	MUST(second == first);
}

static void release_by_close_range(void)
{
	int first = open_null();

	for (int i = 0; i < 9; i++)
		MUST(open_null() == first + 1 + i);
	MUST(!syscall(SYS_close_range, first, first + 9, 0));
}

static void release_middle_by_close_range(void)
{
	int first = open_null();

	for (int i = 0; i < 9; i++)
		MUST(open_null() == first + 1 + i);
	MUST(!syscall(SYS_close_range, first + 3, first + 6, 0));
}

static void release_by_close_range_to_the_end(void)
{
	int first = open_null();

	MUST(dup2(first, 900) == 900);
	MUST(!syscall(SYS_close_range, first, ~0U, 0));
}

static void close_range_cloexec_keeps(void)
{
	int first = open_null(), second = open_null();

	MUST(!syscall(SYS_close_range, first, second, CLOSE_RANGE_CLOEXEC));
}

/* The table is shared with nobody, so it stays the same one. */
static void close_range_unshare_alone(void)
{
	int first = open_null(), second = open_null();

	(void)open_null();
	MUST(!syscall(SYS_close_range, first, second, CLOSE_RANGE_UNSHARE));
}

static void close_range_refused(void)
{
	int first = open_null(), second = open_null();

	MUST(syscall(SYS_close_range, second, first, 0) < 0);
	MUST(syscall(SYS_close_range, first, second, 1U << 7) < 0);
}

static void release_by_dup2_over_it(void)
{
	int kept = open_null(), replaced = memfd_create("replaced", 0);

	MUST(dup2(kept, replaced) == replaced);
	MUST(!close(kept) && !close(replaced));
}

static void replaced_by_dup2_and_dup3(void)
{
	int kept = open_null(), first = memfd_create("first", 0), second = memfd_create("second", 0);

	MUST(dup2(kept, first) == first);
	MUST(dup3(kept, second, O_CLOEXEC) == second);
}

static void calls_that_fail_release_nothing(void)
{
	int kept = open_null();

	MUST(close(777) < 0 && errno == EBADF);
	MUST(close(-1) < 0 && errno == EBADF);
	MUST(dup2(777, kept) < 0 && errno == EBADF);
	MUST(dup3(kept, kept, 0) < 0 && errno == EINVAL);
	MUST(dup3(777, kept, 0) < 0 && errno == EBADF);
	MUST(dup3(kept, kept, 12345) < 0 && errno == EINVAL);
	MUST(fcntl(kept, F_DUPFD, -1) < 0 && errno == EINVAL);
	MUST(dup2(kept, kept) == kept);
}

static void calls_that_fail_make_nothing(void)
{
	int pair[2];

	MUST(open("/nowhere/at/all", O_RDONLY) < 0);
	MUST(socket(-1, 0, 0) < 0);
	MUST(dup(777) < 0);
	MUST(pipe2(pair, 1 << 30) < 0);
	/* The kernel makes the pair, cannot say so, and takes it back. */
	MUST(syscall(SYS_pipe, 8) < 0 && errno == EFAULT);
	MUST(syscall(SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, 8) < 0 && errno == EFAULT);
	MUST(syscall(SYS_memfd_create, 8, 0) < 0);
	MUST(fcntl(1, F_GETFD) >= 0);
	MUST(syscall(SYS_eventfd2, 0, 1 << 30) < 0);
	MUST(epoll_create(0) < 0);
}

/* exec's close-on-exec, of each maker that can set it; the other image tells the truth. */
static void release_by_exec(void)
{
	int pair[2], fd;

	MUST(open("/dev/null", O_RDONLY | O_CLOEXEC) >= 0);
	MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
	MUST(pipe2(pair, O_CLOEXEC) == 0);
	MUST(memfd_create("", MFD_CLOEXEC) >= 0);
	fd = open_null();
	MUST(!fcntl(fd, F_SETFD, FD_CLOEXEC));
	fd = open_null();
	MUST(!syscall(SYS_close_range, fd, fd, CLOSE_RANGE_CLOEXEC));
	(void)execl("/proc/self/exe", "descriptors", "--after-exec", scenario_name, NULL);
	MUST(false);
}

static void failed_exec_releases_nothing(void)
{
	MUST(open("/dev/null", O_RDONLY | O_CLOEXEC) >= 0);
	MUST(execl("/nowhere/at/all", "nowhere", NULL) < 0);
}

/* A folder that is opened and listed, a stream: libc's own makers. */
static void release_by_libc(void)
{
	FILE *stream = fopen("/proc/self/status", "r");
	DIR *entries = opendir("/proc/self");

	MUST(stream && entries);
	MUST(!fclose(stream) && !closedir(entries));
}

/* CLONE_FILES: a table of two processes, of which one takes itself a copy without the range. */
static int shared_first, shared_second;

static int unshare_range(void *unused)
{
	(void)unused;
	MUST(!syscall(SYS_close_range, shared_first, shared_first, CLOSE_RANGE_UNSHARE));
	MUST(fcntl(shared_first, F_GETFD) < 0 && fcntl(shared_second, F_GETFD) >= 0);
	/* In its own table now. */
	MUST(!close(shared_second));
	(void)open_null();
	truth_made_anew(shared_first);
	truth_tell("close_range_unshare_child");
	return 0;
}

static void close_range_unshare_shared(void)
{
	static char stack[1 << 18] __attribute__((aligned(16)));
	pid_t child;

	shared_first = open_null();
	shared_second = open_null();
	truth_begin();
	child = clone(unshare_range, stack + sizeof(stack), CLONE_FILES | SIGCHLD, NULL);
	MUST(child > 0);
	scenario_wait_for(child);
	truth_made_anew(shared_first);
	truth_made_anew(shared_second);
}

static const struct scenario scenarios[] = {
        {"release_by_close", release_by_close},
        {"number_used_again", number_used_again},
        {"release_by_close_range", release_by_close_range},
        {"release_middle_by_close_range", release_middle_by_close_range},
        {"release_by_close_range_to_the_end", release_by_close_range_to_the_end},
        {"close_range_cloexec_keeps", close_range_cloexec_keeps},
        {"close_range_unshare_alone", close_range_unshare_alone},
        {"close_range_unshare_shared", close_range_unshare_shared},
        {"close_range_refused", close_range_refused},
        {"release_by_dup2_over_it", release_by_dup2_over_it},
        {"replaced_by_dup2_and_dup3", replaced_by_dup2_and_dup3},
        {"calls_that_fail_release_nothing", calls_that_fail_release_nothing},
        {"calls_that_fail_make_nothing", calls_that_fail_make_nothing},
        {"release_by_exec", release_by_exec},
        {"failed_exec_releases_nothing", failed_exec_releases_nothing},
        {"release_by_libc", release_by_libc},
};

/* What makers copy and accept from is there before, and closed at the end. */
static void run_makers(void)
{
	copied = (int)syscall(SYS_eventfd2, 0, 0);
	listener = socket(AF_UNIX, SOCK_STREAM, 0);
	address.sun_family = AF_UNIX;
	MUST(snprintf(address.sun_path, sizeof(address.sun_path), "%s/listener", folder) <
	     (int)sizeof(address.sun_path));
	MUST(copied >= 0 && listener >= 0);
	MUST(!bind(listener, (struct sockaddr *)&address, sizeof(address)) && !listen(listener, 8));
	makers();
	MUST(!close(copied) && !close(listener));
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "--after-exec")) {
		/* 0, 1 and 2 are all that it began with: what else is there it made before exec. */
		truth_inherited = (struct truth_numbers){.count = 3, .items = {0, 1, 2}};
		truth_tell(argv[2]);
		return 0;
	}
	MUST(argc == 2);
	folder = argv[1];
	truth_begin_alone();
	scenario_run_all(scenarios, sizeof(scenarios) / sizeof(scenarios[0]));
	run_makers();
	truth_tell("makers");
	return 0;
}
