/*
 * Descriptors that no call's result tells of: the kernel's own function that puts one into a table, in calls
 * that are not in fd_calls.def (an ioctl, a read of fanotify events, one whose result a seccomp supervisor
 * puts there). What io_uring makes is told as its requests are done. Loaded where the kernel lets programs be
 * attached to its functions; else these are found by comparing with its tables. Such programs can be
 * preempted on every kernel. Outputs: EVENT_FD_MADE.
 */
#include "maps.bpf.h"
#include <bpf/bpf_tracing.h>
#include "capture.bpf.h"
#include "core_compat.bpf.h"
#include "fd_calls.bpf.h"

/* include/linux/sched.h */
#define PF_IO_WORKER 0x00000010

/* include/uapi/asm-generic/errno.h */
#define ENOSYS 38

/* Requests are done by its own threads, in its own call, and on the way out of any other one or out of an
 * interrupt: a call's result is there by then, and -ENOSYS until then (arch/x86/entry). */
static __always_inline bool installs_for_uring(const struct task_struct *task,
                                               const struct pt_regs *registers)
{
	if (task->flags & PF_IO_WORKER)
		return true;
	return task->io_uring && (registers->orig_ax == __NR_io_uring_enter || (s64)registers->ax != -ENOSYS);
}

static __always_inline struct fd_call install_call(u64 number)
{
	struct fd_call call = {HANDLE_ORIGIN_FD_INSTALL, FD_GIVES_NOTHING};

	if (number == __NR_ioctl)
		call.origin = HANDLE_ORIGIN_IOCTL;
	else if (number == __NR_read)
		call.origin = HANDLE_ORIGIN_READ;
	else if (number < FD_CALL_NUMBERS)
		call.gives = fd_calls[number].gives;
	return call;
}

SEC("?fexit/fd_install")
int BPF_PROG(fd_installed, unsigned int fd, struct file *file)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct pt_regs *registers = saved_registers();
	struct capture_scratch *scratch;
	struct followed_process *process;
	struct fd_call call = install_call(registers->orig_ax);

	if (call.gives || !(process = followed_current()))
		return 0;
	if (registers->cs == USER32_CS || installs_for_uring(task, registers))
		return 0;
	scratch = capture_scratch_take();
	if (!scratch)
		return 0;
	fd_pending(scratch, process, &call, compat_own_files(), -1);
	scratch->pending.fd.file = (u64)file;
	scratch->pending.numbers[0] = fd;
	scratch->pending.count = 1;
	capture_and_send_by(ctx, process, scratch, &installed_capture_programs);
	return 0;
}
