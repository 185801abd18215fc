"""A terminal to run programs on, and what a person at it would type and read.

Purpose: Terminal runs one program as the leader of a session whose controlling terminal is a new pty.
Inputs: a command line, what is typed. Outputs: what was printed, the wait status.
"""

import fcntl
import os
import re
import select
import signal
import subprocess
import termios
import time

import processes

DEADLINE_S = 30


class Terminal:
    """Use it in a with statement: what still runs in the end is killed.

    A variable of env that is None is left out of the program's environment.
    """

    def __init__(self, *command, env=None, cwd=None):
        self.master, self.slave = os.openpty()
        self.settings = termios.tcgetattr(self.slave)
        self.output = b""
        self.read_up_to = 0

        def take_terminal():
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen(
            command, stdin=self.slave, stdout=self.slave, stderr=self.slave, start_new_session=True,
            preexec_fn=take_terminal, cwd=cwd,
            env={name: value for name, value in {**os.environ, "TERM": "dumb", **(env or {})}.items()
                 if value is not None})

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            for pid in [self.process.pid, self.foreground()]:
                if pid > 0:
                    os.killpg(pid, signal.SIGKILL)
            self.process.kill()
        self.process.wait(DEADLINE_S)
        os.close(self.master)
        os.close(self.slave)

    def type(self, text):
        """Type text; "\\x03" is Ctrl-C, "\\x1a" Ctrl-Z, "\\x1c" Ctrl-\\."""
        os.write(self.master, text.encode())

    def read_some(self, seconds):
        """Take in what was printed. Returns whether anything was."""
        ready, _, _ = select.select([self.master], [], [], seconds)
        if ready:
            self.output += os.read(self.master, 65536)
        return bool(ready)

    def expect(self, pattern):
        """Wait until something that matches was printed since the last match; return the match."""
        end = time.monotonic() + DEADLINE_S
        while True:
            found = re.search(pattern.encode(), self.output[self.read_up_to:])
            if found:
                self.read_up_to += found.end()
                return found
            assert time.monotonic() < end, "%r did not come after %r" % (pattern, self.output[self.read_up_to:])
            self.read_some(0.1)

    def foreground(self):
        """Return the process group in the foreground."""
        # Asked for at the master: at the slave only a process of the session itself may (ioctl_tty(2)).
        return os.tcgetpgrp(self.master)

    def expect_foreground(self, name):
        """Wait until a program of that name is the leader of the group in the foreground; return its pid."""
        def leader():
            pid = self.foreground()
            return pid if pid > 0 and processes.comm(pid) == name else None
        return processes.wait_until(leader, "%s in the foreground" % name)

    def wait(self):
        """Wait for the program's end; return its status as subprocess has it, with all output read."""
        end = time.monotonic() + DEADLINE_S
        while self.process.poll() is None:
            assert time.monotonic() < end, "it does not end; it has printed %r" % self.output[self.read_up_to:]
            self.read_some(0.05)
        while self.read_some(0):
            pass
        return self.process.returncode

    def settings_now(self):
        """Return what tcgetattr() says, as .settings has from before the program started."""
        return termios.tcgetattr(self.slave)
