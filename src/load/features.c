/*
 * The table of features.
 * Inputs: the running kernel, this process's rights. Outputs: a state, an errno and a detail for each row.
 * A probe is a use: a number that the kernel gives out (its version, a sysctl) would only be a guess.
 */
#include "load/features.h"

#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "load/feature_probes.h"
#include "load/tracefs.h"

#define KERNEL_BTF_PATH "/sys/kernel/btf/vmlinux"
#define REMEDY_KERNEL   "run a kernel that has it"
#define REMEDY_SUDO     "run leftopen as root (sudo leftopen ...)"

struct row {
	struct feature feature;
	feature_probe_function *probe;
	int argument;
	bool uses_bpf; /* cannot be asked without the right to load programs */
};

static const struct row rows[] = {
        [FEATURE_ROOT] = {{"root", false, "to see every user's processes and files", REMEDY_SUDO},
                          feature_probe_root,
                          0,
                          false},
        [FEATURE_CAP_BPF] = {{"CAP_BPF", true, "to load BPF programs",
                              REMEDY_SUDO "; in a container, add --cap-add BPF"},
                             feature_probe_capability,
                             CAP_BPF,
                             false},
        [FEATURE_CAP_PERFMON] = {{"CAP_PERFMON", true, "to attach them to tracepoints",
                                  REMEDY_SUDO "; in a container, add --cap-add PERFMON"},
                                 feature_probe_capability,
                                 CAP_PERFMON,
                                 false},
        [FEATURE_CAP_SYS_PTRACE] = {{"CAP_SYS_PTRACE", true, "to open what other processes have mapped",
                                     "run leftopen as root; in a container, add --cap-add SYS_PTRACE"},
                                    feature_probe_capability,
                                    CAP_SYS_PTRACE,
                                    false},
        [FEATURE_CAP_DAC_READ_SEARCH] =
                {{"CAP_DAC_READ_SEARCH", true, "to read programs in other users' folders",
                  "run leftopen as root; in a container, add --cap-add DAC_READ_SEARCH"},
                 feature_probe_capability,
                 CAP_DAC_READ_SEARCH,
                 false},
        [FEATURE_CAP_SYS_RESOURCE] = {{"CAP_SYS_RESOURCE", false, "which other BPF tools ask for",
                                       "nothing need be done"},
                                      feature_probe_capability,
                                      CAP_SYS_RESOURCE,
                                      false},
        [FEATURE_PROC] = {{"/proc of this pid namespace", true, "to look processes up",
                           "mount it: mount -t proc proc /proc (unshare has --mount-proc)"},
                          feature_probe_proc,
                          0,
                          false},
        [FEATURE_KERNEL_READS] =
                {{"access to kernel memory", true, "to find out what a descriptor is",
                  "boot without lockdown=confidentiality (lockdown=integrity is no hindrance)"},
                 feature_probe_kernel_reads,
                 BPF_FUNC_probe_read_kernel,
                 true},
        [FEATURE_KERNEL_BTF] =
                {{"kernel BTF", true, "to find the kernel's fields, whatever its version",
                  "run a kernel built with CONFIG_DEBUG_INFO_BTF=y, as distributions' kernels are"},
                 feature_probe_kernel_btf,
                 0,
                 false},
        [FEATURE_TRACEFS] = {{"tracefs", true, "to find tracepoints, mounted or not",
                              "run leftopen as root, on a kernel that is not locked down against reading its "
                              "memory; in a container, run it privileged or outside"},
                             feature_probe_tracefs,
                             0,
                             false},
        [FEATURE_TRACEPOINTS] = {{"system call tracepoints", true, "to see what is opened and closed",
                                  "run a kernel built with CONFIG_FTRACE_SYSCALLS=y"},
                                 feature_probe_tracepoints,
                                 true,
                                 false},
        [FEATURE_NEWER_TRACEPOINTS] = {{"tracepoints of newer calls", false,
                                        "to see calls that not every kernel has",
                                        "nothing need be done: a call that the kernel lacks opens nothing"},
                                       feature_probe_tracepoints,
                                       false,
                                       false},
        [FEATURE_TRACEPOINT_ATTACH] =
                {{"programs on tracepoints", true, "to follow descriptors and mappings",
                  "run leftopen with CAP_SYS_ADMIN, on a kernel with CONFIG_BPF_EVENTS=y"},
                 feature_probe_tracepoint_attach,
                 0,
                 true},
        [FEATURE_UNPREEMPTED] =
                {{"programs without preemption", false, "for the kernel to leave none of their runs out",
                  "nothing need be done: they have stand-ins, and reports tell what is left out"},
                 feature_probe_unpreempted,
                 0,
                 false},
        [FEATURE_UPROBES] = {{"uprobes", true, "to see shutdown begin and which test runs",
                              "run a kernel built with CONFIG_UPROBE_EVENTS=y"},
                             feature_probe_uprobes,
                             0,
                             true},
        [FEATURE_BTF_TRACEPOINTS] = {{"BTF tracepoints", true, "to follow fork, exec and exit",
                                      REMEDY_KERNEL},
                                     feature_probe_btf_tracepoints,
                                     0,
                                     true},
        [FEATURE_URING_TRACEPOINTS] =
                {{"io_uring tracepoints", false, "to see what requests to io_uring open and close",
                  "nothing need be done: these are found by comparing with the kernel's tables"},
                 feature_probe_uring_tracepoints,
                 0,
                 false},
        [FEATURE_ITERATOR_TASK] = {{"task iterator", true,
                                    "to watch what runs already, and to make good what was lost",
                                    REMEDY_KERNEL},
                                   feature_probe_iterator,
                                   FEATURE_ITERATOR_TASK,
                                   true},
        [FEATURE_ITERATOR_TASK_VMA] = {{"mapping iterator", true,
                                        "to watch what runs already, and to make good what was lost",
                                        "run Linux 5.12 or newer"},
                                       feature_probe_iterator,
                                       FEATURE_ITERATOR_TASK_VMA,
                                       true},
        [FEATURE_FENTRY] = {{"fentry", false, "to see descriptors that no system call returns",
                             "nothing need be done: these are found by comparing with the kernel's tables"},
                            feature_probe_fentry,
                            0,
                            true},
        [FEATURE_MAP_HASH] = {{"hash map", true, "to know which processes are followed", REMEDY_KERNEL},
                              feature_probe_map,
                              BPF_MAP_TYPE_HASH,
                              true},
        [FEATURE_MAP_LRU_HASH] = {{"LRU hash map", true, "to send each file once", REMEDY_KERNEL},
                                  feature_probe_map,
                                  BPF_MAP_TYPE_LRU_HASH,
                                  true},
        [FEATURE_MAP_PERCPU_ARRAY] = {{"per-CPU array map", true, "for scratch memory and counters",
                                       REMEDY_KERNEL},
                                      feature_probe_map,
                                      BPF_MAP_TYPE_PERCPU_ARRAY,
                                      true},
        [FEATURE_MAP_PROG_ARRAY] = {{"program array map", true, "to walk stacks in programs of their own",
                                     REMEDY_KERNEL},
                                    feature_probe_map,
                                    BPF_MAP_TYPE_PROG_ARRAY,
                                    true},
        [FEATURE_MAP_ARRAY_OF_MAPS] = {{"array of maps", true,
                                        "for the shards of the ring, where many CPUs write", REMEDY_KERNEL},
                                       feature_probe_map,
                                       BPF_MAP_TYPE_ARRAY_OF_MAPS,
                                       true},
        [FEATURE_MAP_ARRAY_MMAP] = {{"array map in memory", true,
                                     "to switch programs on and read their counters", REMEDY_KERNEL},
                                    feature_probe_map_mmap,
                                    BPF_MAP_TYPE_ARRAY,
                                    true},
        [FEATURE_RING_BUFFER] = {{"ring buffer", true, "to receive events in their order",
                                  "run Linux 5.8 or newer"},
                                 feature_probe_map,
                                 BPF_MAP_TYPE_RINGBUF,
                                 true},
        [FEATURE_HELPER_LOOP] = {{"bpf_loop", true, "to walk tables and stacks", "run Linux 5.17 or newer"},
                                 feature_probe_helper,
                                 BPF_FUNC_loop,
                                 true},
        [FEATURE_HELPER_GET_STACK] = {{"bpf_get_stack", true, "for stacks by frame pointers", REMEDY_KERNEL},
                                      feature_probe_helper,
                                      BPF_FUNC_get_stack,
                                      true},
        [FEATURE_HELPER_TASK_PT_REGS] = {{"bpf_task_pt_regs", true,
                                          "to read a call's arguments as it returns",
                                          "run Linux 5.15 or newer"},
                                         feature_probe_helper,
                                         BPF_FUNC_task_pt_regs,
                                         true},
        [FEATURE_HELPER_CURRENT_TASK] = {{"bpf_get_current_task_btf", true, "to find the process of an event",
                                          "run Linux 5.11 or newer"},
                                         feature_probe_helper,
                                         BPF_FUNC_get_current_task_btf,
                                         true},
};
_Static_assert(sizeof(rows) / sizeof(rows[0]) == FEATURE_COUNT, "a feature without a row");

const struct feature *features_find(enum feature_id id)
{
	return &rows[id].feature;
}

static uint64_t read_capabilities(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {0};

	/* Cannot fail for oneself with a version that every kernel since 2.6.26 knows: capget(2). */
	(void)syscall(SYS_capget, &header, data);
	return (uint64_t)data[1].effective << 32 | data[0].effective;
}

static void look_up_tracepoints(struct feature_probe *probe, struct feature_tracepoint *tracepoints)
{
	uint64_t id;

	for (size_t i = 0; i < probe->tracepoint_count; i++) {
		struct feature_tracepoint *tracepoint = &tracepoints[i];
		tracepoint->error = probe->tracefs_error;
		if (tracepoint->error == 0)
			tracepoint->error =
			        tracefs_event_id(probe->tracefs_fd, "syscalls", tracepoint->name, &id);
		if (tracepoint->error == 0 && probe->tracepoint_id == 0)
			probe->tracepoint_id = id;
	}
}

static enum feature_state judge(const struct feature_probe *probe, const struct row *row, int error)
{
	bool is_about_rights = row->probe == feature_probe_root || row->probe == feature_probe_capability;

	switch (-error) {
	case 0:
		return FEATURE_OK;
	case EMFILE:
	case ENFILE:
	case ENOMEM:
		return FEATURE_UNKNOWN;
	case EPERM:
	case EACCES:
		return is_about_rights || feature_has_capability(probe, CAP_SYS_ADMIN) ? FEATURE_MISSING
		                                                                       : FEATURE_UNKNOWN;
	default:
		return FEATURE_MISSING;
	}
}

static void probe_row(const struct feature_probe *probe, const struct row *row,
                      struct feature_result *ret_result)
{
	*ret_result = (struct feature_result){0};
	if (row->uses_bpf && !probe->may_use_bpf)
		ret_result->error = -EPERM;
	else
		ret_result->error = row->probe(probe, row->argument, ret_result->detail);
	ret_result->state = judge(probe, row, ret_result->error);
	if (ret_result->error < 0 && ret_result->detail[0] == '\0')
		feature_describe(ret_result->detail, "%s", strerror(-ret_result->error));
}

/* Where the kernel is locked down against reading its memory there is nothing in tracefs; and 6.12 does not
 * survive that it is mounted and unmounted then (fs/tracefs/inode.c, tracefs_destroy_inode, takes what was
 * never listed off a list). */
static int open_tracefs(struct feature_probe *probe)
{
	char detail[FEATURE_DETAIL_BYTES];

	if (probe->may_use_bpf &&
	    feature_probe_kernel_reads(probe, BPF_FUNC_probe_read_kernel, detail) == -EOPNOTSUPP)
		return -EPERM;
	return tracefs_open(&probe->tracefs_fd);
}

void features_probe(struct feature_tracepoint *tracepoints, size_t count, struct feature_results *ret_results)
{
	struct feature_probe probe = {.capabilities = read_capabilities(),
	                              .tracefs_fd = -1,
	                              .tracepoints = tracepoints,
	                              .tracepoint_count = count};
	libbpf_print_fn_t print = libbpf_set_print(NULL);

	probe.may_use_bpf =
	        feature_has_capability(&probe, CAP_SYS_ADMIN) ||
	        (feature_has_capability(&probe, CAP_BPF) && feature_has_capability(&probe, CAP_PERFMON));
	probe.kernel_btf = btf__parse(KERNEL_BTF_PATH, NULL);
	if (!probe.kernel_btf)
		probe.kernel_btf_error = -errno;
	probe.tracefs_error = open_tracefs(&probe);
	look_up_tracepoints(&probe, tracepoints);

	for (int id = 0; id < FEATURE_COUNT; id++)
		probe_row(&probe, &rows[id], &ret_results->of[id]);

	btf__free(probe.kernel_btf);
	fd_close(&probe.tracefs_fd);
	(void)libbpf_set_print(print);
}

bool features_is_needed(enum feature_id id, enum feature_user user)
{
	/* A command that is run is followed from its beginning. */
	bool is_for_running = id == FEATURE_ITERATOR_TASK || id == FEATURE_ITERATOR_TASK_VMA;

	return rows[id].feature.required && (user == FEATURE_USER_WATCH || !is_for_running);
}

bool features_suffice(const struct feature_results *results, enum feature_user user)
{
	for (int id = 0; id < FEATURE_COUNT; id++)
		if (features_is_needed((enum feature_id)id, user) && results->of[id].state != FEATURE_OK)
			return false;
	return true;
}
