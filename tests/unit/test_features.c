/*
 * Unit tests of src/load/features.c against the running kernel. They run as root, on a kernel that leftopen
 * can follow, and fail where they cannot.
 */
#include <bpf/libbpf.h>
#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <dirent.h>
#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "load/features.h"

#define NOBODY 65534

static size_t count_descriptors(void)
{
	DIR *folder = opendir("/proc/self/fd");
	size_t count = 0;

	cr_assert_not_null(folder);
	while (readdir(folder))
		count++;
	closedir(folder);
	return count;
}

Test(features, every_row_is_full)
{
	for (int id = 0; id < FEATURE_COUNT; id++) {
		const struct feature *feature = features_find(id);
		cr_assert_not_null(feature->name, "row %d", id);
		cr_assert_not_null(feature->purpose, "row %d", id);
		cr_assert_not_null(feature->remedy, "row %d", id);
		for (int other = 0; other < id; other++)
			cr_assert_str_neq(feature->name, features_find(other)->name);
	}
}

Test(features, root_on_a_fit_kernel_has_all_that_is_required)
{
	struct feature_tracepoint tracepoints[] = {{.name = "sys_exit_openat", .required = true},
	                                           {.name = "sys_enter_close", .required = true}};
	struct feature_results results;
	size_t before = count_descriptors();

	features_probe(tracepoints, 2, &results);
	for (int id = 0; id < FEATURE_COUNT; id++) {
		if (!features_find(id)->required)
			continue;
		cr_assert_eq(results.of[id].state, FEATURE_OK, "%s: %s", features_find(id)->name,
		             results.of[id].detail);
		cr_assert_eq(results.of[id].error, 0);
	}
	cr_assert(features_suffice(&results, FEATURE_USER_WATCH));
	cr_assert_eq(count_descriptors(), before, "nothing is left open");
	cr_assert_eq(waitpid(-1, NULL, WNOHANG), -1);
}

Test(features, each_missing_tracepoint_is_named)
{
	struct feature_tracepoint tracepoints[] = {{.name = "sys_exit_openat", .required = true},
	                                           {.name = "sys_exit_gone", .required = true},
	                                           {.name = "sys_exit_newer"},
	                                           {.name = "sys_exit_newest"}};
	struct feature_results results;

	features_probe(tracepoints, 4, &results);
	cr_assert_eq(tracepoints[0].error, 0);
	cr_assert_eq(tracepoints[1].error, -ENOENT);
	cr_assert_eq(tracepoints[2].error, -ENOENT);
	cr_assert_eq(results.of[FEATURE_TRACEPOINTS].state, FEATURE_MISSING);
	cr_assert_str_eq(results.of[FEATURE_TRACEPOINTS].detail, "sys_exit_gone");
	cr_assert_eq(results.of[FEATURE_NEWER_TRACEPOINTS].state, FEATURE_MISSING);
	cr_assert_str_eq(results.of[FEATURE_NEWER_TRACEPOINTS].detail, "sys_exit_newer, sys_exit_newest");
	cr_assert_eq(results.of[FEATURE_TRACEPOINT_ATTACH].state, FEATURE_OK,
	             "tried on the one that is there");
	cr_assert_not(features_suffice(&results, FEATURE_USER_WATCH));
}

Test(features, too_many_missing_tracepoints_are_counted)
{
	struct feature_tracepoint tracepoints[40];
	struct feature_results results;

	for (size_t i = 0; i < 40; i++)
		tracepoints[i] = (struct feature_tracepoint){.name = "sys_exit_gone", .required = true};
	features_probe(tracepoints, 40, &results);
	cr_assert_str_eq(results.of[FEATURE_TRACEPOINTS].detail, "40 of them");
	cr_assert_eq(results.of[FEATURE_TRACEPOINT_ATTACH].state, FEATURE_MISSING, "nothing to try it on");
}

Test(features, optional_ones_do_not_decide)
{
	struct feature_results results = {0};

	cr_assert(features_suffice(&results, FEATURE_USER_WATCH));
	results.of[FEATURE_CAP_SYS_RESOURCE].state = FEATURE_MISSING;
	results.of[FEATURE_FENTRY].state = FEATURE_UNKNOWN;
	cr_assert(features_suffice(&results, FEATURE_USER_WATCH));
	results.of[FEATURE_RING_BUFFER].state = FEATURE_UNKNOWN;
	cr_assert_not(features_suffice(&results, FEATURE_USER_WATCH), "what could not be asked is not there");
}

/* In a child: a leak checker cannot work in a process that has given up root. */
static void check_in_child(void (*check)(void))
{
	int status;
	pid_t child = fork();

	if (child == 0) {
		check();
		_exit(0);
	}
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert_eq(status, 0, "wait status %#x", status);
}

/* Ends the child unless true; Criterion's assertions belong to the test's own process. */
static void expect(bool right, int number)
{
	if (!right)
		_exit(number);
}

static void check_without_rights(void)
{
	struct feature_tracepoint tracepoint = {.name = "sys_exit_openat", .required = true};
	struct feature_results results;

	expect(setresgid(NOBODY, NOBODY, NOBODY) == 0 && setresuid(NOBODY, NOBODY, NOBODY) == 0, 1);
	features_probe(&tracepoint, 1, &results);
	expect(results.of[FEATURE_ROOT].state == FEATURE_MISSING, 2);
	expect(results.of[FEATURE_CAP_BPF].state == FEATURE_MISSING, 3);
	expect(results.of[FEATURE_RING_BUFFER].state == FEATURE_UNKNOWN, 4);
	expect(results.of[FEATURE_RING_BUFFER].error == -EPERM, 5);
	expect(results.of[FEATURE_KERNEL_BTF].state == FEATURE_OK, 6);
	for (int id = 0; id < FEATURE_COUNT; id++)
		expect(results.of[id].state == FEATURE_OK || results.of[id].detail[0] != '\0', 10 + id);
	expect(!features_suffice(&results, FEATURE_USER_WATCH), 7);
}

Test(features, without_rights_unknown_is_not_missing)
{
	check_in_child(check_without_rights);
}

static void check_capabilities(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
	struct feature_results results;

	expect(syscall(SYS_capget, &header, data) == 0, 1);
	data[CAP_TO_INDEX(CAP_SYS_PTRACE)].effective &= ~CAP_TO_MASK(CAP_SYS_PTRACE);
	data[CAP_TO_INDEX(CAP_BPF)].effective &= ~CAP_TO_MASK(CAP_BPF);
	data[CAP_TO_INDEX(CAP_DAC_READ_SEARCH)].effective &= ~CAP_TO_MASK(CAP_DAC_READ_SEARCH);
	expect(syscall(SYS_capset, &header, data) == 0, 2);
	features_probe(NULL, 0, &results);
	expect(results.of[FEATURE_ROOT].state == FEATURE_OK, 3);
	expect(results.of[FEATURE_CAP_SYS_PTRACE].state == FEATURE_MISSING, 4);
	expect(results.of[FEATURE_CAP_BPF].state == FEATURE_OK, 5);
	expect(strcmp(results.of[FEATURE_CAP_BPF].detail, "by CAP_SYS_ADMIN") == 0, 6);
	expect(strcmp(results.of[FEATURE_CAP_DAC_READ_SEARCH].detail, "by CAP_DAC_OVERRIDE") == 0, 7);
	expect(results.of[FEATURE_RING_BUFFER].state == FEATURE_OK, 8);
}

Test(features, a_missing_capability_is_seen_though_root)
{
	check_in_child(check_capabilities);
}

Test(features, without_descriptors_unknown_is_not_missing)
{
	struct feature_results results;
	struct rlimit limit;

	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	rlim_t before = limit.rlim_cur;
	limit.rlim_cur = 3;
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	features_probe(NULL, 0, &results);
	limit.rlim_cur = before;
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	cr_assert_eq(results.of[FEATURE_RING_BUFFER].state, FEATURE_UNKNOWN);
	cr_assert_eq(results.of[FEATURE_RING_BUFFER].error, -EMFILE);
}

static int printer(enum libbpf_print_level level, const char *format, va_list arguments)
{
	(void)level;
	(void)format;
	(void)arguments;
	return 0;
}

Test(features, libbpf_is_silent_and_then_as_before, .init = cr_redirect_stderr)
{
	struct feature_results results;

	(void)libbpf_set_print(printer);
	features_probe(NULL, 0, &results);
	cr_assert_eq(libbpf_set_print(printer), printer);
	fflush(stderr);
	cr_assert_stderr_eq_str("");
}
