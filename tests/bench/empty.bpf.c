/*
 * Programs that do nothing: what being traced costs before anything is recorded.
 * The first is attached to each syscall tracepoint that the product uses, so that no list of them is here.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

SEC("tracepoint")
int empty_syscall(void *ctx)
{
	return 0;
}

SEC("tp_btf/sched_process_fork")
int empty_fork(void *ctx)
{
	return 0;
}

SEC("tp_btf/sched_process_exec")
int empty_exec(void *ctx)
{
	return 0;
}

SEC("tp_btf/sched_process_exit")
int empty_exit(void *ctx)
{
	return 0;
}
