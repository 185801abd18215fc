/*
 * What programs have cost. See cost.h.
 */
#include "load/cost.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>

#include "load/loader.h"

int cost_read(const struct bpf_object *object, struct loader_cost *ret_cost)
{
	struct loader_cost cost = {0};
	struct bpf_program *program;

	bpf_object__for_each_program(program, object)
	{
		struct bpf_prog_info info = {0};
		__u32 bytes = sizeof(info);

		if (bpf_program__fd(program) < 0)
			continue;
		if (bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &bytes))
			return -errno;
		cost.runs += info.run_cnt;
		cost.run_ns += info.run_time_ns;
		cost.recursion_misses += info.recursion_misses;
	}
	*ret_cost = cost;
	return 0;
}
