/*
 * Names from symbol tables, compared with nm's; files that are broken on purpose; and that no server is
 * asked. Needs gcc, g++ and binutils, and reads this machine's libc and python3.11.
 */
#include "symbols/native.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "build_folder.h"
#include "symbols/debug_place.h"

#define SYMBOLS_MAX 50000

static const char small_source[] =
        "#include <algorithm>\n"
        "#include <vector>\n"
        "namespace shop {\n"
        "template <typename T> inline T twice(T v) { return v + v; }\n"
        "int sum(const std::vector<int> &v) { int s = 0; for (int i : v) s += twice(i); return s; }\n"
        "}\n"
        "int main(int argc, char **) {\n"
        "	std::vector<int> v(static_cast<unsigned>(argc), 3);\n"
        "	std::sort(v.begin(), v.end(), [](int a, int b) { return a > b; });\n"
        "	return shop::sum(v);\n"
        "}\n";

static void symbols_make(void)
{
	folder_make();
	cr_assert_neq(elf_version(EV_CURRENT), EV_NONE);
}

TestSuite(native_symbols, .init = symbols_make, .fini = folder_remove, .timeout = 300);

struct symbol {
	uint64_t address;
	uint64_t size;
	char name[200];
};

struct symbol_list {
	struct symbol *items;
	size_t count;
	uint64_t bias; /* file offset - address of the segment that holds the code */
};

/* The functions of a file as nm prints them. */
static struct symbol_list symbols_by_nm(const char *file, const char *options)
{
	struct symbol_list list = {.items = calloc(SYMBOLS_MAX, sizeof(struct symbol))};
	char line[4096];
	FILE *output = NULL;
	Elf *elf = NULL;
	int fd = open(folder_path(file), O_RDONLY | O_CLOEXEC);
	GElf_Phdr header;

	elf = elf_begin(fd, ELF_C_READ, NULL);
	cr_assert_not_null(elf);
	for (int i = 0; gelf_getphdr(elf, i, &header); i++)
		if (header.p_type == PT_LOAD && (header.p_flags & PF_X))
			break;
	list.bias = header.p_offset - header.p_vaddr;
	elf_end(elf);
	close(fd);
	cr_assert_eq(folder_shell("nm %s -S --defined-only %s | grep ' [TtWwi] ' > nm.txt", options, file),
	             0);
	output = fopen(folder_path("nm.txt"), "re");
	while (fgets(line, sizeof(line), output) && list.count < SYMBOLS_MAX) {
		struct symbol *symbol = &list.items[list.count];
		char type = 0;

		if (sscanf(line, "%lx %lx %c %199[^@\n]", &symbol->address, &symbol->size, &type,
		           symbol->name) == 4)
			list.count++;
		else if (sscanf(line, "%lx %c %199[^@\n]", &symbol->address, &type, symbol->name) == 3 &&
		         (symbol->size = 0, true))
			list.count++;
	}
	fclose(output);
	return list;
}

/* Is the name one that nm has for this address? An empty one says that nm has none. */
static bool symbols_allow(const struct symbol_list *list, uint64_t address, const char *name)
{
	bool held = false;

	for (size_t i = 0; i < list->count; i++) {
		const struct symbol *symbol = &list->items[i];
		bool holds = address >= symbol->address && address - symbol->address < symbol->size;

		held |= holds;
		if ((holds || (!symbol->size && symbol->address <= address)) &&
		    strcmp(symbol->name, name) == 0)
			return true;
	}
	return !held && !*name;
}

static char *name_at(struct native_object *object, uint64_t offset, bool is_return_address)
{
	struct native_name *names = NULL;
	size_t count = 0;
	char *name = NULL;

	cr_assert_eq(native_object_name(object, offset, is_return_address, &names, &count), 0, "0x%lx",
	             (unsigned long)offset);
	cr_assert_eq(count, 1);
	cr_assert_str_eq(names[0].file, "");
	name = strdup(names[0].function);
	native_names_free(names, count);
	return name;
}

static struct native_object *object_of(const char *path)
{
	struct debug_opener opener = debug_place_opener(path);
	struct native_object *object = NULL;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	cr_assert_geq(fd, 0);
	cr_assert_eq(native_object_open(fd, &opener, &object), 0);
	close(fd);
	return object;
}

/* A copy that has nothing but its symbol table for dynamic linking. */
static void compare_with_nm(const char *path)
{
	struct symbol_list list;
	struct native_object *object = NULL;
	size_t wrong = 0;

	cr_assert_eq(
	        folder_shell("objcopy --strip-all -R .note.gnu.build-id -R .gnu_debuglink -R .gnu_debugdata "
	                     "%s stripped 2> errors",
	                     path),
	        0);
	list = symbols_by_nm("stripped", "-D");
	object = object_of(folder_path("stripped"));
	cr_assert_gt(list.count, 1000);
	for (size_t i = 0; i < list.count; i++) {
		const struct symbol *symbol = &list.items[i];
		uint64_t offset = symbol->address + list.bias;
		uint64_t size = symbol->size ? symbol->size : 1;
		char *names[] = {name_at(object, offset, false), name_at(object, offset + size - 1, false),
		                 name_at(object, offset + size, true), name_at(object, offset + size, false)};
		const uint64_t addresses[] = {symbol->address, symbol->address + size - 1,
		                              symbol->address + size - 1, symbol->address + size};

		for (size_t k = 0; k < sizeof(names) / sizeof(names[0]); k++) {
			if (!symbols_allow(&list, addresses[k], names[k]) && wrong++ < 10)
				cr_log_error("%s + 0x%lx: '%s'", symbol->name,
				             (unsigned long)(addresses[k] - symbol->address), names[k]);
			free(names[k]);
		}
	}
	native_object_free(object);
	free(list.items);
	cr_assert_eq(wrong, 0, "%s", path);
}

Test(native_symbols, libc_as_nm)
{
	compare_with_nm("/lib/x86_64-linux-gnu/libc.so.6");
}

Test(native_symbols, python_as_nm)
{
	if (access("/usr/bin/python3.11", R_OK) != 0)
		cr_assert_fail("python3.11 is not installed");
	compare_with_nm("/usr/bin/python3.11");
}

/* Where several names are at one address, the one that people know. */
Test(native_symbols, known_names)
{
	static const char *const wanted[] = {"open", "mmap",  "socket", "dup2",
	                                     "read", "close", "exit",   "fork"};
	struct symbol_list list;
	struct native_object *object = NULL;

	cr_assert_eq(folder_shell("objcopy --strip-all -R .note.gnu.build-id -R .gnu_debuglink "
	                          "/lib/x86_64-linux-gnu/libc.so.6 stripped"),
	             0);
	list = symbols_by_nm("stripped", "-D");
	object = object_of(folder_path("stripped"));
	for (size_t i = 0; i < list.count; i++)
		for (size_t k = 0; k < sizeof(wanted) / sizeof(wanted[0]); k++)
			if (strcmp(list.items[i].name, wanted[k]) == 0) {
				char *name = name_at(object, list.items[i].address + list.bias, false);

				cr_assert_not(name[0] == '_', "%s for %s", name, wanted[k]);
				free(name);
			}
	native_object_free(object);
	free(list.items);
}

/* A symbol without a size reaches to the next one of its section; the last has no end and gives no name. */
Test(native_symbols, symbols_without_size)
{
	static const char assembly[] = ".text\n"
	                               ".globl first, sized, unsized, last, main\n"
	                               "first: nop; nop; nop; nop\n"
	                               ".type sized, @function\n"
	                               "sized: nop; nop; nop; nop\n"
	                               ".size sized, 2\n"
	                               "unsized: nop; nop\n"
	                               "main: nop\n"
	                               "ret\n"
	                               "last: nop; nop; ret\n";
	static const struct {
		const char *name;
		unsigned after;
		const char *expected;
	} cases[] = {
	        {"first", 0, "first"},     {"first", 3, "first"}, {"sized", 1, "sized"}, {"sized", 2, ""},
	        {"unsized", 1, "unsized"}, {"main", 1, "main"},   {"last", 0, ""},       {"last", 2, ""},
	};
	struct symbol_list list;
	struct native_object *object = NULL;

	folder_write("a.s", assembly, strlen(assembly));
	cr_assert_eq(folder_shell("gcc -nostdlib -nostartfiles -Wl,-e,main,--build-id=none -o a a.s"), 0);
	list = symbols_by_nm("a", "");
	object = object_of(folder_path("a"));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (size_t k = 0; k < list.count; k++)
			if (strcmp(list.items[k].name, cases[i].name) == 0) {
				char *name = name_at(
				        object, list.items[k].address + cases[i].after + list.bias, false);

				cr_assert_str_eq(name, cases[i].expected, "%s + %u: %s", cases[i].name,
				                 cases[i].after, name);
				free(name);
			}
	native_object_free(object);
	free(list.items);
}

static void *file_content(const char *path, size_t *ret_bytes)
{
	FILE *file = fopen(path, "re");
	void *content = NULL;

	cr_assert_not_null(file);
	fseek(file, 0, SEEK_END);
	*ret_bytes = (size_t)ftell(file);
	rewind(file);
	content = malloc(*ret_bytes);
	cr_assert_eq(fread(content, 1, *ret_bytes, file), *ret_bytes);
	fclose(file);
	return content;
}

/* Opens and names a file of any content: whatever comes of it, it must come without a crash. */
static void name_anything(const void *content, size_t bytes, const struct symbol_list *list)
{
	int fd = memfd_create("hostile", MFD_CLOEXEC);
	struct debug_opener opener = debug_place_opener(NULL);
	struct native_object *object = NULL;

	cr_assert_eq(write(fd, content, bytes), (ssize_t)bytes);
	if (native_object_open(fd, &opener, &object) == 0) {
		for (size_t i = 0; i < list->count; i++) {
			struct native_name *names = NULL;
			size_t count = 0;
			uint64_t offset = list->items[i].address + list->items[i].size / 2 + list->bias;

			if (native_object_name(object, offset, false, &names, &count) != 0)
				continue;
			cr_assert(count >= 1 && count <= NATIVE_INLINE_MAX);
			for (size_t k = 0; k < count; k++)
				cr_assert(strlen(names[k].function) <= 4096 && strlen(names[k].file) <= 4097);
			native_names_free(names, count);
		}
		native_object_free(object);
	}
	close(fd);
}

static void compile_hostile(const char *flags, struct symbol_list *ret_list, uint8_t **ret_content,
                            size_t *ret_bytes)
{
	folder_write("a.cc", small_source, strlen(small_source));
	cr_assert_eq(folder_shell("g++ -g %s -o a a.cc", flags), 0);
	*ret_list = symbols_by_nm("a", "");
	*ret_content = file_content(folder_path("a"), ret_bytes);
}

Test(native_symbols, truncated)
{
	struct symbol_list list;
	uint8_t *content = NULL;
	size_t bytes = 0;

	compile_hostile("-O2", &list, &content, &bytes);
	for (size_t length = 0; length < bytes; length += length < 4096 ? 17 : 509)
		name_anything(content, length, &list);
	free(content);
	free(list.items);
}

/* A fixed sequence, so that a failure can be repeated (numbers of Numerical Recipes). */
static uint32_t next_number(uint32_t *state)
{
	*state = *state * 1664525U + 1013904223U;
	return *state >> 8;
}

Test(native_symbols, bytes_changed)
{
	const char *const flags[] = {"-O2 -gdwarf-4", "-O2 -gdwarf-5", "-O0 -gdwarf-5 -gz"};
	const char *rounds = getenv("LEFTOPEN_TEST_ROUNDS");

	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		struct symbol_list list;
		uint8_t *content = NULL;
		size_t bytes = 0;
		uint32_t state = (uint32_t)i + 1;

		compile_hostile(flags[i], &list, &content, &bytes);
		for (long round = rounds ? atol(rounds) : 300; round > 0; round--) {
			uint8_t *changed = malloc(bytes);
			/* A few changes reach deep into the file's structure, many are noticed early. */
			uint32_t changes = 1U << next_number(&state) % 10;
			bool in_headers = next_number(&state) % 8 == 0;

			memcpy(changed, content, bytes);
			for (uint32_t k = 0; k < changes; k++) {
				size_t at = next_number(&state) % bytes;

				if (in_headers)
					at = at % 2 ? at % 1024 : bytes - 1 - at % 3000;
				changed[at] = (uint8_t)next_number(&state);
			}
			name_anything(changed, bytes, &list);
			free(changed);
		}
		free(content);
		free(list.items);
	}
}

/* debuginfod stays off, whatever the environment says: a server of our own is not called. */
Test(native_symbols, no_network)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	char url[64];
	struct symbol_list list;
	struct native_object *object = NULL;

	cr_assert_eq(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	cr_assert_eq(listen(listener, 8), 0);
	cr_assert_eq(getsockname(listener, (struct sockaddr *)&address, &length), 0);
	snprintf(url, sizeof(url), "http://127.0.0.1:%u/", ntohs(address.sin_port));
	setenv("DEBUGINFOD_URLS", url, 1);
	setenv("DEBUGINFOD_CACHE_PATH", build_folder, 1);
	folder_write("a.cc", small_source, strlen(small_source));
	cr_assert_eq(folder_shell("g++ -O2 -g -Wl,--build-id=sha1 -o whole a.cc && strip -o a whole"), 0);
	list = symbols_by_nm("whole", "");
	object = object_of(folder_path("a"));
	for (size_t i = 0; i < list.count; i++)
		if (list.items[i].size)
			free(name_at(object, list.items[i].address + list.bias, false));
	cr_assert_lt(accept(listener, NULL, NULL), 0);
	cr_assert_eq(errno, EAGAIN);
	native_object_free(object);
	free(list.items);
	close(listener);
}
