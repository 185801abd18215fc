/*
 * What is kept once and named by id or key: stacks, mapped files, tests. See interned.h.
 */
#include "model/interned.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "consume/decode.h"

const struct model_stack *interned_find_stack(const struct model *model, uint64_t id)
{
	struct model_stack *stack;

	HASH_FIND(hh, model->stacks, &id, sizeof(id), stack);
	return stack;
}

const char *interned_find_file(const struct model *model, const struct file_key *key)
{
	struct model_file *file;

	HASH_FIND(hh, model->files, key, sizeof(*key), file);
	return file ? file->path : NULL;
}

int interned_add_stack(struct model *model, const struct event_stack *event)
{
	size_t bytes = event->count * sizeof(event->frames[0]);
	struct model_stack *stack;

	if (interned_find_stack(model, event->id))
		return 0;
	if (HASH_COUNT(model->stacks) >= MODEL_STACKS_MAX) {
		model->counters.over_maximum++;
		return 0;
	}
	stack = malloc(sizeof(*stack) + bytes);
	if (!stack)
		return -ENOMEM;
	stack->id = event->id;
	stack->end = event->end;
	stack->count = event->count;
	memcpy(stack->frames, event->frames, bytes);
	HASH_ADD(hh, model->stacks, id, sizeof(stack->id), stack);
	return 0;
}

int interned_alias_stack(struct model *model, uint64_t id, uint64_t same_as)
{
	struct stack_alias *alias;

	if (HASH_COUNT(model->stack_aliases) >= MODEL_STACKS_MAX) {
		model->counters.over_maximum++;
		return 0;
	}
	alias = malloc(sizeof(*alias));
	if (!alias)
		return -ENOMEM;
	alias->id = id;
	alias->same_as = same_as;
	HASH_ADD(hh, model->stack_aliases, id, sizeof(alias->id), alias);
	return 0;
}

uint64_t interned_same_stack(const struct model *model, uint64_t id)
{
	struct stack_alias *alias;

	HASH_FIND(hh, model->stack_aliases, &id, sizeof(id), alias);
	return alias ? alias->same_as : id;
}

int interned_add_file(struct model *model, const struct event_file *event)
{
	struct model_file *file;

	if (interned_find_file(model, &event->key))
		return 0;
	if (HASH_COUNT(model->files) >= MODEL_FILES_MAX) {
		model->counters.over_maximum++;
		return 0;
	}
	file = calloc(1, sizeof(*file));
	if (!file)
		return -ENOMEM;
	file->key = event->key;
	file->path = decode_path(&event->path, event->names);
	if (!file->path) {
		free(file);
		return -ENOMEM;
	}
	HASH_ADD(hh, model->files, key, sizeof(file->key), file);
	return 0;
}

int interned_add_test(struct model *model, const char *name, size_t length, struct test_id *ret_id)
{
	struct model_test *test;
	int error;

	HASH_FIND(hh, model->tests_by_name, name, length, test);
	if (test) {
		*ret_id = test->id;
		return 0;
	}
	if (model->test_count >= MODEL_TESTS_MAX) {
		model->counters.over_maximum++;
		*ret_id = (struct test_id){0};
		return 0;
	}
	error = array_grow((void **)&model->tests, &model->test_capacity, model->test_count + 1,
	                   sizeof(model->tests[0]));
	if (error)
		return error;
	test = calloc(1, sizeof(*test));
	if (test)
		test->name = strndup(name, length);
	if (!test || !test->name) {
		free(test);
		return -ENOMEM;
	}
	model->tests[model->test_count++] = test;
	test->id.v = (uint32_t)model->test_count;
	HASH_ADD_KEYPTR(hh, model->tests_by_name, test->name, length, test);
	*ret_id = test->id;
	return 0;
}

void interned_free(struct model *model)
{
	struct model_stack *stack, *next_stack;
	struct stack_alias *alias, *next_alias;
	struct model_file *file, *next_file;
	struct model_test *test, *next_test;

	HASH_ITER (hh, model->stacks, stack, next_stack) {
		HASH_DEL(model->stacks, stack);
		free(stack);
	}
	HASH_ITER (hh, model->stack_aliases, alias, next_alias) {
		HASH_DEL(model->stack_aliases, alias);
		free(alias);
	}
	HASH_ITER (hh, model->files, file, next_file) {
		HASH_DEL(model->files, file);
		free(file->path);
		free(file);
	}
	HASH_ITER (hh, model->tests_by_name, test, next_test) {
		HASH_DEL(model->tests_by_name, test);
		free(test->name);
		free(test);
	}
	free(model->tests);
}
