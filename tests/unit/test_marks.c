/*
 * load/marks.c: files without functions to mark. The loader is not there, so that attaching anything is a
 * crash; that marks are attached is tested against the kernel (tests/kernel).
 */
#include <criterion/criterion.h>
#include <elf.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "load/marks.h"

enum { SECTION_NONE, SECTION_STRINGS, SECTION_SYMBOLS };

static const char names[] = "\0exit\0__libc_start_main";
#define NAME_EXIT  1
#define NAME_START 6

struct head {
	Elf64_Ehdr elf;
	Elf64_Phdr segment;
	char names[sizeof(names)];
};

static void write_all(int fd, const void *data, size_t bytes, size_t at)
{
	cr_assert_eq(pwrite(fd, data, bytes, (off_t)at), (ssize_t)bytes);
}

/* @return a library's descriptor: its dynamic symbols, and as many section headers that say where they are */
static int make_library(const Elf64_Sym *symbols, size_t count, size_t sections)
{
	size_t symbols_at = 4096, sections_at = symbols_at + count * sizeof(*symbols);
	struct head head = {
	        .elf = {.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
	                .e_type = ET_DYN,
	                .e_machine = EM_X86_64,
	                .e_version = EV_CURRENT,
	                .e_phoff = offsetof(struct head, segment),
	                .e_shoff = sections_at,
	                .e_ehsize = sizeof(Elf64_Ehdr),
	                .e_phentsize = sizeof(Elf64_Phdr),
	                .e_phnum = 1,
	                .e_shentsize = sizeof(Elf64_Shdr),
	                .e_shnum = (Elf64_Half)(SECTION_SYMBOLS + sections)},
	        .segment = {.p_type = PT_LOAD, .p_flags = PF_R | PF_X, .p_filesz = 4096, .p_memsz = 4096},
	};
	Elf64_Shdr strings = {
	        .sh_type = SHT_STRTAB, .sh_offset = offsetof(struct head, names), .sh_size = sizeof(names)};
	Elf64_Shdr table = {.sh_type = SHT_DYNSYM,
	                    .sh_link = SECTION_STRINGS,
	                    .sh_offset = symbols_at,
	                    .sh_size = count * sizeof(*symbols),
	                    .sh_entsize = sizeof(*symbols)};
	int fd = memfd_create("library", MFD_CLOEXEC);

	cr_assert(fd >= 0);
	memcpy(head.names, names, sizeof(names));
	write_all(fd, &head, sizeof(head), 0);
	write_all(fd, symbols, count * sizeof(*symbols), symbols_at);
	write_all(fd, &strings, sizeof(strings), sections_at + SECTION_STRINGS * sizeof(strings));
	for (size_t i = 0; i < sections; i++)
		write_all(fd, &table, sizeof(table), sections_at + (SECTION_SYMBOLS + i) * sizeof(table));
	return fd;
}

static void check_none(int fd)
{
	size_t attached = 7;

	cr_assert_eq(marks_attach(NULL, fd, &attached), 0);
	cr_assert_eq(attached, 0);
	(void)close(fd);
}

Test(mark_rows, functions_that_another_file_defines)
{
	static const Elf64_Sym symbols[] = {
	        {0},
	        {.st_name = NAME_EXIT, .st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC), .st_value = 64},
	        {.st_name = NAME_START, .st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC), .st_value = 80},
	};

	check_none(make_library(symbols, 3, 1));
}

Test(mark_rows, thousands_of_symbol_tables_take_no_time, .timeout = 20)
{
	static Elf64_Sym symbols[20000];

	check_none(make_library(symbols, sizeof(symbols) / sizeof(symbols[0]), 60000));
}

Test(mark_rows, no_symbols_and_no_elf)
{
	static const Elf64_Sym none;
	int fd = memfd_create("text", MFD_CLOEXEC);

	check_none(make_library(&none, 1, 0));
	cr_assert_eq(marks_attach(NULL, fd, NULL), -ENOEXEC, "empty");
	write_all(fd, "text", 4, 0);
	cr_assert_eq(marks_attach(NULL, fd, NULL), -ENOEXEC);
	(void)close(fd);
}
