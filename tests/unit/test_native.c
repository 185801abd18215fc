/*
 * Names of native code, compared with those of binutils: programs are compiled here, in folders of their own.
 * Needs gcc, g++ and binutils; clang and rustc where they are installed.
 */
#include "symbols/native.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "build_folder.h"
#include "symbols/debug_place.h"

static const char c_source[] =
        "#include <stdio.h>\n"
        "#include <stdlib.h>\n"
        "static inline __attribute__((always_inline)) int innermost(int x)\n"
        "{\n"
        "	return x * 3 + rand();\n"
        "}\n"
        "static inline __attribute__((always_inline)) int middle(int x)\n"
        "{\n"
        "	int sum = 0;\n"
        "	for (int i = 0; i < x; i++)\n"
        "		sum += innermost(i) ^\n"
        "		       innermost(x);\n"
        "	return sum;\n"
        "}\n"
        "int discarded(int x) { return middle(x) + middle(x * 2) + middle(x * 3) + middle(x * 4); }\n"
        "__attribute__((noinline)) int outer(int x)\n"
        "{\n"
        "	if (x == 77)\n"
        "		abort();\n"
        "	{ int y = middle(x); printf(\"%d\\n\", y); }\n"
        "	return middle(x + 1) + innermost(x);\n"
        "}\n"
        "static __attribute__((noinline)) int recursion(int n) { return n ? recursion(n - 1) * outer(n) : 1; "
        "}\n"
        "int main(int argc, char **argv)\n"
        "{\n"
        "	(void)argv;\n"
        "	return recursion(argc) + outer(argc);\n"
        "}\n";

static const char cxx_source[] =
        "#include <algorithm>\n"
        "#include <cstdio>\n"
        "#include <map>\n"
        "#include <string>\n"
        "#include <vector>\n"
        "namespace {\n"
        "__attribute__((noinline)) int hidden(int x) { std::printf(\"%d\", x); return x + 1; }\n"
        "struct Local { int v; int get() const { return hidden(v) + 1; } };\n"
        "}\n"
        "namespace shop { namespace till {\n"
        "template <typename T> class Box {\n"
        "public:\n"
        "	explicit Box(T value) : value_(value) {}\n"
        "	virtual ~Box() { std::puts(\"gone\"); }\n"
        "	virtual T open() { return twice(value_); }\n"
        "	static T twice(T v) { return v + v; }\n"
        "private:\n"
        "	T value_;\n"
        "};\n"
        "static int helper(int x) { return Box<int>(x).open() + hidden(x); }\n"
        "int count(const std::vector<std::string> &words)\n"
        "{\n"
        "	std::map<std::string, int> seen;\n"
        "	for (const auto &word : words)\n"
        "		seen[word] += helper(static_cast<int>(word.size()));\n"
        "	std::vector<int> order;\n"
        "	for (auto &entry : seen)\n"
        "		order.push_back(entry.second);\n"
        "	std::sort(order.begin(), order.end(), [](int a, int b) { return hidden(a) > b; });\n"
        "	return order.empty() ? 0 : order[0];\n"
        "}\n"
        "}}\n"
        "extern \"C\" int plain_name(int x) { return Local{x}.get(); }\n"
        "int main(int argc, char **argv)\n"
        "{\n"
        "	std::vector<std::string> words(argv, argv + argc);\n"
        "	shop::till::Box<std::string> box(words[0]);\n"
        "	return shop::till::count(words) + plain_name(argc) + static_cast<int>(box.open().size());\n"
        "}\n";

static const char rust_source[] =
        "mod shop {\n"
        "    pub struct Till<T> { pub value: T }\n"
        "    impl<T: std::fmt::Debug> Till<T> {\n"
        "        #[inline(never)] pub fn open(&self) -> String { shout(format!(\"{:?}\", self.value)) }\n"
        "    }\n"
        "    #[inline(always)] fn shout(s: String) -> String { s.to_uppercase() }\n"
        "}\n"
        "fn main() {\n"
        "    let n = std::env::args().count();\n"
        "    let f = |x: usize| shop::Till { value: x }.open();\n"
        "    println!(\"{} {}\", f(n), shop::Till { value: vec![n] }.open());\n"
        "}\n";

#define TEST_ADDRESSES_MAX 200000

static void native_make(void)
{
	folder_make();
	cr_assert_neq(elf_version(EV_CURRENT), EV_NONE);
}

TestSuite(native, .init = native_make, .fini = folder_remove, .timeout = 300);

static int object_open(const char *path, struct native_object **ret_object)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct debug_opener opener = debug_place_opener(path);
	int error = 0;

	cr_assert_geq(fd, 0, "%s", path);
	error = native_object_open(fd, &opener, ret_object);
	close(fd);
	return error;
}

/* What the tests know of a trusted file: the addresses of its functions and where they are in the file. */
struct program {
	GElf_Phdr segments[16];
	size_t segment_count;
	uint64_t *addresses;
	size_t count;
};

static void program_add_functions(struct program *program, Elf *elf, Elf_Scn *section, const char *filter)
{
	GElf_Shdr header;
	Elf_Data *data = elf_getdata(section, NULL);

	gelf_getshdr(section, &header);
	for (size_t i = 0; i < header.sh_size / header.sh_entsize; i++) {
		GElf_Sym symbol;
		const char *name = NULL;

		gelf_getsym(data, (int)i, &symbol);
		name = elf_strptr(elf, header.sh_link, symbol.st_name);
		if (GELF_ST_TYPE(symbol.st_info) != STT_FUNC || symbol.st_shndx == SHN_UNDEF)
			continue;
		if (filter && !strstr(name, filter))
			continue;
		for (uint64_t k = 0; k < symbol.st_size && program->count < TEST_ADDRESSES_MAX; k++)
			program->addresses[program->count++] = symbol.st_value + k;
	}
}

static struct program program_read(const char *path, const char *filter)
{
	struct program program = {.addresses = calloc(TEST_ADDRESSES_MAX, sizeof(uint64_t))};
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	Elf *elf = elf_begin(fd, ELF_C_READ, NULL);
	Elf_Scn *section = NULL;
	size_t headers = 0;

	cr_assert_not_null(elf, "%s", path);
	elf_getphdrnum(elf, &headers);
	for (size_t i = 0; i < headers && program.segment_count < 16; i++)
		if (gelf_getphdr(elf, (int)i, &program.segments[program.segment_count]) &&
		    program.segments[program.segment_count].p_type == PT_LOAD)
			program.segment_count++;
	while ((section = elf_nextscn(elf, section))) {
		GElf_Shdr header;

		gelf_getshdr(section, &header);
		if (header.sh_type == SHT_SYMTAB)
			program_add_functions(&program, elf, section, filter);
	}
	elf_end(elf);
	close(fd);
	return program;
}

static uint64_t program_offset(const struct program *program, uint64_t address)
{
	for (size_t i = 0; i < program->segment_count; i++) {
		const GElf_Phdr *segment = &program->segments[i];

		if (address >= segment->p_vaddr && address - segment->p_vaddr < segment->p_filesz)
			return address - segment->p_vaddr + segment->p_offset;
	}
	return UINT64_MAX;
}

/* A function without a linkage name: ours is of the debug information, without parameters. addr2line takes
 * the symbol at the address, also where that is the function around an inlined one. */
static bool same_function_by_symbol(const char *ours, const char *theirs, bool inlined)
{
	const char *lambda = strstr(ours, "::{lambda}");
	size_t length = lambda ? (size_t)(lambda - ours) : strcspn(ours, "<");

	if (!lambda && strchr(ours, ')') && !strstr(ours, "<lambda(") &&
	    !strstr(ours, "(anonymous namespace)"))
		return false;
	if (inlined)
		return strstr(ours, "::");
	return (strchr(theirs, '(') || strstr(theirs, ".cold")) &&
	       memmem(theirs, strlen(theirs), ours, length);
}

/* Where addr2line does take the debug information's name it drops the scopes. */
static bool same_function(const char *ours, const char *theirs, bool inlined)
{
	size_t our_length = strlen(ours);
	size_t length = strlen(theirs);

	if (strcmp(theirs, "??") == 0)
		return our_length == 0;
	if (strcmp(ours, theirs) == 0)
		return true;
	if (same_function_by_symbol(ours, theirs, inlined))
		return true;
	return our_length > length + 2 && strcmp(ours + our_length - length, theirs) == 0 &&
	       strncmp(ours + our_length - length - 2, "::", 2) == 0;
}

static bool same_place(const struct native_name *ours, char *theirs)
{
	char *colon = strrchr(theirs, ':');
	char our_path[PATH_MAX];
	char their_path[PATH_MAX];

	cr_assert_not_null(colon, "%s", theirs);
	*colon = '\0';
	if (ours->line != (uint32_t)strtoul(colon + 1, NULL, 10))
		return false;
	if (strcmp(theirs, "??") == 0)
		return !*ours->file;
	return strcmp(ours->file, theirs) == 0 ||
	       (realpath(ours->file, our_path) && realpath(theirs, their_path) &&
	        !strcmp(our_path, their_path));
}

/* One address: the frames that follow in addr2line's output, up to the next address. */
static size_t compare_frames(const struct native_name *names, size_t count, FILE *output, char *line,
                             size_t size)
{
	size_t frame = 0;
	size_t differences = 0;

	while (fgets(line, (int)size, output) && strncmp(line, "0x", 2) != 0) {
		char place[8192];

		line[strcspn(line, "\n")] = '\0';
		cr_assert_not_null(fgets(place, sizeof(place), output));
		place[strcspn(place, "\n")] = '\0';
		if (strstr(place, " (discriminator"))
			*strstr(place, " (discriminator") = '\0';
		if (frame < count &&
		    (!same_function(names[frame].function, line, names[frame].inlined) ||
		     !same_place(&names[frame], place) || names[frame].inlined != (frame + 1 < count))) {
			differences++;
			cr_log_error("frame %zu: %s %s:%u, addr2line: %s %s", frame, names[frame].function,
			             names[frame].file, names[frame].line, line, place);
		}
		frame++;
	}
	if (frame != count)
		cr_log_error("%zu frames, addr2line: %zu (last: %s)", count, frame,
		             names[count - 1].function);
	return differences + (frame != count);
}

/* Compares every byte of every function. Names come from `named`, addr2line reads `reference`. */
static void compare_with_addr2line(const char *named, const char *reference, const char *filter)
{
	struct program program = program_read(folder_path(reference), filter);
	struct native_object *object = NULL;
	FILE *file = fopen(folder_path("addresses"), "we");
	char line[8192];
	size_t differences = 0;
	size_t inlined = 0;

	for (size_t i = 0; i < program.count; i++)
		fprintf(file, "0x%lx\n", (unsigned long)program.addresses[i]);
	fclose(file);
	cr_assert_gt(program.count, 100);
	cr_assert_eq(folder_shell("addr2line -a -f -i -C -e %s < addresses > expected", reference), 0);
	cr_assert_eq(object_open(folder_path(named), &object), 0);
	file = fopen(folder_path("expected"), "re");
	cr_assert_not_null(fgets(line, sizeof(line), file));
	for (size_t i = 0; i < program.count && differences < 20; i++) {
		struct native_name *names = NULL;
		size_t count = 0;
		uint64_t offset = program_offset(&program, program.addresses[i]);

		cr_assert_eq(strtoull(line, NULL, 16), program.addresses[i]);
		cr_assert_eq(native_object_name(object, offset, false, &names, &count), 0);
		inlined += count > 1;
		differences += compare_frames(names, count, file, line, sizeof(line));
		native_names_free(names, count);
	}
	fclose(file);
	native_object_free(object);
	free(program.addresses);
	cr_assert_eq(differences, 0, "%s against %s", named, reference);
	cr_log_info("%s: %zu addresses agree, %zu with inline frames", named, program.count, inlined);
}

Test(native, c_as_addr2line)
{
	const char *const flags[] = {"-O0 -gdwarf-4",
	                             "-O0 -gdwarf-5",
	                             "-O2 -gdwarf-4",
	                             "-O2 -gdwarf-5",
	                             "-O2 -g -no-pie -ffunction-sections -Wl,--gc-sections",
	                             "-O2 -g -gz"};

	folder_write("a.c", c_source, strlen(c_source));
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		cr_assert_eq(folder_shell("gcc %s -o a a.c", flags[i]), 0);
		compare_with_addr2line("a", "a", NULL);
	}
}

Test(native, cxx_as_addr2line)
{
	const char *const flags[] = {"-O0 -gdwarf-4", "-O2 -gdwarf-4 -fdebug-types-section", "-O2 -gdwarf-5"};

	folder_write("b.cc", cxx_source, strlen(cxx_source));
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		cr_assert_eq(folder_shell("g++ %s -o b b.cc", flags[i]), 0);
		compare_with_addr2line("b", "b", NULL);
	}
}

/* clang writes neither .debug_aranges nor sibling references. */
Test(native, clang_as_addr2line)
{
	folder_write("a.c", c_source, strlen(c_source));
	cr_assert_eq(folder_shell("clang-14 -O1 -g -o a a.c"), 0);
	compare_with_addr2line("a", "a", NULL);
}

Test(native, rust_as_addr2line)
{
	folder_write("c.rs", rust_source, strlen(rust_source));
	cr_assert_eq(folder_shell("rustc -O -g --crate-name leftrust -o c c.rs"), 0);
	compare_with_addr2line("c", "c", "leftrust");
}

/* dwz moves what several files share into one of its own, which .gnu_debugaltlink names. */
Test(native, shared_debug_file)
{
	folder_write("b.cc", cxx_source, strlen(cxx_source));
	cr_assert_eq(
	        folder_shell("g++ -O2 -gdwarf-4 -o b b.cc && cp b whole && g++ -O1 -gdwarf-4 -o c b.cc && "
	                     "dwz -m shared.debug b c"),
	        0);
	compare_with_addr2line("b", "b", NULL);
	compare_with_addr2line("b", "whole", NULL);
	/* Without it the debug information has holes: the symbol table names all it can. */
	cr_assert_eq(
	        folder_shell("rm shared.debug && mkfifo shared.debug && objcopy --strip-debug whole whole2"),
	        0);
	compare_with_addr2line("b", "whole2", NULL);
}

/* A stripped copy's names come from the file that its .gnu_debuglink names. */
Test(native, debug_link)
{
	folder_write("b.cc", cxx_source, strlen(cxx_source));
	cr_assert_eq(
	        folder_shell(
	                "g++ -O2 -g -Wl,--build-id=none -o b b.cc && objcopy --only-keep-debug b b.debug && "
	                "objcopy --strip-all --add-gnu-debuglink=b.debug b stripped"),
	        0);
	compare_with_addr2line("stripped", "b", NULL);
	cr_assert_eq(folder_shell("mkdir .debug && mv b.debug .debug/"), 0);
	compare_with_addr2line("stripped", "b", NULL);
}

/* The names of the one address that the test asks for, as "function:line", or "". */
static void name_one(const char *file, uint64_t offset, bool is_return_address, char *ret_name, size_t size)
{
	struct native_object *object = NULL;
	struct native_name *names = NULL;
	size_t count = 0;

	cr_assert_eq(object_open(folder_path(file), &object), 0);
	cr_assert_eq(native_object_name(object, offset, is_return_address, &names, &count), 0);
	snprintf(ret_name, size, "%s:%u", names[count - 1].function, names[count - 1].line);
	native_names_free(names, count);
	native_object_free(object);
}

Test(native, debug_link_must_match)
{
	const char *const replacements[] = {"cp b.debug keep && printf x >> b.debug",
	                                    "rm b.debug && mkfifo b.debug", "rm b.debug && mkdir b.debug",
	                                    "rmdir b.debug && ln -s stripped b.debug"};
	struct program program;
	uint64_t offset = 0;
	char name[256];
	char expected[256];

	folder_write("a.c", c_source, strlen(c_source));
	cr_assert_eq(
	        folder_shell(
	                "gcc -O2 -g -Wl,--build-id=none -o a a.c && objcopy --only-keep-debug a b.debug && "
	                "objcopy --strip-all --add-gnu-debuglink=b.debug a stripped"),
	        0);
	program = program_read(folder_path("a"), "outer");
	offset = program_offset(&program, program.addresses[0]);
	free(program.addresses);
	name_one("stripped", offset, false, name, sizeof(name));
	name_one("a", offset, false, expected, sizeof(expected));
	cr_assert_str_eq(name, expected);
	cr_assert_str_neq(name, ":0");
	for (size_t i = 0; i < sizeof(replacements) / sizeof(replacements[0]); i++) {
		cr_assert_eq(folder_shell("%s", replacements[i]), 0);
		name_one("stripped", offset, false, name, sizeof(name));
		cr_assert_str_eq(name, ":0", "%s", replacements[i]);
	}
}

/* The address after a call to a function that does not return belongs to whatever comes next. */
Test(native, return_address)
{
	struct program program;
	uint64_t last = 0;
	char name[256];

	folder_write("a.c", c_source, strlen(c_source));
	cr_assert_eq(folder_shell("gcc -O2 -g -o a a.c"), 0);
	program = program_read(folder_path("a"), "outer.cold");
	cr_assert_gt(program.count, 0);
	last = program_offset(&program, program.addresses[program.count - 1]);
	name_one("a", last + 1, true, name, sizeof(name));
	cr_assert_str_eq(name, "outer:19");
	free(program.addresses);
}

Test(native, what_it_refuses)
{
	struct native_object *object = NULL;
	struct native_name *names = NULL;
	size_t count = 0;

	folder_write("text", "no ELF file\n", 12);
	cr_assert_eq(object_open(folder_path("text"), &object), -ENOEXEC);
	folder_write("empty", "", 0);
	cr_assert_eq(object_open(folder_path("empty"), &object), -ENOEXEC);
	cr_assert_eq(object_open(build_folder, &object), -ENOEXEC);
	folder_write("a.c", c_source, strlen(c_source));
	cr_assert_eq(folder_shell("gcc -c -o a.o a.c && gcc -o a a.c"), 0);
	cr_assert_eq(object_open(folder_path("a.o"), &object), -ENOEXEC);
	cr_assert_eq(object_open(folder_path("a"), &object), 0);
	cr_assert_eq(native_object_name(object, UINT64_MAX, false, &names, &count), -ENOENT);
	cr_assert_eq(native_object_name(object, (uint64_t)1 << 40, true, &names, &count), -ENOENT);
	native_object_free(object);
	native_object_free(NULL);
	native_names_free(NULL, 0);
}
