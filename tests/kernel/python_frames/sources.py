# -*- coding: utf-8 -*-
"""Call points in code that is compiled, run and freed, in modules, and under names of any script."""
import importlib
import os
import runpy
import sys
import threading
import types
import zipfile

from python_frames.functions import together
from python_frames.points import CREATE, NOTES, THREAD, construct, construct_around, folder, keep, opened, point


# Unicode


@construct
def größe_öffnen(want):
    keep(os.open(want.path, CREATE))


@construct
def 打开文件(want):
    keep(os.open(want.path, CREATE))


@construct
def 𠀀𐐀_astral(want):
    class 类(object):
        def метод(self):
            keep(os.open(want.path, CREATE))
    类().метод()


@construct
def unicode_file_names(want):
    for file in ("/tmp/größe.py", "/tmp/文件/тест.py", "/tmp/𠀀𐐀.py", "<a file with\ta tab>"):
        exec(compile("handle = opened(want)", file, "exec"), {"opened": opened, "want": want})


# Code that is made, run and freed


def run_source(name, source, file, function="run"):
    namespace = {"keep": keep, "os": os, "CREATE": CREATE}
    exec(compile(source, file, "exec"), namespace)
    point(name, namespace[function])
    return id(namespace[function].__code__)


@construct_around
def code_made_again():
    """Code objects of one shape at one address, one after the other: only what they hold tells them apart."""
    addresses = []
    for number in range(40):
        source = "%sdef run(want):\n%s keep(os.open(want.path, CREATE))\n" % (
            "\n" * (number % 5 * 3), " pass\n" * (number % 7))
        addresses.append(run_source("code_made_again", source, "<made %d>" % (number % 3)))
    NOTES["addresses used again"] = NOTES.get("addresses used again", 0) + len(addresses) - len(set(addresses))


@construct_around
def code_made_again_of_one_beginning():
    """As above, and what differs comes late: same names, same first line, same first hundred lines."""
    for number in range(20):
        source = "def run(want):\n number = 1\n%s%s keep(os.open(want.path, CREATE))\n%s" % (
            " number += 1\n" * 100, "\n" * (number + 2), " number += 1\n" * 40)
        run_source("code_made_again_of_one_beginning", source, "<made again>")


@construct
def executed(want):
    exec("keep(os.open(want.path, CREATE))")


@construct
def evaluated(want):
    eval("keep(os.open(want.path, CREATE))")


@construct
def function_of_code(want):
    types.FunctionType(opened.__code__, globals(), "another name")(want)


@construct_around
def thousands_of_bytecodes():
    lines = "".join(" x = (1,\n      %d)\n" % number for number in range(600))
    source = "def run(want):\n%s keep(os.open(want.path, CREATE))\n%s" % (lines, lines)
    run_source("thousands_of_bytecodes", source, "<long>")


@construct_around
def far_down_in_a_file():
    source = "%sdef run(\n want):\n%s keep(\n%s  os.open(want.path, CREATE))\n" % ("\n" * 70000, "\n" * 700, "\n" * 300)
    run_source("far_down_in_a_file", source, "<far down>")


@construct_around
def lines_that_go_back():
    source = "def run(want):\n x = [\n%s  keep(os.open(want.path, CREATE))\n  for number in (\n%s    1,)]\n" % (
        "\n" * 200, "\n" * 200)
    run_source("lines_that_go_back", source, "<back>")


@construct_around
def many_arguments_and_constants():
    """Operands beyond 255: EXTENDED_ARG."""
    names = ", ".join("a%d=%d.5" % (number, number) for number in range(250))
    source = "def run(want, %s):\n%s together(%s,\n  keep(os.open(want.path, CREATE)))\n" % (
        names, "".join(" b%d = 'text %d'\n" % (number, number) for number in range(400)),
        ", ".join("b%d" % number for number in range(150)))
    namespace = {"keep": keep, "os": os, "CREATE": CREATE, "together": together}
    exec(compile(source, "<wide>", "exec"), namespace)
    point("many_arguments_and_constants", namespace["run"])


# Modules


def module_folder():
    return os.path.join(folder(), "modules")


def module_paths():
    """For sys.path: what write_modules() wrote."""
    return [module_folder(), os.path.join(module_folder(), "zipped.zip")]


def write_modules():
    os.mkdir(module_folder())
    opens = "from python_frames.points import opened_inside\n\n\n%sopened_inside(__name__)\n"
    for name in ("imported_module", "reloaded_module"):
        with open(os.path.join(module_folder(), name + ".py"), "w") as file:
            file.write(opens % "")
    os.mkdir(os.path.join(module_folder(), "package"))
    with open(os.path.join(module_folder(), "package", "__init__.py"), "w") as file:
        file.write("from . import within\n")
    with open(os.path.join(module_folder(), "package", "within.py"), "w") as file:
        file.write(opens % "\n\n")
    with open(os.path.join(module_folder(), "run_module.py"), "w") as file:
        file.write("\nwant = WANT\nimport os\n\n\ndef run():\n"
                   "    KEEP(os.open(want.path, os.O_CREAT | os.O_RDWR))\n\n\nrun()\n")
    with zipfile.ZipFile(os.path.join(module_folder(), "zipped.zip"), "w") as archive:
        archive.writestr("zipped_module.py", opens % "\n")


@construct_around
def imported():
    # Threads that import one module wait for each other, and only one runs it.
    if threading.current_thread() is not threading.main_thread():
        return
    for name in ("imported_module", "package", "package.within", "zipped_module"):
        sys.modules.pop(name, None)
    importlib.invalidate_caches()
    import imported_module
    import package.within
    import zipped_module
    __import__("reloaded_module")
    importlib.reload(sys.modules["reloaded_module"])
    return imported_module, package, zipped_module


@construct
def run_by_path(want):
    runpy.run_path(os.path.join(module_folder(), "run_module.py"), {"WANT": want, "KEEP": keep})


@construct
def run_by_name(want):
    if THREAD.is_main:
        runpy.run_module("run_module", {"WANT": want, "KEEP": keep})
    else:
        opened(want)


def run_large():
    """Line tables larger than what is copied of one: a call behind what was copied, and one before it."""
    lines = "".join(" x = (1,\n      %d)\n" % (number % 200) for number in range(12000))
    call = " keep(os.open(want.path, CREATE))\n"
    run_source("line table, behind", "def run(want):\n" + lines + call, "<large>")
    run_source("line table, before", "def run(want):\n" + call + lines, "<large>")
