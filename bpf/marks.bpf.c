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

static const char pytest_variable[] = "PYTEST_CURRENT_TEST";
#define PYTEST_VARIABLE_LENGTH (sizeof(pytest_variable) - 1)

static __always_inline int test_announced(struct followed_process *process, u64 value)
{
	struct walk_scratch *scratch = walk_scratch_borrow();
	struct event_test *event;
	long length;
	u32 bytes;

	if (!scratch)
		return 0;
	event = &scratch->test;
	event->reserved = 0;
	length = bpf_probe_read_user_str(event->name, sizeof(event->name), (void *)value);
	if (length < 1) {
		walk_scratch_return(scratch);
		return 0;
	}
	event->bytes = length;
	bytes = offsetof(struct event_test, name) + (u32)length;
	fill_header(&event->header, EVENT_TEST, bytes, process->start_ns);
	if (bytes <= sizeof(*event))
		send_process_event(event, bytes, LOSS_RING_FULL_PROCESSES);
	walk_scratch_return(scratch);
	return 0;
}

/* @return whether the string at that address begins with the variable's name */
static __always_inline bool names_test(u64 address, char *ret_after)
{
	char name[PYTEST_VARIABLE_LENGTH + 2] = {};

	if (bpf_probe_read_user_str(name, sizeof(name), (void *)address) < (long)PYTEST_VARIABLE_LENGTH + 1)
		return false;
	for (u32 i = 0; i < PYTEST_VARIABLE_LENGTH; i++)
		if (name[i] != pytest_variable[i])
			return false;
	*ret_after = name[PYTEST_VARIABLE_LENGTH];
	return true;
}

/* pytest sets the variable for setup, call and teardown of each test (_pytest/runner.py). */
SEC("uprobe")
int mark_setenv(struct pt_regs *ctx)
{
	struct followed_process *process = followed_current();
	char after;

	compat_use_thread_stack(ctx, &no_programs);
	if (process && names_test(ctx->di, &after) && !after)
		test_announced(process, ctx->si);
	return 0;
}

/* CPython up to 3.8 sets environment variables by putenv. */
SEC("uprobe")
int mark_putenv(struct pt_regs *ctx)
{
	struct followed_process *process = followed_current();
	char after;

	compat_use_thread_stack(ctx, &no_programs);
	if (process && names_test(ctx->di, &after) && after == '=')
		test_announced(process, ctx->di + PYTEST_VARIABLE_LENGTH + 1);
	return 0;
}
