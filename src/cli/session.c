/*
 * A session of following. See session.h.
 */
#include "cli/session.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "cli/cgroup.h"
#include "cli/learning.h"
#include "cli/own_usage.h"
#include "cli/stack_copies.h"
#include "consume/decode.h"
#include "load/tracefs.h"
#include "model/build.h"
#include "model/model.h"
#include "symbols/client.h"
#include "symbols/generated_code.h"
#include "symbols/mapped_files.h"
#include "symbols/python_codes.h"
#include "unwind/python_merge.h"

/* What the programs cost is measured at the start of every period, for a moment. */
#define MEASURE_PERIOD_NS 2000000000ULL
#define MEASURE_MOMENT_NS 50000000ULL
/* The kernel is asked which runs it left out, which takes a tenth of a millisecond. */
#define LEFT_OUT_PERIOD_NS 1000000000ULL

/* Where those that are gone are forgotten, at most so many wait for it. Chosen by: going by all processes
 * takes less time than they took to begin and end. */
#define GONE_MAX 10000

struct session {
	const struct session_options *options;
	pid_t process_id;       /* whoever has another one is a child that makes a report */
	struct own_usage usage; /* as a snapshot was last taken */
	struct loader *loader;
	struct model *model;
	struct mapped_files *files;
	struct python_codes *codes;
	struct generated_code *generated;
	struct symbols *symbols;
	struct room_rules rules;
	uint64_t started_ns, armed_ns, measured_from_ns;
	uint64_t known_until_ns;     /* what came before has been taken in */
	enum survey_follows follows; /* in each survey */
	bool measuring;
	struct learning learning;
	struct stack_copies copies;
	struct event_stack merged;           /* the last stack */
	uint64_t left_out, left_out_read_ns; /* runs that the kernel left out */
	uint64_t comparisons_failed;
	uint64_t not_kept; /* code objects beyond what is kept, and events that are not valid */
	char working_directory[PATH_MAX];
};

/* What no event tells of a process that was there before. What cannot be read, as it is gone, is not known.
 */
static int describe_found(struct session *session, uint32_t process_id)
{
	char text[PATH_MAX];
	FD_OWNED int fd = -1;
	ssize_t length;
	int error = 0;

	if (!cgroup_read(process_id, text, sizeof(text)))
		error = model_set_cgroup(session->model, process_id, text);
	(void)snprintf(text, sizeof(text), "/proc/%u/cmdline", process_id);
	fd = open(text, O_RDONLY | O_CLOEXEC);
	length = fd < 0 ? -1 : read(fd, text, sizeof(text));
	if (!error && length > 0)
		error = model_set_arguments(session->model, process_id, text, (size_t)length);
	return error;
}

static void forget_gone(struct session *session)
{
	model_forget_gone(session->model);
	generated_code_forget_ended(session->generated);
}

static int apply(struct session *session, const struct event_header *event)
{
	int error = model_apply(session->model, event);

	if (!error && event->type == EVENT_PROCESS_FOUND &&
	    ((const struct event_process_found *)event)->begins)
		error = describe_found(session, event->process_id);
	if (session->options->forgets_gone && model_gone(session->model) > GONE_MAX)
		forget_gone(session);
	return error;
}

static int take_stack(struct session *session, const struct event_stack *sent)
{
	const struct event_stack *stack = stack_copies_complete(&session->copies, session->loader, sent);
	int error = stack == sent ? 0 : model_alias_stack(session->model, sent->id, stack->id);

	if (!error)
		error = generated_code_take(session->generated, &stack->header);
	if (error == -ENOSPC)
		session->not_kept++;
	else if (error)
		return error;
	if (session->learning.evaluator_count) {
		python_merge(stack, learning_is_evaluation, &session->learning, &session->merged);
		stack = &session->merged;
	}
	return apply(session, &stack->header);
}

static int take_event(void *context, const void *data, size_t bytes)
{
	struct session *session = context;
	const struct event_header *event = decode_event(data, bytes);
	int error = 0;

	if (!event) {
		session->not_kept++;
		return 0;
	}
	if (event->time_ns > session->known_until_ns)
		session->known_until_ns = event->time_ns;
	if (event->type == EVENT_STACK)
		error = take_stack(session, (const void *)event);
	else if (event->type == EVENT_STACK_COPY)
		error = stack_copies_keep(&session->copies, (const void *)event);
	else if (event->type == EVENT_FILE)
		error = learning_take(&session->learning, (const void *)event);
	else if (event->type == EVENT_PYTHON_CODE)
		error = python_codes_add(session->codes, (const void *)event);
	else
		error = generated_code_take(session->generated, event);
	if (error == -ENOSPC)
		session->not_kept++;
	else if (error)
		return error;
	return event->type == EVENT_STACK ? 0 : apply(session, event);
}

static int attach(struct session *session, struct loader_error *ret_error)
{
	FD_OWNED int tracefs_fd = -1;
	int error = tracefs_open(&tracefs_fd);

	if (error) {
		(void)snprintf(ret_error->text, sizeof(ret_error->text), "tracefs: %s", strerror(-error));
		return error;
	}
	error = loader_attach(session->loader, tracefs_fd, ret_error);
	if (!error)
		error = loader_hand_over(session->loader);
	if (!error)
		error = loader_set_consumer(session->loader, take_event, session);
	return error;
}

int session_new(const struct session_options *options, struct session **ret_session,
                struct loader_error *ret_error)
{
	struct session *session = calloc(1, sizeof(*session));
	int error;

	if (!session)
		return -ENOMEM;
	session->options = options;
	session->started_ns = clock_ns(CLOCK_BOOTTIME);
	session->process_id = getpid();
	session->rules.application_globs = options->application_globs;
	session->rules.glob_count = options->glob_count;
	if (!getcwd(session->working_directory, sizeof(session->working_directory)))
		session->working_directory[0] = '\0';
	ret_error->text[0] = '\0';
	error = model_new(&session->model);
	if (!error)
		error = mapped_files_new(&session->files);
	if (!error)
		error = python_codes_new(&session->codes);
	if (!error)
		error = generated_code_new(&session->generated);
	if (!error)
		error = symbols_new(session->files, session->codes, session->generated, &session->rules,
		                    &session->symbols);
	if (!error)
		error = loader_open(&options->loader, &session->loader, ret_error);
	session->learning = (struct learning){
	        .loader = session->loader,
	        .files = session->files,
	        .unwinds = options->loader.stacks >= STACKS_MODE_NATIVE,
	};
	if (!error)
		loader_set_evicted(session->loader, learning_evicted, &session->learning);
	if (!error)
		error = learning_take_vdso(&session->learning);
	if (!error)
		error = attach(session, ret_error);
	if (error) {
		session_free(session);
		return error;
	}
	*ret_session = session;
	return 0;
}

/* The key of a file is what the kernel's inode says when it is mapped (stat() shows another device on
 * overlayfs and btrfs): so map it here, followed for that moment, and it comes through the ring as any other.
 */
static void map_for_a_moment(struct session *session, const char *path)
{
	FD_OWNED int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat status;
	void *mapped;

	if (fd < 0 || fstat(fd, &status) || !S_ISREG(status.st_mode) || !status.st_size)
		return;
	mapped = mmap(NULL, (size_t)status.st_size, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
	if (mapped == MAP_FAILED)
		return;
	(void)session_consume(session);
	(void)munmap(mapped, (size_t)status.st_size);
}

int session_learn_files(struct session *session, char *const *paths, size_t count, size_t likely)
{
	uint32_t self = (uint32_t)getpid();
	int error = loader_follow(session->loader, self, 0);

	if (error)
		return error;
	loader_switch(session->loader, true);
	/* For `leftopen mark`. */
	map_for_a_moment(session, "/proc/self/exe");
	for (size_t i = 0; i < count; i++) {
		session->learning.marks_later = i >= likely;
		map_for_a_moment(session, paths[i]);
	}
	session->learning.marks_later = false;
	loader_switch(session->loader, false);
	error = loader_unfollow(session->loader, self);
	return error ? error : session_consume(session);
}

int session_follow(struct session *session, uint32_t process_id)
{
	char cgroup[PATH_MAX];
	/* The programs take the start time from here; /proc has it in clock ticks only (proc(5), field 22 of
	 * stat). */
	uint64_t start_ns = clock_ns(CLOCK_BOOTTIME);
	int error;

	error = model_follow(session->model, process_id, (uint32_t)getpid(), start_ns, "leftopen");
	if (!error)
		error = loader_follow(session->loader, process_id, start_ns);
	if (!error && !cgroup_read(process_id, cgroup, sizeof(cgroup)))
		error = model_set_cgroup(session->model, process_id, cgroup);
	if (!error)
		loader_switch(session->loader, true);
	return error;
}

static int survey(struct session *session, enum survey_follows follows)
{
	int error;

	/* It is started and ends between surveys, in a snapshot. */
	loader_leave_out_worker(session->loader, symbols_worker_id(session->symbols));
	error = loader_survey(session->loader, follows);
	if (!error)
		error = session_consume(session);
	return error ? error : model_survey_end(session->model, clock_ns(CLOCK_BOOTTIME));
}

int session_follow_running(struct session *session, const uint32_t *process_ids, size_t count)
{
	int error = 0;

	session->follows = process_ids ? SURVEY_FOLLOWS_NONE : SURVEY_FOLLOWS_ALL;
	for (size_t i = 0; i < count && !error; i++)
		error = loader_want(session->loader, process_ids[i], true);
	if (error)
		return error;
	loader_switch(session->loader, true);
	error = survey(session, process_ids ? SURVEY_FOLLOWS_WANTED : SURVEY_FOLLOWS_ALL);
	/* Another process may be given the same number later. */
	for (size_t i = 0; i < count; i++)
		(void)loader_want(session->loader, process_ids[i], false);
	return error;
}

bool session_follows(const struct session *session, uint32_t process_id)
{
	return loader_follows(session->loader, process_id);
}

void session_leave_out(struct session *session, uint32_t process_id)
{
	loader_leave_out(session->loader, process_id);
}

uint64_t session_losses(const struct session *session)
{
	const uint64_t *losses = loader_losses(session->loader);
	uint64_t sum = session->left_out;

	for (size_t cause = 0; cause < LOSS_COUNT; cause++)
		sum += losses[cause];
	return sum;
}

int session_survey(struct session *session)
{
	int error = survey(session, session->follows);

	session->comparisons_failed += error != 0;
	return error;
}

int session_ring_fd(const struct session *session)
{
	return loader_ring_fd(session->loader);
}

static void measure(struct session *session)
{
	uint64_t now = clock_ns(CLOCK_BOOTTIME);

	/* A kernel that cannot measure leaves the figure out. */
	if (session->measuring && now - session->measured_from_ns > MEASURE_MOMENT_NS) {
		(void)loader_measure(session->loader, false);
		session->measuring = false;
	} else if (!session->measuring &&
	           (!session->measured_from_ns || now - session->measured_from_ns > MEASURE_PERIOD_NS)) {
		session->measuring = !loader_measure(session->loader, true);
		session->measured_from_ns = now;
	}
}

static void note_left_out(struct session *session, const struct loader_cost *cost)
{
	if (cost->left_out > session->left_out)
		session->left_out = cost->left_out;
}

void session_count_left_out(struct session *session)
{
	struct loader_cost cost;

	session->left_out_read_ns = clock_ns(CLOCK_BOOTTIME);
	/* A kernel that cannot be asked tells no losses of this sort. */
	if (!loader_read_cost(session->loader, &cost))
		note_left_out(session, &cost);
}

static void read_own_usage(struct session *session)
{
	session->usage = (struct own_usage){0};
	own_usage_add(&session->usage, RUSAGE_SELF);
	if (session->options->children_are_own)
		own_usage_add(&session->usage, RUSAGE_CHILDREN);
}

int session_consume(struct session *session)
{
	uint64_t begun_ns = clock_ns(CLOCK_BOOTTIME);
	int consumed = loader_consume(session->loader);

	if (begun_ns > session->known_until_ns)
		session->known_until_ns = begun_ns;
	if (session->armed_ns)
		measure(session);
	if (session->armed_ns && clock_ns(CLOCK_BOOTTIME) - session->left_out_read_ns > LEFT_OUT_PERIOD_NS)
		session_count_left_out(session);
	return consumed < 0 ? consumed : 0;
}

int session_end(struct session *session)
{
	int error = session_consume(session);

	loader_switch(session->loader, false);
	if (!error)
		error = session_consume(session);
	/* What was not read is one event at least: a report that is made all the same must not read as clean.
	 */
	if (error)
		session->not_kept++;
	return error;
}

void session_armed(struct session *session)
{
	session->armed_ns = clock_ns(CLOCK_BOOTTIME);
	session->known_until_ns = session->armed_ns;
}

static uint64_t read_maps_limit(void)
{
	FILE *file = fopen("/proc/sys/vm/max_map_count", "re");
	unsigned long long limit;
	int read;

	if (!file)
		return UINT64_MAX;
	read = fscanf(file, "%llu", &limit);
	(void)fclose(file);
	return read == 1 ? limit : UINT64_MAX;
}

/* A child that makes a report adds its own to what this process had as it began. */
static void read_own_cost(struct session *session, const struct loader_cost *cost,
                          struct snapshot_self *ret_self)
{
	if (getpid() == session->process_id)
		read_own_usage(session);
	else
		own_usage_add(&session->usage, RUSAGE_SELF);
	ret_self->cpu_s = session->usage.cpu_s;
	ret_self->rss_peak_bytes = session->usage.rss_peak_bytes;
	ret_self->kernel_ns_per_event = cost->runs ? cost->run_ns / cost->runs : 0;
	ret_self->stacks_unwound = cost->stacks.unwound;
	ret_self->stacks_recalled = cost->stacks.recalled;
	ret_self->stacks_wrong = cost->stacks.wrong;
	ret_self->armed_s = (double)(session->armed_ns - session->started_ns) / 1e9;
}

int session_snapshot(struct session *session, enum session_detail detail, struct snapshot **ret_snapshot)
{
	bool all = detail == SESSION_DETAIL_ALL;
	const struct session_options *options = session->options;
	struct loader_cost cost = {0};
	uint64_t losses[LOSS_COUNT];
	struct build_options build = {
	        .now_ns = session->known_until_ns,
	        .started_ns = session->armed_ns,
	        .min_count = options->min_count,
	        .samples = all ? options->samples : 1,
	        .inherited = all && options->inherited,
	        .names_targets = all,
	        .maps_limit = read_maps_limit(),
	        .command = options->command,
	        .command_count = options->command_count,
	        .working_directory = session->working_directory,
	        .rules = &session->rules,
	        .losses = losses,
	        .comparisons_failed = session->comparisons_failed,
	        .progress = options->progress,
	        .progress_context = options->progress_context,
	};
	struct namer namer = symbols_namer(session->symbols);
	int error;

	/* What is lost from now on belongs to the next one. */
	memcpy(losses, loader_losses(session->loader), sizeof(losses));
	if (options->forgets_gone)
		forget_gone(session);
	/* Costs that cannot be read are left out of the report. */
	(void)loader_read_cost(session->loader, &cost);
	note_left_out(session, &cost);
	build.left_out = session->left_out;
	error = generated_code_read(session->generated);
	if (error)
		return error;
	build.not_kept =
	        session->not_kept + session->learning.not_kept + generated_code_not_kept(session->generated);
	build.realtime_ns = clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_BOOTTIME);
	read_own_cost(session, &cost, &build.self);
	error = snapshot_new(session->model, &namer, &build, ret_snapshot);
	/* A child that makes a report has a worker of its own, which must not outlive it. */
	if (getpid() != session->process_id)
		symbols_rest(session->symbols);
	return error;
}

void session_free(struct session *session)
{
	if (!session)
		return;
	loader_free(session->loader);
	learning_clear(&session->learning);
	stack_copies_clear(&session->copies);
	symbols_free(session->symbols);
	model_free(session->model);
	mapped_files_free(session->files);
	python_codes_free(session->codes);
	generated_code_free(session->generated);
	free(session);
}
