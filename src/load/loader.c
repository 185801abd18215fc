/*
 * The BPF side as one object. See loader.h.
 */
#include "load/loader.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/pid_namespace.h"
#include "handle_kinds.h"
#include "leftopen.skel.h"
#include "load/calls.h"
#include "load/cost.h"
#include "load/holder.h"
#include "load/loader_internal.h"
#include "load/programs.h"
#include "load/rings.h"
#include "load/stand_ins.h"
#include "load/survey.h"
#include "load/tracefs.h"

static __attribute__((format(printf, 2, 3))) void set_error(struct loader_error *error, const char *format,
                                                            ...)
{
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(error->text, sizeof(error->text), format, arguments);
	va_end(arguments);
}

/* The first thing that libbpf complained of is what an error message needs: unless it is that it may not
 * raise RLIMIT_MEMLOCK, which kernels that have what the programs use do not ask for (they account to
 * cgroups). */
static char libbpf_first_warning[LOADER_ERROR_BYTES];

static int keep_first_warning(enum libbpf_print_level level, const char *format, va_list arguments)
{
	if (level == LIBBPF_WARN && !libbpf_first_warning[0] && !strstr(format, "RLIMIT_MEMLOCK")) {
		(void)vsnprintf(libbpf_first_warning, sizeof(libbpf_first_warning), format, arguments);
		libbpf_first_warning[strcspn(libbpf_first_warning, "\n")] = '\0';
	}
	return 0;
}

/* @return the default size of huge pages, 2 MiB where the kernel does not say (proc_meminfo(5)) */
static uint64_t huge_page_bytes(void)
{
	FILE *file = fopen("/proc/meminfo", "re");
	unsigned long long kib = 0;
	char line[128];

	if (!file)
		return 2 << 20;
	while (!kib && fgets(line, sizeof(line), file))
		(void)sscanf(line, "Hugepagesize: %llu kB", &kib);
	(void)fclose(file);
	/* What the programs align to has to be a power of two. */
	return kib && !(kib & (kib - 1)) ? kib * 1024 : 2 << 20;
}

/* One ring is enough for four CPUs; each four more get one of their own. */
#define CPUS_A_SHARD 4

static uint32_t shards_for_cpus(void)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	uint32_t shards = 1;

	while (shards < RING_SHARDS_MAX && (long)shards * CPUS_A_SHARD < cpus)
		shards *= 2;
	return shards;
}

static int configure(struct loader *loader, const struct loader_options *options)
{
	struct leftopen_bpf *skeleton = loader->skeleton;
	uint32_t ring = options->ring_bytes;

	if (ring < LOADER_RING_BYTES_MIN || ring > LOADER_RING_BYTES_MAX || ring & (ring - 1))
		return -EINVAL;
	loader->ring_shards = options->ring_shards ? options->ring_shards : shards_for_cpus();
	loader->ring_bytes = ring;
	skeleton->rodata->config_stacks = options->stacks;
	skeleton->rodata->config_memo = options->memo;
	skeleton->rodata->config_ring_bytes = ring;
	skeleton->rodata->config_ring_shards = loader->ring_shards;
	skeleton->rodata->config_huge_page_bytes = huge_page_bytes();
	skeleton->rodata->config_nested = !pid_namespace_is_initial();
	return bpf_map__set_max_entries(skeleton->maps.events, ring);
}

/* Where there are several shards, the ring that is there is the first of them. */
static int make_shards(struct loader *loader)
{
	int shards = bpf_map__fd(loader->skeleton->maps.ring_shards);

	loader->ring_fds[0] = bpf_map__fd(loader->skeleton->maps.events);
	for (uint32_t i = 0; i < loader->ring_shards && loader->ring_shards > 1; i++) {
		if (i)
			loader->ring_fds[i] = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "events", 0, 0,
			                                     loader->ring_bytes, NULL);
		if (loader->ring_fds[i] < 0 || bpf_map_update_elem(shards, &i, &loader->ring_fds[i], BPF_ANY))
			return -errno;
	}
	return 0;
}

int loader_open(const struct loader_options *options, struct loader **ret_loader,
                struct loader_error *ret_error)
{
	struct loader *loader = calloc(1, sizeof(*loader));
	int error;

	if (!loader)
		return -ENOMEM;
	loader->stats_fd = -1;
	for (size_t i = 0; i < RING_SHARDS_MAX; i++)
		loader->ring_fds[i] = -1;
	libbpf_first_warning[0] = '\0';
	(void)libbpf_set_print(keep_first_warning);
	libbpf_set_strict_mode(LIBBPF_STRICT_ALL);
	loader->skeleton = leftopen_bpf__open();
	if (!loader->skeleton) {
		error = -errno;
		goto fail;
	}
	error = configure(loader, options);
	if (!error)
		error = programs_choose(loader->skeleton);
	if (!error)
		error = leftopen_bpf__load(loader->skeleton);
	if (!error)
		error = make_shards(loader);
	if (!error)
		error = programs_fill(loader->skeleton);
	if (error)
		goto fail;
	*ret_loader = loader;
	return 0;
fail:
	set_error(ret_error, "%s", libbpf_first_warning);
	loader_free(loader);
	return error;
}

static int keep_link(struct loader *loader, struct bpf_link *link)
{
	if (loader->link_count == LINKS_MAX) {
		(void)bpf_link__destroy(link);
		return -ENOSPC;
	}
	loader->links[loader->link_count++] = link;
	return 0;
}

/* libbpf would look for the id below a mounted tracefs: it need not be mounted anywhere. */
static int attach_to_id(struct loader *loader, struct bpf_program *program, uint64_t id, uint64_t cookie)
{
	LIBBPF_OPTS(bpf_perf_event_opts, options, .bpf_cookie = cookie);
	struct perf_event_attr attributes = {
	        .type = PERF_TYPE_TRACEPOINT,
	        .size = sizeof(attributes),
	        .config = id,
	        .sample_period = 1,
	        .wakeup_events = 1,
	};
	struct bpf_link *link;
	int perf_fd, error;

	perf_fd = (int)syscall(SYS_perf_event_open, &attributes, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);
	if (perf_fd < 0)
		return -errno;
	link = bpf_program__attach_perf_event_opts(program, perf_fd, &options);
	if (!link) {
		error = -errno;
		fd_close(&perf_fd);
		return error;
	}
	return keep_link(loader, link);
}

/* The kernel runs programs in the order in which they were attached. */
static int attach_call(struct loader *loader, struct bpf_program *program, int tracefs_fd, const char *event)
{
	struct bpf_object *object = loader->skeleton->obj;
	struct bpf_program *stand_in = stand_ins_find(object, 1);
	uint32_t place = stand_in ? stand_ins_place(object, program) : 0;
	uint64_t id;
	int error;

	error = tracefs_event_id(tracefs_fd, "syscalls", event, &id);
	if (!error)
		error = attach_to_id(loader, program, id, 0);
	for (unsigned int number = 2; !error && stand_in; number++) {
		error = attach_to_id(loader, stand_in, id, place);
		stand_in = stand_ins_find(object, number);
	}
	return error;
}

static int attach_program(struct loader *loader, struct bpf_program *program, int tracefs_fd)
{
	static const char syscalls[] = "tracepoint/syscalls/", scheduler[] = "tracepoint/sched/";
	const char *section = bpf_program__section_name(program);
	struct bpf_link *link;
	uint64_t id;
	int error;

	if (!strncmp(section, syscalls, sizeof(syscalls) - 1)) {
		error = attach_call(loader, program, tracefs_fd, section + sizeof(syscalls) - 1);
		/* A call that this kernel does not have cannot be made on it. */
		return error == -ENOENT ? 0 : error;
	}
	if (!strncmp(section, scheduler, sizeof(scheduler) - 1)) {
		error = tracefs_event_id(tracefs_fd, "sched", section + sizeof(scheduler) - 1, &id);
		return error ? error : attach_to_id(loader, program, id, 0);
	}
	if (!bpf_program__autoload(program) ||
	    (strncmp(section, "tp_btf/", 7) && program != loader->skeleton->progs.fd_installed))
		return 0;
	link = bpf_program__attach(program);
	/* What that would have seen is found by comparing with the kernel's tables. */
	if (!link && program == loader->skeleton->progs.fd_installed)
		return 0;
	if (!link)
		return -errno;
	return keep_link(loader, link);
}

static int attach_calls(struct loader *loader, int tracefs_fd, struct loader_error *ret_error)
{
	struct bpf_program *program;
	const char *event;

	for (size_t i = 0; (program = calls_find(loader->skeleton, i, &event)); i++) {
		int error = attach_call(loader, program, tracefs_fd, event);

		/* A call that this kernel does not have cannot be made on it. */
		if (error && error != -ENOENT) {
			set_error(ret_error, "%s: %s", event, strerror(-error));
			return error;
		}
	}
	return 0;
}

int loader_attach(struct loader *loader, int tracefs_fd, struct loader_error *ret_error)
{
	struct bpf_program *program;

	bpf_object__for_each_program(program, loader->skeleton->obj)
	{
		int error = attach_program(loader, program, tracefs_fd);

		if (error) {
			set_error(ret_error, "%s: %s", bpf_program__section_name(program), strerror(-error));
			return error;
		}
	}
	return attach_calls(loader, tracefs_fd, ret_error);
}

int loader_attach_mark(struct loader *loader, enum mark_program program, const char *path,
                       uint64_t file_offset)
{
	struct bpf_program *programs[MARK_PROGRAM_COUNT] = {
	        [MARK_PROGRAM_EXIT] = loader->skeleton->progs.mark_exit,
	        [MARK_PROGRAM_PYTHON_FINALIZE] = loader->skeleton->progs.mark_python_finalize,
	        [MARK_PROGRAM_PYTHON_COLLECT] = loader->skeleton->progs.mark_python_collect,
	        [MARK_PROGRAM_SETENV] = loader->skeleton->progs.mark_setenv,
	        [MARK_PROGRAM_PUTENV] = loader->skeleton->progs.mark_putenv,
	        [MARK_PROGRAM_NAMED] = loader->skeleton->progs.mark_named,
	};
	struct bpf_link *link = bpf_program__attach_uprobe(programs[program], false, -1, path, file_offset);
	int error;

	if (!link)
		return -errno;
	error = keep_link(loader, link);
	if (!error && loader->holder)
		error = holder_add(loader->holder, bpf_link__fd(link));
	return error;
}

int loader_hand_over(struct loader *loader)
{
	int fds[LINKS_MAX];

	for (size_t i = 0; i < loader->link_count; i++)
		fds[i] = bpf_link__fd(loader->links[i]);
	return holder_start(fds, loader->link_count, &loader->holder);
}

void loader_switch(struct loader *loader, bool on)
{
	__atomic_store_n(&loader->skeleton->bss->switched_on, on ? 1 : 0, __ATOMIC_SEQ_CST);
}

int loader_follow(struct loader *loader, uint32_t process_id, uint64_t start_ns)
{
	struct followed_process process = {.start_ns = start_ns};

	if (bpf_map_update_elem(bpf_map__fd(loader->skeleton->maps.followed), &process_id, &process, BPF_ANY))
		return -errno;
	return 0;
}

int loader_unfollow(struct loader *loader, uint32_t process_id)
{
	if (bpf_map_delete_elem(bpf_map__fd(loader->skeleton->maps.followed), &process_id))
		return -errno;
	return 0;
}

bool loader_follows(const struct loader *loader, uint32_t process_id)
{
	struct followed_process process;

	return !bpf_map_lookup_elem(bpf_map__fd(loader->skeleton->maps.followed), &process_id, &process);
}

int loader_want(struct loader *loader, uint32_t process_id, bool wanted)
{
	int fd = bpf_map__fd(loader->skeleton->maps.survey_wanted);
	uint8_t value = 1;

	if (wanted ? bpf_map_update_elem(fd, &process_id, &value, BPF_ANY)
	           : bpf_map_delete_elem(fd, &process_id))
		return -errno;
	return 0;
}

static int drain(void *context)
{
	return loader_consume(context);
}

int loader_survey(struct loader *loader, enum survey_follows follows)
{
	struct leftopen_bpf *skeleton = loader->skeleton;
	int error = 0;

	if (!loader->survey)
		error = survey_new(skeleton->progs.survey_tables, skeleton->progs.survey_ranges_of,
		                   &loader->survey);
	if (error)
		return error;
	skeleton->bss->own_process_id = (uint32_t)getpid();
	skeleton->bss->holder_process_id = loader->holder ? (uint32_t)holder_process_id(loader->holder) : 0;
	__atomic_store_n(&skeleton->bss->survey_follows, follows, __ATOMIC_SEQ_CST);
	return survey_read(loader->survey, drain, loader);
}

void loader_leave_out(struct loader *loader, uint32_t process_id)
{
	__atomic_store_n(&loader->skeleton->bss->left_out_process_id, process_id, __ATOMIC_SEQ_CST);
}

void loader_leave_out_worker(struct loader *loader, uint32_t process_id)
{
	__atomic_store_n(&loader->skeleton->bss->worker_process_id, process_id, __ATOMIC_SEQ_CST);
}

int loader_set_consumer(struct loader *loader, loader_event_fn function, void *context)
{
	loader->consumer = function;
	loader->consumer_context = context;
	return rings_open(loader->ring_fds, loader->ring_shards, loader->ring_bytes, &loader->rings);
}

int loader_ring_fd(const struct loader *loader)
{
	return rings_fd(loader->rings);
}

int loader_consume(struct loader *loader)
{
	/* What waits now is no more than a ring full. It is never empty while events come faster than they
	 * are consumed. */
	size_t most = (size_t)loader->ring_bytes * loader->ring_shards, taken = 0, bytes;
	const void *event;
	int error = 0;

	while (!error && taken < most && (event = rings_next(loader->rings, &bytes))) {
		error = loader->consumer(loader->consumer_context, event, bytes);
		taken += bytes;
	}
	rings_done(loader->rings);
	return error < 0 ? error : 0;
}

const uint64_t *loader_losses(const struct loader *loader)
{
	return (const uint64_t *)loader->skeleton->bss->losses;
}

int loader_measure(struct loader *loader, bool on)
{
	fd_close(&loader->stats_fd);
	if (!on)
		return 0;
	loader->stats_fd = bpf_enable_stats(BPF_STATS_RUN_TIME);
	return loader->stats_fd < 0 ? -errno : 0;
}

int loader_read_cost(const struct loader *loader, struct loader_cost *ret_cost)
{
	return cost_read(loader->skeleton, ret_cost);
}

void loader_free(struct loader *loader)
{
	if (!loader)
		return;
	if (loader->skeleton && loader->skeleton->bss)
		loader_switch(loader, false);
	rings_free(loader->rings);
	for (size_t i = 1; i < RING_SHARDS_MAX; i++)
		fd_close(&loader->ring_fds[i]);
	for (size_t i = 0; i < loader->link_count; i++) {
		/* Where a holder has it, closing our descriptor detaches nothing and takes no time. */
		(void)bpf_link__destroy(loader->links[i]);
	}
	holder_free(loader->holder);
	survey_free(loader->survey);
	unwind_shards_free(loader->unwind_shards);
	fd_close(&loader->stats_fd);
	leftopen_bpf__destroy(loader->skeleton);
	free(loader);
}
