/*
 * Descriptors made and released by system calls, in the calling thread.
 * Makers at exit, when the result is known; close at entry, because afterwards a sibling thread may hold the
 * number. Arguments at exit come from the saved registers: no map from entry to exit (facts: tracing cost).
 * Outputs: EVENT_FD_MADE, EVENT_FD_CLOSED, EVENT_FD_RANGE_CLOSED, EVENT_TABLE_NUMBERS.
 */
#include "maps.bpf.h"
#include <bpf/bpf_tracing.h>
#include "capture.bpf.h"
#include "core_compat.bpf.h"
#include "table.bpf.h"

/* include/uapi/linux/fcntl.h, include/uapi/linux/close_range.h */
#define F_DUPFD             0
#define F_DUPFD_CLOEXEC     1030
#define CLOSE_RANGE_UNSHARE (1U << 1)
#define CLOSE_RANGE_CLOEXEC (1U << 2)

static __always_inline struct pt_regs *saved_registers(void)
{
	return (struct pt_regs *)bpf_task_pt_regs(bpf_get_current_task_btf());
}

/* @return 0, or -1: that number is not installed, so nothing was made */
static __always_inline int fill_made(struct event_fd_made *event, struct followed_process *process, s32 fd,
                                     s32 source_fd, enum handle_origin origin)
{
	struct files_struct *files = bpf_get_current_task_btf()->files;
	struct file *file = compat_table_file(files, fd);
	struct inode_head inode;

	if (!file)
		return -1;
	compat_inode_head(BPF_CORE_READ(file, f_inode), &inode);
	if (process->marked)
		process->made_after_mark = 1;
	fill_header(&event->header, EVENT_FD_MADE, sizeof(*event), process->start_ns);
	event->table = (u64)files;
	event->file = (u64)file;
	event->inode = inode.number;
	event->fd = fd;
	event->source_fd = source_fd;
	event->origin = origin;
	event->mode = inode.mode;
	event->reserved = 0;
	return 0;
}

static __always_inline int fd_made(struct trace_event_raw_sys_exit *ctx, enum handle_origin origin,
                                   s32 source_fd)
{
	struct followed_process *process;
	struct capture_scratch *scratch;
	long fd = ctx->ret;

	if (fd < 0 || !(process = followed_current()))
		return 0;
	scratch = capture_scratch_get();
	if (!scratch || fill_made(&scratch->pending.fds[0], process, fd, source_fd, origin))
		return 0;
	scratch->pending.kind = EVENT_FD_MADE;
	scratch->pending.count = 1;
	capture_and_send(ctx, process, scratch);
	return 0;
}

static __always_inline int fd_pair_made(struct trace_event_raw_sys_exit *ctx, enum handle_origin origin,
                                        const void *user_pair)
{
	struct followed_process *process;
	struct capture_scratch *scratch;
	s32 pair[2];

	if (ctx->ret < 0 || !(process = followed_current()))
		return 0;
	scratch = capture_scratch_get();
	if (!scratch || bpf_probe_read_user(pair, sizeof(pair), user_pair))
		return 0;
	if (fill_made(&scratch->pending.fds[0], process, pair[0], -1, origin) ||
	    fill_made(&scratch->pending.fds[1], process, pair[1], -1, origin))
		return 0;
	scratch->pending.fds[1].header.time_ns = scratch->pending.fds[0].header.time_ns;
	scratch->pending.kind = EVENT_FD_MADE;
	scratch->pending.count = 2;
	capture_and_send(ctx, process, scratch);
	return 0;
}

#define FD_MAKER(call, origin)                                   \
	SEC("tracepoint/syscalls/sys_exit_" #call)               \
	int exit_##call(struct trace_event_raw_sys_exit *ctx)    \
	{                                                        \
		return fd_made(ctx, HANDLE_ORIGIN_##origin, -1); \
	}

FD_MAKER(open, OPEN)
FD_MAKER(openat, OPENAT)
FD_MAKER(openat2, OPENAT2)
FD_MAKER(creat, CREAT)
FD_MAKER(socket, SOCKET)
FD_MAKER(accept, ACCEPT)
FD_MAKER(accept4, ACCEPT4)
FD_MAKER(eventfd, EVENTFD)
FD_MAKER(eventfd2, EVENTFD2)
FD_MAKER(epoll_create, EPOLL_CREATE)
FD_MAKER(epoll_create1, EPOLL_CREATE1)
FD_MAKER(memfd_create, MEMFD_CREATE)

SEC("tracepoint/syscalls/sys_exit_pipe")
int exit_pipe(struct trace_event_raw_sys_exit *ctx)
{
	return fd_pair_made(ctx, HANDLE_ORIGIN_PIPE, (void *)saved_registers()->di);
}

SEC("tracepoint/syscalls/sys_exit_pipe2")
int exit_pipe2(struct trace_event_raw_sys_exit *ctx)
{
	return fd_pair_made(ctx, HANDLE_ORIGIN_PIPE2, (void *)saved_registers()->di);
}

SEC("tracepoint/syscalls/sys_exit_socketpair")
int exit_socketpair(struct trace_event_raw_sys_exit *ctx)
{
	return fd_pair_made(ctx, HANDLE_ORIGIN_SOCKETPAIR, (void *)saved_registers()->r10);
}

SEC("tracepoint/syscalls/sys_exit_dup")
int exit_dup(struct trace_event_raw_sys_exit *ctx)
{
	return fd_made(ctx, HANDLE_ORIGIN_DUP, saved_registers()->di);
}

/* dup2 and dup3 release the number that they give; at exit, because a failed call releases nothing. */
SEC("tracepoint/syscalls/sys_exit_dup2")
int exit_dup2(struct trace_event_raw_sys_exit *ctx)
{
	struct pt_regs *registers = saved_registers();

	if ((u32)registers->di == (u32)registers->si)
		return 0;
	return fd_made(ctx, HANDLE_ORIGIN_DUP2, registers->di);
}

SEC("tracepoint/syscalls/sys_exit_dup3")
int exit_dup3(struct trace_event_raw_sys_exit *ctx)
{
	return fd_made(ctx, HANDLE_ORIGIN_DUP3, saved_registers()->di);
}

SEC("tracepoint/syscalls/sys_exit_fcntl")
int exit_fcntl(struct trace_event_raw_sys_exit *ctx)
{
	struct pt_regs *registers = saved_registers();
	u32 command = registers->si;

	if (command != F_DUPFD && command != F_DUPFD_CLOEXEC)
		return 0;
	return fd_made(ctx, HANDLE_ORIGIN_FCNTL, registers->di);
}

SEC("tracepoint/syscalls/sys_enter_close")
int enter_close(struct trace_event_raw_sys_enter *ctx)
{
	struct followed_process *process = followed_current();
	struct event_fd_closed event = {};
	struct files_struct *files;
	struct file *file;

	if (!process)
		return 0;
	files = bpf_get_current_task_btf()->files;
	file = compat_table_file(files, (u32)ctx->args[0]);
	if (!file)
		return 0;
	fill_untimed_header(&event.header, EVENT_FD_CLOSED, sizeof(event), process->start_ns);
	event.table = (u64)files;
	event.file = (u64)file;
	event.fd = (s32)ctx->args[0];
	send_handle_event(&event, sizeof(event));
	return 0;
}

SEC("tracepoint/syscalls/sys_enter_close_range")
int enter_close_range(struct trace_event_raw_sys_enter *ctx)
{
	struct followed_process *process = followed_current();
	struct event_fd_range_closed event = {};
	u32 first = ctx->args[0], last = ctx->args[1], flags = ctx->args[2];

	/* With CLOEXEC nothing is released, with UNSHARE it is in another table (at exit), and the kernel
	 * refuses other flags and a range that ends before it begins (fs/file.c, close_range). */
	if (!process || flags || first > last)
		return 0;
	fill_untimed_header(&event.header, EVENT_FD_RANGE_CLOSED, sizeof(event), process->start_ns);
	event.table = (u64)bpf_get_current_task_btf()->files;
	event.first = first;
	event.last = last;
	send_handle_event(&event, sizeof(event));
	return 0;
}

SEC("tracepoint/syscalls/sys_exit_close_range")
int exit_close_range(struct trace_event_raw_sys_exit *ctx)
{
	struct followed_process *process = followed_current();

	if (!process || ctx->ret || !((u32)saved_registers()->dx & CLOSE_RANGE_UNSHARE))
		return 0;
	table_send_numbers(process, bpf_get_current_task_btf()->files, TABLE_UNSHARED,
	                   bpf_get_current_pid_tgid() >> 32, process->start_ns);
	return 0;
}
