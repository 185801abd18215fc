/*
 * Tracepoints as the kernel's BTF has them. See btf_tracepoints.h.
 */
#include "load/btf_tracepoints.h"

#include <bpf/btf.h>
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
