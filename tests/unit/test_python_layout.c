/*
 * CPython on disk and its code objects, compared with the interpreters that are installed: Debian's
 * python3.11 and those below ~/.pyenv. Needs binutils.
 */
#include "unwind/python_layout.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "build_folder.h"
#include "elf_patch.h"

#define DEBIAN_PYTHON "/usr/bin/python3.11"

TestSuite(python_layout, .init = folder_make, .fini = folder_remove, .timeout = 300);

static glob_t pyenv_files(const char *below)
{
	glob_t found = {0};
	char pattern[PATH_MAX];
	const char *home = getenv("HOME");

	snprintf(pattern, sizeof(pattern), "%s/.pyenv/versions/3.*/%s", home ? home : "/root", below);
	if (glob(pattern, 0, NULL, &found) != 0)
		found.gl_pathc = 0;
	return found;
}

static int probe(const char *path, struct known_file *ret_file, uint32_t *ret_minor)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int error = 0;

	cr_assert_geq(fd, 0, "%s", path);
	error = python_layout_probe(fd, ret_file, ret_minor);
	close(fd);
	return error;
}

static int probe_content(const void *content, size_t bytes, struct known_file *ret_file, uint32_t *ret_minor)
{
	int fd = memfd_create("python", MFD_CLOEXEC);
	int error = 0;

	cr_assert_eq(write(fd, content, bytes), (ssize_t)bytes);
	error = python_layout_probe(fd, ret_file, ret_minor);
	close(fd);
	return error;
}

/* The numbers that a shell command prints. */
static size_t shell_numbers(unsigned long *numbers, size_t count, const char *command, const char *path)
{
	FILE *output = NULL;
	size_t got = 0;

	cr_assert_eq(folder_shell("P='%s'; %s > numbers", path, command), 0, "%s: %s", path, command);
	output = fopen(folder_path("numbers"), "re");
	while (got < count && fscanf(output, "%lx", &numbers[got]) == 1)
		got++;
	fclose(output);
	return got;
}

static const char nm_runtime[] =
        "(nm -D $P; nm $P 2> /dev/null) | grep -E ' (_PyRuntime|interp_head)(@.*)?$' | head -1";
static const char nm_version[] = "nm -D $P | grep ' Py_Version$'";
/* Offset and address of the first loaded segment with code. */
static const char readelf_code[] = "readelf -lW $P | grep 'LOAD.* R E ' | awk '{print $2, $3}'";

static void check_probe(const char *path, uint32_t minor)
{
	struct known_file file = {0};
	uint32_t found = 0;
	unsigned long runtime = 0;
	unsigned long code[2] = {0};

	cr_assert_eq(probe(path, &file, &found), 0, "%s", path);
	cr_assert_eq(file.python_minor, minor, "%s", path);
	cr_assert_eq(found, minor);
	cr_assert_eq(shell_numbers(&runtime, 1, nm_runtime, path), 1);
	cr_assert_eq(file.runtime_vaddr, runtime, "%s", path);
	cr_assert_eq(shell_numbers(code, 2, readelf_code, path), 2);
	cr_assert_eq(file.executable_offset, code[0]);
	cr_assert_eq(file.executable_vaddr, code[1]);
	cr_log_info("%s: 3.%u, runtime 0x%lx", path, minor, runtime);
}

Test(python_layout, probe_debian)
{
	if (access(DEBIAN_PYTHON, R_OK) != 0)
		cr_assert_fail("python3.11 is not installed");
	check_probe(DEBIAN_PYTHON, 11);
}

Test(python_layout, probe_pyenv)
{
	glob_t found = pyenv_files("lib/libpython3.*.so.1.0");

	for (size_t i = 0; i < found.gl_pathc; i++) {
		const char *name = strstr(found.gl_pathv[i], "libpython3.");
		uint32_t minor = (uint32_t)strtoul(name + strlen("libpython3."), NULL, 10);

		if (python_layout_find(minor))
			check_probe(found.gl_pathv[i], minor);
	}
	if (!found.gl_pathc)
		cr_skip_test("no pyenv here");
	globfree(&found);
}

Test(python_layout, each_version_has_a_layout)
{
	cr_assert_null(python_layout_find(0));
	cr_assert_null(python_layout_find(5));
	cr_assert_null(python_layout_find(14));
	cr_assert_null(python_layout_find(UINT32_MAX));
	for (uint32_t minor = 6; minor <= 13; minor++) {
		const struct python_layout *layout = python_layout_find(minor);

		cr_assert_not_null(layout);
		cr_assert_eq(layout->minor_version, minor);
		cr_assert_lt(layout->minor_version, PYTHON_VERSIONS_MAX);
		cr_assert_eq(layout->code_adaptive != 0, minor >= 11);
		cr_assert_eq(layout->runtime_tss == PYTHON_NO_TSS, minor == 6);
		cr_assert_eq(layout->owner_cstack == PYTHON_NO_OWNER, minor < 12);
		cr_assert_eq(layout->code_name - layout->code_filename, minor >= 11 ? 16 : 8);
	}
}

Test(python_layout, other_files)
{
	const char *const programs[] = {"/bin/true", "/lib/x86_64-linux-gnu/libc.so.6"};
	struct known_file file = {.python_minor = 99};
	uint32_t minor = 99;
	glob_t extensions = {0};
	int folder = open(build_folder, O_RDONLY | O_CLOEXEC);

	for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++)
		cr_assert_eq(probe(programs[i], &file, &minor), -ENOENT, "%s", programs[i]);
	/* They need _PyRuntime and do not have it. */
	if (glob("/usr/lib/python3.11/lib-dynload/*.so", 0, NULL, &extensions) == 0) {
		for (size_t i = 0; i < extensions.gl_pathc; i++)
			cr_assert_eq(probe(extensions.gl_pathv[i], &file, &minor), -ENOENT);
		globfree(&extensions);
	}
	folder_write("text", "#!/usr/bin/python3.11\nprint('python3.11')\n", 41);
	cr_assert_eq(probe(folder_path("text"), &file, &minor), -ENOEXEC);
	folder_write("empty", "", 0);
	cr_assert_eq(probe(folder_path("empty"), &file, &minor), -ENOEXEC);
	cr_assert_eq(python_layout_probe(folder, &file, &minor), -ENOEXEC);
	close(folder);
	cr_assert_eq(python_layout_probe(-1, &file, &minor), -EBADF);
	cr_assert_eq(file.python_minor, 99);
	cr_assert_eq(minor, 99);
}

Test(python_layout, truncated)
{
	static const size_t headers[] = {0, 1, 4, 16, 63, 64, 65, 120, 1000, 4096};
	struct known_file file = {0};
	uint32_t minor = 0;
	size_t bytes = 0;
	uint8_t *content = NULL;

	if (access(DEBIAN_PYTHON, R_OK) != 0)
		cr_assert_fail("python3.11 is not installed");
	content = elf_patch_read(DEBIAN_PYTHON, &bytes);
	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++)
		cr_assert_eq(probe_content(content, headers[i], &file, &minor), -ENOEXEC, "%zu", headers[i]);
	for (size_t length = 8192; length < bytes; length += 250007)
		cr_assert_eq(probe_content(content, length, &file, &minor), -ENOEXEC, "%zu", length);
	cr_assert_eq(probe_content(content, bytes - 1, &file, &minor), -ENOEXEC);
	cr_assert_eq(probe_content(content, bytes, &file, &minor), 0);
	free(content);
}

/* Headers, symbols and section headers of any content. A fixed sequence, so that a failure can be repeated.
 */
Test(python_layout, changed)
{
	struct known_file file = {0};
	uint32_t minor = 0;
	uint32_t state = 1;
	size_t bytes = 0;
	uint8_t *content = NULL;
	uint8_t *changed = NULL;

	if (access(DEBIAN_PYTHON, R_OK) != 0)
		cr_assert_fail("python3.11 is not installed");
	content = elf_patch_read(DEBIAN_PYTHON, &bytes);
	changed = malloc(bytes);
	for (int round = 0; round < 150; round++) {
		memcpy(changed, content, bytes);
		for (int i = 0; i < 1 << round % 8; i++) {
			size_t number = 0;

			state = state * 1664525U + 1013904223U;
			number = state >> 8;
			if (round % 3 == 0)
				number %= 1024;
			else if (round % 3 == 1)
				number %= 400000;
			else
				number = bytes - 1 - number % 2048;
			changed[number] = (uint8_t)(state >> 20);
		}
		(void)probe_content(changed, bytes, &file, &minor);
	}
	free(changed);
	free(content);
}

/* Where the file keeps what is at an address. */
static size_t offset_of(const char *path, unsigned long vaddr)
{
	unsigned long segments[3 * 16];
	size_t count =
	        shell_numbers(segments, 48, "readelf -lW $P | grep LOAD | awk '{print $2, $3, $5}'", path);

	for (size_t i = 0; i + 2 < count; i += 3)
		if (vaddr >= segments[i + 1] && vaddr - segments[i + 1] < segments[i + 2])
			return vaddr - segments[i + 1] + segments[i];
	cr_assert_fail("%s: 0x%lx", path, vaddr);
	return 0;
}

/* Each table may be as large as the file, and a file may have any number of them. */
Test(python_layout, huge_symbol_tables)
{
	static const char *const strings[] = {".dynsym", ".dynstr"};
	struct known_file file = {0};
	uint32_t minor = 0;

	for (size_t i = 0; i < sizeof(strings) / sizeof(strings[0]); i++) {
		size_t bytes = 0;
		uint8_t *content = elf_patch_read("/bin/true", &bytes);
		Elf64_Shdr *section = elf_patch_section(content, strings[i]);
		uint64_t before = memory_bytes("VmHWM:");
		int fd = -1;

		section->sh_offset = bytes;
		section->sh_size = 600 << 20;
		section->sh_size -= section->sh_size % sizeof(Elf64_Sym);
		fd = elf_patch_file(content, bytes, 600 << 20);
		cr_assert_eq(python_layout_probe(fd, &file, &minor), -ENOENT);
		cr_assert_lt(memory_bytes("VmHWM:") - before, 300 << 20, "%s", strings[i]);
		close(fd);
		free(content);
	}
}

Test(python_layout, another_machine)
{
	struct known_file file = {0};
	uint32_t minor = 0;
	size_t bytes = 0;
	uint8_t *content = NULL;

	if (access(DEBIAN_PYTHON, R_OK) != 0)
		cr_assert_fail("python3.11 is not installed");
	content = elf_patch_read(DEBIAN_PYTHON, &bytes);
	content[18] = 183; /* EM_AARCH64 */
	cr_assert_eq(probe_content(content, bytes, &file, &minor), -ENOEXEC);
	free(content);
}

Test(python_layout, a_later_version)
{
	struct known_file file = {.python_minor = 99};
	uint32_t minor = 0;
	unsigned long version = 0;
	size_t bytes = 0;
	uint8_t *content = NULL;

	if (access(DEBIAN_PYTHON, R_OK) != 0)
		cr_assert_fail("python3.11 is not installed");
	content = elf_patch_read(DEBIAN_PYTHON, &bytes);
	cr_assert_eq(shell_numbers(&version, 1, nm_version, DEBIAN_PYTHON), 1);
	content[offset_of(DEBIAN_PYTHON, version) + 2] = 14;
	cr_assert_eq(probe_content(content, bytes, &file, &minor), -ENOTSUP);
	cr_assert_eq(minor, 14);
	cr_assert_eq(file.python_minor, 99);
	/* A runtime that does not say which: 3.11 has no literal to fall back on. */
	memset(content + offset_of(DEBIAN_PYTHON, version), 0, 4);
	cr_assert_eq(probe_content(content, bytes, &file, &minor), -ENOTSUP);
	cr_assert_eq(minor, 0);
	free(content);
}

/* 3.13 says in its own file how it was built: whether free-threaded, and where the walker finds what it
 * reads. */
Test(python_layout, debug_offsets)
{
	static const struct {
		size_t number;
		int expected;
	} cases[] = {
	        {0, -ENOTSUP}, /* cookie */
	        {1, 0},        /* patch level */
	        {2, -ENOTSUP}, /* free-threaded */
	        {3, 0},        /* size of a structure */
	        {5, -ENOTSUP}, {9, -ENOTSUP}, {23, -ENOTSUP}, {31, -ENOTSUP}, {38, -ENOTSUP}, {43, -ENOTSUP},
	};
	glob_t found = pyenv_files("lib/libpython3.13.so.1.0");
	struct known_file file = {0};
	unsigned long runtime = 0;
	size_t bytes = 0;
	size_t offset = 0;
	uint8_t *content = NULL;

	if (!found.gl_pathc)
		cr_skip_test("no 3.13 here");
	content = elf_patch_read(found.gl_pathv[0], &bytes);
	cr_assert_eq(shell_numbers(&runtime, 1, nm_runtime, found.gl_pathv[0]), 1);
	offset = offset_of(found.gl_pathv[0], runtime);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint32_t minor = 0;

		content[offset + cases[i].number * 8] ^= 1;
		cr_assert_eq(probe_content(content, bytes, &file, &minor), cases[i].expected, "number %zu",
		             cases[i].number);
		cr_assert_eq(minor, 13);
		content[offset + cases[i].number * 8] ^= 1;
	}
	free(content);
	globfree(&found);
}
