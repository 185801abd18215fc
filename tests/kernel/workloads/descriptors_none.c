/*
 * What the rarer calls return that is no new descriptor, and each way to release what they made: cases that
 * leave nothing. Usage: descriptors_none FOLDER. Outputs: for each process the truth.
 */
#include <linux/close_range.h>
#include <sys/resource.h>

#include "rare_calls.h"

static int all[RARE_COUNT];

static void release_by_close(void)
{
	size_t count = rare_make_all(all);

	for (size_t i = 0; i < count; i++)
		MUST(!close(all[i]));
}

static void release_by_close_range(void)
{
	(void)rare_make_all(all);
	MUST(!syscall(SYS_close_range, 3, ~0U, 0));
}

static void release_by_exec(void)
{
	(void)rare_make_all(all);
	(void)execl("/proc/self/exe", "descriptors_none", "--after-exec", scenario_name, NULL);
	MUST(false);
}

/* In number order of what is made: nothing is lost before it is released. */
static void release_by_dup2_over_it(void)
{
	size_t count = rare_make_all(all);

	for (size_t i = 0; i < count; i++)
		MUST(dup2(0, all[i]) == all[i] && !close(all[i]));
}

/* Each result here is a number that is a descriptor of the process, and none that the call made. */
static void signalfd_changes_a_mask(void)
{
	int fd = (int)syscall(SYS_signalfd, -1, &rare_signals, sizeof(rare_signals));

	MUST(fd >= 0);
	MUST(syscall(SYS_signalfd, fd, &rare_signals, sizeof(rare_signals)) == fd);
	MUST(syscall(SYS_signalfd4, fd, &rare_signals, sizeof(rare_signals), 0) == fd);
}

/* Numbers up to what they return, so that each is one of them. */
static void hold_up_to(long number)
{
	int fd;

	do {
		fd = dup(0);
		MUST(fd >= 0);
	} while (fd < number);
}

static void landlock_versions(void)
{
	long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

	MUST(version > 0);
	truth_begin_line("landlock_version");
	truth_add(&truth_line, ", \"version\": %ld", version);
	truth_write();
	hold_up_to(version);
	MUST(syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) == version);
	/* Kernels before 6.15 refuse it. */
	(void)syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_ERRATA);
	MUST(!syscall(SYS_close_range, 3, ~0U, 0));
}

static void bpf_commands_that_give_none(void)
{
	int map = (int)syscall(SYS_bpf, BPF_MAP_CREATE, &rare_bpf_map, sizeof(rare_bpf_map));
	uint32_t key = 0, value = 7;
	union bpf_attr element = {
	        .map_fd = (uint32_t)map, .key = (uintptr_t)&key, .value = (uintptr_t)&value};
	union bpf_attr next = {0}, freeze = {.map_fd = (uint32_t)map};

	MUST(map >= 0);
	MUST(!syscall(SYS_bpf, BPF_MAP_UPDATE_ELEM, &element, sizeof(element)));
	MUST(!syscall(SYS_bpf, BPF_MAP_LOOKUP_ELEM, &element, sizeof(element)) && value == 7);
	MUST(!syscall(SYS_bpf, BPF_MAP_GET_NEXT_ID, &next, sizeof(next)) && next.next_id);
	MUST(!syscall(SYS_bpf, BPF_MAP_FREEZE, &freeze, sizeof(freeze)));
	MUST(!close(map));
}

static void seccomp_without_a_listener(void)
{
	uint32_t action = SECCOMP_RET_KILL_PROCESS;
	struct seccomp_notif_sizes sizes;

	MUST(!syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action));
	MUST(!syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes));
	MUST(!syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &rare_filter));
}

/* The ring is registered with its thread, and what comes back is an index there. */
static void io_uring_registered_only(void)
{
	static char memory[2][1 << 16] __attribute__((aligned(4096)));
	struct io_uring_params ring = {.flags = IORING_SETUP_NO_MMAP | IORING_SETUP_REGISTERED_FD_ONLY};
	long result;

	/* user_addr of both, which older headers call reserved */
	memcpy((char *)&ring.cq_off + sizeof(ring.cq_off) - 8, &(uint64_t){(uintptr_t)memory[0]}, 8);
	memcpy((char *)&ring.sq_off + sizeof(ring.sq_off) - 8, &(uint64_t){(uintptr_t)memory[1]}, 8);
	result = syscall(SYS_io_uring_setup, 2, &ring);
	if (result < 0 && errno == EINVAL) {
		truth_begin_line("no_registered_rings");
		truth_write();
		return;
	}
	MUST(result == 0);
}

static void fcntl_that_copies_nothing(void)
{
	struct rlimit limit;
	int pair[2];

	MUST(!getrlimit(RLIMIT_NOFILE, &limit));
	limit.rlim_cur = limit.rlim_max;
	MUST(!setrlimit(RLIMIT_NOFILE, &limit));
	MUST(!pipe2(pair, O_CLOEXEC));
	MUST(fcntl(pair[0], F_GETFD) == FD_CLOEXEC && fcntl(pair[0], F_GETFL) == O_RDONLY);
	MUST(fcntl(pair[1], F_GETFL) == O_WRONLY && fcntl(pair[1], F_SETFL, O_NONBLOCK) == 0);
	/* O_WRONLY and O_NONBLOCK, as a number that is a descriptor. */
	MUST(dup2(0, 2049) == 2049 && fcntl(pair[1], F_GETFL) == 2049 && !close(2049));
	MUST(fcntl(pair[1], F_GETPIPE_SZ) > 0 && !fcntl(pair[0], F_GETSIG) && !fcntl(pair[0], F_SETFD, 0));
	MUST(!close(pair[0]) && !close(pair[1]));
}

static void dup2_of_itself(void)
{
	int fd = (int)syscall(SYS_eventfd2, 0, 0);

	MUST(fd >= 0 && dup2(fd, fd) == fd && dup2(0, 0) == 0 && dup2(1, 1) == 1 && dup2(2, 2) == 2);
	MUST(!close(fd));
}

static void pidfd_calls_that_give_none(void)
{
	int own = (int)syscall(SYS_pidfd_open, getpid(), 0);

	MUST(own >= 0 && !syscall(SYS_pidfd_send_signal, own, 0, NULL, 0));
	MUST(syscall(SYS_pidfd_getfd, own, 777, 0) < 0 && errno == EBADF);
	MUST(!close(own));
}

/* The parent does not get the child's result, and a child without CLONE_PIDFD gives none. */
static void clone_without_a_pidfd(void)
{
	int untouched = 0;
	pid_t child = (pid_t)syscall(SYS_clone, SIGCHLD, NULL, &untouched, NULL, 0);

	MUST(child >= 0);
	if (!child)
		_exit(0);
	scenario_wait_for(child);
	MUST(!untouched);
	MUST(syscall(SYS_clone, CLONE_PIDFD | CLONE_PARENT_SETTID | SIGCHLD, NULL, &untouched, NULL, 0) < 0);
}

static const struct scenario scenarios[] = {
        {"release_by_close", release_by_close},
        {"release_by_close_range", release_by_close_range},
        {"release_by_exec", release_by_exec},
        {"release_by_dup2_over_it", release_by_dup2_over_it},
        {"signalfd_changes_a_mask", signalfd_changes_a_mask},
        {"landlock_versions", landlock_versions},
        {"bpf_commands_that_give_none", bpf_commands_that_give_none},
        {"seccomp_without_a_listener", seccomp_without_a_listener},
        {"io_uring_registered_only", io_uring_registered_only},
        {"fcntl_that_copies_nothing", fcntl_that_copies_nothing},
        {"dup2_of_itself", dup2_of_itself},
        {"pidfd_calls_that_give_none", pidfd_calls_that_give_none},
        {"clone_without_a_pidfd", clone_without_a_pidfd},
};

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
	truth_tell("main");
	return 0;
}
