/*
 * Marks: where a process begins to shut down, and which test is running. Attached as uprobes by the table in
 * src/load/marks.c, and to exit_group's tracepoint.
 * A uprobe's program is preemptible: it borrows its scratch and touches nothing that is one a CPU.
 * Outputs: EVENT_FD_TARGET, EVENT_MARK, EVENT_TEST.
 */
#include "maps.bpf.h"
#include <bpf/bpf_tracing.h>
#include "call_program.bpf.h"
#include "mark.bpf.h"
#include "test_name.bpf.h"

/* Those at uprobes call none. */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u32);
} no_programs SEC(".maps");

/* libc's exit, perl_destruct, ruby_cleanup: the set is taken as the function is entered. */
SEC("uprobe")
int mark_exit(struct pt_regs *ctx)
{
	struct followed_process *process = followed_current();

	compat_use_thread_stack(ctx, &no_programs);
	if (process)
		mark_take(process, SHUTDOWN_EXIT);
	return 0;
}

/* CPython's Py_FinalizeEx, Py_Finalize, Py_Exit: threads are not joined and atexit's hooks have not run yet.
 */
SEC("uprobe")
int mark_python_finalize(struct pt_regs *ctx)
{
	struct followed_process *process = followed_current();

	compat_use_thread_stack(ctx, &no_programs);
	if (process && !process->finalizing_thread)
		process->finalizing_thread = (u32)bpf_get_current_pid_tgid();
	return 0;
}

/* CPython's PyGC_Collect: the first one of the finalizing thread comes after both, and before teardown. */
SEC("uprobe")
int mark_python_collect(struct pt_regs *ctx)
{
	struct followed_process *process = followed_current();

	compat_use_thread_stack(ctx, &no_programs);
	if (process && process->finalizing_thread == (u32)bpf_get_current_pid_tgid())
		mark_take(process, SHUTDOWN_FINALIZE);
	return 0;
}

CALL_PROGRAM("tracepoint/syscalls/sys_enter_exit_group", enter_exit_group, trace_event_raw_sys_enter)
{
	struct followed_process *process = followed_current();

	if (process)
		mark_take(process, SHUTDOWN_EXIT_GROUP);
	return 0;
}

/* Variables that name the test: pytest's for setup, call and teardown of each (_pytest/runner.py), and
 * leftopen's own for any other suite. CPython up to 3.8 sets them by putenv. */
SEC("uprobe")
int mark_setenv(struct pt_regs *ctx)
{
	struct followed_process *process = followed_current();
	u32 length;

	compat_use_thread_stack(ctx, &no_programs);
	if (process && (length = test_variable(ctx->di, '\0')))
		test_send(process, ctx->si, TEST_ANNOUNCED);
	return 0;
}

SEC("uprobe")
int mark_putenv(struct pt_regs *ctx)
{
	struct followed_process *process = followed_current();
	u32 length;

	compat_use_thread_stack(ctx, &no_programs);
	if (process && (length = test_variable(ctx->di, '=')))
		test_send(process, ctx->di + length + 1, TEST_ANNOUNCED);
	return 0;
}

/* leftopen's own function, in whichever copy of it the process runs. */
SEC("uprobe")
int mark_named(struct pt_regs *ctx)
{
	struct followed_process *process = followed_current();

	compat_use_thread_stack(ctx, &no_programs);
	if (process)
		test_send(process, ctx->di, TEST_MARKED);
	return 0;
}
