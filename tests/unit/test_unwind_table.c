/*
 * Unwind tables of real files, held against libdw at every address where either of them changes.
 * Needs gcc, and Debian's ld.so, libc.so.6, python3.11, libstdc++.
 */
#include "unwind/unwind_table.h"

#include <criterion/criterion.h>
#include <link.h>
#include <stdio.h>
#include <unistd.h>

#include "build_folder.h"
#include "cfi_truth.h"
#include "elf_patch.h"
#include "unwind/vdso_file.h"

TestSuite(unwind_table, .init = folder_make, .fini = folder_remove, .timeout = 120);

struct checked {
	uint8_t *content;
	struct unwind_table *table;
	const struct unwind_row *rows;
	size_t count;
	size_t of_rule[UNWIND_RULE_COUNT];
	size_t compared;
};

/* The row that holds at a file offset. */
static struct unwind_row row_at(const struct checked *checked, uint64_t file_offset)
{
	size_t low = 0;
	size_t high = checked->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (checked->rows[middle].file_offset <= file_offset)
			low = middle + 1;
		else
			high = middle;
	}
	return low ? checked->rows[low - 1] : (struct unwind_row){.rule = UNWIND_GAP};
}

static void assert_row(const char *path, uint64_t vaddr, struct unwind_row got, struct unwind_row wanted)
{
	cr_assert(got.rule == wanted.rule && got.cfa == wanted.cfa && got.rbp == wanted.rbp,
	          "%s at %lx: rule %x cfa %d rbp %d; libdw: rule %x cfa %d rbp %d", path, vaddr, got.rule,
	          got.cfa, got.rbp, wanted.rule, wanted.cfa, wanted.rbp);
}

/* At both ends of each stretch of each function over which libdw says the same. */
static void check_functions(struct checked *checked, const struct cfi_truth *truth, const char *path)
{
	Dwarf_Off offset = 0;
	uint64_t start = 0;
	uint64_t end = 0;

	while (cfi_truth_next(truth, &offset, &start, &end)) {
		uint64_t file_offset = 0;

		cr_assert(cfi_truth_offset(truth, start, &file_offset));
		for (uint64_t vaddr = start; vaddr < end;) {
			uint64_t row_end = 0;
			struct unwind_row wanted = {0};
			uint64_t at = file_offset + (vaddr - start);

			cr_assert(cfi_truth_row(truth, vaddr, &row_end, &wanted), "%lx: %s", vaddr,
			          dwarf_errmsg(-1));
			cr_assert_leq(row_end, end);
			assert_row(path, vaddr, row_at(checked, at), wanted);
			assert_row(path, row_end - 1, row_at(checked, at + (row_end - 1 - vaddr)), wanted);
			checked->compared++;
			vaddr = row_end;
		}
	}
}

/* Each row: ascending, unlike the one before, and told by libdw too; the vaddr is `bias` more. */
static void check_rows(struct checked *checked, const struct cfi_truth *truth, const char *path,
                       uint64_t bias)
{
	for (size_t i = 0; i < checked->count; i++) {
		const struct unwind_row *row = &checked->rows[i];
		const struct unwind_row *next = i + 1 < checked->count ? row + 1 : NULL;
		struct unwind_row wanted = {0};
		uint64_t end = 0;
		bool found = cfi_truth_row(truth, row->file_offset + bias, &end, &wanted);

		checked->of_rule[row->rule & UNWIND_RULE_MASK]++;
		if (next) {
			cr_assert_gt(next->file_offset, row->file_offset);
			cr_assert_not(next->rule == row->rule && next->cfa == row->cfa &&
			              next->rbp == row->rbp);
		}
		if (found) {
			assert_row(path, row->file_offset + bias, *row, wanted);
			continue;
		}
		/* No function, for long; or where the program begins. */
		if (row->rule == UNWIND_END) {
			cr_assert_geq(truth->header.e_entry, row->file_offset + bias);
			cr_assert(!next || truth->header.e_entry < next->file_offset + bias);
			continue;
		}
		cr_assert_eq(row->rule, UNWIND_GAP, "%s at %lx: rule %x", path, row->file_offset + bias,
		             row->rule);
		cr_assert(!next || next->file_offset - row->file_offset >= UNWIND_TABLE_GAP_BYTES);
	}
}

/* What a file's addresses are more than its offsets, in its only segment of code. */
static uint64_t code_bias(const struct cfi_truth *truth)
{
	GElf_Phdr program;
	uint64_t bias = 0;
	size_t segments = 0;

	for (int i = 0; gelf_getphdr(truth->elf, i, &program); i++)
		if (program.p_type == PT_LOAD && program.p_flags & PF_X) {
			bias = program.p_vaddr - program.p_offset;
			segments++;
		}
	cr_assert_eq(segments, 1);
	return bias;
}

static struct checked check_file(const char *path)
{
	struct checked checked = {0};
	struct cfi_truth truth;
	size_t bytes = 0;

	checked.content = elf_patch_read(path, &bytes);
	cr_assert_eq(unwind_table_make(checked.content, bytes, &checked.table), 0, "%s", path);
	cr_assert_eq(unwind_table_left_out(checked.table), 0);
	checked.rows = unwind_table_rows(checked.table, &checked.count);
	cfi_truth_open(&truth, path);
	check_functions(&checked, &truth, path);
	check_rows(&checked, &truth, path, code_bias(&truth));
	cfi_truth_close(&truth);
	cr_assert_gt(checked.compared, 0);
	return checked;
}

static void checked_free(struct checked *checked)
{
	unwind_table_free(checked->table);
	free(checked->content);
}

/* Its _start has no function in .eh_frame, and nothing called it. */
Test(unwind_table, loader)
{
	struct checked checked = check_file("/lib64/ld-linux-x86-64.so.2");
	const Elf64_Ehdr *header = (void *)checked.content;

	cr_assert_eq(row_at(&checked, header->e_entry).rule, UNWIND_END);
	cr_assert_gt(checked.of_rule[UNWIND_RBX], 0);
	checked_free(&checked);
}

Test(unwind_table, c_library)
{
	struct checked checked = check_file("/lib/x86_64-linux-gnu/libc.so.6");

	cr_assert_gt(checked.compared, 20000);
	cr_assert_eq(checked.of_rule[UNWIND_SIGNAL], 1);
	cr_assert_gt(checked.of_rule[UNWIND_END], 0);
	cr_assert_gt(checked.of_rule[UNWIND_PLT], 0);
	checked_free(&checked);
}

Test(unwind_table, python)
{
	struct checked checked = check_file("/usr/bin/python3.11");

	cr_assert_gt(checked.compared, 40000);
	checked_free(&checked);
}

Test(unwind_table, cpp_library)
{
	struct checked checked = check_file("/usr/lib/x86_64-linux-gnu/libstdc++.so.6");

	cr_assert_gt(checked.compared, 10000);
	checked_free(&checked);
}

/* Its assembler keeps the CFA in memory. */
Test(unwind_table, cryptography)
{
	struct checked checked = check_file("/usr/lib/x86_64-linux-gnu/libcrypto.so.3");

	cr_assert_gt(checked.compared, 50000);
	cr_assert_gt(checked.of_rule[UNWIND_DEREF_RSP], 0);
	cr_assert_gt(checked.of_rule[UNWIND_DEREF_RBP], 0);
	checked_free(&checked);
}

static const char source[] =
        "#include <alloca.h>\n"
        "#include <string.h>\n"
        "int volatile sink;\n"
        "__attribute__((noinline)) int variable(int n)\n"
        "{\n"
        "	char *p = alloca(n);\n"
        "	memset(p, n, n);\n"
        "	return p[n / 2] + (n ? variable(n - 1) : 0);\n"
        "}\n"
        "__attribute__((noinline)) int recursion(int n)\n"
        "{\n"
        "	return n < 2 ? sink : recursion(n - 1) + recursion(n - 2) * sink;\n"
        "}\n"
        "__attribute__((noinline)) int large(int n)\n"
        "{\n"
        "	char room[3000000];\n"
        "	__asm__ volatile(\"\" : : \"r\"(room) : \"memory\");\n"
        "	return room[n] + recursion(room[n + 1]);\n"
        "}\n"
        "__attribute__((noinline)) int aligned(int n)\n"
        "{\n"
        "	_Alignas(64) char room[128];\n"
        "	char *p = alloca(n);\n"
        "	__asm__ volatile(\"\" : : \"r\"(room), \"r\"(p) : \"memory\");\n"
        "	return room[n % 128] + recursion(p[n / 2]);\n"
        "}\n"
        "int main(int argc, char **argv)\n"
        "{\n"
        "	return argv[0][0] + variable(argc) + recursion(argc) + large(argc) + aligned(argc);\n"
        "}\n";

/* Without frame pointers: alloca, recursion, 3 MB on the stack, realignment. */
Test(unwind_table, program_without_frame_pointers)
{
	struct checked checked = {0};

	folder_write("source.c", source, strlen(source));
	cr_assert_eq(folder_shell("gcc -O2 -fomit-frame-pointer -o a source.c"), 0);
	checked = check_file(folder_path("a"));
	cr_assert_gt(checked.of_rule[UNWIND_RSP], 0);
	cr_assert_gt(checked.of_rule[UNWIND_RBP], 0);
	cr_assert_gt(checked.of_rule[UNWIND_RSP_FAR], 0);
	cr_assert_gt(checked.of_rule[UNWIND_DEREF_RBP], 0);
	cr_assert_gt(checked.of_rule[UNWIND_PLT], 0);
	cr_assert_gt(checked.of_rule[UNWIND_END], 0);
	checked_free(&checked);
}

Test(unwind_table, static_program)
{
	struct checked checked = {0};

	folder_write("source.c", source, strlen(source));
	cr_assert_eq(folder_shell("gcc -O2 -static -o a source.c"), 0);
	checked = check_file(folder_path("a"));
	cr_assert_eq(checked.of_rule[UNWIND_SIGNAL], 1);
	checked_free(&checked);
}

/* Without section headers the same table comes out, by the program headers. */
Test(unwind_table, without_section_headers)
{
	struct unwind_table *tables[2] = {0};
	const struct unwind_row *rows[2];
	size_t counts[2];
	size_t bytes = 0;
	uint8_t *content = elf_patch_read("/lib/x86_64-linux-gnu/libc.so.6", &bytes);

	cr_assert_eq(unwind_table_make(content, bytes, &tables[0]), 0);
	((Elf64_Ehdr *)content)->e_shoff = 0;
	cr_assert_eq(unwind_table_make(content, bytes, &tables[1]), 0);
	for (int i = 0; i < 2; i++)
		rows[i] = unwind_table_rows(tables[i], &counts[i]);
	cr_assert_eq(counts[0], counts[1]);
	cr_assert_arr_eq(rows[0], rows[1], counts[0] * sizeof(*rows[0]));
	for (int i = 0; i < 2; i++)
		unwind_table_free(tables[i]);
	free(content);
}

/* As the kernel mapped it. */
Test(unwind_table, vdso)
{
	struct checked checked = {0};
	char path[32];
	int fd = -1;

	cr_assert_eq(vdso_file_open(&fd), 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	checked = check_file(path);
	cr_assert_gt(checked.of_rule[UNWIND_RSP], 0);
	checked_free(&checked);
	close(fd);
}
