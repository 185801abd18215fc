"""What valgrind --track-fds=yes and leftopen each say that a program never released.

Purpose: assert_agree() runs a program once under each, and compares numbers and names.
valgrind translates a uprobe's breakpoint, and the program dies of that. So it gets copies of the program and of libc,
in which none is; only another leftopen that follows everything finds those too.
Inputs: a command of a dynamically linked program that is not setuid. Outputs: what both say.
"""

import os
import re
import shutil
import signal
import subprocess
import tempfile
import time

import leftopen
import truth
from ordinary import program

LIMIT_S = 60
# The number that valgrind's own log takes; under leftopen it is taken before the program begins.
LOG_NUMBER = 3
TAKES_IT = ["/bin/sh", "-c", 'exec %d<&0; exec "$@"' % LOG_NUMBER, "sh"]


def _copy(name, folder):
    """Return the path of a program's copy, beside which there is one of libc."""
    with open("/proc/self/maps", encoding="utf-8") as file:
        libc = next(line.split()[-1] for line in file if line.rstrip().endswith("/libc.so.6"))
    shutil.copy(libc, folder)
    return shutil.copy(os.path.realpath(program(name)), os.path.join(folder, os.path.basename(name)))


def _run(command, folder, copies, log, again):
    """Run a command's copy under valgrind; return its status."""
    command = [program("valgrind"), "--tool=none", "--track-fds=yes", "--log-file=" + log, _copy(command[0], copies),
               *command[1:]]
    deadline = time.monotonic() + LIMIT_S
    while True:
        status = subprocess.run(
            command, cwd=folder, check=False, env={**os.environ, "LD_LIBRARY_PATH": copies}, timeout=LIMIT_S,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode
        if status != -signal.SIGTRAP:
            return status
        assert time.monotonic() < deadline, "somebody has put breakpoints into new files for %d s" % LIMIT_S
        time.sleep(0.1)
        again()


def open_at_exit(command, folder, again):
    """Return the program's status and {number: name} of what valgrind says; "" where a handle has no name.

    Valgrind lists all that are not standard descriptors; those that it says are inherited are not the program's.
    """
    with tempfile.TemporaryDirectory(prefix="leftopen-kernel.") as copies:
        log = os.path.join(copies, "log")
        status = _run(command, folder, copies, log, again)
        with open(log, encoding="utf-8") as file:
            # Without the number of the process at the beginning of each line.
            lines = [line.split("== ", 1)[-1].rstrip("\n") for line in file]
    assert any(line.startswith("FILE DESCRIPTORS:") for line in lines), lines
    found = {}
    for line, after in zip(lines, lines[1:]):
        match = re.match(r"Open (?:file descriptor|\S+ socket) (\d+):(?: (/?.*))?$", line)
        if match and "<inherited from parent>" not in after:
            name = match.group(2)
            found[int(match.group(1))] = "" if name in (None, "<unknown>") else os.path.join(folder, name)
    return status, found


def never_released(command, folder):
    """Return the program's status and {number: name} of what leftopen says."""
    result = leftopen.run(*TAKES_IT, program(command[0]), *command[1:], options=["--samples", "0"], cwd=folder)
    pid = result.report["processes"][0]["pid"]
    found = {}
    for group in truth.groups_of(result.report, "fd", pid):
        # All or none of a group, or its samples do not say which.
        assert group["released"]["never"] in (0, group["count"]), group
        if group["released"]["never"]:
            found.update({sample["fd"]: sample["target"] if sample["target"].startswith("/") else ""
                          for sample in group["samples"]})
    assert found.pop(LOG_NUMBER) == "/dev/null"
    return result.status, found


def assert_agree(command, folder, least, again=lambda: None):
    """Both say the same numbers and names, at least so many, and the program ends the same way.

    again() makes the folder what it was, before a run of the command.
    """
    told = open_at_exit(command, folder, again)
    again()
    assert never_released(command, folder) == told
    assert len(told[1]) >= least, told
