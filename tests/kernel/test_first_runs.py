"""Stacks of programs that were never run before: their unwind tables come too late for their first calls, which are
unwound from a copy of the stack. Truth: each function's name says how many calls deep it is.
"""

import os
import shutil
import subprocess

import pytest

import leftopen

PROGRAMS = 40
SOURCE = """
#include <fcntl.h>
#include <string.h>
#include <alloca.h>
__attribute__((noinline)) int leave(int depth)
{
    char *room = alloca(depth * 16 + %(number)d);
    memset(room, depth, depth * 16);
    int fd = depth > 1 ? leave(depth - 1) : open("/dev/null", O_RDONLY);
    __asm__ volatile("" :: "r"(room) : "memory");
    return fd;
}
int main(void)
{
    int fd = leave(12);
    __asm__ volatile("" ::: "memory");
    return fd < 0;
}
"""
FRAMES = ["leave"] * 12 + ["main"]


def build(folder, number, *options):
    path = folder / ("first_%d" % number)
    (folder / "source.c").write_text(SOURCE % {"number": number})
    subprocess.run(["gcc", "-O2", "-fomit-frame-pointer", "-g", *options, "-o", path, folder / "source.c"], check=True)
    return path


def left_by(report):
    """Return {program: stacks} of the descriptors that each left open."""
    programs = {process["pid"]: os.path.basename(process["exe"]) for process in report["processes"]}
    found = {}
    for group in report["groups"]:
        if group["kind"] == "fd":
            found.setdefault(programs[group["pid"]], {})[group["stack"]] = report["stacks"][group["stack"]]
    return found


def only_stacks(report, paths):
    """Return {program: its only stack} of these programs, however often they ran."""
    left = left_by(report)
    assert {path.name for path in paths} <= set(left)
    assert all(len(left[path.name]) == 1 for path in paths), left
    return {path.name: next(iter(left[path.name].values())) for path in paths}


def follow(folder, paths, *options):
    script = "".join("%s || exit 1\n" % path for path in paths)
    done = leftopen.run("sh", "-c", script, options=["--stacks=full", *options], cwd=folder)
    assert done.status == 0, done.stderr
    return done.report


def test_the_first_call_of_each_has_its_whole_stack(tmp_path):
    paths = [build(tmp_path, number) for number in range(PROGRAMS)]
    stacks = only_stacks(follow(tmp_path, paths), paths)
    for name, stack in stacks.items():
        functions = [frame.get("function") for frame in stack["frames"]]
        begin = functions.index("leave")
        assert functions[begin:begin + len(FRAMES)] == FRAMES, (name, functions)
        assert functions[-1] == "_start" and stack["complete"], (name, stack)


def test_first_and_later_calls_are_of_one_place(tmp_path):
    """The same stack, found in a copy and by the kernel's programs, is one."""
    first = build(tmp_path, 1)
    assert only_stacks(follow(tmp_path, [first] * 20), [first])["first_1"]["complete"]


def test_more_first_runs_at_once_than_are_copied(tmp_path):
    """Bounded: what is not copied has a stack that says that it is cut, and nothing is lost."""
    first = build(tmp_path, 1)
    paths = []
    for number in range(400):
        paths.append(tmp_path / ("copied_%d" % number))
        shutil.copy(first, paths[-1])
    report = follow(tmp_path, paths)
    stacks = only_stacks(report, paths)
    assert report["completeness"]["complete"], report["completeness"]
    for name, stack in stacks.items():
        functions = [frame.get("function") for frame in stack["frames"]]
        assert not stack["complete"] or functions[-1] == "_start", (name, stack)
        assert "leave" in functions, (name, stack)


@pytest.mark.parametrize("options", [["-fno-asynchronous-unwind-tables", "-fno-unwind-tables"], ["-static"], ["-pie"]],
                         ids=["no tables", "static", "pie"])
def test_kinds_of_program(tmp_path, options):
    path = build(tmp_path, 1, *options)
    stack = only_stacks(follow(tmp_path, [path] * 3), [path])[path.name]
    functions = [frame.get("function") for frame in stack["frames"]]
    if "-static" in options or "-pie" in options:
        assert functions[-1] == "_start" and stack["complete"], stack
    else:
        assert "leave" in functions and not stack["complete"], stack
