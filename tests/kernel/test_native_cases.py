"""Native stacks through code that is unwound in a way of its own, against gdb's."""

import subprocess

import leftopen
from against_gdb import check, functions

# Each function is chosen as it is bound, by one that opens a file; each is called from a depth of its own.
CHOSEN = r"""
#include <fcntl.h>
static __attribute__((noipa)) int open_at(int depth)
{
	volatile char room[24] = {0};

	return depth ? open_at(depth - 1) + room[0] : open("/dev/null", O_RDONLY);
}
static int chosen(int depth) { return depth; }
#define CHOOSE(number) \
	static int (*resolve##number(void))(int) { return open_at(number) >= 0 ? chosen : 0; } \
	int chosen##number(int) __attribute__((ifunc("resolve" #number)));
CHOOSE(0) CHOOSE(1) CHOOSE(2) CHOOSE(3) CHOOSE(4) CHOOSE(5)
"""
CALLS_CHOSEN = r"""
#include <unistd.h>
int chosen0(int), chosen1(int), chosen2(int), chosen3(int), chosen4(int), chosen5(int);
static __attribute__((noipa)) int deeper(int depth)
{
	volatile char room[40] = {0};
	int sum = room[0];

	if (depth == 5) sum += chosen5(depth) * depth;
	if (depth == 4) sum += chosen4(depth) * depth;
	if (depth == 3) sum += chosen3(depth) * depth;
	if (depth == 2) sum += chosen2(depth) * depth;
	if (depth == 1) sum += chosen1(depth) * depth;
	return depth ? deeper(depth - 1) + room[depth] + sum : chosen0(depth) + sum;
}
int main(void)
{
	deeper(5);
	_exit(0);
}
"""
AUDIT = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <link.h>
unsigned int la_version(unsigned int version) { return version; }
unsigned int la_objopen(struct link_map *map, Lmid_t id, uintptr_t *cookie)
{
	(void)map, (void)id, (void)cookie;
	return LA_FLG_BINDTO | LA_FLG_BINDFROM;
}
uintptr_t la_symbind64(Elf64_Sym *symbol, unsigned int number, uintptr_t *from, uintptr_t *to, unsigned int *flags,
                       const char *name)
{
	(void)number, (void)from, (void)to, (void)flags, (void)name;
	open("/dev/null", O_RDONLY);
	return symbol->st_value;
}
Elf64_Addr la_x86_64_gnu_pltenter(Elf64_Sym *symbol, unsigned int number, uintptr_t *from, uintptr_t *to,
                                  La_x86_64_regs *registers, unsigned int *flags, const char *name, long *frame)
{
	(void)number, (void)from, (void)to, (void)registers, (void)flags, (void)frame;
	if (name[0] == 'c')
		open("/dev/null", O_RDONLY);
	return symbol->st_value;
}
"""


def compile_at(folder, name, source, *options):
    """Compile C without frame pointers, as distributions do; return its path."""
    (folder / (name + ".c")).write_text(source)
    subprocess.run(["gcc", "-O2", "-fomit-frame-pointer", "-o", name, name + ".c", *options], cwd=folder, check=True)
    return str(folder / name)


def lazy_program(folder):
    """Return a program whose calls into a library are bound as they are made."""
    compile_at(folder, "libchosen.so", CHOSEN, "-shared", "-fPIC")
    return compile_at(folder, "lazy", CALLS_CHOSEN, "-Wl,-z,lazy", "./libchosen.so")


def test_interrupted_in_the_vdso(tmp_path):
    """A signal's handler opens while the kernel's own code in the process runs."""
    stacks = check(tmp_path, [leftopen.workload("stacks_vdso")], 12)
    inside = [frame for stack in stacks for frame in stack["frames"] if frame["module"] == "[vdso]"]
    assert len(inside) >= 12
    assert {frame["language"] for frame in inside} == {"native"}
    assert {"clock_gettime", "gettimeofday"} & {frame["function"] for frame in inside}


def test_what_binds_lazily(tmp_path):
    """The loader's code that binds a call keeps its stack by rbx, which those that it calls use."""
    stacks = check(tmp_path, [lazy_program(tmp_path)], 10)
    found = [functions(stack) for stack in stacks if "_dl_fixup" in functions(stack)]
    assert len(found) == 6
    assert all("deeper" in names and "main" in names for names in found)


def test_what_audits_binding(tmp_path):
    """A library that is told of each binding and of each call, between the loader's code and the program's."""
    audit = compile_at(tmp_path, "libaudit.so", AUDIT, "-shared", "-fPIC")
    stacks = check(tmp_path, [lazy_program(tmp_path)], 16, environment=["LD_AUDIT=" + audit])
    found = [functions(stack) for stack in stacks]
    assert len([names for names in found if "_dl_profile_fixup" in names or "_dl_fixup" in names]) >= 12
    assert len([names for names in found if "la_x86_64_gnu_pltenter" in names and "deeper" in names]) >= 5
    assert len([names for names in found if "la_symbind64" in names and "deeper" in names]) >= 5
