/*
 * Names from files whose parts are each well-formed and lead, together, to endless work or memory, or to
 * files of their author's choosing. Needs gcc, clang and binutils.
 */
#include "symbols/native.h"

#include <criterion/criterion.h>
#include <endian.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "build_folder.h"
#include "elf_patch.h"
#include "symbols/debug_place.h"

#define GIB ((uint64_t)1 << 30)

TestSuite(native_hostile, .init = folder_make, .fini = folder_remove, .timeout = 60);

/* A function `main` of one instruction, whose entry in the debug information is up to the test. */
#define DWARF_HEAD                                                       \
	"	.text\n"                                                       \
	"	.globl main\n"                                                 \
	"	.type main, @function\n"                                       \
	"main:	ret\n"                                                    \
	"end:\n"                                                         \
	"	.size main, 1\n"                                               \
	"	.section .debug_abbrev,\"\",@progbits\n"                       \
	"	.byte 1, 0x11, 1, 0x11,0x01, 0x12,0x07, 0,0\n"                 \
	"	.byte 2, 0x2e, 1, 0x03,0x08, 0x11,0x01, 0x12,0x07, 0,0\n"      \
	"	.byte 3, 0x0b, 1, 0x01,0x13, 0,0\n"                            \
	"	.byte 4, 0x2e, 0, 0x55,0x17, 0,0\n"                            \
	"	.byte 5, 0x2e, 0, 0x31,0xa0,0x3e, 0x11,0x01, 0x12,0x07, 0,0\n" \
	"	.byte 0\n"                                                     \
	"	.section .debug_info,\"\",@progbits\n"                         \
	"unit:	.long unit_end - unit - 4\n"                              \
	"	.short 4\n"                                                    \
	"	.long 0\n"                                                     \
	"	.byte 8\n"                                                     \
	"	.byte 1\n"                                                     \
	"	.quad main, end - main\n"
#define DWARF_MAIN               \
	"	.byte 2\n"             \
	"	.asciz \"by_dwarf\"\n" \
	"	.quad main, end - main\n"
#define DWARF_TAIL   \
	"	.byte 0\n" \
	"unit_end:\n"

/* The name of a file's function `main`. */
static void name_main(const char *file, char *ret_name, size_t size)
{
	struct native_object *object = NULL;
	struct native_name *names = NULL;
	unsigned long numbers[3] = {0};
	struct debug_opener opener = debug_place_opener(folder_path(file));
	size_t count = 0;
	FILE *output = NULL;
	int fd = -1;

	cr_assert_eq(folder_shell("(nm %s | grep ' T main$'; readelf -lW %s | grep 'LOAD.* R E ' | "
	                          "awk '{print $2, $3}') > numbers",
	                          file, file),
	             0);
	output = fopen(folder_path("numbers"), "re");
	cr_assert_eq(fscanf(output, "%lx T main %lx %lx", &numbers[0], &numbers[1], &numbers[2]), 3);
	fclose(output);
	fd = open(folder_path(file), O_RDONLY | O_CLOEXEC);
	cr_assert_eq(native_object_open(fd, &opener, &object), 0);
	close(fd);
	cr_assert_eq(native_object_name(object, numbers[0] - numbers[2] + numbers[1], false, &names, &count),
	             0);
	snprintf(ret_name, size, "%s:%u", names[count - 1].function, names[count - 1].line);
	native_names_free(names, count);
	native_object_free(object);
}

static void assemble(const char *source, const char *options, const char *file)
{
	folder_write("source.s", source, strlen(source));
	cr_assert_eq(folder_shell("gcc -nostdlib -shared %s -o %s source.s", options, file), 0);
}

/* Each block's sibling is also its first child: 2^100 ways through a hundred blocks. */
Test(native_hostile, blocks_shared_by_siblings)
{
	char *source = NULL;
	char name[64];
	size_t bytes = 0;
	FILE *out = open_memstream(&source, &bytes);

	fputs(DWARF_HEAD DWARF_MAIN, out);
	for (int i = 0; i < 100; i++)
		fprintf(out, "block%d: .byte 3\n	.long block%d - unit\n", i, i + 1);
	fputs("block100: .byte 0\n	.fill 100, 1, 0\n" DWARF_TAIL, out);
	fclose(out);
	assemble(source, "", "a");
	free(source);
	name_main("a", name, sizeof(name));
	/* What of the functions was read counts. */
	cr_assert_str_eq(name, "by_dwarf:0");
}

/* Many functions share one long list of ranges, none of which is code. */
Test(native_hostile, ranges_shared_by_functions)
{
	static const char source[] = DWARF_HEAD "	.rept 60000\n"
	                                        "	.byte 4\n"
	                                        "	.long 0\n"
	                                        "	.endr\n" DWARF_MAIN "	.byte 0\n" DWARF_TAIL
	                                        "	.section .debug_ranges,\"\",@progbits\n"
	                                        "	.rept 200000\n"
	                                        "	.quad 1, 2\n"
	                                        "	.endr\n"
	                                        "	.quad 0, 0\n";
	char name[64];

	assemble(source, "", "a");
	name_main("a", name, sizeof(name));
	/* Never reached: the symbol table has it. */
	cr_assert_str_eq(name, "main:0");
}

/* libdw would open, by itself and waiting, what an alternate debug file calls its own alternate. */
Test(native_hostile, alternate_of_an_alternate)
{
	static const char format[] = DWARF_HEAD "main_entry:\n"
	                                        "	.byte 5\n"
	                                        "	.long main_entry - unit\n"
	                                        "	.quad main, end - main\n" DWARF_TAIL
	                                        "	.section .gnu_debugaltlink,\"\",@progbits\n"
	                                        "	.asciz \"%s/%s\"\n"
	                                        "	.fill 20, 1, 0x5a\n";
	char source[sizeof(format) + FOLDER_PATH_BYTES];
	char name[64];

	cr_assert_eq(folder_shell("mkfifo fifo"), 0);
	snprintf(source, sizeof(source), format, build_folder, "fifo");
	assemble(source, "-Wl,--build-id=0x5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a", "alternate");
	snprintf(source, sizeof(source), format, ".", "alternate");
	assemble(source, "-Wl,--build-id=none", "a");
	name_main("a", name, sizeof(name));
	cr_assert_str_eq(name, "main:0");
}

/* Offsets of strings are no strings, and need not end with a NUL: clang's DWARF 5 has them. */
Test(native_hostile, string_offsets_that_do_not_end)
{
	static const char source[] = "int main(void)\n{\n	return 0;\n}\n";
	char before[64];
	char after[64];
	size_t bytes = 0;
	uint8_t *content = NULL;
	const Elf64_Shdr *section = NULL;

	folder_write("a.c", source, strlen(source));
	cr_assert_eq(folder_shell("clang-14 -gdwarf-5 -o a a.c"), 0);
	name_main("a", before, sizeof(before));
	cr_assert_str_eq(before, "main:2");
	content = elf_patch_read(folder_path("a"), &bytes);
	section = elf_patch_section(content, ".debug_str_offsets");
	content[section->sh_offset + section->sh_size - 1] = 1;
	folder_write("b", content, bytes);
	free(content);
	name_main("b", after, sizeof(after));
	cr_assert_str_eq(after, before);
}

/* What opening and naming a file took, of one of the figures of memory_bytes(). */
static uint64_t memory_of_naming(int fd, const char *field)
{
	uint64_t before = memory_bytes(field);
	struct debug_opener opener = debug_place_opener(NULL);
	struct native_object *object = NULL;
	struct native_name *names = NULL;
	size_t count = 0;

	cr_assert_eq(native_object_open(fd, &opener, &object), 0);
	cr_assert_eq(native_object_name(object, 0, false, &names, &count), 0);
	native_names_free(names, count);
	native_object_free(object);
	close(fd);
	return memory_bytes(field) - before;
}

Test(native_hostile, huge_symbol_table)
{
	static const char *const tables[] = {".symtab", ".strtab"};

	folder_write("a.c", "int main(void) { return 0; }\n", 29);
	cr_assert_eq(folder_shell("gcc -o a a.c"), 0);
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		size_t bytes = 0;
		uint8_t *content = elf_patch_read(folder_path("a"), &bytes);
		Elf64_Shdr *section = elf_patch_section(content, tables[i]);

		section->sh_offset = bytes;
		section->sh_size = 2 * GIB - 2 * GIB % sizeof(Elf64_Sym);
		cr_assert_lt(memory_of_naming(elf_patch_file(content, bytes, 2 * GIB), "VmHWM:"), GIB, "%s",
		             tables[i]);
		free(content);
	}
}

/* GNU's older compression keeps the size in the section itself. */
Test(native_hostile, huge_compressed_section)
{
	uint64_t claimed = htobe64(9 * GIB);
	size_t bytes = 0;
	uint8_t *content = NULL;
	uint8_t *longer = NULL;
	Elf64_Shdr *section = NULL;

	folder_write("a.c", "int main(void) { return 0; }\n", 29);
	cr_assert_eq(folder_shell("gcc -g -gz=zlib-gnu -o a a.c"), 0);
	content = elf_patch_read(folder_path("a"), &bytes);
	section = elf_patch_section(content, ".zdebug_info");
	section->sh_offset = bytes;
	section->sh_size = 16 << 20;
	longer = realloc(content, bytes + 12);
	memcpy(longer + bytes, "ZLIB", 4);
	memcpy(longer + bytes + 4, &claimed, sizeof(claimed));
	cr_assert_lt(memory_of_naming(elf_patch_file(longer, bytes + 12, 16 << 20), "VmPeak:"), 4 * GIB);
	free(longer);
}
