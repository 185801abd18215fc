/*
 * The probes of features.
 * Inputs: the running kernel, this process's rights. Outputs: an -errno and a detail each.
 * Maps and programs made here are dropped at once; nothing is attached for longer than the probe takes.
 */
#include "load/feature_probes.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/perf_event.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/pid_namespace.h"
#include "load/btf_tracepoints.h"
#include "load/features.h"
#include "load/stand_ins.h"

#define UPROBE_TYPE_PATH   "/sys/bus/event_source/devices/uprobe/type"
#define LOCKDOWN_PATH      "/sys/kernel/security/lockdown"
#define VERIFIER_LOG_BYTES 4096
/* Any size will do for a probe. */
#define MAP_ENTRIES 1
/* A kernel function that is never inlined, and to which leftopen itself attaches. */
#define FENTRY_FUNCTION "fd_install"

void feature_describe(char *ret_detail, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(ret_detail, FEATURE_DETAIL_BYTES, format, arguments);
	va_end(arguments);
}

bool feature_has_capability(const struct feature_probe *probe, int number)
{
	return probe->capabilities >> number & 1;
}

int feature_probe_root(const struct feature_probe *probe, int argument, char *ret_detail)
{
	(void)probe;
	(void)argument;
	if (geteuid() == 0)
		return 0;
	feature_describe(ret_detail, "running with user id %u", geteuid());
	return -EPERM;
}

int feature_probe_capability(const struct feature_probe *probe, int number, char *ret_detail)
{
	/* What holds the others' place: capabilities(7). */
	int instead = number == CAP_BPF || number == CAP_PERFMON ? CAP_SYS_ADMIN
	              : number == CAP_DAC_READ_SEARCH            ? CAP_DAC_OVERRIDE
	                                                         : number;

	if (feature_has_capability(probe, number))
		return 0;
	if (feature_has_capability(probe, instead)) {
		feature_describe(ret_detail, "by %s",
		                 instead == CAP_SYS_ADMIN ? "CAP_SYS_ADMIN" : "CAP_DAC_OVERRIDE");
		return 0;
	}
	return -EPERM;
}

int feature_probe_proc(const struct feature_probe *probe, int argument, char *ret_detail)
{
	(void)probe;
	(void)argument;
	if (!pid_namespace_is_in_proc()) {
		feature_describe(ret_detail, "/proc is another pid namespace's");
		return -ESRCH;
	}
	if (!pid_namespace_is_initial())
		feature_describe(ret_detail, "a container's: processes outside of it are not seen");
	return 0;
}

int feature_probe_kernel_btf(const struct feature_probe *probe, int argument, char *ret_detail)
{
	(void)argument;
	if (probe->kernel_btf)
		feature_describe(ret_detail, "%u types", btf__type_cnt(probe->kernel_btf));
	return probe->kernel_btf_error;
}

int feature_probe_tracefs(const struct feature_probe *probe, int argument, char *ret_detail)
{
	(void)argument;
	(void)ret_detail;
	return probe->tracefs_error;
}

int feature_probe_tracepoints(const struct feature_probe *probe, int required, char *ret_detail)
{
	size_t used = 0;
	size_t missing = 0;
	int error = 0;

	for (size_t i = 0; i < probe->tracepoint_count; i++) {
		const struct feature_tracepoint *tracepoint = &probe->tracepoints[i];
		if (tracepoint->required != required || tracepoint->error == 0)
			continue;
		error = tracepoint->error;
		missing++;
		if (used < FEATURE_DETAIL_BYTES) /* the caller has each row's own error */
			used += (size_t)snprintf(ret_detail + used, FEATURE_DETAIL_BYTES - used, "%s%s",
			                         used > 0 ? ", " : "", tracepoint->name);
	}
	if (used >= FEATURE_DETAIL_BYTES)
		feature_describe(ret_detail, "%zu of them", missing);
	return error;
}

/* Loads a program that does nothing. */
static int load_program(enum bpf_prog_type type, const struct bpf_prog_load_opts *options)
{
	static const struct bpf_insn nothing[] = {
	        {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0},
	        {.code = BPF_JMP | BPF_EXIT},
	};

	return bpf_prog_load(type, "leftopen_probe", "GPL", nothing, sizeof(nothing) / sizeof(nothing[0]),
	                     options);
}

int feature_probe_tracepoint_attach(const struct feature_probe *probe, int argument, char *ret_detail)
{
	struct perf_event_attr attributes = {
	        .type = PERF_TYPE_TRACEPOINT, .size = sizeof(attributes), .config = probe->tracepoint_id};

	(void)argument;
	if (probe->tracepoint_id == 0) {
		feature_describe(ret_detail, "no tracepoint to try it on");
		return -ENOENT;
	}
	FD_OWNED int program = load_program(BPF_PROG_TYPE_TRACEPOINT, NULL);
	if (program < 0)
		return program;
	FD_OWNED int event = (int)syscall(SYS_perf_event_open, &attributes, -1, 0, -1,
	                                  (unsigned long)PERF_FLAG_FD_CLOEXEC);
	if (event < 0)
		return -errno;
	return ioctl(event, PERF_EVENT_IOC_SET_BPF, program) < 0 ? -errno : 0;
}

static int read_line(const char *path, char *ret_line, size_t bytes)
{
	FD_OWNED int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	ssize_t count = read(fd, ret_line, bytes - 1);
	if (count < 0)
		return -errno;
	ret_line[count] = '\0';
	ret_line[strcspn(ret_line, "\n")] = '\0';
	return 0;
}

int feature_probe_unpreempted(const struct feature_probe *probe, int argument, char *ret_detail)
{
	(void)argument;
	(void)ret_detail;
	if (!probe->kernel_btf)
		return probe->kernel_btf_error;
	return stand_ins_are_needed(probe->kernel_btf) ? -EOPNOTSUPP : 0;
}

int feature_probe_uprobes(const struct feature_probe *probe, int argument, char *ret_detail)
{
	char type[16];
	int result = read_line(UPROBE_TYPE_PATH, type, sizeof(type));

	(void)probe;
	(void)argument;
	if (result < 0)
		return result;
	feature_describe(ret_detail, "event source %s", type);
	FD_OWNED int program = load_program(BPF_PROG_TYPE_KPROBE, NULL);
	return program < 0 ? program : 0;
}

/* Loads a program for something that the kernel's BTF names, as libbpf does (find_kernel_btf_id()). */
static int load_tracing(const struct feature_probe *probe, enum bpf_attach_type type, const char *name,
                        uint32_t btf_kind)
{
	if (!probe->kernel_btf)
		return probe->kernel_btf_error;
	int id = btf__find_by_name_kind(probe->kernel_btf, name, btf_kind);
	if (id < 0)
		return id;
	LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = type, .attach_btf_id = (uint32_t)id);
	return load_program(BPF_PROG_TYPE_TRACING, &options);
}

int feature_probe_btf_tracepoints(const struct feature_probe *probe, int argument, char *ret_detail)
{
	(void)argument;
	(void)ret_detail;
	FD_OWNED int program =
	        load_tracing(probe, BPF_TRACE_RAW_TP, "btf_trace_sched_process_fork", BTF_KIND_TYPEDEF);
	return program < 0 ? program : 0;
}

int feature_probe_uring_tracepoints(const struct feature_probe *probe, int argument, char *ret_detail)
{
	static const char *const names[BTF_TRACEPOINTS_ROLE_COUNT] = {
	        [BTF_TRACEPOINTS_SUBMIT] = "submission",
	        [BTF_TRACEPOINTS_COMPLETE] = "completion",
	        [BTF_TRACEPOINTS_OVERFLOW] = "overflow",
	};

	(void)argument;
	if (!probe->kernel_btf)
		return probe->kernel_btf_error;
	for (int role = 0; role < BTF_TRACEPOINTS_ROLE_COUNT; role++) {
		if (!btf_tracepoints_have(probe->kernel_btf, (enum btf_tracepoints_role)role)) {
			feature_describe(ret_detail, "none for %s", names[role]);
			return -ENOENT;
		}
	}
	return 0;
}

int feature_probe_iterator(const struct feature_probe *probe, int id, char *ret_detail)
{
	const char *name = id == FEATURE_ITERATOR_TASK ? "bpf_iter_task" : "bpf_iter_task_vma";

	(void)ret_detail;
	FD_OWNED int program = load_tracing(probe, BPF_TRACE_ITER, name, BTF_KIND_FUNC);
	return program < 0 ? program : 0;
}

int feature_probe_fentry(const struct feature_probe *probe, int argument, char *ret_detail)
{
	(void)argument;
	(void)ret_detail;
	FD_OWNED int program = load_tracing(probe, BPF_TRACE_FENTRY, FENTRY_FUNCTION, BTF_KIND_FUNC);
	if (program < 0)
		return program;
	/* Kernels that load it may still refuse to patch their own text. */
	FD_OWNED int link = bpf_raw_tracepoint_open(NULL, program);
	return link < 0 ? link : 0;
}

int feature_probe_map(const struct feature_probe *probe, int type, char *ret_detail)
{
	bool is_ring = type == BPF_MAP_TYPE_RINGBUF;
	FD_OWNED int inner = -1;
	LIBBPF_OPTS(bpf_map_create_opts, options);

	(void)probe;
	(void)ret_detail;
	if (type == BPF_MAP_TYPE_ARRAY_OF_MAPS) {
		inner = bpf_map_create(BPF_MAP_TYPE_ARRAY, "leftopen_probe", sizeof(uint32_t),
		                       sizeof(uint32_t), MAP_ENTRIES, NULL);
		if (inner < 0)
			return inner;
		options.inner_map_fd = (uint32_t)inner;
	}
	FD_OWNED int map = bpf_map_create(type, "leftopen_probe", is_ring ? 0 : sizeof(uint32_t),
	                                  is_ring ? 0 : sizeof(uint32_t),
	                                  is_ring ? (uint32_t)sysconf(_SC_PAGESIZE) : MAP_ENTRIES, &options);
	return map < 0 ? map : 0;
}

int feature_probe_map_mmap(const struct feature_probe *probe, int type, char *ret_detail)
{
	size_t bytes = (size_t)sysconf(_SC_PAGESIZE);
	LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_MMAPABLE);

	(void)probe;
	(void)ret_detail;
	FD_OWNED int map = bpf_map_create(type, "leftopen_probe", sizeof(uint32_t), (uint32_t)bytes,
	                                  MAP_ENTRIES, &options);
	if (map < 0)
		return map;
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, map, 0);
	if (memory == MAP_FAILED)
		return -errno;
	return munmap(memory, bytes) < 0 ? -errno : 0;
}

/*
 * Not libbpf_probe_bpf_helper(): up to 1.1 it does not know what newer verifiers say of a helper that they
 * have and do not let this program use: "program of this type cannot use helper"
 * (lore.kernel.org/all/20240325152210.377548-1-yatsenko@meta.com).
 */
int feature_probe_helper(const struct feature_probe *probe, int helper, char *ret_detail)
{
	char log[VERIFIER_LOG_BYTES] = "";
	const struct bpf_insn call[] = {
	        {.code = BPF_JMP | BPF_CALL, .imm = helper},
	        {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0},
	        {.code = BPF_JMP | BPF_EXIT},
	};
	LIBBPF_OPTS(bpf_prog_load_opts, options, .log_buf = log, .log_size = sizeof(log), .log_level = 1);

	(void)probe;
	(void)ret_detail;
	FD_OWNED int program = bpf_prog_load(BPF_PROG_TYPE_TRACEPOINT, "leftopen_probe", "GPL", call,
	                                     sizeof(call) / sizeof(call[0]), &options);
	if (program >= 0)
		return 0;
	if (strstr(log, "unknown func") || strstr(log, "invalid func") || strstr(log, "cannot use helper"))
		return -EOPNOTSUPP;
	/* The verifier came as far as the arguments, which the program does not give. */
	return *log ? 0 : program;
}

int feature_probe_kernel_reads(const struct feature_probe *probe, int helper, char *ret_detail)
{
	char lockdown[64];
	int result = feature_probe_helper(probe, helper, ret_detail);

	if (read_line(LOCKDOWN_PATH, lockdown, sizeof(lockdown)) == 0)
		feature_describe(ret_detail, "lockdown: %s", lockdown);
	return result;
}
