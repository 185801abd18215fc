/*
 * Runs a command while empty programs are attached wherever the product attaches its own to tracepoints.
 * Inputs: the product's BPF object (for its sections only), the object of empty programs, the command.
 * Its exit status is the command's; 125: it could not be measured.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "load/tracefs.h"

extern char **environ;

static const char syscalls[] = "tracepoint/syscalls/";

static int attach_syscall(struct bpf_program *program, int tracefs_fd, const char *event)
{
	struct perf_event_attr attributes = {
	        .type = PERF_TYPE_TRACEPOINT,
	        .size = sizeof(attributes),
	        .sample_period = 1,
	        .wakeup_events = 1,
	};
	uint64_t id;
	int perf_fd, error = tracefs_event_id(tracefs_fd, "syscalls", event, &id);

	/* As in the product: a call that this kernel does not have. */
	if (error)
		return error == -ENOENT ? 0 : error;
	attributes.config = id;
	perf_fd = (int)syscall(SYS_perf_event_open, &attributes, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);
	if (perf_fd < 0)
		return -errno;
	return bpf_program__attach_perf_event(program, perf_fd) ? 0 : -errno;
}

static struct bpf_program *find_section(struct bpf_object *object, const char *section)
{
	struct bpf_program *program;

	bpf_object__for_each_program(program, object)
	{
		if (!strcmp(bpf_program__section_name(program), section))
			return program;
	}
	return NULL;
}

/* Where the product attaches programs that several calls share, which no section tells of (src/load/calls.c).
 */
static const char *const shared_events[] = {
#define FD_CALL(call, origin, gives) "sys_exit_" #call,
#include "fd_calls.def"
#define MAP_CALL(event, program) #event,
#include "map_calls.def"
};

static int attach_shared(struct bpf_object *empty, int tracefs_fd)
{
	int error = 0;

	for (size_t i = 0; i < sizeof(shared_events) / sizeof(shared_events[0]) && !error; i++)
		error = attach_syscall(find_section(empty, "tracepoint"), tracefs_fd, shared_events[i]);
	return error;
}

/* @return 0, or -errno; -ENOTSUP: the product has a program of a kind that is not here */
static int attach_as(const char *section, struct bpf_object *empty, int tracefs_fd)
{
	struct bpf_program *program;

	if (!strncmp(section, syscalls, sizeof(syscalls) - 1))
		return attach_syscall(find_section(empty, "tracepoint"), tracefs_fd,
		                      section + sizeof(syscalls) - 1);
	/* Nothing that is measured uses io_uring. */
	if (strncmp(section, "tp_btf/", 7) || !strncmp(section, "tp_btf/io_uring", 15))
		return 0;
	program = find_section(empty, section);
	if (!program)
		return -ENOTSUP;
	return bpf_program__attach(program) ? 0 : -errno;
}

/* What is attached stays until this process ends. */
static int attach_all(const char *product_path, const char *empty_path)
{
	struct bpf_object *product = bpf_object__open_file(product_path, NULL);
	struct bpf_object *empty = bpf_object__open_file(empty_path, NULL);
	struct bpf_program *program;
	int tracefs_fd, error = product && empty ? 0 : -errno;

	if (!error)
		error = bpf_object__load(empty);
	if (!error)
		error = tracefs_open(&tracefs_fd);
	if (error)
		return error;
	bpf_object__for_each_program(program, product)
	{
		/* What is loaded only where a kernel needs it has the place of another. */
		if (!bpf_program__autoload(program))
			continue;
		error = attach_as(bpf_program__section_name(program), empty, tracefs_fd);
		if (error) {
			(void)fprintf(stderr, "empty: %s\n", bpf_program__section_name(program));
			break;
		}
	}
	if (!error)
		error = attach_shared(empty, tracefs_fd);
	bpf_object__close(product);
	(void)close(tracefs_fd);
	return error;
}

int main(int argc, char **argv)
{
	pid_t child;
	int status, error;

	if (argc < 4) {
		(void)fprintf(stderr, "usage: empty PRODUCT.bpf.o EMPTY.bpf.o COMMAND [ARG...]\n");
		return 125;
	}
	libbpf_set_strict_mode(LIBBPF_STRICT_ALL);
	error = attach_all(argv[1], argv[2]);
	if (!error)
		error = -posix_spawnp(&child, argv[3], NULL, NULL, argv + 3, environ);
	if (error) {
		(void)fprintf(stderr, "empty: %s\n", strerror(-error));
		return 125;
	}
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return 125;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 125;
}
