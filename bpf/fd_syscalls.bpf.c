/*
 * Descriptors made and released by system calls, in the calling thread. Those that arrive in messages are in
 * fd_received.bpf.c.
 * Close at entry, because afterwards a sibling thread may hold the number.
 * Outputs: EVENT_FD_MADE, EVENT_FD_CLOSED, EVENT_FD_RANGE_CLOSED, EVENT_TABLE_NUMBERS, EVENT_TABLE_LEFT.
 */
#include "maps.bpf.h"
#include <bpf/bpf_tracing.h>
#include "call_program.bpf.h"
#include "capture.bpf.h"
#include "core_compat.bpf.h"
#include "fd_calls.bpf.h"
#include "table_holders.bpf.h"

/* include/uapi/linux/: fcntl.h, close_range.h, bpf.h, seccomp.h, sched.h, io_uring.h */
#define F_DUPFD                     0
#define F_DUPFD_CLOEXEC             1030
#define CLOSE_RANGE_UNSHARE         (1U << 1)
#define CLOSE_RANGE_CLOEXEC         (1U << 2)
#define SECCOMP_SET_MODE_FILTER     1
#define SECCOMP_FILTER_NEW_LISTENER (1U << 3)
#define CLONE_FILES                 0x400U
#define CLONE_PIDFD                 0x1000U
#define IORING_REGISTERED_FD_ONLY   (1U << 15)
#define IORING_PARAMS_FLAGS_AT      8
#define BIT(number)                 (1ULL << (number))

/* enum bpf_cmd: MAP_CREATE, PROG_LOAD, OBJ_GET, PROG_GET_FD_BY_ID, MAP_GET_FD_BY_ID, RAW_TRACEPOINT_OPEN,
 * BTF_LOAD, BTF_GET_FD_BY_ID, LINK_CREATE, LINK_GET_FD_BY_ID, ENABLE_STATS, ITER_CREATE, TOKEN_CREATE */
#define BPF_COMMANDS_THAT_GIVE                                                                            \
	(BIT(0) | BIT(5) | BIT(7) | BIT(13) | BIT(14) | BIT(17) | BIT(18) | BIT(19) | BIT(28) | BIT(30) | \
	 BIT(32) | BIT(33) | BIT(36))

/* The registers are asked for only by the calls that need them: it costs as much as a read of memory.
 * @return whether a result that is not an error is a descriptor, and a new one */
static __always_inline bool gives_descriptor(u32 call)
{
	const struct pt_regs *registers;
	u32 flags = 0;

	switch (call) {
	case __NR_fcntl:
		registers = saved_registers();
		return (u32)registers->si == F_DUPFD || (u32)registers->si == F_DUPFD_CLOEXEC;
	case __NR_dup2:
		registers = saved_registers();
		return (u32)registers->di != (u32)registers->si;
	case __NR_bpf:
		registers = saved_registers();
		return (u32)registers->di < 64 && BPF_COMMANDS_THAT_GIVE >> (u32)registers->di & 1;
	case __NR_signalfd:
	case __NR_signalfd4:
		/* Else the mask of one that is there is changed. */
		return (s32)saved_registers()->di == -1;
	case __NR_landlock_create_ruleset:
		/* Each flag asks for a number that is none: the ABI's version, its errata. */
		return !(u32)saved_registers()->dx;
	case __NR_seccomp:
		registers = saved_registers();
		return (u32)registers->di == SECCOMP_SET_MODE_FILTER &&
		       registers->si & SECCOMP_FILTER_NEW_LISTENER;
	case __NR_io_uring_setup:
		(void)bpf_probe_read_user(&flags, sizeof(flags),
		                          (void *)saved_registers()->si + IORING_PARAMS_FLAGS_AT);
		return !(flags & IORING_REGISTERED_FD_ONLY);
	default:
		return true;
	}
}

/* dup2 and dup3 release the number that they give: at exit too, because a failed call releases nothing. */
CALL_PROGRAM("tracepoint", fd_by_result, trace_event_raw_sys_exit)
{
	const struct fd_call *call = fd_call_of(ctx);
	struct followed_process *process;
	struct capture_scratch *scratch;
	struct files_struct *files;
	struct file *file;
	long fd = ctx->ret;

	if (fd < 0 || !gives_descriptor(ctx->id) || !(process = followed_current()))
		return 0;
	files = bpf_get_current_task_btf()->files;
	file = compat_table_file(files, fd);
	scratch = file ? capture_scratch_take() : NULL;
	if (!scratch)
		return 0;
	fd_pending(scratch, process, call, files,
	           call->gives == FD_GIVES_COPY ? (s32)saved_registers()->di : -1);
	scratch->pending.fd.file = (u64)file;
	scratch->pending.numbers[0] = fd;
	scratch->pending.count = 1;
	capture_and_send(ctx, process, scratch);
	return 0;
}

/* Where a call has put `count` numbers into its process's memory. */
static __always_inline int fds_in_memory(void *ctx, struct followed_process *process,
                                         const struct fd_call *call, const void *numbers, u32 count)
{
	struct capture_scratch *scratch = capture_scratch_take();

	if (!scratch)
		return 0;
	if (bpf_probe_read_user(scratch->pending.numbers, count * sizeof(s32), numbers)) {
		capture_scratch_return(scratch);
		count_loss(LOSS_NUMBERS);
		return 0;
	}
	fd_pending(scratch, process, call, compat_own_files(), -1);
	scratch->pending.count = count;
	capture_and_send(ctx, process, scratch);
	return 0;
}

CALL_PROGRAM("tracepoint", fd_by_pair, trace_event_raw_sys_exit)
{
	struct pt_regs *registers = saved_registers();
	const struct fd_call *call = fd_call_of(ctx);
	struct followed_process *process;

	if (ctx->ret < 0 || !(process = followed_current()))
		return 0;
	return fds_in_memory(ctx, process, call,
	                     (void *)(call->gives == FD_GIVES_PAIR_3 ? registers->r10 : registers->di), 2);
}

/* In the parent, when the pidfd is there and the child has not run: clone with CLONE_VFORK returns when the
 * child execs or ends, and by then a child in the same space may have changed the arguments. */
SEC("tracepoint/sched/sched_process_fork")
int fd_with_child(void *ctx)
{
	struct followed_process *process = followed_current();
	struct pt_regs *registers = saved_registers();
	const struct fd_call *call;
	struct {
		u64 flags;
		u64 pidfd;
	} arguments = {registers->di, registers->dx};

	if (!process || registers->cs == USER32_CS)
		return 0;
	call = registers->orig_ax < FD_CALL_NUMBERS ? fd_call_by_number(registers->orig_ax) : NULL;
	/* fork, vfork, or a thread of the kernel's own that another call makes */
	if (!call || call->gives != FD_GIVES_WITH_CHILD)
		return 0;
	if (call->origin == HANDLE_ORIGIN_CLONE3 &&
	    bpf_probe_read_user(&arguments, sizeof(arguments), (void *)registers->di)) {
		count_loss(LOSS_NUMBERS);
		return 0;
	}
	if (arguments.flags & CLONE_PIDFD)
		fds_in_memory(ctx, process, call, (void *)arguments.pidfd, 1);
	return 0;
}

CALL_PROGRAM("tracepoint/syscalls/sys_enter_close", enter_close, trace_event_raw_sys_enter)
{
	struct followed_process *process = followed_current();
	struct event_fd_closed event = {};
	struct files_struct *files;

	if (!process)
		return 0;
	files = bpf_get_current_task_btf()->files;
	if (!compat_table_file(files, (u32)ctx->args[0]))
		return 0;
	fill_untimed_header(&event.header, EVENT_FD_CLOSED, sizeof(event), process->start_ns);
	event.table = (u64)files;
	event.fd = (s32)ctx->args[0];
	send_fd_event(&event, sizeof(event), 1ULL << (event.fd & 63));
	return 0;
}

CALL_PROGRAM("tracepoint/syscalls/sys_enter_close_range", enter_close_range, trace_event_raw_sys_enter)
{
	struct followed_process *process = followed_current();
	struct event_fd_range_closed event = {};
	u32 first = ctx->args[0], last = ctx->args[1], flags = ctx->args[2];

	/* With CLOEXEC nothing is released, with UNSHARE it is in another table (at exit), and the kernel
	 * refuses other flags and a range that ends before it begins (fs/file.c, close_range). */
	if (process && flags & CLOSE_RANGE_UNSHARE)
		holders_begin_unshare();
	if (!process || flags || first > last)
		return 0;
	fill_untimed_header(&event.header, EVENT_FD_RANGE_CLOSED, sizeof(event), process->start_ns);
	event.table = (u64)compat_own_files();
	event.first = first;
	event.last = last;
	send_fd_event(&event, sizeof(event), ~0ULL);
	return 0;
}

CALL_PROGRAM("tracepoint/syscalls/sys_exit_close_range", exit_close_range, trace_event_raw_sys_exit)
{
	struct followed_process *process = followed_current();

	if (process && !ctx->ret && (u32)saved_registers()->dx & CLOSE_RANGE_UNSHARE)
		holders_end_unshare(process, true);
	return 0;
}

CALL_PROGRAM("tracepoint/syscalls/sys_enter_unshare", enter_unshare, trace_event_raw_sys_enter)
{
	if (ctx->args[0] & CLONE_FILES && followed_current())
		holders_begin_unshare();
	return 0;
}

CALL_PROGRAM("tracepoint/syscalls/sys_exit_unshare", exit_unshare, trace_event_raw_sys_exit)
{
	struct followed_process *process = followed_current();

	if (process && !ctx->ret && saved_registers()->di & CLONE_FILES)
		holders_end_unshare(process, false);
	return 0;
}
