/*
 * Function names from an ELF file's symbol tables.
 * Inputs: symbol tables that anybody may have written: every index and size is checked, here or by libelf.
 * Outputs: names as the table has them, for demangle_or_copy().
 */
#include "symbols/elf_symbols.h"

#include <errno.h>
#include <gelf.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "symbols/demangle.h"
#include "symbols/intervals.h"

/* A symbol table or its strings: libelf holds all of them. Chosen by: four times a browser's engine. */
#define ELF_SYMBOLS_BYTES_MAX ((uint64_t)1 << 30)

struct elf_symbols {
	Elf *elf;
	size_t strings;           /* index of the string table's section */
	struct intervals sized;   /* value: st_name */
	struct intervals unsized; /* the same of symbols without a size, as far as the next symbol */
};

/* Where a symbol without a size ends is known when all are sorted. */
struct elf_symbol_start {
	uint64_t address;
	uint32_t name;
	uint32_t rank;
	uint16_t section;
	bool sized;
};

/* The names that a reader knows come first: `read` before `__read`, `__libc_read` and `__GI___libc_read`. */
static uint32_t elf_symbol_rank(const char *name, const GElf_Sym *symbol)
{
	uint32_t underscores = 0;
	uint32_t rank = 0;

	/* The underscore of _Z and _R is the mangling's. */
	if (name[0] == '_' && (name[1] == 'Z' || name[1] == 'R'))
		name++;
	while (name[underscores] == '_' && underscores < 8)
		underscores++;
	rank = underscores * 4;
	if (GELF_ST_BIND(symbol->st_info) == STB_LOCAL)
		rank += 2;
	if (GELF_ST_TYPE(symbol->st_info) == STT_NOTYPE)
		rank += 1;
	return rank;
}

static bool elf_symbol_names_code(const GElf_Sym *symbol, const struct elf_segments *segments)
{
	int type = GELF_ST_TYPE(symbol->st_info);

	/* STT_NOTYPE: functions written in assembly without a type. */
	if (type != STT_FUNC && type != STT_GNU_IFUNC && type != STT_NOTYPE)
		return false;
	if (symbol->st_shndx == SHN_UNDEF || symbol->st_shndx == SHN_ABS || symbol->st_shndx == SHN_COMMON)
		return false;
	return elf_segments_executable(segments, symbol->st_value);
}

static int elf_symbol_start_compare(const void *left, const void *right)
{
	const struct elf_symbol_start *a = left;
	const struct elf_symbol_start *b = right;

	if (a->section != b->section)
		return a->section < b->section ? -1 : 1;
	return a->address == b->address ? 0 : a->address < b->address ? -1 : 1;
}

/* A symbol without a size is bounded by the next higher address that has a symbol in the same section. */
static int elf_symbols_bound(struct elf_symbols *symbols, struct elf_symbol_start *starts, size_t count)
{
	uint64_t next = 0;
	uint64_t last_address = 0;

	if (count)
		qsort(starts, count, sizeof(*starts), elf_symbol_start_compare);
	for (size_t i = count; i-- > 0;) {
		const struct elf_symbol_start *start = &starts[i];
		int error = 0;

		if (i + 1 == count || starts[i + 1].section != start->section)
			next = 0;
		else if (last_address != start->address)
			next = last_address;
		last_address = start->address;
		if (!start->sized)
			error = intervals_add(&symbols->unsized, start->address, next, start->rank,
			                      start->name);
		if (error < 0)
			return error;
	}
	return 0;
}

static int elf_symbols_collect(struct elf_symbols *symbols, Elf_Data *data, size_t count,
                               const struct elf_segments *segments)
{
	struct elf_symbol_start *starts = calloc(count ? count : 1, sizeof(*starts));
	size_t kept = 0;
	int error = 0;

	if (!starts)
		return -ENOMEM;
	for (size_t i = 0; i < count && error == 0; i++) {
		GElf_Sym symbol;
		const char *name = NULL;
		uint32_t rank = 0;

		if (!gelf_getsym(data, (int)i, &symbol) || !elf_symbol_names_code(&symbol, segments))
			continue;
		name = elf_strptr(symbols->elf, symbols->strings, symbol.st_name);
		if (!name || !*name)
			continue;
		rank = elf_symbol_rank(name, &symbol);
		starts[kept++] = (struct elf_symbol_start){
		        .address = symbol.st_value,
		        .name = symbol.st_name,
		        .rank = rank,
		        .section = symbol.st_shndx,
		        .sized = symbol.st_size != 0,
		};
		if (symbol.st_size)
			error = intervals_add(&symbols->sized, symbol.st_value,
			                      symbol.st_value + symbol.st_size, rank, symbol.st_name);
	}
	if (error == 0)
		error = elf_symbols_bound(symbols, starts, kept);
	free(starts);
	return error;
}

static bool elf_symbols_strings_fit(Elf *elf, size_t strings)
{
	Elf_Scn *section = elf_getscn(elf, strings);
	GElf_Shdr header;

	return section && gelf_getshdr(section, &header) && header.sh_size <= ELF_SYMBOLS_BYTES_MAX;
}

/* The section of that type; absent, unreadable and too large are the same to a reader of names. */
static Elf_Scn *elf_symbols_section(Elf *elf, uint32_t section_type, GElf_Shdr *ret_header)
{
	Elf_Scn *section = NULL;

	while ((section = elf_nextscn(elf, section)))
		if (gelf_getshdr(section, ret_header) && ret_header->sh_type == section_type)
			break;
	if (!section || ret_header->sh_size > ELF_SYMBOLS_BYTES_MAX ||
	    !elf_symbols_strings_fit(elf, ret_header->sh_link))
		return NULL;
	return section;
}

int elf_symbols_read(Elf *elf, uint32_t section_type, const struct elf_segments *segments,
                     struct elf_symbols **ret_symbols)
{
	GElf_Shdr header = {0};
	Elf_Scn *section = elf_symbols_section(elf, section_type, &header);
	Elf_Data *data = section ? elf_getdata(section, NULL) : NULL;
	size_t symbol_bytes = gelf_fsize(elf, ELF_T_SYM, 1, EV_CURRENT);
	struct elf_symbols *symbols = NULL;
	size_t count = 0;
	int error = 0;

	if (!data || !data->d_buf || !symbol_bytes) {
		*ret_symbols = NULL;
		return 0;
	}
	symbols = calloc(1, sizeof(*symbols));
	if (!symbols)
		return -ENOMEM;
	symbols->elf = elf;
	symbols->strings = header.sh_link;
	count = data->d_size / symbol_bytes;
	error = elf_symbols_collect(symbols, data, count < INTERVALS_MAX ? count : INTERVALS_MAX, segments);
	if (error < 0) {
		elf_symbols_free(symbols);
		return error;
	}
	intervals_sort(&symbols->sized);
	intervals_sort(&symbols->unsized);
	*ret_symbols = symbols;
	return 0;
}

void elf_symbols_free(struct elf_symbols *symbols)
{
	if (!symbols)
		return;
	intervals_clear(&symbols->sized);
	intervals_clear(&symbols->unsized);
	free(symbols);
}

char *elf_symbols_find(const struct elf_symbols *symbols, uint64_t address)
{
	const struct interval *found = NULL;
	const char *name = NULL;
	const char *version = NULL;

	if (!symbols)
		return NULL;
	found = intervals_find(&symbols->sized, address);
	if (!found)
		found = intervals_find(&symbols->unsized, address);
	name = found ? elf_strptr(symbols->elf, symbols->strings, found->value) : NULL;
	if (!name)
		return NULL;
	/* .symtab may say memcpy@@GLIBC_2.14. */
	version = strchr(name, '@');
	if (version == name)
		version = NULL;
	return strndup(name, version ? (size_t)(version - name) : DEMANGLE_NAME_MAX + 1);
}
