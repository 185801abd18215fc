/*
 * `leftopen doctor`.
 * Inputs: the running kernel, the user's rights, /proc/sys, PATH. Outputs: lines on standard output, an exit
 * status.
 */
#include "cli/doctor.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/escape.h"
#include "base/fd.h"
#include "base/version.h"
#include "cli/doctor_python.h"
#include "cli/launch.h"
#include "cli/message.h"
#include "load/features.h"

#define EXIT_OK      0
#define EXIT_MISSING 1

/* What every kernel has is required: with CONFIG_FTRACE_SYSCALLS its tracepoints are there, without it none
 * is. */
static const struct feature_tracepoint followed_calls[] = {
        {.name = "sys_exit_mmap", .required = true},
        {.name = "sys_exit_mremap", .required = true},
        {.name = "sys_enter_close", .required = true},
        {.name = "sys_enter_munmap", .required = true},
        {.name = "sys_exit_munmap", .required = true},
        {.name = "sys_enter_mremap", .required = true},
        {.name = "sys_enter_exit_group", .required = true},
        {.name = "sys_enter_close_range"},
        {.name = "sys_exit_close_range"},
        {.name = "sys_enter_unshare"},
        {.name = "sys_exit_unshare"},
        {.name = "sys_exit_brk"},
#define FD_CALL(call, origin, gives) {.name = "sys_exit_" #call},
#include "fd_calls.def"
#define MAP_CALL(event, program) {.name = #event},
#include "map_calls.def"
};

#define FOLLOWED_CALL_COUNT (sizeof(followed_calls) / sizeof(followed_calls[0]))

static const char help[] =
        "usage: leftopen doctor\n"
        "\n"
        "Says what this kernel and this user can do, and what to do about the rest: one line a feature, "
        "facts about\n"
        "the machine, and which CPythons are found on PATH and below ~/.pyenv/versions.\n"
        "\n"
        "  -h, --help   show this text\n"
        "\n"
        "exit status: 0 all that is required is there, 1 something is missing, 125 doctor itself failed.\n"
        "\n"
        "examples:\n"
        "  sudo leftopen doctor                 what can be done as root\n"
        "  leftopen doctor                      what can be done as yourself: less\n"
        "  sudo leftopen doctor | grep missing  only what is not there\n"
        "  sudo env \"PATH=$PATH\" leftopen doctor   with the CPythons on your own PATH\n";

static void print_feature(const struct feature *feature, const struct feature_result *result)
{
	if (result->state == FEATURE_OK) {
		if (result->detail[0] != '\0')
			printf("  ok       %-28s%s\n", feature->name, result->detail);
		else
			printf("  ok       %s\n", feature->name);
		return;
	}
	bool is_missing = result->state == FEATURE_MISSING;
	printf("  %-8s %-28s%s; %s %s: %s\n",
	       !is_missing         ? "unknown"
	       : feature->required ? "missing"
	                           : "without",
	       feature->name, result->detail, feature->required ? "needed" : "optional,", feature->purpose,
	       is_missing ? feature->remedy : "ask again with sudo leftopen doctor");
}

static void print_features(const struct feature_results *results,
                           const struct feature_tracepoint *tracepoints, size_t count)
{
	puts("\nFeatures:");
	for (int id = 0; id < FEATURE_COUNT; id++)
		print_feature(features_find(id), &results->of[id]);
	for (size_t i = 0; i < count; i++)
		if (tracepoints[i].error == -ENOENT)
			printf("  %s  tracepoint %s%s\n", tracepoints[i].required ? "missing" : "without",
			       tracepoints[i].name,
			       tracepoints[i].required ? "" : ": this kernel has no such call");
}

static void print_limit(const char *name, rlim_t value)
{
	if (value == RLIM_INFINITY)
		printf("  %-28s unlimited\n", name);
	else
		printf("  %-28s %ju\n", name, (uintmax_t)value);
}

static void print_sysctl(const char *name, const char *path)
{
	char text[64] = "";
	FD_OWNED int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd >= 0 && read(fd, text, sizeof(text) - 1) < 0)
		text[0] = '\0';
	text[strcspn(text, "\n")] = '\0';
	printf("  %-28s %s\n", name, *text ? text : "cannot be read");
}

static void print_machine(void)
{
	struct rlimit limit;

	puts("\nLimits:");
	print_sysctl("fs.file-max", "/proc/sys/fs/file-max");
	print_sysctl("fs.nr_open", "/proc/sys/fs/nr_open");
	print_sysctl("vm.max_map_count", "/proc/sys/vm/max_map_count");
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		print_limit("RLIMIT_NOFILE, soft", limit.rlim_cur);
		print_limit("RLIMIT_NOFILE, hard", limit.rlim_max);
	}
}

static void print_pythons(void)
{
	LAUNCH_IDENTITY_OWNED struct launch_identity identity = {0};
	struct launch_error error;

	puts("\nCPython:");
	int result = launch_identity_find(false, NULL, &identity, &error);
	if (result < 0) {
		char *shown = escape_for_terminal(error.text, strlen(error.text));
		printf("  not looked for: %s\n", shown ? shown : strerror(-result));
		free(shown);
		return;
	}
	result = doctor_python_print(&identity, getenv("PATH"),
	                             identity.switches ? identity.home : getenv("HOME"), stdout);
	if (result < 0)
		printf("  cannot be looked for: %s\n", strerror(-result));
}

static void print_verdict(const struct feature_results *results)
{
	size_t unknown = 0;
	const char *separator = "";

	if (features_suffice(results, FEATURE_USER_WATCH)) {
		puts("\nleftopen can follow processes on this machine");
		return;
	}
	printf(features_suffice(results, FEATURE_USER_RUN)
	               ? "\nleftopen can run and follow commands on this machine, and cannot watch: "
	               : "\nleftopen cannot follow processes here: ");
	for (int id = 0; id < FEATURE_COUNT; id++) {
		if (!features_find(id)->required || results->of[id].state == FEATURE_OK)
			continue;
		if (results->of[id].state == FEATURE_UNKNOWN) {
			unknown++;
			continue;
		}
		printf("%s%s", separator, features_find(id)->name);
		separator = ", ";
	}
	printf("%s", *separator ? " missing" : "");
	if (unknown > 0)
		printf("%s%zu could not be asked", *separator ? "; " : "", unknown);
	putchar('\n');
}

/* @return -1: go on; else the exit status */
static int parse_options(int argc, char **argv)
{
	static const struct option options[] = {{"help", no_argument, NULL, 'h'}, {0}};
	const char *wrong;

	optind = 0; /* glibc: begin anew, as main has used it for itself */
	opterr = 0;
	int option = getopt_long(argc, argv, "+h", options, NULL);
	if (option == 'h') {
		fputs(help, stdout);
		return message_is_written() ? EXIT_OK : LAUNCH_STATUS_FAILED;
	}
	if (option == -1 && optind == argc)
		return -1;
	wrong = option == -1 ? argv[optind] : argv[1];
	message_error("\"%s\" is not understood: doctor takes no arguments; see leftopen doctor --help",
	              wrong);
	return LAUNCH_STATUS_FAILED;
}

int doctor_main(int argc, char **argv)
{
	struct feature_tracepoint tracepoints[FOLLOWED_CALL_COUNT];
	struct feature_results results;
	struct utsname system;
	int status = parse_options(argc, argv);

	if (status >= 0)
		return status;
	memcpy(tracepoints, followed_calls, sizeof(tracepoints));
	features_probe(tracepoints, FOLLOWED_CALL_COUNT, &results);

	if (uname(&system) == 0)
		printf("leftopen %s, Linux %s, %s, libbpf %u.%u\n", LEFTOPEN_VERSION, system.release,
		       system.machine, libbpf_major_version(), libbpf_minor_version());
	print_features(&results, tracepoints, FOLLOWED_CALL_COUNT);
	print_machine();
	print_pythons();
	print_verdict(&results);
	if (!message_is_written())
		return LAUNCH_STATUS_FAILED;
	return features_suffice(&results, FEATURE_USER_WATCH) ? EXIT_OK : EXIT_MISSING;
}
