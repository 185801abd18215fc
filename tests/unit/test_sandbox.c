/*
 * sandbox.c: what a process in it cannot do, and what it can.
 */
#include "symbols/sandbox.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* A child's status where it could not be confined; no errno of what is tried is the same. */
#define NOT_CONFINED 200

static const struct sandbox_limits limits = {
        .memory_bytes = 64 << 20,
        .descriptors = 32,
        .processor_time_s = 10,
};

TestSuite(sandbox, .timeout = 60);

/* What becomes of a child that tries something in the sandbox: it exits with 0 or an errno, or is ended. */
static int status_of(int (*try)(void))
{
	pid_t child = fork();
	int status = 0;

	if (!child) {
		if (sandbox_enter(&limits))
			_exit(NOT_CONFINED);
		_exit(try() >= 0 ? 0 : errno);
	}
	cr_assert_gt(child, 0);
	cr_assert_eq(waitpid(child, &status, 0), child);
	return status;
}

static int errno_of(int (*try)(void))
{
	int status = status_of(try);

	cr_assert(WIFEXITED(status), "ended by signal %d", WTERMSIG(status));
	return WEXITSTATUS(status);
}

static bool is_ended(int (*try)(void))
{
	int status = status_of(try);

	return WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS;
}

static int read_a_file(void)
{
	return open("/etc/passwd", O_RDONLY | O_CLOEXEC);
}

static int read_the_root(void)
{
	return open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int make_a_file(void)
{
	return open("/tmp/leftopen-sandbox", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
}

static int follow_a_link(void)
{
	char target[64];

	return (int)readlink("/proc/self/exe", target, sizeof(target));
}

Test(sandbox, opens_nothing)
{
	cr_expect_eq(errno_of(read_a_file), EACCES);
	cr_expect_eq(errno_of(read_the_root), EACCES);
	cr_expect_eq(errno_of(make_a_file), EACCES);
	cr_expect_eq(errno_of(follow_a_link), EACCES);
}

static int make_a_socket(void)
{
	return socket(AF_INET, SOCK_STREAM, 0);
}

static int make_a_pair(void)
{
	int fds[2];

	return socketpair(AF_UNIX, SOCK_STREAM, 0, fds);
}

static int make_a_process(void)
{
	return fork();
}

static int make_a_thread(void)
{
	return (int)syscall(SYS_clone, CLONE_VM | CLONE_THREAD | CLONE_SIGHAND, NULL, NULL, NULL, 0);
}

static int run_a_program(void)
{
	return execl("/bin/true", "true", NULL);
}

static int signal_its_parent(void)
{
	return kill(getppid(), 0);
}

static int trace_its_parent(void)
{
	return (int)ptrace(PTRACE_ATTACH, getppid(), NULL, NULL);
}

static int write_a_byte(void)
{
	return (int)write(STDERR_FILENO, "", 1);
}

static int become_root(void)
{
	return setuid(0);
}

static int leave_its_limits(void)
{
	struct rlimit more = {.rlim_cur = RLIM_INFINITY, .rlim_max = RLIM_INFINITY};

	return setrlimit(RLIMIT_AS, &more);
}

static int load_a_program(void)
{
	return (int)syscall(SYS_bpf, 0, NULL, 0);
}

static int map_code(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? -1
	                                                                                                 : 0;
}

static int make_code(void)
{
	void *mapped = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return mprotect(mapped, 4096, PROT_READ | PROT_EXEC);
}

static int stat_a_file(void)
{
	char buffer[256];

	return (int)syscall(SYS_newfstatat, AT_FDCWD, "/etc/passwd", buffer, 0);
}

Test(sandbox, ends_whoever_tries)
{
	int (*const tries[])(void) = {make_a_socket, make_a_pair,       make_a_process,   make_a_thread,
	                              run_a_program, signal_its_parent, trace_its_parent, write_a_byte,
	                              become_root,   leave_its_limits,  load_a_program,   map_code,
	                              make_code,     stat_a_file};

	for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++)
		cr_expect(is_ended(tries[i]), "%zu", i);
}

static int use_what_it_may(void)
{
	char byte;
	char *memory = malloc(1 << 20);
	int fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0);

	if (!memory || fd < 0)
		return -1;
	memset(memory, 1, 1 << 20);
	free(memory);
	(void)pread(fd, &byte, 1, 0);
	return close(fd);
}

static int map_too_much(void)
{
	return mmap(NULL, 128 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED
	               ? -1
	               : 0;
}

static int open_too_many(void)
{
	for (int i = 0; i < 64; i++)
		if (fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0) < 0)
			return -1;
	return 0;
}

static int compute_for_ever(void)
{
	for (volatile uint64_t i = 0;; i++)
		;
	return 0;
}

Test(sandbox, within_its_limits)
{
	pid_t child;
	int status = 0;
	struct sandbox_limits short_limits = limits;

	cr_expect_eq(errno_of(use_what_it_may), 0);
	cr_expect_eq(errno_of(map_too_much), ENOMEM);
	cr_expect_eq(errno_of(open_too_many), EMFILE);
	short_limits.processor_time_s = 1;
	child = fork();
	if (!child) {
		if (sandbox_enter(&short_limits))
			_exit(NOT_CONFINED);
		_exit(compute_for_ever());
	}
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_expect(WIFSIGNALED(status) && (WTERMSIG(status) == SIGKILL || WTERMSIG(status) == SIGXCPU));
}

/* A field of /proc/PID/status. */
static void read_status(pid_t process_id, const char *field, char *ret_value, size_t bytes)
{
	char path[64], line[256];
	size_t length = strlen(field);
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", process_id);
	file = fopen(path, "re");
	cr_assert_not_null(file);
	ret_value[0] = '\0';
	while (fgets(line, sizeof(line), file))
		if (!strncmp(line, field, length) && line[length] == ':') {
			snprintf(ret_value, bytes, "%s",
			         line + length + 1 + strspn(line + length + 1, "\t "));
			ret_value[strcspn(ret_value, "\n")] = '\0';
		}
	fclose(file);
}

Test(sandbox, as_the_kernel_says)
{
	static const struct {
		const char *field, *value;
	} wanted[] = {{"CapInh", "0000000000000000"},
	              {"CapPrm", "0000000000000000"},
	              {"CapEff", "0000000000000000"},
	              {"CapBnd", "0000000000000000"},
	              {"CapAmb", "0000000000000000"},
	              {"NoNewPrivs", "1"},
	              {"Seccomp", "2"},
	              {"Uid", "65534\t65534\t65534\t65534"},
	              {"Gid", "65534\t65534\t65534\t65534"},
	              {"Groups", ""}};
	int pair[2];
	char byte, path[64], root[64] = "";
	pid_t child;

	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	child = fork();
	if (!child) {
		struct msghdr empty = {0};

		if (sandbox_enter(&limits))
			_exit(NOT_CONFINED);
		(void)sendmsg(pair[1], &empty, 0);
		(void)recvmsg(pair[1], &empty, 0);
		_exit(0);
	}
	cr_assert_eq(recv(pair[0], &byte, 1, 0), 0);
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		char value[128];

		read_status(child, wanted[i].field, value, sizeof(value));
		cr_expect_str_eq(value, wanted[i].value, "%s: %s", wanted[i].field, value);
	}
	snprintf(path, sizeof(path), "/proc/%d/root", child);
	cr_expect_gt(readlink(path, root, sizeof(root) - 1), 0);
	cr_expect(strstr(root, "/fdinfo"), "%s", root);
	cr_assert_eq(kill(child, SIGKILL), 0);
	cr_assert_eq(waitpid(child, NULL, 0), child);
}

/* It is told to end with its parent after it has become another user, which takes that back. */
Test(sandbox, ends_with_its_parent)
{
	int pair[2];
	char byte;
	pid_t parent;

	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	parent = fork();
	if (!parent) {
		if (!fork()) {
			struct msghdr empty = {0};

			if (sandbox_enter(&limits))
				_exit(NOT_CONFINED);
			(void)sendmsg(pair[1], &empty, 0);
			for (;;)
				(void)recvmsg(pair[1], &empty, 0);
		}
		close(pair[1]);
		for (;;)
			(void)pause();
	}
	cr_assert_eq(recv(pair[0], &byte, 1, 0), 0, "it is confined");
	close(pair[1]);
	cr_assert_eq(kill(parent, SIGKILL), 0);
	cr_assert_eq(waitpid(parent, NULL, 0), parent);
	cr_expect_eq(recv(pair[0], &byte, 1, 0), 0, "nobody has the other end any more");
}
