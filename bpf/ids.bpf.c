/*
 * Which pid namespace leftopen is in. Run once by leftopen itself (BPF_PROG_TEST_RUN), where it is not the
 * initial one. Outputs: the variables of ids.bpf.h.
 */
#include "ids.bpf.h"

const volatile __u32 config_nested = 0;
__u64 own_pid_namespace = 0;
__u32 own_pid_level = 0;

SEC("raw_tp")
int ids_find_own(void *ctx)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct pid *pid = BPF_CORE_READ(task, thread_pid);
	u32 level = BPF_CORE_READ(pid, level);

	own_pid_level = level;
	own_pid_namespace = (u64)BPF_CORE_READ(ids_number(pid, level), ns);
	return 0;
}
