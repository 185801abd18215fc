/*
 * The rarer calls that make a descriptor, each in a function named for it that leaves one open.
 * Usage: descriptors_rare FOLDER. Outputs: for each maker a line of its numbers, the truth of the process.
 */
#include <linux/sched.h>

#include "rare_calls.h"

LEAVES leave_memfd_secret(void)
{
	long fd = KERNEL_CALL4(SYS_memfd_secret, 0, 0, 0, 0);

	made_if_there(__func__, "memfd_secret", "memfd", fd);
	KEEP_FRAME();
}

LEAVES leave_timerfd_create(void)
{
	long fd = KERNEL_CALL4(SYS_timerfd_create, CLOCK_MONOTONIC, 0, 0, 0);

	made_one(__func__, "timerfd_create", "timerfd", fd);
	KEEP_FRAME();
}

LEAVES leave_signalfd(void)
{
	long fd = KERNEL_CALL4(SYS_signalfd, -1, &rare_signals, sizeof(rare_signals), 0);

	made_one(__func__, "signalfd", "signalfd", fd);
	KEEP_FRAME();
}

LEAVES leave_signalfd4(void)
{
	long fd = KERNEL_CALL4(SYS_signalfd4, -1, &rare_signals, sizeof(rare_signals), SFD_CLOEXEC);

	made_one(__func__, "signalfd4", "signalfd", fd);
	KEEP_FRAME();
}

LEAVES leave_inotify_init(void)
{
	long fd = KERNEL_CALL4(SYS_inotify_init, 0, 0, 0, 0);

	made_one(__func__, "inotify_init", "inotify", fd);
	KEEP_FRAME();
}

LEAVES leave_inotify_init1(void)
{
	long fd = KERNEL_CALL4(SYS_inotify_init1, IN_CLOEXEC, 0, 0, 0);

	made_one(__func__, "inotify_init1", "inotify", fd);
	KEEP_FRAME();
}

LEAVES leave_fanotify_init(void)
{
	long fd = KERNEL_CALL4(SYS_fanotify_init, FAN_CLASS_NOTIF, O_RDONLY, 0, 0);

	made_one(__func__, "fanotify_init", "fanotify", fd);
	KEEP_FRAME();
}

LEAVES leave_pidfd_open(void)
{
	long fd = KERNEL_CALL4(SYS_pidfd_open, getpid(), 0, 0, 0);

	made_one(__func__, "pidfd_open", "pidfd", fd);
	KEEP_FRAME();
}

/* What is copied and what says of whom it is are there before, and closed. */
LEAVES leave_pidfd_getfd(void)
{
	int copied = (int)syscall(SYS_eventfd2, 0, 0), own = (int)syscall(SYS_pidfd_open, getpid(), 0);
	long fd = KERNEL_CALL4(SYS_pidfd_getfd, own, copied, 0, 0);

	MUST(!close(copied) && !close(own));
	made_one(__func__, "pidfd_getfd", "eventfd", fd);
	KEEP_FRAME();
}

/* A child that ends at once: its process id is told, as it is what its pidfd refers to. */
static void child_made(const char *maker, const char *origin, pid_t child, int pidfd)
{
	char label[64];

	MUST(child > 0);
	scenario_wait_for(child);
	made_one(maker, origin, "pidfd", pidfd);
	(void)snprintf(label, sizeof(label), "child_of_%s", maker);
	truth_begin_line(label);
	truth_add(&truth_line, ", \"child\": %d", child);
	truth_write();
}

LEAVES leave_clone(void)
{
	int pidfd = -1;
	long child = KERNEL_CALL(SYS_clone, CLONE_PIDFD | SIGCHLD, NULL, &pidfd, NULL, 0, 0);

	if (!child)
		_exit(0);
	child_made(__func__, "clone", (pid_t)child, pidfd);
	KEEP_FRAME();
}

LEAVES leave_clone3(void)
{
	int pidfd = -1;
	struct clone_args arguments = {
	        .flags = CLONE_PIDFD, .pidfd = (uintptr_t)&pidfd, .exit_signal = SIGCHLD};
	long child = KERNEL_CALL4(SYS_clone3, &arguments, sizeof(arguments), 0, 0);

	if (!child)
		_exit(0);
	child_made(__func__, "clone3", (pid_t)child, pidfd);
	KEEP_FRAME();
}

LEAVES leave_userfaultfd(void)
{
	long fd = KERNEL_CALL4(SYS_userfaultfd, O_CLOEXEC, 0, 0, 0);

	made_one(__func__, "userfaultfd", "userfaultfd", fd);
	KEEP_FRAME();
}

LEAVES leave_perf_event_open(void)
{
	long fd = KERNEL_CALL(SYS_perf_event_open, &rare_perf_event, 0, -1, -1, 0, 0);

	made_one(__func__, "perf_event_open", "perf", fd);
	KEEP_FRAME();
}

LEAVES leave_bpf_map(void)
{
	long fd = KERNEL_CALL4(SYS_bpf, BPF_MAP_CREATE, &rare_bpf_map, sizeof(rare_bpf_map), 0);

	made_one(__func__, "bpf", "bpf", fd);
	KEEP_FRAME();
}

LEAVES leave_bpf_program(void)
{
	union bpf_attr *program = rare_bpf_program();
	long fd = KERNEL_CALL4(SYS_bpf, BPF_PROG_LOAD, program, sizeof(*program), 0);

	made_one(__func__, "bpf", "bpf", fd);
	KEEP_FRAME();
}

/* By the id that the kernel tells of one that is there. */
LEAVES leave_bpf_map_by_id(void)
{
	int map = (int)syscall(SYS_bpf, BPF_MAP_CREATE, &rare_bpf_map, sizeof(rare_bpf_map));
	struct bpf_map_info info = {0};
	union bpf_attr query = {
	        .info = {.bpf_fd = (uint32_t)map, .info_len = sizeof(info), .info = (uintptr_t)&info}};
	union bpf_attr by_id = {0};
	long fd;

	MUST(map >= 0 && !syscall(SYS_bpf, BPF_OBJ_GET_INFO_BY_FD, &query, sizeof(query)));
	by_id.map_id = info.id;
	fd = KERNEL_CALL4(SYS_bpf, BPF_MAP_GET_FD_BY_ID, &by_id, sizeof(by_id), 0);
	MUST(!close(map));
	made_one(__func__, "bpf", "bpf", fd);
	KEEP_FRAME();
}

LEAVES leave_bpf_link(void)
{
	union bpf_attr *program = rare_bpf_program(), link = {0};
	int loaded = (int)syscall(SYS_bpf, BPF_PROG_LOAD, program, sizeof(*program));
	long fd;

	MUST(loaded >= 0);
	link.raw_tracepoint.name = (uintptr_t) "mark_victim";
	link.raw_tracepoint.prog_fd = (uint32_t)loaded;
	fd = KERNEL_CALL4(SYS_bpf, BPF_RAW_TRACEPOINT_OPEN, &link, sizeof(link), 0);
	MUST(!close(loaded));
	made_one(__func__, "bpf", "bpf", fd);
	KEEP_FRAME();
}

LEAVES leave_io_uring_setup(void)
{
	struct io_uring_params ring = {0};
	long fd = KERNEL_CALL4(SYS_io_uring_setup, 2, &ring, 0, 0);

	made_one(__func__, "io_uring_setup", "io_uring", fd);
	KEEP_FRAME();
}

LEAVES leave_fsopen(void)
{
	long fd = KERNEL_CALL4(SYS_fsopen, "tmpfs", 0, 0, 0);

	made_one(__func__, "fsopen", "mount", fd);
	KEEP_FRAME();
}

LEAVES leave_fsmount(void)
{
	int context = rare_filesystem();
	long fd = KERNEL_CALL4(SYS_fsmount, context, 0, 0, 0);

	MUST(!close(context));
	made_one(__func__, "fsmount", "mount", fd);
	KEEP_FRAME();
}

LEAVES leave_fspick(void)
{
	long fd = KERNEL_CALL4(SYS_fspick, AT_FDCWD, "/", 0, 0);

	made_one(__func__, "fspick", "mount", fd);
	KEEP_FRAME();
}

/* Without OPEN_TREE_CLONE it refers to what is mounted there. */
LEAVES leave_open_tree(void)
{
	long fd = KERNEL_CALL4(SYS_open_tree, AT_FDCWD, folder, 0, 0);

	made_one(__func__, "open_tree", "mount", fd);
	KEEP_FRAME();
}

LEAVES leave_open_tree_clone(void)
{
	long fd = KERNEL_CALL4(SYS_open_tree, AT_FDCWD, folder, OPEN_TREE_CLONE, 0);

	made_one(__func__, "open_tree", "mount", fd);
	KEEP_FRAME();
}

LEAVES leave_open_tree_attr(void)
{
	long fd = KERNEL_CALL(SYS_open_tree_attr, AT_FDCWD, folder, OPEN_TREE_CLONE, NULL, 0, 0);

	made_if_there(__func__, "open_tree_attr", "mount", fd);
	KEEP_FRAME();
}

/* A file of a mount that hangs nowhere is a file all the same. */
LEAVES leave_openat_in_a_detached_mount(void)
{
	int file = open(path("in_detached"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	int tree = (int)syscall(SYS_open_tree, AT_FDCWD, folder, OPEN_TREE_CLONE);
	long fd = KERNEL_CALL4(SYS_openat, tree, "in_detached", O_RDONLY, 0);

	MUST(file >= 0 && tree >= 0 && !close(file) && !close(tree));
	made_one(__func__, "openat", "file", fd);
	KEEP_FRAME();
}

LEAVES leave_openat_of_a_namespace(void)
{
	long fd = KERNEL_CALL4(SYS_openat, AT_FDCWD, "/proc/self/ns/net", O_RDONLY, 0);

	made_one(__func__, "openat", "file", fd);
	KEEP_FRAME();
}

LEAVES leave_open_by_handle_at(void)
{
	struct {
		struct file_handle head;
		char room[MAX_HANDLE_SZ];
	} handle = {.head = {.handle_bytes = MAX_HANDLE_SZ}};
	int file = open(path("by_handle"), O_RDWR | O_CREAT | O_CLOEXEC, 0600), mount;
	int top = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	long fd;

	MUST(file >= 0 && top >= 0);
	MUST(!name_to_handle_at(AT_FDCWD, path("by_handle"), &handle.head, &mount, 0));
	fd = KERNEL_CALL4(SYS_open_by_handle_at, top, &handle, O_RDONLY, 0);
	MUST(!close(file) && !close(top));
	made_one(__func__, "open_by_handle_at", "file", fd);
	KEEP_FRAME();
}

LEAVES leave_landlock_create_ruleset(void)
{
	long fd = KERNEL_CALL4(SYS_landlock_create_ruleset, &rare_ruleset, sizeof(rare_ruleset), 0, 0);

	made_one(__func__, "landlock_create_ruleset", "landlock", fd);
	KEEP_FRAME();
}

LEAVES leave_mq_open(void)
{
	long fd = KERNEL_CALL4(SYS_mq_open, "leftopen-queue", O_RDWR | O_CREAT, 0600, NULL);

	MUST(!syscall(SYS_mq_unlink, "leftopen-queue"));
	made_one(__func__, "mq_open", "mqueue", fd);
	KEEP_FRAME();
}

LEAVES leave_seccomp(void)
{
	long fd = KERNEL_CALL4(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER,
	                       &rare_filter, 0);

	made_one(__func__, "seccomp", "seccomp", fd);
	KEEP_FRAME();
}

static void makers(void)
{
	leave_memfd_secret();
	leave_timerfd_create();
	leave_signalfd();
	leave_signalfd4();
	leave_inotify_init();
	leave_inotify_init1();
	leave_fanotify_init();
	leave_pidfd_open();
	leave_pidfd_getfd();
	leave_clone();
	leave_clone3();
	leave_userfaultfd();
	leave_perf_event_open();
	leave_bpf_map();
	leave_bpf_program();
	leave_bpf_map_by_id();
	leave_bpf_link();
	leave_io_uring_setup();
	leave_fsopen();
	leave_fsmount();
	leave_fspick();
	leave_open_tree();
	leave_open_tree_clone();
	leave_open_tree_attr();
	leave_openat_in_a_detached_mount();
	leave_openat_of_a_namespace();
	leave_open_by_handle_at();
	leave_landlock_create_ruleset();
	leave_mq_open();
	leave_seccomp();
}

int main(int argc, char **argv)
{
	MUST(argc == 2);
	folder = argv[1];
	truth_begin_alone();
	makers();
	truth_tell("makers");
	return 0;
}
