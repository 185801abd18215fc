/*
 * Confinement. See sandbox.h.
 * Which calls are on the list: what libelf, libdw, libiberty and the allocator make to work on descriptors
 * that they have (read by `strace -f`), and what the sanitizers make beside them.
 */
#include "symbols/sandbox.h"

#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/fd.h"

/* The user and group that own nothing ("nobody"; linux/highuid.h, DEFAULT_OVERFLOWUID). */
#define NOBODY 65534

static const int allowed_calls[] = {
        SCMP_SYS(read),         SCMP_SYS(pread64),     SCMP_SYS(recvmsg),         SCMP_SYS(sendmsg),
        SCMP_SYS(close),        SCMP_SYS(lseek),       SCMP_SYS(fstat),           SCMP_SYS(brk),
        SCMP_SYS(munmap),       SCMP_SYS(mremap),      SCMP_SYS(madvise),         SCMP_SYS(futex),
        SCMP_SYS(getpid),       SCMP_SYS(getppid),     SCMP_SYS(gettid),          SCMP_SYS(getrandom),
        SCMP_SYS(sysinfo),      SCMP_SYS(sigaltstack), SCMP_SYS(rt_sigreturn),    SCMP_SYS(rt_sigprocmask),
        SCMP_SYS(rt_sigaction), SCMP_SYS(sched_yield), SCMP_SYS(clock_gettime),   SCMP_SYS(gettimeofday),
        SCMP_SYS(exit),         SCMP_SYS(exit_group),  SCMP_SYS(restart_syscall),
};

/* libdw would open what a file names, and glibc what its configuration does: both go on without it. Of
 * newfstatat, which is fstat() too, an empty root leaves nothing to learn. */
static const int refused_calls[] = {
        SCMP_SYS(open),   SCMP_SYS(openat),     SCMP_SYS(openat2),  SCMP_SYS(creat),
        SCMP_SYS(access), SCMP_SYS(faccessat),  SCMP_SYS(stat),     SCMP_SYS(lstat),
        SCMP_SYS(ioctl),  SCMP_SYS(readlinkat), SCMP_SYS(readlink),
};

/* By libelf, to see whether a descriptor is one, and here. */
static const unsigned int allowed_fcntls[] = {F_GETFD, F_GETFL, F_DUPFD_CLOEXEC};

/* What is limited to less by now stays so. */
static int limit(int resource, uint64_t value)
{
	struct rlimit limits;

	if (getrlimit(resource, &limits))
		return -errno;
	if (limits.rlim_max > value)
		limits.rlim_max = value;
	limits.rlim_cur = limits.rlim_max;
	return setrlimit(resource, &limits) ? -errno : 0;
}

/* All of the address space that there is now, as a sanitizer reserves much of it. */
static uint64_t mapped_bytes(void)
{
	FILE *file = fopen("/proc/self/statm", "re");
	unsigned long long pages = 0;

	if (!file)
		return 0;
	if (fscanf(file, "%llu", &pages) != 1)
		pages = 0;
	(void)fclose(file);
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* Where memory runs out, this process ends rather than one that somebody works with. */
static void offer_memory(void)
{
	FD_OWNED int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	/* Where it cannot be said, it ends no sooner than others. */
	if (fd < 0 || write(fd, "1000", strlen("1000")) < 0)
		return;
}

static int limit_all(const struct sandbox_limits *limits)
{
	int error;

	offer_memory();
	error = limit(RLIMIT_AS, mapped_bytes() + limits->memory_bytes);

	if (!error)
		error = limit(RLIMIT_NOFILE, limits->descriptors);
	if (!error)
		error = limit(RLIMIT_CPU, limits->processor_time_s);
	if (!error)
		error = limit(RLIMIT_FSIZE, 0);
	if (!error)
		error = limit(RLIMIT_CORE, 0);
	if (!error)
		error = limit(RLIMIT_NPROC, 0);
	return error;
}

/* An empty root, and another user. In a user namespace there may be nobody else to become. */
static int leave_root(void)
{
	bool may_bound = capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP);

	if (geteuid() != 0)
		return 0;
	/* A folder of descriptors' numbers, gone with the process: nothing in it can be opened by another
	 * user. Without CAP_SYS_CHROOT the list of calls has to do. */
	if (!chroot("/proc/self/fdinfo") && chdir("/"))
		return -errno;
	capng_clear(CAPNG_SELECT_ALL);
	if (may_bound && capng_apply(CAPNG_SELECT_BOUNDS))
		return -EPERM;
	if (setgroups(0, NULL) && errno != EPERM)
		return -errno;
	if (setresgid(NOBODY, NOBODY, NOBODY) || setresuid(NOBODY, NOBODY, NOBODY))
		return errno == EINVAL || errno == EPERM ? 0 : -errno;
	return 0;
}

static int drop_capabilities(void)
{
	capng_clear(CAPNG_SELECT_ALL);
	return capng_apply(CAPNG_SELECT_CAPS) || capng_apply(CAPNG_SELECT_AMBIENT) ? -EPERM : 0;
}

static int add_rules(scmp_filter_ctx filter)
{
	int error = 0;

	for (size_t i = 0; i < sizeof(allowed_calls) / sizeof(allowed_calls[0]) && !error; i++)
		error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed_calls[i], 0);
	for (size_t i = 0; i < sizeof(refused_calls) / sizeof(refused_calls[0]) && !error; i++)
		error = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EACCES), refused_calls[i], 0);
	/* Memory is never made to run. */
	if (!error)
		error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
		                         SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	if (!error)
		error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
		                         SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	if (!error)
		error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(newfstatat), 1,
		                         SCMP_A3(SCMP_CMP_EQ, AT_EMPTY_PATH));
	for (size_t i = 0; i < sizeof(allowed_fcntls) / sizeof(allowed_fcntls[0]) && !error; i++)
		error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1,
		                         SCMP_A1(SCMP_CMP_EQ, allowed_fcntls[i]));
	return error;
}

static int filter_calls(void)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int error;

	if (!filter)
		return -ENOMEM;
	error = add_rules(filter);
	if (!error)
		error = seccomp_load(filter);
	seccomp_release(filter);
	return error;
}

int sandbox_enter(const struct sandbox_limits *limits)
{
	int error = capng_get_caps_process() ? -EPERM : limit_all(limits);

	if (!error)
		error = leave_root();
	if (!error)
		error = drop_capabilities();
	/* After the change of user, which takes both back. */
	if (!error && (prctl(PR_SET_DUMPABLE, 0) || prctl(PR_SET_PDEATHSIG, SIGKILL) ||
	               prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)))
		error = -errno;
	return error ? error : filter_calls();
}
