/*
 * The table of marks. See marks.h.
 */
#include "load/marks.h"

#include <errno.h>
#include <gelf.h>
#include <libelf.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "load/loader.h"
#include "symbols/elf_segments.h"

/* A row applies to a file that also exports `company`: a program's own function called exit is no mark. */
struct mark_row {
	const char *symbol;
	const char *company;
	enum mark_program program;
};

static const struct mark_row mark_rows[] = {
        /* CPython: armed by the first three, taken at the same thread's next PyGC_Collect. 3.13's sys.exit
         * goes only through Py_Exit (facts: shutdown and tests). */
        {"Py_FinalizeEx", "PyGC_Collect", MARK_PROGRAM_PYTHON_FINALIZE},
        {"Py_Finalize", "PyGC_Collect", MARK_PROGRAM_PYTHON_FINALIZE},
        {"Py_Exit", "PyGC_Collect", MARK_PROGRAM_PYTHON_FINALIZE},
        {"PyGC_Collect", "Py_FinalizeEx", MARK_PROGRAM_PYTHON_COLLECT},
        /* Perl and Ruby close what is open before they call exit. */
        {"perl_destruct", "perl_run", MARK_PROGRAM_EXIT},
        {"ruby_cleanup", "ruby_init", MARK_PROGRAM_EXIT},
        /* libc: main's return calls it too. */
        {"exit", "__libc_start_main", MARK_PROGRAM_EXIT},
        /* Variables that name the current test: PYTEST_CURRENT_TEST, LEFTOPEN_TEST. */
        {"setenv", "__libc_start_main", MARK_PROGRAM_SETENV},
        {"putenv", "__libc_start_main", MARK_PROGRAM_PUTENV},
        /* leftopen mark (cli/mark.c) */
        {"leftopen_mark_test", "leftopen_mark_test", MARK_PROGRAM_NAMED},
};
#define MARK_ROWS (sizeof(mark_rows) / sizeof(mark_rows[0]))

struct found_functions {
	uint64_t address[MARK_ROWS];
	bool company[MARK_ROWS];
};

static void look_at_symbol(struct found_functions *found, const char *name, const GElf_Sym *symbol)
{
	/* One that another file defines can have the address of a stub here (the psABI, function addresses).
	 */
	if (GELF_ST_TYPE(symbol->st_info) != STT_FUNC || symbol->st_shndx == SHN_UNDEF || !symbol->st_value)
		return;
	for (size_t i = 0; i < MARK_ROWS; i++) {
		if (!strcmp(name, mark_rows[i].symbol))
			found->address[i] = symbol->st_value;
		if (!strcmp(name, mark_rows[i].company))
			found->company[i] = true;
	}
}

static void look_at_dynamic_symbols(Elf *elf, struct found_functions *found)
{
	Elf_Scn *section = NULL;
	GElf_Shdr header;
	Elf_Data *data;
	GElf_Sym symbol;

	/* A file has one such section (the gABI, sh_type): one that claims thousands gets no more time for
	 * it. */
	do {
		section = elf_nextscn(elf, section);
		if (!gelf_getshdr(section, &header))
			return;
	} while (header.sh_type != SHT_DYNSYM);
	data = elf_getdata(section, NULL);
	for (int i = 0; data && gelf_getsym(data, i, &symbol); i++) {
		const char *name = elf_strptr(elf, header.sh_link, symbol.st_name);

		if (name)
			look_at_symbol(found, name, &symbol);
	}
}

/* @return whether a loaded segment's file part holds the address */
static bool find_offset(const struct elf_segments *segments, uint64_t vaddr, uint64_t *ret_offset)
{
	for (size_t i = 0; i < segments->count; i++) {
		const struct elf_segment *segment = &segments->items[i];

		if (vaddr >= segment->vaddr && vaddr - segment->vaddr < segment->file_bytes) {
			*ret_offset = vaddr - segment->vaddr + segment->offset;
			return true;
		}
	}
	return false;
}

int marks_attach(struct loader *loader, int fd, size_t *ret_attached)
{
	struct found_functions found = {0};
	struct elf_segments segments;
	size_t attached = 0;
	char path[64];
	int error = 0;
	Elf *elf;

	(void)elf_version(EV_CURRENT);
	/* Not mapped: whoever owns the file may cut it short meanwhile, and that would be SIGBUS here. */
	elf = elf_begin(fd, ELF_C_READ, NULL);
	if (!elf || elf_kind(elf) != ELF_K_ELF || elf_segments_read(elf, &segments)) {
		(void)elf_end(elf);
		return -ENOEXEC;
	}
	look_at_dynamic_symbols(elf, &found);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	for (size_t i = 0; i < MARK_ROWS && !error; i++) {
		uint64_t offset;

		if (!found.company[i] || !find_offset(&segments, found.address[i], &offset))
			continue;
		error = loader_attach_mark(loader, mark_rows[i].program, path, offset);
		attached += !error;
	}
	(void)elf_end(elf);
	if (ret_attached)
		*ret_attached = attached;
	return error;
}
