/*
 * Names from DWARF: function, file and line of an address, with the functions inlined there.
 * Inputs: DWARF that anybody may have written; chains of references, depth and lengths are bounded here.
 * Outputs: records of native_name.h.
 */
#include "symbols/dwarf_names.h"

#include <dwarf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "symbols/demangle.h"

/* An inlined copy refers to its abstract instance, that to a declaration; LTO adds one or two. */
#define DWARF_REFERENCES_MAX 16
#define DWARF_PATH_MAX       4096

/* The functions inlined at an address, outermost first. */
struct inline_chain {
	Dwarf_Die dies[NATIVE_INLINE_MAX - 1];
	size_t count;
};

static const char *die_own_string(Dwarf_Die *die, unsigned attribute_name)
{
	Dwarf_Attribute attribute;

	return dwarf_formstring(dwarf_attr(die, attribute_name, &attribute));
}

static const char *die_linkage_name(Dwarf_Die *die)
{
	Dwarf_Attribute attribute;
	const char *name = dwarf_formstring(dwarf_attr_integrate(die, DW_AT_linkage_name, &attribute));

	return name ? name : dwarf_formstring(dwarf_attr_integrate(die, DW_AT_MIPS_linkage_name, &attribute));
}

/* Follows references to the entry that has the name itself: it is the one nested in namespaces and types. */
static const char *die_declared_name(Dwarf_Die *die)
{
	for (int i = 0; i < DWARF_REFERENCES_MAX; i++) {
		const char *name = die_own_string(die, DW_AT_name);
		Dwarf_Attribute attribute;
		Dwarf_Die target;

		if (name)
			return name;
		if (!dwarf_attr(die, DW_AT_abstract_origin, &attribute) &&
		    !dwarf_attr(die, DW_AT_specification, &attribute))
			return NULL;
		if (!dwarf_formref_die(&attribute, &target))
			return NULL;
		*die = target;
	}
	return NULL;
}

/* The words for what has no name are those of the demanglers. */
static const char *scope_name(Dwarf_Die *scope, const char *member)
{
	bool is_namespace = dwarf_tag(scope) == DW_TAG_namespace;
	const char *name = die_declared_name(scope);

	if (name && *name)
		return name;
	if (is_namespace)
		return "(anonymous namespace)";
	return strcmp(member, "operator()") == 0 ? "{lambda}" : "{unnamed}";
}

static bool language_qualifies(int language)
{
	switch (language) {
	case DW_LANG_C_plus_plus:
	case DW_LANG_C_plus_plus_03:
	case DW_LANG_C_plus_plus_11:
	case DW_LANG_C_plus_plus_14:
	case 0x2b: /* C++ 17 and C++ 20, in the list of languages after DWARF 5 */
	case 0x2c:
	case DW_LANG_D:
	case DW_LANG_Rust:
		return true;
	default:
		return false;
	}
}

/* Compilers leave out the linkage name of functions that other files cannot see: it is put together here. */
static int qualify(struct dwarf_index *index, Dwarf_Die declaration, const char *name, char **ret_name)
{
	char *qualified = strndup(name, DEMANGLE_NAME_MAX);

	for (unsigned i = 0; qualified && i < DWARF_DEPTH_MAX; i++) {
		Dwarf_Die scope;
		char *longer = NULL;
		const char *part = NULL;
		int error = dwarf_index_scope(index, &declaration, &scope);

		if (error == -ENOMEM) {
			free(qualified);
			return error;
		}
		if (error < 0)
			break;
		part = scope_name(&scope, qualified);
		if (strlen(qualified) + strnlen(part, DEMANGLE_NAME_MAX) + 2 > DEMANGLE_NAME_MAX)
			break;
		if (asprintf(&longer, "%s::%s", part, qualified) < 0)
			longer = NULL;
		free(qualified);
		qualified = longer;
		declaration = scope;
	}
	*ret_name = qualified;
	return qualified ? 0 : -ENOMEM;
}

static int function_name(struct dwarf_index *index, const Dwarf_Die *function, int language, char **ret_name)
{
	Dwarf_Die die = *function;
	const char *linkage = die_linkage_name(&die);
	const char *name = NULL;
	char *result = linkage ? demangle(linkage) : NULL;

	if (result) {
		*ret_name = result;
		return 0;
	}
	name = die_declared_name(&die);
	if (name && language_qualifies(language))
		return qualify(index, die, name, ret_name);
	if (!name)
		name = linkage ? linkage : "";
	result = strndup(name, DEMANGLE_NAME_MAX);
	*ret_name = result;
	return result ? 0 : -ENOMEM;
}

/* Does an entry say where its code is, and is the address there? A block without a place is looked into. */
static bool die_may_hold(struct dwarf_index *index, Dwarf_Die *die, uint64_t address)
{
	if (dwarf_index_die_holds(index, die, address))
		return true;
	return dwarf_tag(die) == DW_TAG_lexical_block && !dwarf_hasattr(die, DW_AT_low_pc) &&
	       !dwarf_hasattr(die, DW_AT_ranges);
}

static void inline_chain_find(struct inline_chain *chain, struct dwarf_index *index, Dwarf_Die *parent,
                              uint64_t address, unsigned depth)
{
	size_t before = chain->count;
	Dwarf_Off previous = 0;
	Dwarf_Die die;

	if (depth >= DWARF_DEPTH_MAX || chain->count == NATIVE_INLINE_MAX - 1 ||
	    dwarf_child(parent, &die) != 0)
		return;
	do {
		int tag = dwarf_tag(&die);

		if (!dwarf_index_spend(index))
			return;
		previous = dwarf_dieoffset(&die);
		if (tag != DW_TAG_inlined_subroutine && tag != DW_TAG_lexical_block &&
		    tag != DW_TAG_try_block && tag != DW_TAG_catch_block)
			continue;
		if (!die_may_hold(index, &die, address))
			continue;
		if (tag == DW_TAG_inlined_subroutine)
			chain->dies[chain->count++] = die;
		inline_chain_find(chain, index, &die, address, depth + 1);
	} while (chain->count == before && dwarf_siblingof(&die, &die) == 0 &&
	         dwarf_dieoffset(&die) > previous);
}

/* libdw has put the unit's folder before a relative name, unless that folder is itself missing or relative.
 */
static char *source_path(Dwarf_Die *unit, const char *path)
{
	const char *folder = die_own_string(unit, DW_AT_comp_dir);
	char *joined = NULL;

	if (!path || strcmp(path, "???") == 0)
		return strdup("");
	if (path[0] == '/' || !folder || folder[0] != '/')
		return strndup(path, DWARF_PATH_MAX);
	if (asprintf(&joined, "%.*s/%.*s", DWARF_PATH_MAX / 2, folder, DWARF_PATH_MAX / 2, path) < 0)
		return NULL;
	return joined;
}

static int name_address(Dwarf_Die *unit, uint64_t address, struct native_name *name)
{
	Dwarf_Line *line = dwarf_getsrc_die(unit, address);
	int number = 0;

	if (line && dwarf_lineno(line, &number) == 0 && number > 0)
		name->line = (uint32_t)number;
	name->file = source_path(unit, line ? dwarf_linesrc(line, NULL, NULL) : NULL);
	return name->file ? 0 : -ENOMEM;
}

/* An inlined copy knows where it was called: that is the place of the function around it. */
static int name_call(Dwarf_Die *unit, Dwarf_Die *inlined, struct native_name *caller)
{
	Dwarf_Attribute attribute;
	Dwarf_Word file = 0;
	Dwarf_Word line = 0;
	Dwarf_Files *files = NULL;
	size_t count = 0;
	const char *path = NULL;

	if (dwarf_formudata(dwarf_attr(inlined, DW_AT_call_file, &attribute), &file) == 0 &&
	    dwarf_getsrcfiles(unit, &files, &count) == 0 && file < count)
		path = dwarf_filesrc(files, file, NULL, NULL);
	if (dwarf_formudata(dwarf_attr(inlined, DW_AT_call_line, &attribute), &line) == 0 &&
	    line <= UINT32_MAX)
		caller->line = (uint32_t)line;
	caller->file = source_path(unit, path);
	return caller->file ? 0 : -ENOMEM;
}

int dwarf_names_find(struct dwarf_index *index, uint64_t address, struct native_name **ret_names,
                     size_t *ret_count)
{
	struct inline_chain chain = {.count = 0};
	struct native_name *names = NULL;
	Dwarf_Die unit;
	Dwarf_Die function;
	bool has_function = false;
	int language = 0;
	int error = dwarf_index_find(index, address, &unit, &function, &has_function);

	if (error < 0)
		return error;
	if (has_function)
		inline_chain_find(&chain, index, &function, address, 0);
	names = calloc(chain.count + 1, sizeof(*names));
	if (!names)
		return -ENOMEM;
	language = dwarf_srclang(&unit);
	error = name_address(&unit, address, &names[0]);
	for (size_t i = 0; i < chain.count && error == 0; i++) {
		Dwarf_Die *inlined = &chain.dies[chain.count - 1 - i];

		names[i].inlined = true;
		error = function_name(index, inlined, language, &names[i].function);
		if (error == 0)
			error = name_call(&unit, inlined, &names[i + 1]);
	}
	if (error == 0 && has_function)
		error = function_name(index, &function, language, &names[chain.count].function);
	else if (error == 0)
		error = (names[0].function = strdup("")) ? 0 : -ENOMEM;
	if (error < 0) {
		native_names_free(names, chain.count + 1);
		return error;
	}
	*ret_names = names;
	*ret_count = chain.count + 1;
	return 0;
}
