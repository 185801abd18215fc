/*
 * Stand-ins. See stand_ins.h.
 */
#include "load/stand_ins.h"

#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <stdio.h>
#include <string.h>

#define SUFFIX "_instead"

bool stand_ins_are_needed(const struct btf *kernel)
{
	/* include/trace/perf.h until 7.2: preemption is switched off before programs are run. */
	return btf__find_by_name_kind(kernel, "trace_call_bpf_faultable", BTF_KIND_FUNC) > 0;
}

bool stand_ins_include(const struct bpf_program *program)
{
	const char *name = bpf_program__name(program);
	size_t length = strlen(name);

	return length > sizeof(SUFFIX) - 1 && !strcmp(name + length - (sizeof(SUFFIX) - 1), SUFFIX);
}

void stand_ins_choose(struct bpf_object *object)
{
	struct bpf_program *program;

	bpf_object__for_each_program(program, object)
	{
		/* Cannot fail before loading. */
		if (stand_ins_include(program))
			(void)bpf_program__set_autoload(program, true);
	}
}

struct bpf_program *stand_ins_find(const struct bpf_object *object, const struct bpf_program *program)
{
	struct bpf_program *found;
	char name[128];

	(void)snprintf(name, sizeof(name), "%s" SUFFIX, bpf_program__name(program));
	found = bpf_object__find_program_by_name(object, name);
	return found && bpf_program__autoload(found) ? found : NULL;
}
