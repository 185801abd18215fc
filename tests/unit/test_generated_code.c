/*
 * generated_code.c: names of processes that live, that end, that run another program, and whose files never
 * answer.
 */
#include "symbols/generated_code.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "scratch.h"

static struct generated_code *code;
static struct event_stack event;
static uint32_t mount_namespace;

static void setup(void)
{
	struct stat status;

	/* A /tmp of its own. */
	cr_assert_eq(unshare(CLONE_NEWNS), 0, "these tests need root");
	cr_assert_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	cr_assert_eq(mount("none", "/tmp", "tmpfs", 0, NULL), 0);
	cr_assert_eq(generated_code_new(&code), 0);
	cr_assert_eq(stat("/proc/self/ns/mnt", &status), 0);
	mount_namespace = (uint32_t)status.st_ino;
}

static void teardown(void)
{
	generated_code_free(code);
	scratch_remove();
}

TestSuite(generated_code, .init = setup, .fini = teardown, .timeout = 120);

static char *map_of(pid_t process)
{
	return scratch_string("/tmp/perf-%d.map", process);
}

static void write_map(pid_t process, const char *mode, const char *text)
{
	FILE *file = fopen(map_of(process), mode);

	cr_assert_not_null(file);
	cr_assert_geq(fputs(text, file), 0);
	cr_assert_eq(fclose(file), 0);
}

static struct stack_frame frame_at(uint64_t image, uint64_t address)
{
	return (struct stack_frame){.kind = FRAME_NATIVE, .position = address, .code = image};
}

/* A process is seen to run the code before that address. */
static void run_code(pid_t process, uint64_t image, uint64_t address)
{
	memset(&event, 0, sizeof(event));
	event.header.type = EVENT_STACK;
	event.header.process_id = event.own_process_id = (uint32_t)process;
	event.header.process_start_ns = clock_ns(CLOCK_BOOTTIME);
	event.image = image;
	event.user_id = 0;
	event.mount_namespace = mount_namespace;
	event.count = 2;
	event.frames[0] = frame_at(image, address);
	event.frames[1].kind = FRAME_PYTHON;
	event.frames[1].code = 7;
	cr_assert_eq(generated_code_take(code, &event.header), 0);
}

static void tell(enum event_type type, pid_t process)
{
	struct event_process_exited exited = {.header = {.type = type, .process_id = (uint32_t)process}};

	cr_assert_eq(generated_code_take(code, &exited.header), 0);
}

static void expect_name(uint64_t image, uint64_t address, const char *expected)
{
	struct stack_frame frame = frame_at(image, address);
	const char *name = generated_code_name(code, &frame);

	if (expected)
		cr_expect(name && !strcmp(name, expected), "%s", name ? name : "none");
	else
		cr_expect_null(name, "%s", name);
}

static pid_t start(void)
{
	pid_t child = fork();

	if (!child)
		for (;;)
			pause();
	cr_assert_gt(child, 0);
	return child;
}

static void end(pid_t process)
{
	cr_assert_eq(kill(process, SIGKILL), 0);
	cr_assert_eq(waitpid(process, NULL, 0), process);
}

Test(generated_code, lives)
{
	pid_t process = start();

	write_map(process, "w", "1000 10 one\n");
	run_code(process, 3, 0x1004);
	run_code(process, 3, 0x2004);
	/* The address to return to is behind the call, which is in the one before. */
	run_code(process, 3, 0x1010);
	run_code(process, 3, 0x1000);
	expect_name(3, 0x1004, NULL);
	cr_assert_eq(generated_code_read(code), 0);
	expect_name(3, 0x1004, "one");
	expect_name(3, 0x1010, "one");
	expect_name(3, 0x1000, NULL);
	expect_name(3, 0x1005, NULL);
	expect_name(3, 0x2004, NULL);
	expect_name(4, 0x1004, NULL);
	write_map(process, "a", "2000 10 two\n");
	cr_assert_eq(generated_code_read(code), 0);
	expect_name(3, 0x1004, "one");
	expect_name(3, 0x2004, "two");
	end(process);
}

/* No file is there yet as code is first run. */
Test(generated_code, writes_later)
{
	pid_t process = start();

	run_code(process, 3, 0x1004);
	cr_assert_eq(generated_code_read(code), 0);
	expect_name(3, 0x1004, NULL);
	write_map(process, "w", "1000 10 one\n");
	cr_assert_eq(generated_code_read(code), 0);
	expect_name(3, 0x1004, "one");
	end(process);
}

/* The file was opened while it lived, and need not be there any more. */
Test(generated_code, ends_and_removes_it)
{
	pid_t process = start();

	write_map(process, "w", "1000 10 one\n");
	run_code(process, 3, 0x1004);
	write_map(process, "a", "2000 10 two\n");
	run_code(process, 3, 0x2004);
	end(process);
	cr_assert_eq(unlink(map_of(process)), 0);
	tell(EVENT_PROCESS_EXITED, process);
	cr_assert_eq(generated_code_read(code), 0);
	expect_name(3, 0x1004, "one");
	expect_name(3, 0x2004, "two");
	generated_code_forget_ended(code);
	expect_name(3, 0x1004, NULL);
	cr_assert_eq(generated_code_not_kept(code), 0);
}

/* It has ended before anybody could look. */
Test(generated_code, ended)
{
	pid_t process = start();

	write_map(process, "w", "1000 10 one\n");
	end(process);
	run_code(process, 3, 0x1004);
	tell(EVENT_PROCESS_EXITED, process);
	expect_name(3, 0x1004, "one");
}

Test(generated_code, ended_elsewhere)
{
	pid_t process = start();

	write_map(process, "w", "1000 10 one\n");
	end(process);
	mount_namespace++;
	run_code(process, 3, 0x1004);
	tell(EVENT_PROCESS_EXITED, process);
	expect_name(3, 0x1004, NULL);
	mount_namespace = 0;
	run_code(process, 5, 0x1004);
	tell(EVENT_PROCESS_EXITED, process);
	expect_name(5, 0x1004, NULL);
}

/* Another program, and the same addresses. */
Test(generated_code, execs)
{
	pid_t process = start();

	write_map(process, "w", "1000 10 one\n");
	run_code(process, 3, 0x1004);
	tell(EVENT_PROCESS_EXECED, process);
	write_map(process, "w", "1000 10 other\n");
	run_code(process, 5, 0x1004);
	cr_assert_eq(generated_code_read(code), 0);
	expect_name(3, 0x1004, "one");
	expect_name(5, 0x1004, "other");
	/* An exec that was not seen. */
	run_code(process, 7, 0x1004);
	tell(EVENT_PROCESS_EXITED, process);
	tell(EVENT_PROCESS_EXITED, process);
	expect_name(7, 0x1004, "other");
	expect_name(5, 0x1004, "other");
	end(process);
}

Test(generated_code, of_a_stranger)
{
	pid_t process = start();

	write_map(process, "w", "1000 10 one\n");
	cr_assert_eq(chown(map_of(process), 4711, 4711), 0);
	run_code(process, 3, 0x1004);
	cr_assert_eq(generated_code_read(code), 0);
	expect_name(3, 0x1004, NULL);
	end(process);
}

Test(generated_code, more_than_is_kept)
{
	pid_t process = start(), without = start();

	write_map(process, "w", "1000 10 one\n");
	for (uint64_t i = 1; i <= GENERATED_ADDRESSES_MAX + 5; i++)
		run_code(process, 3, i);
	cr_expect_eq(generated_code_not_kept(code), 5);
	/* What has no names anyway is nothing that is lost. */
	for (uint64_t i = 1; i <= GENERATED_ADDRESSES_MAX + 5; i++)
		run_code(without, 5, i);
	cr_expect_eq(generated_code_not_kept(code), 5);
	for (uint64_t i = 0; i < 2 * GENERATED_IMAGES_MAX; i++) {
		run_code((pid_t)(10000000 + i), 7 + 2 * i, 0x1004);
		tell(EVENT_PROCESS_EXITED, (pid_t)(10000000 + i));
	}
	cr_expect_eq(generated_code_not_kept(code), 5);
	for (uint64_t i = 0; i < GENERATED_IMAGES_MAX - 1; i++)
		run_code((pid_t)(10000000 + i), 7 + 2 * i, 0x1004);
	cr_expect_eq(generated_code_not_kept(code), 6);
	end(process);
	end(without);
}

Test(generated_code, file_that_is_too_large_is_counted_once)
{
	pid_t process = start();

	write_map(process, "w", "1000 10 one\n");
	cr_assert_eq(truncate(map_of(process), (off_t)4 << 30), 0);
	run_code(process, 3, 0x1004);
	cr_assert_eq(generated_code_read(code), 0);
	run_code(process, 3, 0x2004);
	cr_assert_eq(generated_code_read(code), 0);
	expect_name(3, 0x1004, "one");
	cr_assert_eq(generated_code_not_kept(code), 1);
	end(process);
}

/* A filesystem of a daemon's that takes no request: nobody waits for it for long, nor often. */
Test(generated_code, files_that_never_answer)
{
	int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	uint64_t begun_ns;
	pid_t processes[GENERATED_LATE_MAX + 2];

	cr_assert_geq(fd, 0);
	cr_assert_eq(mount("none", "/tmp", "fuse", 0,
	                   scratch_string("fd=%d,rootmode=40000,user_id=0,group_id=0", fd)),
	             0);
	begun_ns = clock_ns(CLOCK_MONOTONIC);
	for (int i = 0; i < GENERATED_LATE_MAX + 2; i++) {
		processes[i] = start();
		run_code(processes[i], (uint64_t)(3 + i), 0x1004);
		tell(EVENT_PROCESS_EXITED, processes[i]);
		expect_name((uint64_t)(3 + i), 0x1004, NULL);
	}
	cr_assert_lt(clock_ns(CLOCK_MONOTONIC) - begun_ns,
	             GENERATED_LATE_MAX * GENERATED_READ_NS + GENERATED_LOOK_NS);
	cr_assert_eq(generated_code_not_kept(code), GENERATED_LATE_MAX);
	for (int i = 0; i < GENERATED_LATE_MAX + 2; i++)
		end(processes[i]);
	/* The threads' wait is over. */
	close(fd);
}
