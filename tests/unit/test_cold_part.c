/*
 * The part of a function that a compiler placed elsewhere, compared with the symbol that the compiler gave
 * it; and of Debian's interpreter, which has no such symbol. Needs a C compiler and binutils.
 */
#include "unwind/cold_part.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "build_folder.h"
#include "eh_image.h"
#include "elf_patch.h"
#include "unwind/eh_frame.h"
#include "unwind/elf_image.h"
#include "unwind/python_layout.h"

TestSuite(cold_part, .init = folder_make, .fini = folder_remove, .timeout = 60);

/* The function that is looked for makes a frame first and calls in each of its seldom run branches; others
 * have such a part too. */
static const char program[] = "extern int warn(int, char *) __attribute__((cold, noinline));\n"
                              "extern int fill(char *, int);\n"
                              "#define BRANCH(n) if (fill(room, n) == n * 7) sum += warn(n, room);\n"
                              "int looked_for(int sum, int count) { char room[300];\n"
                              "  for (int i = 0; i < count; i++) { %s sum += fill(room, i); }\n"
                              "  return sum; }\n"
                              "int other(int sum) { char room[500];\n"
                              "  for (int i = 0; i < sum; i++) { %s sum += fill(room, i); }\n"
                              "  return sum; }\n";

static const char branches[] =
        "BRANCH(1) BRANCH(2) BRANCH(3) BRANCH(4) BRANCH(5) BRANCH(6) BRANCH(7) BRANCH(8) "
        "BRANCH(9) BRANCH(10) BRANCH(11) BRANCH(12) ";

struct symbol {
	unsigned long start, bytes;
};

static bool find_symbol(const char *name, struct symbol *ret_symbol)
{
	FILE *output;
	int got;

	cr_assert_eq(folder_shell("nm -S p.so | awk '$4 == \"%s\" {print $1, $2}' > symbol", name), 0);
	output = fopen(folder_path("symbol"), "re");
	cr_assert_not_null(output);
	got = fscanf(output, "%lx %lx", &ret_symbol->start, &ret_symbol->bytes);
	fclose(output);
	return got == 2;
}

static void compile(const char *of_looked_for, const char *of_other, const char *options)
{
	FILE *source = fopen(folder_path("p.c"), "we");

	cr_assert_not_null(source);
	fprintf(source, program, of_looked_for, of_other);
	cr_assert_eq(fclose(source), 0);
	cr_assert_eq(folder_shell("gcc -O2 -fPIC -shared %s p.c -o p.so", options), 0);
}

static int find(const struct symbol *function, struct symbol *ret_cold)
{
	struct elf_image image;
	struct eh_frame *frame = NULL;
	const struct elf_image_segment *segment;
	uint64_t start = 0, cold_bytes = 0, offset;
	size_t bytes = 0;
	uint8_t *content = elf_patch_read(folder_path("p.so"), &bytes);
	uint8_t *code;
	int error;

	cr_assert_eq(elf_image_read(content, bytes, &image), 0);
	cr_assert_eq(eh_frame_new(&image, &frame), 0);
	cr_assert_eq(elf_image_code_offset(&image, function->start, &segment, &offset), 0);
	code = malloc(function->bytes); /* no larger, so that what reads beyond it is noticed */
	memcpy(code, content + offset, function->bytes);
	error = cold_part_find(frame, code, function->bytes, function->start, &start, &cold_bytes);
	*ret_cold = (struct symbol){start, cold_bytes};
	free(code);
	eh_frame_free(frame);
	free(content);
	return error;
}

static void check_found(const char *options)
{
	struct symbol function, cold, found;

	compile(branches, branches, options);
	cr_assert(find_symbol("looked_for", &function));
	cr_assert(find_symbol("looked_for.cold", &cold), "gcc made none");
	cr_assert_eq(find(&function, &found), 0, "%s", options);
	cr_assert_eq(found.start, cold.start, "%s", options);
	cr_assert_eq(found.bytes, cold.bytes, "%s", options);
}

Test(cold_part, is_the_symbol_of_the_compiler)
{
	check_found("");
	check_found("-fno-omit-frame-pointer");
	check_found("-fcf-protection=full");
}

Test(cold_part, of_another_function_is_not_taken)
{
	struct symbol function, found;

	compile("", branches, "");
	cr_assert(find_symbol("looked_for", &function));
	cr_assert_eq(find(&function, &found), -ENOENT);
}

Test(cold_part, one_jump_is_not_enough)
{
	struct symbol function, cold, found;

	compile("BRANCH(1)", branches, "");
	cr_assert(find_symbol("looked_for", &function));
	cr_assert(find_symbol("looked_for.cold", &cold));
	cr_assert_eq(find(&function, &found), -ENOENT);
}

/* A function may jump to others' beginnings as often as it likes: there no frame is made. */
Test(cold_part, a_function_that_is_jumped_to_is_none)
{
	static const uint8_t after_a_push[] = {DW_CFA_advance_loc | 1, DW_CFA_def_cfa_offset, 16};
	static const uint8_t framed[] = {DW_CFA_def_cfa_offset, 64};
	const struct {
		const uint8_t *rules;
		size_t bytes;
		int expected;
	} cases[] = {{after_a_push, sizeof(after_a_push), -ENOENT}, {framed, sizeof(framed), 0}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct eh_image image = eh_image_begin();
		uint8_t code[16 * 6];
		uint64_t start = 0, bytes = 0;
		int error;
		struct elf_image elf;
		struct eh_frame *frame = NULL;
		uint8_t *all;

		eh_put_usual_cie(&image);
		eh_put_fde(&image, EH_IMAGE_CODE + 0x100, sizeof(code), NULL, 0);
		eh_put_fde(&image, EH_IMAGE_CODE + 0x800, 0x80, cases[i].rules, cases[i].bytes);
		all = eh_image_end(&image);
		for (size_t jump = 0; jump < 16; jump++) {
			int32_t distance = (int32_t)(0x700 + jump - (jump + 1) * 6);

			code[jump * 6] = 0x0f;
			code[jump * 6 + 1] = (uint8_t)(0x80 + jump);
			memcpy(code + jump * 6 + 2, &distance, sizeof(distance));
		}
		cr_assert_eq(elf_image_read(all, image.count, &elf), 0);
		cr_assert_eq(eh_frame_new(&elf, &frame), 0);
		error = cold_part_find(frame, code, sizeof(code), EH_IMAGE_VADDR + EH_IMAGE_CODE + 0x100,
		                       &start, &bytes);
		cr_assert_eq(error, cases[i].expected, "case %zu: %d, at %lx", i, error, start);
		if (!cases[i].expected) {
			cr_assert_eq(start, EH_IMAGE_VADDR + EH_IMAGE_CODE + 0x800);
			cr_assert_eq(bytes, 0x80);
		}
		eh_frame_free(frame);
		free(all);
	}
}

/* Every byte may begin a jump, in code of any content. */
Test(cold_part, any_code)
{
	struct symbol function, found;
	uint64_t start, bytes;
	struct eh_frame none = {0};
	uint8_t code[4096];

	memset(code, 0xe9, sizeof(code));
	cr_assert_eq(cold_part_find(&none, code, sizeof(code), UINT64_MAX - 16, &start, &bytes), -ENOENT);
	for (size_t i = 0; i <= 8; i++)
		cr_assert_eq(cold_part_find(&none, code, i, 0, &start, &bytes), -ENOENT);
	for (size_t i = 0; i + 1 < sizeof(code); i += 2)
		memcpy(code + i, "\x0f\x84", 2);
	compile(branches, branches, "");
	cr_assert(find_symbol("looked_for", &function));
	cr_assert_eq(find(&(struct symbol){function.start, 0}, &found), -ENOENT);
	cr_assert_eq(cold_part_find(&none, code, sizeof(code), 0, &start, &bytes), -ENOENT);
}

/* Debian's python3.11 has the opcodes of coroutines there. That it is the interpreter's is shown by
 * test_python_frames.py; here that it is known, and as the FDE has it. */
Test(cold_part, of_debians_interpreter)
{
	struct known_file file = {0};
	unsigned long start, end = 0;
	uint32_t minor;
	FILE *output;
	int fd = open("/usr/bin/python3.11", O_RDONLY | O_CLOEXEC);

	cr_assert_geq(fd, 0);
	cr_assert_eq(python_layout_probe(fd, &file, &minor), 0);
	close(fd);
	cr_assert_gt(file.evaluator_cold_bytes, 0);
	start = file.evaluator_cold_offset - file.executable_offset + file.executable_vaddr;
	cr_assert_eq(folder_shell("readelf --debug-dump=frames /usr/bin/python3.11 2>/dev/null | sed -n "
	                          "'s/.* FDE .*pc=0*%lx[.][.]\\(.*\\)/\\1/p' > end",
	                          start),
	             0);
	output = fopen(folder_path("end"), "re");
	cr_assert_not_null(output);
	cr_assert_eq(fscanf(output, "%lx", &end), 1, "no FDE begins there");
	fclose(output);
	cr_assert_eq(end, start + file.evaluator_cold_bytes);
}
