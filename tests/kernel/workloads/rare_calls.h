/*
 * The rarer calls that give descriptors, as libc does not have them all: one function each, of what it needs.
 * Each returns what the kernel returns, a number or -errno.
 */
#ifndef LEFTOPEN_WORKLOADS_RARE_CALLS_H
#define LEFTOPEN_WORKLOADS_RARE_CALLS_H

#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/io_uring.h>
#include <linux/landlock.h>
#include <linux/mount.h>
#include <linux/perf_event.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/fanotify.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>

#include "makers.h"

/* Younger than the headers of the oldest system that this is built on (include/uapi/). */
#ifndef SYS_open_tree_attr
#define SYS_open_tree_attr 467
#endif
#ifndef IORING_SETUP_NO_MMAP
#define IORING_SETUP_NO_MMAP            (1U << 14)
#define IORING_SETUP_REGISTERED_FD_ONLY (1U << 15)
#endif
#ifndef LANDLOCK_CREATE_RULESET_ERRATA
#define LANDLOCK_CREATE_RULESET_ERRATA (1U << 1)
#endif

/* The kernel's own set: of its size, not libc's. */
static uint64_t rare_signals = 1ULL << (SIGUSR1 - 1);

static struct perf_event_attr rare_perf_event = {
        .type = PERF_TYPE_SOFTWARE,
        .size = sizeof(rare_perf_event),
        .config = PERF_COUNT_SW_DUMMY,
        .disabled = 1,
};

static union bpf_attr rare_bpf_map = {
        .map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 1};

static struct landlock_ruleset_attr rare_ruleset = {.handled_access_fs = LANDLOCK_ACCESS_FS_EXECUTE};

static struct sock_filter rare_filter_code[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
static struct sock_fprog rare_filter = {.len = 1, .filter = rare_filter_code};

/* A program that returns 0. */
static struct bpf_insn rare_bpf_code[] = {
        {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 0},
        {.code = BPF_JMP | BPF_EXIT},
};

static inline union bpf_attr *rare_bpf_program(void)
{
	static union bpf_attr program;

	program.prog_type = BPF_PROG_TYPE_RAW_TRACEPOINT;
	program.insns = (uintptr_t)rare_bpf_code;
	program.insn_cnt = sizeof(rare_bpf_code) / sizeof(rare_bpf_code[0]);
	program.license = (uintptr_t) "GPL";
	return &program;
}

/* @return a filesystem that is configured and not mounted yet; the caller closes it */
static inline int rare_filesystem(void)
{
	int fd = (int)syscall(SYS_fsopen, "tmpfs", FSOPEN_CLOEXEC);

	MUST(fd >= 0 && !syscall(SYS_fsconfig, fd, FSCONFIG_CMD_CREATE, NULL, NULL, 0));
	return fd;
}

#define RARE_COUNT 20

/* One of each, all close-on-exec. Those that a kernel may lack are not among them. @return how many */
static inline size_t rare_make_all(int *numbers)
{
	struct io_uring_params ring = {0};
	int context = rare_filesystem(), of_child = -1;
	size_t count = 0;
	int own = (int)syscall(SYS_pidfd_open, getpid(), 0);
	pid_t child = (pid_t)syscall(SYS_clone, CLONE_PIDFD | SIGCHLD, NULL, &of_child, NULL, 0);

	MUST(child >= 0);
	if (!child)
		_exit(0);
	scenario_wait_for(child);
	numbers[count++] = of_child;
	numbers[count++] = (int)syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC, 0);
	numbers[count++] = context;
	numbers[count++] = (int)syscall(SYS_timerfd_create, CLOCK_MONOTONIC, TFD_CLOEXEC);
	numbers[count++] = (int)syscall(SYS_signalfd4, -1, &rare_signals, sizeof(rare_signals), SFD_CLOEXEC);
	numbers[count++] = (int)syscall(SYS_inotify_init1, IN_CLOEXEC);
	numbers[count++] = (int)syscall(SYS_fanotify_init, FAN_CLOEXEC, O_RDONLY);
	numbers[count++] = own;
	numbers[count++] = (int)syscall(SYS_pidfd_getfd, own, 1, 0);
	numbers[count++] = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
	numbers[count++] =
	        (int)syscall(SYS_perf_event_open, &rare_perf_event, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
	numbers[count++] = (int)syscall(SYS_bpf, BPF_MAP_CREATE, &rare_bpf_map, sizeof(rare_bpf_map));
	numbers[count++] = (int)syscall(SYS_io_uring_setup, 2, &ring);
	numbers[count++] = (int)syscall(SYS_fspick, AT_FDCWD, "/", FSPICK_CLOEXEC);
	numbers[count++] = (int)syscall(SYS_open_tree, AT_FDCWD, folder, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	numbers[count++] = (int)syscall(SYS_landlock_create_ruleset, &rare_ruleset, sizeof(rare_ruleset), 0);
	numbers[count++] =
	        (int)syscall(SYS_mq_open, "leftopen-all", O_RDWR | O_CREAT | O_CLOEXEC, 0600, NULL);
	MUST(!syscall(SYS_mq_unlink, "leftopen-all"));
	numbers[count++] = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
	                                SECCOMP_FILTER_FLAG_NEW_LISTENER, &rare_filter);
	MUST(count <= RARE_COUNT);
	for (size_t i = 0; i < count; i++)
		MUST(numbers[i] >= 0);
	return count;
}

#endif
