/*
 * What programs have cost. See cost.h.
 */
#include "load/cost.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>

#include "leftopen.skel.h"
#include "load/loader.h"
#include "load/stand_ins.h"

int cost_read(const struct leftopen_bpf *skeleton, struct loader_cost *ret_cost)
{
	struct loader_cost cost = {0};
	uint64_t stood_in;
	struct bpf_program *program;

	bpf_object__for_each_program(program, skeleton->obj)
	{
		struct bpf_prog_info info = {0};
		__u32 bytes = sizeof(info);

		if (bpf_program__fd(program) < 0)
			continue;
		if (bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &bytes))
			return -errno;
		cost.runs += info.run_cnt;
		cost.run_ns += info.run_time_ns;
		/* A stand-in has nothing to do in most runs, nor has what runs wherever the kernel puts a
		 * descriptor into a table: what that misses is found by comparing. */
		if (!stand_ins_include(program) && program != skeleton->progs.fd_installed)
			cost.left_out += info.recursion_misses;
	}
	/* Read afterwards: who stands in does so after the kernel has counted. */
	stood_in = __atomic_load_n(&skeleton->bss->stood_in, __ATOMIC_SEQ_CST);
	cost.left_out -= cost.left_out < stood_in ? cost.left_out : stood_in;
	*ret_cost = cost;
	return 0;
}
