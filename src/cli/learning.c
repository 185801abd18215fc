/*
 * What is learnt of files that processes run. See learning.h.
 */
#include "cli/learning.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "consume/decode.h"
#include "load/marks.h"
#include "unwind/file_image.h"
#include "unwind/python_layout.h"
#include "unwind/unwind_table.h"
#include "unwind/vdso_file.h"

struct evicted_file {
	struct file_key key;
	UT_hash_handle hh;
};

void learning_evicted(void *context, const struct file_key *key)
{
	struct learning *learning = context;
	struct evicted_file *file = calloc(1, sizeof(*file));

	/* Its stacks end there, and this is not forgotten even where it can be made good. */
	learning->not_kept++;
	if (!file)
		return;
	file->key = *key;
	HASH_ADD(hh, learning->evicted, key, sizeof(file->key), file);
	(void)loader_forget_file(learning->loader, key); /* it stays as it is, which is counted */
}

void learning_clear(struct learning *learning)
{
	struct evicted_file *file, *next;

	HASH_ITER (hh, learning->evicted, file, next) {
		HASH_DEL(learning->evicted, file);
		free(file);
	}
}

/* @return whether the file was among them, and is no longer */
static bool take_evicted(struct learning *learning, const struct file_key *key)
{
	struct evicted_file *file;

	HASH_FIND(hh, learning->evicted, key, sizeof(*key), file);
	if (!file)
		return false;
	HASH_DEL(learning->evicted, file);
	free(file);
	return true;
}

/* Where a process mapped or ran a runtime that was not known then: tell the programs where it is. */
static int hint_runtime(const struct learning *learning, const struct event_file *event,
                        const struct known_file *known)
{
	uint64_t runtime = known_file_runtime(known, event->cause, event->address, event->file_offset);

	if (!runtime)
		return 0;
	return loader_hint_python(learning->loader, event->header.process_id, event->header.process_start_ns,
	                          runtime, known->python_minor);
}

static int learn_marks(struct learning *learning, int fd)
{
	int error = learning->marks_later ? 0 : marks_attach(learning->loader, fd, NULL);

	if (error == -ENOMEM)
		return error;
	/* Its processes are left to the marks that every process has. */
	if (error && error != -ENOEXEC)
		learning->not_kept++;
	return 0;
}

static void add_evaluator(struct learning *learning, const struct evaluator *evaluator)
{
	if (evaluator->bytes && learning->evaluator_count < LEARNING_EVALUATORS_MAX)
		learning->evaluators[learning->evaluator_count++] = *evaluator;
}

static void learn_evaluator(struct learning *learning, const struct file_key *key,
                            const struct known_file *known)
{
	const struct evaluator parts[] = {
	        {*key, known->evaluator_offset, known->evaluator_bytes},
	        {*key, known->evaluator_cold_offset, known->evaluator_cold_bytes},
	};

	for (size_t i = 0; i < learning->evaluator_count; i++)
		if (!memcmp(&learning->evaluators[i].file, key, sizeof(*key)))
			return;
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		add_evaluator(learning, &parts[i]);
}

bool learning_is_evaluation(const void *context, const struct stack_frame *frame)
{
	const struct learning *learning = context;

	for (size_t i = 0; i < learning->evaluator_count; i++) {
		const struct evaluator *evaluator = &learning->evaluators[i];

		if (frame->position - evaluator->offset < evaluator->bytes &&
		    !memcmp(&frame->file, &evaluator->file, sizeof(frame->file)))
			return true;
	}
	return false;
}

static int learn_runtime(struct learning *learning, const struct event_file *event, int fd)
{
	struct known_file known = {0};
	uint32_t minor;
	int error;

	if (python_layout_probe(fd, &known, &minor))
		return 0;
	learn_evaluator(learning, &event->key, &known);
	error = loader_know_file(learning->loader, &event->key, &known);
	return error ? error : hint_runtime(learning, event, &known);
}

/* Without a table stacks end in the file, and say so. */
static int learn_unwinding(struct learning *learning, const struct event_file *event, int fd)
{
	struct unwind_table *table = NULL;
	const struct unwind_row *rows;
	struct file_image image;
	size_t count;
	int error;

	/* A file whose marks come later is looked at twice. */
	if (!learning->unwinds || loader_wants_unwind_rows(learning->loader, &event->key))
		return 0;
	error = file_image_read(fd, &image);
	if (error)
		return error == -ENOMEM ? error : 0;
	error = unwind_table_make(image.bytes, image.size_bytes, &table);
	file_image_free(&image);
	if (!error) {
		rows = unwind_table_rows(table, &count);
		error = loader_add_unwind_rows(learning->loader, &event->key, rows, count, false);
	}
	unwind_table_free(table);
	if (error == -ENOMEM)
		return error;
	if (error == -ENOSPC || error == -E2BIG)
		learning->not_kept++;
	return 0;
}

static int learn_executable(struct learning *learning, const struct event_file *event)
{
	struct known_file known = {0};
	bool evicted;
	int fd, error = 0;

	/* Several processes can have mapped it before it was learnt. */
	if (loader_file_is_learnt(learning->loader, &event->key, &known))
		return known.python_minor ? hint_runtime(learning, event, &known) : 0;
	/* Gone already, or not to be read: it stays unknown. */
	if (mapped_files_fd(learning->files, &event->key, &fd))
		return 0;
	/* Its marks are attached, and would be twice. */
	evicted = take_evicted(learning, &event->key);
	if (!evicted)
		error = learn_marks(learning, fd);
	if (!error && !evicted)
		error = learn_runtime(learning, event, fd);
	if (!error)
		error = learn_unwinding(learning, event, fd);
	if (error)
		return error;
	return learning->marks_later && !evicted ? loader_forget_file(learning->loader, &event->key)
	                                         : loader_file_learnt(learning->loader, &event->key);
}

int learning_take(struct learning *learning, const struct event_file *event)
{
	char *path = decode_path(&event->path, event->names);
	int error;

	if (!path)
		return -ENOMEM;
	error = mapped_files_add(learning->files, event, path);
	free(path);
	if (error == -ENOSPC) {
		learning->not_kept++;
		return 0;
	}
	if (!error && event->executable)
		error = learn_executable(learning, event);
	return error;
}

int learning_take_vdso(struct learning *learning)
{
	const struct event_file event = {.key.inode = FILE_KEY_VDSO_INODE};
	int fd, error = vdso_file_open(&fd);

	if (error)
		return error == -ENOMEM ? error : 0;
	error = mapped_files_add_named(learning->files, &event.key, "[vdso]", fd);
	return error ? error : learn_unwinding(learning, &event, fd);
}
