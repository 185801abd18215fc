/*
 * See current_test.h.
 */
#include "model/current_test.h"

#include <string.h>

#include "model/interned.h"

struct test_id current_test_nearest(const struct process *process)
{
	for (; process; process = process->parent)
		if (process->announces_tests || process->test.v)
			return process->test;
	return (struct test_id){0};
}

/* pytest appends the phase: "test_x.py::test_a (call)" (_pytest/runner.py, _update_current_test_var). */
static size_t test_name_length(const char *name)
{
	static const char *const phases[] = {" (setup)", " (call)", " (teardown)"};
	size_t length = strlen(name);

	for (size_t i = 0; i < sizeof(phases) / sizeof(phases[0]); i++) {
		size_t phase = strlen(phases[i]);

		if (length > phase && !strcmp(name + length - phase, phases[i]))
			return length - phase;
	}
	return length;
}

static void begin_test(struct process *process, struct test_id test)
{
	if (test.v != process->test.v)
		process->test_serial++;
	process->test = test;
}

static void mark_test(struct model *model, struct test_id test)
{
	if (test.v != model->marked_test.v)
		model->marked_serial++;
	model->marked_test = test;
}

int current_test_apply(struct model *model, struct process *process, const struct event_test *event)
{
	size_t length = event->source == TEST_ANNOUNCED ? test_name_length(event->name) : strlen(event->name);
	struct test_id test = {0};
	int error = 0;

	process->announces_tests |= event->source == TEST_ANNOUNCED;
	if (length)
		error = interned_add_test(model, event->name, length, &test);
	if (error)
		return error;
	if (event->source == TEST_MARKED)
		mark_test(model, test);
	/* A variable that came from further up says nothing new: a runner in between may have announced a
	 * test. */
	else if (event->source == TEST_INHERITED && test.v == process->inherited_test.v)
		return 0;
	/* Between two tests the last one's name stays: a handle has outlived its test only when another
	 * begins. */
	else if (length)
		begin_test(process, test);
	if (event->source == TEST_INHERITED)
		process->inherited_test = test;
	return 0;
}
