/*
 * What programs have cost. See cost.h.
 */
#include "load/cost.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

#include "leftopen.skel.h"
#include "load/loader.h"
#include "load/stand_ins.h"

/* @return 0, or -errno of bpf(2); -ENOMEM */
static int read_memo_counts(const struct leftopen_bpf *skeleton, struct memo_counts *ret_sum)
{
	int cpus = libbpf_num_possible_cpus();
	struct memo_counts *counts = cpus > 0 ? calloc((size_t)cpus, sizeof(*counts)) : NULL, sum = {0};
	uint32_t key = 0;
	int error = counts ? 0 : -ENOMEM;

	if (!error && bpf_map_lookup_elem(bpf_map__fd(skeleton->maps.memo_counts), &key, counts))
		error = -errno;
	for (int i = 0; i < cpus && !error; i++) {
		sum.recalled += counts[i].recalled;
		sum.unwound += counts[i].unwound;
		sum.wrong += counts[i].wrong;
	}
	free(counts);
	if (!error)
		*ret_sum = sum;
	return error;
}

int cost_read(const struct leftopen_bpf *skeleton, struct loader_cost *ret_cost)
{
	struct loader_cost cost = {0};
	uint64_t stood_in;
	struct bpf_program *program;
	int error;

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
	error = read_memo_counts(skeleton, &cost.stacks);
	if (!error)
		*ret_cost = cost;
	return error;
}
