"""What else follows descriptors, on the loop of open and close: bpftrace, opensnoop, strace and valgrind, where they
are installed and start.

Purpose: columns of bench.py's table. Inputs: the build folder. Outputs: ns a turn, or why there is none.
"""

import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

LIMIT_S = 60
# What lives by number, with the stack by frame pointers: the nearest that a line of bpftrace comes to leftopen.
BPFTRACE = (
    "tracepoint:syscalls:sys_exit_openat /args->ret >= 0/ { @live[pid, args->ret] = ustack; } "
    "tracepoint:syscalls:sys_enter_close { delete(@live[pid, args->fd]); } "
    'BEGIN { printf("attached\\n"); }'
)

# Many tools look for a mounted tracefs: in a mount namespace of their own they have one.
MOUNTED = 'mount -t tracefs tracefs /sys/kernel/tracing; exec "$@"'


@dataclass(frozen=True)
class Tool:
    """One that runs the loop; or that is started before, and traces all once it has said `ready`."""

    name: str
    programs: tuple  # the first that is installed
    arguments: tuple
    turns: int
    slices: int
    ready: str = ""
    # The tracer's work is in the loop's elapsed time and not in its CPU time.
    loop: str = "open_close"


TOOLS = (
    Tool("bpftrace", ("bpftrace",), ("-e", BPFTRACE), 4000, 40, "attached"),
    Tool("opensnoop", ("opensnoop-bpfcc", "opensnoop"), (), 4000, 40, "PID"),
    Tool("strace -f", ("strace",), ("-f", "-o", "/dev/null"), 200, 10, loop="open_close_elapsed"),
    Tool("valgrind --track-fds=yes", ("valgrind",), ("-q", "--track-fds=yes"), 1000, 20),
)


def loop_ns(output):
    return float(re.search(r"^bench: loop \w+ ([\d.]+)$", output, re.MULTILINE).group(1))


def run_loop(build, tool, prefix=()):
    done = subprocess.run(
        [*prefix, build / "bench/loop", tool.loop, str(tool.turns), str(tool.slices)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    return f"the loop ended with status {done.returncode}" if done.returncode else loop_ns(done.stdout)


def run_beside(build, tool, program):
    """@return ns a turn, or a text that says why there is no figure"""
    with tempfile.TemporaryDirectory(prefix="leftopen-bench-") as folder:
        said = Path(folder) / "said"
        with said.open("w") as file:
            tracer = subprocess.Popen(
                ["unshare", "-m", "sh", "-c", MOUNTED, "sh", program, *tool.arguments],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )
        try:
            deadline = time.monotonic() + LIMIT_S
            while not re.search(rf"^{tool.ready}", said.read_text(errors="replace"), re.MULTILINE):
                if tracer.poll() is not None or time.monotonic() > deadline:
                    lines = [line for line in said.read_text(errors="replace").splitlines() if line.strip()]
                    return f"does not start here: {lines[0][:160] if lines else 'it says nothing'}"
                time.sleep(0.05)
            return run_loop(build, tool)
        finally:
            if tracer.poll() is None:
                tracer.send_signal(signal.SIGINT)
            tracer.wait(LIMIT_S)


def measure(build, tool):
    """@return ns a turn, or a text that says why there is no figure"""
    program = next(filter(None, map(shutil.which, tool.programs)), None)
    if not program:
        return "not installed"
    if tool.ready:
        return run_beside(build, tool, program)
    return run_loop(build, tool, (program, *tool.arguments))


def cell(figures, bare_ns):
    """What the table shows of a tool's rounds: the best, as of other loops."""
    found = [figure for figure in figures if isinstance(figure, float)]
    return f"{min(found) / bare_ns:.2f} x ({min(found):,.0f} ns)" if found else "no figure"


def print_missing(figures):
    """A line of each that has no figure. @param figures {name: of each round}"""
    for name, of_rounds in figures.items():
        reasons = {figure for figure in of_rounds if isinstance(figure, str)}
        for reason in sorted(reasons):
            print(f"{name}: {reason}  ")
