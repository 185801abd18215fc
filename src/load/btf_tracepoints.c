/*
 * Tracepoints as the kernel's BTF has them. See btf_tracepoints.h.
 */
#include "load/btf_tracepoints.h"

#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>

/* include/trace/bpf_probe.h: each tracepoint has a type for its handlers, whose first argument is their own.
 */
int btf_tracepoint_arguments(const struct btf *kernel, const char *name)
{
	const struct btf_type *type;
	char text[128];
	int id;

	(void)snprintf(text, sizeof(text), "btf_trace_%s", name);
	id = btf__find_by_name_kind(kernel, text, BTF_KIND_TYPEDEF);
	if (id < 0)
		return -ENOENT;
	type = btf__type_by_id(kernel, btf__type_by_id(kernel, (unsigned int)id)->type);
	if (!type || !btf_is_ptr(type))
		return -EINVAL;
	type = btf__type_by_id(kernel, type->type);
	if (!type || !btf_is_func_proto(type) || !btf_vlen(type))
		return -EINVAL;
	return btf_vlen(type) - 1;
}

/* include/trace/events/io_uring.h; of those that had others meanwhile, the arguments. */
static const struct {
	const char *program;
	const char *tracepoint;
	int arguments; /* 0: however many */
	enum btf_tracepoints_role role;
} optional[] = {
        {"uring_submitted", "io_uring_submit_req", 0, BTF_TRACEPOINTS_SUBMIT},
        {"uring_submitted_sqe", "io_uring_submit_sqe", 0, BTF_TRACEPOINTS_SUBMIT},
        {"uring_completed", "io_uring_complete", 3, BTF_TRACEPOINTS_COMPLETE},
        {"uring_completed_by_value", "io_uring_complete", 7, BTF_TRACEPOINTS_COMPLETE},
        {"uring_overflowed", "io_uring_cqe_overflow", 0, BTF_TRACEPOINTS_OVERFLOW},
};
#define OPTIONAL_COUNT (sizeof(optional) / sizeof(optional[0]))

/* include/linux/bpf.h, DEFINE_BPF_ITER_FUNC */
static const struct {
	const char *program;
	const char *function;
} iterators[] = {
        {"survey_tables", "bpf_iter_task"},
        {"survey_ranges_of", "bpf_iter_task_vma"},
};
#define ITERATOR_COUNT (sizeof(iterators) / sizeof(iterators[0]))

static bool is_there(const struct btf *kernel, size_t i)
{
	int arguments = btf_tracepoint_arguments(kernel, optional[i].tracepoint);

	return arguments > 0 && (!optional[i].arguments || arguments == optional[i].arguments);
}

bool btf_tracepoints_have(const struct btf *kernel, enum btf_tracepoints_role role)
{
	for (size_t i = 0; i < OPTIONAL_COUNT; i++)
		if (optional[i].role == role && is_there(kernel, i))
			return true;
	return false;
}

static int set_autoload(struct bpf_object *object, const char *name, bool is_there)
{
	struct bpf_program *program = bpf_object__find_program_by_name(object, name);

	return program ? bpf_program__set_autoload(program, is_there) : -ESRCH;
}

int btf_tracepoints_choose(const struct btf *kernel, struct bpf_object *object)
{
	int error = 0;

	for (size_t i = 0; i < OPTIONAL_COUNT && !error; i++)
		error = set_autoload(object, optional[i].program, is_there(kernel, i));
	for (size_t i = 0; i < ITERATOR_COUNT && !error; i++)
		error = set_autoload(object, iterators[i].program,
		                     btf__find_by_name_kind(kernel, iterators[i].function, BTF_KIND_FUNC) >
		                             0);
	return error;
}
