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
#include "load/feature_probes.h"
#include "load/features.h"
#include "load/stand_ins.h"

static void choose_stand_ins(struct leftopen_bpf *skeleton, const struct btf *kernel)
{
	if (!stand_ins_are_needed(kernel))
		return;
	skeleton->rodata->config_stand_ins = 1;
	skeleton->rodata->config_preemptible = 1;
	stand_ins_choose(skeleton->obj);
}

static void choose_installed(struct leftopen_bpf *skeleton, struct btf *kernel)
{
	struct feature_probe probe = {.kernel_btf = kernel};
	struct bpf_program *const programs[] = {skeleton->progs.fd_installed,
	                                        skeleton->progs.installed_native,
	                                        skeleton->progs.installed_python};
	char detail[FEATURE_DETAIL_BYTES];

	if (feature_probe_fentry(&probe, 0, detail))
		return;
	skeleton->rodata->config_preemptible = 1;
	/* Cannot fail before loading. */
	for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++)
		(void)bpf_program__set_autoload(programs[i], true);
}

/* Where programs that capture cannot be preempted, one room a CPU is enough. */
static int size_scratches(struct leftopen_bpf *skeleton)
{
	int error;

	if (skeleton->rodata->config_preemptible)
		return 0;
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
	if (!error) {
		choose_stand_ins(skeleton, kernel);
		choose_installed(skeleton, kernel);
		error = size_scratches(skeleton);
	}
	btf__free(kernel);
	return error;
}
