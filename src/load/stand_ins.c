/*
 * Stand-ins. See stand_ins.h.
 */
#include "load/stand_ins.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "map_abi.h"

#define PREFIX "stand_in_"

bool stand_ins_are_needed(const struct btf *kernel)
{
	/* include/trace/perf.h until 7.2: preemption is switched off before programs are run. */
	return btf__find_by_name_kind(kernel, "trace_call_bpf_faultable", BTF_KIND_FUNC) > 0;
}

bool stand_ins_include(const struct bpf_program *program)
{
	return !strncmp(bpf_program__name(program), PREFIX, sizeof(PREFIX) - 1);
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

uint32_t stand_ins_place(const struct bpf_object *object, const struct bpf_program *called)
{
	struct bpf_program *program;
	uint32_t place = 0;

	bpf_object__for_each_program(program, object)
	{
		if (program == called)
			break;
		place++;
	}
	return place;
}

int stand_ins_fill(const struct bpf_object *object, int map_fd)
{
	struct bpf_program *program;
	uint32_t place = 0;

	for (program = bpf_object__next_program(object, NULL); program;
	     program = bpf_object__next_program(object, program), place++) {
		int program_fd = bpf_program__fd(program);

		if (bpf_program__type(program) != BPF_PROG_TYPE_TRACEPOINT || program_fd < 0 ||
		    stand_ins_include(program))
			continue;
		if (place >= CALL_PROGRAMS_MAX)
			return -E2BIG;
		if (bpf_map_update_elem(map_fd, &place, &program_fd, BPF_ANY))
			return -errno;
	}
	return 0;
}

struct bpf_program *stand_ins_find(const struct bpf_object *object, unsigned int number)
{
	struct bpf_program *found;
	char name[32];

	(void)snprintf(name, sizeof(name), PREFIX "%u", number);
	found = bpf_object__find_program_by_name(object, name);
	return found && bpf_program__autoload(found) ? found : NULL;
}
