/*
 * What every output needs of a snapshot besides its fields: names of enumerators, stacks by id, the end of
 * it. Inputs: a finished snapshot. Outputs: pointers into it, constant strings. Trust: enumerators and
 * indexes are the model's own; strings are not looked at here.
 */
#include "model/snapshot.h"

#include "base/arena.h"

#define NAME_TABLE_COMPLETE(table, count) \
	_Static_assert(sizeof(table) / sizeof((table)[0]) == (count), #table " misses a name")

static const char *const verdict_names[] = {
        [VERDICT_LEAK] = "leak", [VERDICT_LEFT_OPEN] = "left-open", [VERDICT_LATE] = "late",
        [VERDICT_HELD] = "held", [VERDICT_STEADY] = "steady",
};
NAME_TABLE_COMPLETE(verdict_names, VERDICT_COUNT);

static const char *const category_names[] = {
        [CATEGORY_APPLICATION] = "application",
        [CATEGORY_LOADER] = "loader",
        [CATEGORY_THREAD_STACK] = "thread-stack",
        [CATEGORY_ALLOCATOR] = "allocator",
};
NAME_TABLE_COMPLETE(category_names, CATEGORY_COUNT);

static const char *const language_names[] = {
        [LANGUAGE_NATIVE] = "native",
        [LANGUAGE_PYTHON] = "python",
        [LANGUAGE_JIT] = "jit",
};
NAME_TABLE_COMPLETE(language_names, LANGUAGE_COUNT);

static const char *const shutdown_mark_names[] = {
        [SHUTDOWN_NONE] = "live",
        [SHUTDOWN_FINALIZE] = "finalize",
        [SHUTDOWN_EXIT] = "exit",
        [SHUTDOWN_EXIT_GROUP] = "exit_group",
        [SHUTDOWN_LAST_THREAD] = "last_thread",
};
NAME_TABLE_COMPLETE(shutdown_mark_names, SHUTDOWN_COUNT);

const char *verdict_name(enum verdict verdict)
{
	return (unsigned int)verdict < VERDICT_COUNT ? verdict_names[verdict] : NULL;
}

const char *category_name(enum handle_category category)
{
	return (unsigned int)category < CATEGORY_COUNT ? category_names[category] : NULL;
}

const char *language_name(enum frame_language language)
{
	return (unsigned int)language < LANGUAGE_COUNT ? language_names[language] : NULL;
}

const char *shutdown_mark_name(enum shutdown_mark mark)
{
	return (unsigned int)mark < SHUTDOWN_COUNT ? shutdown_mark_names[mark] : NULL;
}

const struct snapshot_stack *snapshot_find_stack(const struct snapshot *snapshot, uint64_t id)
{
	size_t low = 0, high = snapshot->stack_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (snapshot->stacks[middle].id == id)
			return &snapshot->stacks[middle];
		if (snapshot->stacks[middle].id < id)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

void snapshot_free(struct snapshot *snapshot)
{
	if (snapshot)
		arena_free(snapshot->arena);
}
