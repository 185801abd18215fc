/*
 * src/load/btf_tracepoints.c against the running kernel's own types, and against types of a kernel without
 * any.
 */
#include <bpf/btf.h>
#include <criterion/criterion.h>
#include <errno.h>

#include "load/btf_tracepoints.h"

Test(btf_tracepoints, arguments_of_one_that_every_kernel_has)
{
	struct btf *kernel = btf__load_vmlinux_btf();

	cr_assert_not_null(kernel);
	/* include/trace/events/sched.h: the task, its former thread id, the program */
	cr_assert_eq(btf_tracepoint_arguments(kernel, "sched_process_exec"), 3);
	cr_assert_eq(btf_tracepoint_arguments(kernel, "sched_process_flies"), -ENOENT);
	btf__free(kernel);
}

/* @return types of a kernel that has the tracepoint, with so many arguments besides its own */
static struct btf *kernel_with(const char *handler, int arguments)
{
	struct btf *kernel = btf__new_empty();

	cr_assert_not_null(kernel);
	/* Ids 1 to 3; the prototype's parameters are all of type 0, which is void. */
	cr_assert_eq(btf__add_func_proto(kernel, 0), 1);
	for (int i = 0; i < arguments + 1; i++)
		cr_assert_eq(btf__add_func_param(kernel, "", 0), 0);
	cr_assert_eq(btf__add_ptr(kernel, 1), 2);
	cr_assert_eq(btf__add_typedef(kernel, handler, 2), 3);
	return kernel;
}

Test(btf_tracepoints, both_forms_of_a_completion_and_no_other)
{
	for (int arguments = 1; arguments < 10; arguments++) {
		struct btf *kernel = kernel_with("btf_trace_io_uring_complete", arguments);

		cr_assert_eq(btf_tracepoints_have(kernel, BTF_TRACEPOINTS_COMPLETE),
		             arguments == 3 || arguments == 7, "%d", arguments);
		cr_assert_not(btf_tracepoints_have(kernel, BTF_TRACEPOINTS_SUBMIT));
		cr_assert_not(btf_tracepoints_have(kernel, BTF_TRACEPOINTS_OVERFLOW));
		btf__free(kernel);
	}
}

Test(btf_tracepoints, both_names_of_a_submission)
{
	static const char *const handlers[] = {"btf_trace_io_uring_submit_req",
	                                       "btf_trace_io_uring_submit_sqe"};

	for (int i = 0; i < 2; i++) {
		struct btf *kernel = kernel_with(handlers[i], 1 + i);

		cr_assert(btf_tracepoints_have(kernel, BTF_TRACEPOINTS_SUBMIT));
		cr_assert_not(btf_tracepoints_have(kernel, BTF_TRACEPOINTS_COMPLETE));
		btf__free(kernel);
	}
}

/* Any other type may bear such a name. */
Test(btf_tracepoints, what_is_not_a_tracepoint)
{
	struct btf *kernel = btf__new_empty();

	cr_assert_not_null(kernel);
	cr_assert_eq(btf__add_int(kernel, "int", 4, BTF_INT_SIGNED), 1);
	cr_assert_eq(btf__add_typedef(kernel, "btf_trace_number", 1), 2);
	cr_assert_eq(btf__add_ptr(kernel, 1), 3);
	cr_assert_eq(btf__add_typedef(kernel, "btf_trace_pointer", 3), 4);
	cr_assert_eq(btf_tracepoint_arguments(kernel, "number"), -EINVAL);
	cr_assert_eq(btf_tracepoint_arguments(kernel, "pointer"), -EINVAL);
	btf__free(kernel);
}
