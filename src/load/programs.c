/*
 * Which programs are loaded. See programs.h.
 */
#include "load/programs.h"

#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdint.h>

#include "leftopen.skel.h"
#include "load/btf_tracepoints.h"
#include "load/stand_ins.h"

static int choose_stand_ins(struct leftopen_bpf *skeleton, const struct btf *kernel)
{
	int error;

	if (stand_ins_are_needed(kernel)) {
		skeleton->rodata->config_preemptible = 1;
		stand_ins_choose(skeleton->obj);
		return 0;
	}
	error = bpf_map__set_max_entries(skeleton->maps.capture_scratch, 1);
	return error ? error : bpf_map__set_max_entries(skeleton->maps.code_scratch, 1);
}

int programs_choose(struct leftopen_bpf *skeleton)
{
	struct btf *kernel = btf__load_vmlinux_btf();
	int error;

	if (!kernel)
		return -errno;
	error = btf_tracepoints_choose(kernel, skeleton->obj);
	if (!error)
		error = choose_stand_ins(skeleton, kernel);
	btf__free(kernel);
	return error;
}
