/*
 * Which programs are loaded, and what they are given. See programs.h.
 */
#include "load/programs.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdint.h>

#include "leftopen.skel.h"
#include "load/btf_tracepoints.h"
#include "load/feature_probes.h"
#include "load/features.h"
#include "load/stand_ins.h"
#include "map_abi.h"
#include "unwind/python_layout.h"

static void choose_stand_ins(struct leftopen_bpf *skeleton, const struct btf *kernel)
{
	if (!stand_ins_are_needed(kernel)) {
		/* Cannot fail before loading. */
		(void)bpf_map__set_max_entries(skeleton->maps.turns, 1);
		return;
	}
	skeleton->rodata->config_stand_ins = 1;
	skeleton->rodata->config_preemptible = 1;
	stand_ins_choose(skeleton->obj);
}

static void choose_installed(struct leftopen_bpf *skeleton, struct btf *kernel)
{
	struct feature_probe probe = {.kernel_btf = kernel};
	struct bpf_program *const programs[] = {
	        skeleton->progs.fd_installed, skeleton->progs.installed_native,
	        skeleton->progs.installed_copy, skeleton->progs.installed_python};
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
	if (!error)
		error = bpf_map__set_max_entries(skeleton->maps.memo_scratch, 1);
	if (!error)
		error = bpf_map__set_max_entries(skeleton->maps.copy_scratch, 1);
	return error ? error : bpf_map__set_max_entries(skeleton->maps.code_scratch, 1);
}

/* Without unwind tables there are no memos. */
static int size_memos(struct leftopen_bpf *skeleton)
{
	int error = 0;

	if (skeleton->rodata->config_stacks == STACKS_MODE_FULL ||
	    skeleton->rodata->config_stacks == STACKS_MODE_NATIVE)
		return 0;
	error = bpf_map__set_max_entries(skeleton->maps.unwind_memos, 1);
	return error ? error : bpf_map__set_max_entries(skeleton->maps.memo_sets, 1);
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
		if (!error)
			error = size_memos(skeleton);
	}
	btf__free(kernel);
	return error;
}

/* The programs then know processes by the ids that they have here. */
static int find_own_namespace(struct leftopen_bpf *skeleton)
{
	LIBBPF_OPTS(bpf_test_run_opts, options);

	if (!skeleton->rodata->config_nested)
		return 0;
	if (bpf_prog_test_run_opts(bpf_program__fd(skeleton->progs.ids_find_own), &options))
		return -errno;
	return skeleton->bss->own_pid_namespace ? 0 : -EIO;
}

static int fill_layouts(struct leftopen_bpf *skeleton)
{
	int map = bpf_map__fd(skeleton->maps.python_layouts);

	for (uint32_t minor = 0; minor < PYTHON_VERSIONS_MAX; minor++) {
		const struct python_layout *layout = python_layout_find(minor);

		if (layout && bpf_map_update_elem(map, &minor, layout, BPF_ANY))
			return -errno;
	}
	return 0;
}

static int fill_program_array(const struct bpf_map *map, const struct bpf_program *const *programs)
{
	for (uint32_t i = 0; i < CAPTURE_COUNT; i++) {
		int program = bpf_program__fd(programs[i]);

		if (bpf_map_update_elem(bpf_map__fd(map), &i, &program, BPF_ANY))
			return -errno;
	}
	return 0;
}

static int fill_capture_programs(struct leftopen_bpf *skeleton)
{
	const struct bpf_program *const calls[CAPTURE_COUNT] = {
	        [CAPTURE_NATIVE] = skeleton->progs.capture_native,
	        [CAPTURE_COPY] = skeleton->progs.capture_copy,
	        [CAPTURE_PYTHON] = skeleton->progs.capture_python};
	const struct bpf_program *const installed[CAPTURE_COUNT] = {
	        [CAPTURE_NATIVE] = skeleton->progs.installed_native,
	        [CAPTURE_COPY] = skeleton->progs.installed_copy,
	        [CAPTURE_PYTHON] = skeleton->progs.installed_python};
	int error = fill_program_array(skeleton->maps.capture_programs, calls);

	if (!error && bpf_program__autoload(skeleton->progs.fd_installed))
		error = fill_program_array(skeleton->maps.installed_capture_programs, installed);
	return error;
}

int programs_fill(struct leftopen_bpf *skeleton)
{
	int error = fill_layouts(skeleton);

	if (!error)
		error = fill_capture_programs(skeleton);
	if (!error && skeleton->rodata->config_stand_ins)
		error = stand_ins_fill(skeleton->obj, bpf_map__fd(skeleton->maps.call_programs));
	return error ? error : find_own_namespace(skeleton);
}
