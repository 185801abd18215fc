"""Processes that get a pid that another one had: by clone3's set_tid (clone(2)), which wants CAP_SYS_ADMIN.

Usage: again.py PID COMMAND..: runs the command as the process of that pid; again.py COUNT: children that follow each
other under one pid, the n-th of which leaves n descriptors open. Outputs: the pid; nothing with a command.
"""

import ctypes
import os
import signal
import struct
import sys

SYS_CLONE3 = 435


def fork_as(pid):
    """Fork a child of that pid, which nobody has now; return as fork does."""
    set_tid = ctypes.c_int(pid)
    arguments = struct.pack("<10Q", 0, 0, 0, 0, signal.SIGCHLD, 0, 0, 0, ctypes.addressof(set_tid), 1)
    child = ctypes.CDLL(None, use_errno=True).syscall(SYS_CLONE3, arguments, len(arguments))
    if child < 0:
        raise OSError(ctypes.get_errno(), "clone3")
    return child


def leave_open(count):
    """Leave descriptors open."""
    for number in range(count):
        os.dup2(os.open("/dev/null", os.O_RDONLY), 100 + number)


def run_as(pid, command):
    """Run a command as a child of that pid, and end as it does."""
    child = fork_as(pid)
    if not child:
        os.execvp(command[0], command)
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


def main():
    """Run what is asked for."""
    if len(sys.argv) > 2:
        run_as(int(sys.argv[1]), sys.argv[2:])
    pid = 0
    for count in range(1, int(sys.argv[1]) + 1):
        child = fork_as(pid) if pid else os.fork()
        if not child:
            leave_open(count)
            os._exit(count)
        pid = child
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == count
    print(pid)


main()
