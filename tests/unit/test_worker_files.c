/*
 * worker_files.c, native_places.c: the names that a worker gives are those that are found here; one that
 * ends, hangs or lies costs a file its names and nothing else.
 */
#include "symbols/worker_files.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "build_folder.h"
#include "symbols/debug_place.h"
#include "symbols/mapped_files.h"
#include "symbols/native.h"
#include "symbols/native_places.h"
#include "symbols/worker.h"
#include "worker_entry.h"

static const char source[] = "#include <stdio.h>\n"
                             "static inline __attribute__((always_inline)) int inner(int n)\n"
                             "{\n"
                             "	return puts(\"\") + n;\n"
                             "}\n"
                             "__attribute__((noinline)) int outer(int n)\n"
                             "{\n"
                             "	return inner(n) + inner(n + 1);\n"
                             "}\n"
                             "int main(int argc, char **argv)\n"
                             "{\n"
                             "	(void)argv;\n"
                             "	return outer(argc);\n"
                             "}\n";

/* What a program of these few lines has of code, and more. */
#define CODE_BYTES 512

/* Chosen by: a loaded machine starts a process in less. */
static const struct worker_options impatient = {
        .argument = WORKER_ARGUMENT,
        .answer_ns = 2000000000ULL,
        .failed_ns = WORKER_FAILED_NS,
};

static struct mapped_files *mapped;
static struct worker_files *files;

static void begin(const struct worker_options *options)
{
	worker_files_free(files);
	files = NULL;
	cr_assert_eq(worker_files_new(mapped, options, &files), 0);
}

static void setup(void)
{
	folder_make();
	folder_write("a.c", source, strlen(source));
	cr_assert_eq(folder_shell("gcc -O2 -g -o a a.c"), 0);
	cr_assert_eq(mapped_files_new(&mapped), 0);
	begin(&worker_options_own);
}

static void teardown(void)
{
	worker_files_free(files);
	mapped_files_free(mapped);
	folder_remove();
}

TestSuite(worker_files, .init = setup, .fini = teardown, .timeout = 120);

/* A file as the programs tell of it; its process is gone, so that it is opened by its path. */
static struct file_key add(const char *name)
{
	struct stat status;
	struct event_file event = {.cause = FILE_MAPPED, .executable = 1};

	cr_assert_eq(stat(folder_path(name), &status), 0);
	event.header.process_id = UINT32_MAX;
	event.key.inode = status.st_ino;
	cr_assert_eq(mapped_files_add(mapped, &event, folder_path(name)), 0);
	return event.key;
}

/* The offset in a file of one of its functions. */
static uint64_t offset_of(const char *file, const char *function)
{
	unsigned long address = 0, offset = 0, start = 0;
	FILE *output;

	cr_assert_eq(folder_shell("(nm %s | grep ' T %s$'; readelf -lW %s | grep 'LOAD.* R E ' | "
	                          "awk '{print $2, $3}') > numbers",
	                          file, function, file),
	             0);
	output = fopen(folder_path("numbers"), "re");
	cr_assert_eq(fscanf(output, "%lx T %*s %lx %lx", &address, &offset, &start), 3);
	fclose(output);
	return address - start + offset;
}

static void free_names(struct place_names *names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		native_names_free(names[i].names, names[i].count);
}

/* Asks for the instruction behind a function's first. @return the function that holds it, for free() */
static int name_function(const char *file, uint64_t offset, char **ret_name)
{
	struct file_key key = add(file);
	struct place_names place;
	uint64_t behind = offset + 1;
	int error = worker_files_ask(files, &key, folder_path(file), &behind, 1, &place);

	*ret_name = error ? NULL : strdup(place.count ? place.names[place.count - 1].function : "");
	free_names(&place, 1);
	return error;
}

static void assert_named(const char *file, const char *function, uint64_t offset)
{
	char *name = NULL;

	cr_assert_eq(name_function(file, offset, &name), 0);
	cr_assert_str_eq(name, function);
	free(name);
}

static void assert_unnamed(const char *file, uint64_t offset, int error)
{
	char *name = NULL;

	cr_assert_eq(name_function(file, offset, &name), error);
	cr_assert_null(name);
}

/* All of a program's code, as it is named without a worker. @return how many places have a line */
static size_t compare_with_here(const char *file)
{
	static uint64_t offsets[CODE_BYTES];
	static struct place_names places[CODE_BYTES];
	struct debug_opener opener = debug_place_opener(folder_path(file));
	struct native_object *object = NULL;
	struct file_key key = add(file);
	size_t lines = 0;
	int fd = open(folder_path(file), O_RDONLY | O_CLOEXEC);

	cr_assert_eq(native_object_open(fd, &opener, &object), 0);
	close(fd);
	for (size_t i = 0; i < CODE_BYTES; i++)
		offsets[i] = 0x1000 + i;
	for (size_t i = 0; i < CODE_BYTES; i += WIRE_PLACES_MAX)
		cr_assert_eq(worker_files_ask(files, &key, folder_path(file), offsets + i, WIRE_PLACES_MAX,
		                              places + i),
		             0);
	for (size_t i = 0; i < CODE_BYTES; i++) {
		struct native_name *names = NULL;
		size_t count = 0;

		(void)native_object_name(object, offsets[i], true, &names, &count);
		cr_assert_eq(places[i].count, count);
		for (size_t j = 0; j < count; j++) {
			const struct native_name *there = &places[i].names[j];

			cr_assert_str_eq(there->function, names[j].function);
			cr_assert_str_eq(there->file, names[j].file);
			cr_assert_eq(there->line, names[j].line);
			cr_assert_eq(there->inlined, names[j].inlined);
			lines += there->line > 0;
		}
		native_names_free(names, count);
	}
	free_names(places, CODE_BYTES);
	native_object_free(object);
	return lines;
}

Test(worker_files, as_without_a_worker)
{
	cr_expect_gt(compare_with_here("a"), 20);
	cr_expect_eq(worker_files_unread(files), 0);
}

/* The worker asks for it by its name, and is given it. */
Test(worker_files, separate_debug_files)
{
	cr_assert_eq(
	        folder_shell(
	                "gcc -O2 -g -Wl,--build-id=none -o b a.c && objcopy --only-keep-debug b b.debug && "
	                "objcopy --strip-all --add-gnu-debuglink=b.debug b stripped && "
	                "cp stripped without && mkdir other && mv without other/"),
	        0);
	cr_expect_gt(compare_with_here("stripped"), 20);
	cr_expect_eq(compare_with_here("other/without"), 0, "nothing is beside this one");
	cr_expect_eq(worker_files_unread(files), 0);
}

Test(worker_files, what_is_no_program)
{
	struct file_key unknown = {.inode = 1};
	struct place_names place;
	uint64_t offset = 0;

	folder_write("text", "text", 4);
	folder_write("empty", "", 0);
	assert_unnamed("text", 0, -ENOENT);
	assert_unnamed("empty", 0, -ENOENT);
	cr_expect_eq(worker_files_ask(files, &unknown, "/unknown", &offset, 1, &place), -ENOENT);
	cr_expect_eq(worker_files_unread(files), 0, "they were read: there is nothing in them");
}

static void kill_and_wait(pid_t process_id, int number)
{
	siginfo_t info;

	cr_assert_gt(process_id, 0);
	cr_assert_eq(kill(process_id, number), 0);
	cr_assert_eq(
	        waitid(P_PID, (id_t)process_id, &info, (number == SIGSTOP ? WSTOPPED : WEXITED) | WNOWAIT),
	        0);
}

Test(worker_files, killed_between_questions)
{
	uint64_t offset = offset_of("a", "outer");
	pid_t first;

	assert_named("a", "outer", offset);
	first = worker_files_process_id(files);
	for (int i = 0; i < 5; i++) {
		kill_and_wait(worker_files_process_id(files), SIGKILL);
		assert_named("a", "outer", offset);
	}
	cr_expect_neq(worker_files_process_id(files), first);
	cr_expect_eq(worker_files_unread(files), 0);
}

Test(worker_files, stopped)
{
	uint64_t offset = offset_of("a", "outer");
	uint64_t begun_ns;

	cr_assert_eq(folder_shell("cp a b"), 0);
	begin(&impatient);
	assert_named("b", "outer", offset);
	kill_and_wait(worker_files_process_id(files), SIGSTOP);
	begun_ns = clock_ns(CLOCK_MONOTONIC);
	assert_unnamed("a", offset, -ENOENT);
	cr_expect_geq(clock_ns(CLOCK_MONOTONIC) - begun_ns, impatient.answer_ns);
	cr_expect_eq(worker_files_unread(files), 1);
	/* The next one has not heard of it, and is not asked of it. */
	assert_named("b", "outer", offset);
	assert_unnamed("a", offset, -ENOENT);
	worker_files_begin(files);
	assert_unnamed("a", offset, -ENOENT);
	cr_expect_eq(worker_files_unread(files), 1);
}

static struct worker_options misbehaving(const char *argument)
{
	struct worker_options options = impatient;

	options.argument = argument;
	return options;
}

Test(worker_files, answers_of_a_worker_that_lies)
{
	static const char *const arguments[] = {WORKER_SILENT,      WORKER_ENDS_ASKED,   WORKER_GARBAGE,
	                                        WORKER_WRONG_COUNT, WORKER_WRONG_LENGTH, WORKER_NUL,
	                                        WORKER_DESCRIPTOR,  WORKER_MORE,         WORKER_ENDLESS};
	struct worker_options options = misbehaving(WORKER_GOOD);

	/* Of these they differ in the one thing that each gets wrong. */
	begin(&options);
	assert_named("a", WORKER_FUNCTION, 0);
	for (size_t i = 0; i < sizeof(arguments) / sizeof(arguments[0]); i++) {
		options = misbehaving(arguments[i]);
		begin(&options);
		assert_unnamed("a", 0, -ENOENT);
		cr_expect_eq(worker_files_unread(files), 1, "%s", arguments[i]);
		cr_expect_eq(worker_files_process_id(files), -1, "%s", arguments[i]);
	}
}

Test(worker_files, garbage_of_many_sorts)
{
	struct worker_options options = misbehaving(WORKER_GARBAGE);

	for (int i = 0; i < 50; i++) {
		begin(&options);
		assert_unnamed("a", 0, -ENOENT);
	}
}

Test(worker_files, asked_for_paths)
{
	struct worker_options options = misbehaving(WORKER_PATHS);

	cr_assert_eq(
	        folder_shell(
	                "cp a beside && mkdir .debug folder && cp a .debug/hidden && cp a folder/inner && "
	                "mkfifo fifo && echo text > text"),
	        0);
	begin(&options);
	assert_named("a", WORKER_FUNCTION, 0);
	cr_expect_eq(worker_files_unread(files), 0);
}

Test(worker_files, that_cannot_be_had)
{
	static const char *const arguments[] = {WORKER_ENDS, WORKER_OTHER};

	cr_assert_eq(folder_shell("cp a b"), 0);
	for (size_t i = 0; i < sizeof(arguments) / sizeof(arguments[0]); i++) {
		struct worker_options options = misbehaving(arguments[i]);

		begin(&options);
		assert_unnamed("a", 0, -EAGAIN);
		assert_unnamed("a", 0, -EAGAIN);
		assert_unnamed("b", 0, -EAGAIN);
		cr_expect_eq(worker_files_unread(files), 2, "each is counted once");
		worker_files_begin(files);
		cr_expect_eq(worker_files_unread(files), 0, "they are no worse for it");
		assert_unnamed("a", 0, -EAGAIN);
	}
}

Test(worker_files, time_for_failures)
{
	struct worker_options options = misbehaving(WORKER_SILENT);

	cr_assert_eq(folder_shell("cp a b && cp a c"), 0);
	options.answer_ns = options.failed_ns = 200000000;
	begin(&options);
	assert_unnamed("a", 0, -ENOENT);
	assert_unnamed("b", 0, -EAGAIN);
	assert_unnamed("c", 0, -EAGAIN);
	cr_expect_eq(worker_files_unread(files), 3);
	worker_files_begin(files);
	assert_unnamed("b", 0, -ENOENT);
	assert_unnamed("c", 0, -EAGAIN);
	cr_expect_eq(worker_files_unread(files), 3);
}

Test(worker_files, more_than_are_open_at_once)
{
	uint64_t offset = offset_of("a", "outer");
	pid_t worker;

	cr_assert_eq(folder_shell("for i in $(seq %d); do cp a a$i; done", WIRE_FILES_MAX + 8), 0);
	assert_named("a", "outer", offset);
	worker = worker_files_process_id(files);
	for (int pass = 0; pass < 2; pass++)
		for (int i = 1; i <= WIRE_FILES_MAX + 8; i++) {
			char name[16];

			snprintf(name, sizeof(name), "a%d", i);
			assert_named(name, "outer", offset);
		}
	cr_expect_eq(worker_files_process_id(files), worker, "it has not ended");
}

/* A child that makes a report speaks to a worker of its own, and leaves this one's alone. */
Test(worker_files, of_a_child)
{
	uint64_t offset = offset_of("a", "outer");
	pid_t worker, child;
	int status = 0;

	assert_named("a", "outer", offset);
	worker = worker_files_process_id(files);
	child = fork();
	if (!child) {
		char *name = NULL;
		pid_t other;

		if (worker_files_process_id(files) != -1 || name_function("a", offset, &name) ||
		    strcmp(name, "outer") != 0)
			_exit(1);
		other = worker_files_process_id(files);
		if (other <= 0 || other == worker)
			_exit(2);
		worker_files_rest(files);
		_exit(worker_files_process_id(files) == -1 && kill(other, 0) < 0 && errno == ESRCH ? 0 : 3);
	}
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%d", status);
	assert_named("a", "outer", offset);
	cr_expect_eq(worker_files_process_id(files), worker);
}

Test(worker_files, ends_when_it_is_freed)
{
	pid_t worker;

	assert_named("a", "outer", offset_of("a", "outer"));
	worker = worker_files_process_id(files);
	worker_files_free(files);
	files = NULL;
	cr_expect_eq(kill(worker, 0), -1);
	cr_expect_eq(errno, ESRCH);
}

/* What is expected of a file is asked in one question, of which the worker's end shows the end. */
Test(worker_files, asked_together)
{
	struct native_places *places = NULL;
	struct file_key key = add("a");
	uint64_t offset = offset_of("a", "outer");
	const struct native_name *names;
	size_t count = 0;

	cr_assert_eq(native_places_new(files, &places), 0);
	for (uint64_t i = 1; i <= 5; i++)
		cr_assert_eq(native_places_expect(places, &key, offset + i), 0);
	cr_assert_eq(native_places_find(places, &key, offset + 3, folder_path("a"), &names, &count), 0);
	cr_assert_gt(worker_files_process_id(files), 0);
	worker_files_rest(files);
	for (uint64_t i = 1; i <= 5; i++) {
		cr_assert_eq(native_places_find(places, &key, offset + i, folder_path("a"), &names, &count),
		             0);
		cr_assert_gt(count, 0);
		cr_expect_str_eq(names[count - 1].function, "outer");
		cr_expect_eq(worker_files_process_id(files), -1, "%zu was known", (size_t)i);
	}
	cr_assert_eq(native_places_find(places, &key, offset + 6, folder_path("a"), &names, &count), 0);
	cr_expect_gt(worker_files_process_id(files), 0, "this one was not expected");
	native_places_free(places);
}

/* Asked again in the next report, and not before. */
Test(worker_files, places_that_are_put_off)
{
	struct worker_options options = misbehaving(WORKER_ENDS);
	struct native_places *places = NULL;
	struct file_key key = add("a");
	const struct native_name *names;
	size_t count = 1;

	begin(&options);
	cr_assert_eq(native_places_new(files, &places), 0);
	cr_assert_eq(native_places_expect(places, &key, 1), 0);
	cr_assert_eq(native_places_find(places, &key, 1, folder_path("a"), &names, &count), 0);
	cr_expect_eq(count, 0);
	options.argument = WORKER_GOOD;
	cr_assert_eq(native_places_find(places, &key, 1, folder_path("a"), &names, &count), 0);
	cr_expect_eq(count, 0, "not in this report");
	worker_files_begin(files);
	cr_assert_eq(native_places_find(places, &key, 1, folder_path("a"), &names, &count), 0);
	cr_assert_eq(count, 1);
	cr_expect_str_eq(names[0].function, WORKER_FUNCTION);
	native_places_free(places);
}
