/*
 * An index of DWARF by address.
 * Inputs: DWARF that anybody may have written: the number of entries and ranges read, their depth and the
 * direction of sibling references are bounded here, the encoding is checked by libdw. Outputs: its entries
 * (DIEs).
 *
 * The units' own ranges are used and not .debug_aranges, which clang and rustc do not write. Split units
 * (.dwo) are not opened: their names come from the symbol table, their lines from the skeleton.
 */
#include "symbols/dwarf_index.h"

#include <dwarf.h>
#include <errno.h>
#include <stdlib.h>

#include "base/array.h"
#include "symbols/intervals.h"

/* Entries and ranges looked at in one file: a GiB of memory at worst. Chosen by: a report asks for some
 * hundred units of a browser's engine, of 100,000 entries each. */
#define DWARF_ENTRIES_MAX ((uint32_t)32 << 20)
/* Chosen by: ten times the units of the largest browser's engine. */
#define DWARF_UNITS_MAX 1000000U
#define DWARF_NO_SCOPE  UINT32_MAX

/* A namespace, type or function. */
struct dwarf_scope {
	Dwarf_Off offset;
	uint32_t parent; /* index of a scope, or DWARF_NO_SCOPE */
};

struct dwarf_unit {
	Dwarf_Die die;
	bool read;
	struct intervals functions; /* value: index of a scope */
	struct dwarf_scope *scopes; /* by offset */
	size_t count;
	size_t capacity;
};

struct dwarf_index {
	const struct elf_segments *segments;
	uint32_t entries_left;
	struct dwarf_unit *units;
	size_t count;
	size_t capacity;
	struct intervals ranges; /* value: index of a unit */
};

/* What reading the entries of a unit carries along. */
struct dwarf_reader {
	struct dwarf_index *index;
	struct dwarf_unit *unit;
};

static int dwarf_reader_children(struct dwarf_reader *reader, Dwarf_Die *parent, uint32_t scope,
                                 unsigned depth);

bool dwarf_index_spend(struct dwarf_index *index)
{
	if (index->entries_left == 0)
		return false;
	index->entries_left--;
	return true;
}

bool dwarf_index_die_holds(struct dwarf_index *index, Dwarf_Die *die, uint64_t address)
{
	Dwarf_Addr base = 0;
	Dwarf_Addr start = 0;
	Dwarf_Addr end = 0;
	ptrdiff_t next = 0;

	while (dwarf_index_spend(index) && (next = dwarf_ranges(die, next, &base, &start, &end)) > 0)
		if (address >= start && address < end)
			return true;
	return false;
}

/* Code that the linker threw away keeps its entry, at address 0 or 1: it must not answer for what is there.
 */
static int dwarf_index_add_ranges(struct dwarf_index *index, Dwarf_Die *die, struct intervals *intervals,
                                  uint32_t value)
{
	Dwarf_Addr base = 0;
	Dwarf_Addr start = 0;
	Dwarf_Addr end = 0;
	ptrdiff_t next = 0;

	while (intervals->count < INTERVALS_MAX && dwarf_index_spend(index) &&
	       (next = dwarf_ranges(die, next, &base, &start, &end)) > 0) {
		int error = 0;

		if (elf_segments_executable(index->segments, start))
			error = intervals_add(intervals, start, end, 0, value);
		if (error < 0)
			return error;
	}
	return 0;
}

static int dwarf_index_add_unit(struct dwarf_index *index, const Dwarf_Die *die)
{
	uint32_t number = (uint32_t)index->count;

	if (array_grow((void **)&index->units, &index->capacity, index->count + 1, sizeof(*index->units)))
		return -ENOMEM;
	index->units[index->count++] = (struct dwarf_unit){.die = *die};
	return dwarf_index_add_ranges(index, &index->units[number].die, &index->ranges, number);
}

static int dwarf_index_add_units(struct dwarf_index *index, Dwarf *dwarf)
{
	Dwarf_CU *unit = NULL;
	Dwarf_Half version = 0;
	uint8_t type = 0;
	Dwarf_Die die;
	int error = 0;

	while (error == 0 && index->count < DWARF_UNITS_MAX &&
	       dwarf_get_units(dwarf, unit, &unit, &version, &type, &die, NULL) == 0) {
		/* Offsets in .debug_types, which DWARF 5 no longer has, are a number space of their own. */
		if (type != DW_UT_type || version >= 5)
			error = dwarf_index_add_unit(index, &die);
	}
	return error;
}

int dwarf_index_new(Dwarf *dwarf, Dwarf *alternate, const struct elf_segments *segments,
                    struct dwarf_index **ret_index)
{
	struct dwarf_index *index = calloc(1, sizeof(*index));
	int error = 0;

	if (!index)
		return -ENOMEM;
	index->segments = segments;
	index->entries_left = DWARF_ENTRIES_MAX;
	error = dwarf_index_add_units(index, dwarf);
	if (error == 0 && alternate)
		error = dwarf_index_add_units(index, alternate);
	if (error < 0) {
		dwarf_index_free(index);
		return error;
	}
	intervals_sort(&index->ranges);
	*ret_index = index;
	return 0;
}

void dwarf_index_free(struct dwarf_index *index)
{
	if (!index)
		return;
	for (size_t i = 0; i < index->count; i++) {
		intervals_clear(&index->units[i].functions);
		free(index->units[i].scopes);
	}
	free(index->units);
	intervals_clear(&index->ranges);
	free(index);
}

static int dwarf_unit_add_scope(struct dwarf_unit *unit, Dwarf_Off offset, uint32_t parent,
                                uint32_t *ret_scope)
{
	if (array_grow((void **)&unit->scopes, &unit->capacity, unit->count + 1, sizeof(*unit->scopes)))
		return -ENOMEM;
	*ret_scope = (uint32_t)unit->count;
	unit->scopes[unit->count++] = (struct dwarf_scope){.offset = offset, .parent = parent};
	return 0;
}

static int dwarf_reader_entry(struct dwarf_reader *reader, Dwarf_Die *die, uint32_t scope, unsigned depth)
{
	uint32_t inner = scope;
	int error = 0;
	int tag = dwarf_tag(die);

	switch (tag) {
	case DW_TAG_namespace:
	case DW_TAG_module:
	case DW_TAG_class_type:
	case DW_TAG_structure_type:
	case DW_TAG_union_type:
	case DW_TAG_interface_type:
	case DW_TAG_enumeration_type: /* Rust's enums have methods */
	case DW_TAG_subprogram:
		error = dwarf_unit_add_scope(reader->unit, dwarf_dieoffset(die), scope, &inner);
		break;
	case DW_TAG_lexical_block:
		break;
	default:
		return 0;
	}
	if (error == 0 && tag == DW_TAG_subprogram)
		error = dwarf_index_add_ranges(reader->index, die, &reader->unit->functions, inner);
	return error < 0 ? error : dwarf_reader_children(reader, die, inner, depth);
}

static int dwarf_reader_children(struct dwarf_reader *reader, Dwarf_Die *parent, uint32_t scope,
                                 unsigned depth)
{
	Dwarf_Off previous = 0;
	Dwarf_Die die;
	int error = 0;

	if (depth >= DWARF_DEPTH_MAX || dwarf_child(parent, &die) != 0)
		return 0;
	do {
		previous = dwarf_dieoffset(&die);
		if (!dwarf_index_spend(reader->index))
			return 0;
		error = dwarf_reader_entry(reader, &die, scope, depth + 1);
	} while (error == 0 && dwarf_siblingof(&die, &die) == 0 && dwarf_dieoffset(&die) > previous);
	return error;
}

static int dwarf_index_read_unit(struct dwarf_index *index, struct dwarf_unit *unit)
{
	struct dwarf_reader reader = {.index = index, .unit = unit};
	int error = 0;

	if (unit->read)
		return 0;
	error = dwarf_reader_children(&reader, &unit->die, DWARF_NO_SCOPE, 0);
	if (error < 0) {
		intervals_clear(&unit->functions);
		unit->count = 0;
		return error;
	}
	intervals_sort(&unit->functions);
	unit->read = true;
	return 0;
}

int dwarf_index_find(struct dwarf_index *index, uint64_t address, Dwarf_Die *ret_unit,
                     Dwarf_Die *ret_function, bool *ret_has_function)
{
	const struct interval *range = intervals_find(&index->ranges, address);
	const struct interval *function = NULL;
	struct dwarf_unit *unit = NULL;
	int error = 0;

	if (!range)
		return -ENOENT;
	unit = &index->units[range->value];
	error = dwarf_index_read_unit(index, unit);
	if (error < 0)
		return error;
	function = intervals_find(&unit->functions, address);
	*ret_has_function = function && dwarf_offdie(dwarf_cu_getdwarf(unit->die.cu),
	                                             unit->scopes[function->value].offset, ret_function);
	*ret_unit = unit->die;
	return 0;
}

static int dwarf_scope_compare(const void *key, const void *item)
{
	const Dwarf_Off *offset = key;
	const struct dwarf_scope *scope = item;

	return *offset == scope->offset ? 0 : *offset < scope->offset ? -1 : 1;
}

int dwarf_index_scope(struct dwarf_index *index, const Dwarf_Die *die, Dwarf_Die *ret_scope)
{
	Dwarf_Off offset = dwarf_dieoffset((Dwarf_Die *)die);
	const struct dwarf_scope *scope = NULL;
	struct dwarf_unit *unit = NULL;
	int error = 0;

	for (size_t i = 0; i < index->count && !unit; i++)
		if (index->units[i].die.cu == die->cu)
			unit = &index->units[i];
	if (!unit)
		return -ENOENT;
	error = dwarf_index_read_unit(index, unit);
	if (error < 0)
		return error;
	/* Read in the order of their offsets; where a hostile file breaks the order a scope is merely not
	 * found. */
	if (unit->count)
		scope = bsearch(&offset, unit->scopes, unit->count, sizeof(*scope), dwarf_scope_compare);
	if (!scope || scope->parent == DWARF_NO_SCOPE)
		return -ENOENT;
	return dwarf_offdie(dwarf_cu_getdwarf(unit->die.cu), unit->scopes[scope->parent].offset, ret_scope)
	               ? 0
	               : -ENOENT;
}
