/*
 * Mappings that are nobody's to release. See categories.h.
 */
#include "model/categories.h"

#include <fnmatch.h>
#include <stdbool.h>
#include <stddef.h>

#include "model/kinds.h"

/* libc's own files, which it maps where a program first asks for a locale or a conversion. */
static const char *const libc_files[] = {"*/locale/*", "*/gconv/gconv-modules.cache"};

/* What the loader maps, where no stack was captured (--stacks=none) to show that it was the loader. */
static const char *const libraries[] = {"*.so", "*.so.*"};

static bool target_matches(const struct snapshot_group *group, const char *const *globs, size_t count)
{
	for (size_t i = 0; group->sample_count && i < count; i++)
		if (!fnmatch(globs[i], group->samples[0].target, 0))
			return true;
	return false;
}

#define TARGET_MATCHES(group, globs) target_matches(group, globs, sizeof(globs) / sizeof((globs)[0]))

/* Private anonymous memory is the application's only where its own code made the call: what libc or a runtime
 * maps for an arena has a user's line above it too. By frame pointers libc's caller is not known, so the
 * innermost frame decides. In a static program libc or the runtime is a part of it, and only a name tells
 * them from its own code. */
static bool is_application_memory(const struct snapshot_stack *stack)
{
	return stack && stack->frame_count && stack->frames[0].room == ROOM_APPLICATION &&
	       stack->frames[0].function[0];
}

void categories_assign(struct snapshot *snapshot)
{
	for (size_t i = 0; i < snapshot->group_count; i++) {
		struct snapshot_group *group = &snapshot->groups[i];
		const struct snapshot_stack *stack;

		if (kinds_shape_of_kind(group->kind) != HANDLE_SHAPE_RANGE ||
		    group->category != CATEGORY_APPLICATION)
			continue;
		stack = snapshot_find_stack(snapshot, group->stack);
		if ((stack && stack->frame_count && stack->frames[0].room == ROOM_LOADER) ||
		    TARGET_MATCHES(group, libc_files) || (!stack && TARGET_MATCHES(group, libraries)))
			group->category = CATEGORY_LOADER;
		else if (group->type == HANDLE_TYPE_ANON && !is_application_memory(stack))
			group->category = CATEGORY_ALLOCATOR;
	}
}
