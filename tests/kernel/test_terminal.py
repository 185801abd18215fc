"""At a terminal leftopen is as if it were not there: job control, Ctrl-C, Ctrl-Z, the terminal's settings."""

import json
import signal

import leftopen
import processes
from terminal import Terminal

SHELL = ["/bin/bash", "--norc", "--noprofile", "-i"]
PROMPT = "prompt> "
ENV = {"PS1": PROMPT, "HISTFILE": "/dev/null"}
SLEEP = "sleep 1000\n"


def complaints(terminal):
    """Return what bash says where it cannot control jobs."""
    return [text for text in (b"no job control", b"cannot set terminal") if text in terminal.output]


def test_interactive_shell_inside(tmp_path):
    report = tmp_path / "report.json"
    with Terminal(leftopen.LEFTOPEN, "run", "--json", str(report), "--", *SHELL, env=ENV) as terminal:
        terminal.expect(PROMPT)
        shell = terminal.expect_foreground("bash")

        terminal.type("sleep 1000 & jobs\n")
        terminal.expect(r"\[1\].*Running +sleep 1000")
        terminal.type("kill %1; wait\n")
        terminal.expect("Terminated")

        terminal.type(SLEEP)
        terminal.expect_foreground("sleep")
        terminal.type("\x03")
        terminal.expect(PROMPT)
        assert terminal.expect_foreground("bash") == shell

        terminal.type(SLEEP)
        sleep = terminal.expect_foreground("sleep")
        terminal.type("\x1a")
        terminal.expect("Stopped")
        terminal.expect(PROMPT)
        assert terminal.expect_foreground("bash") == shell
        assert processes.state(sleep) == "T"
        terminal.type("fg\n")
        assert terminal.expect_foreground("sleep") == sleep
        processes.wait_until(lambda: processes.state(sleep) == "S", "fg to let the sleep go on")
        terminal.type("\x03")
        terminal.expect(PROMPT)
        assert not processes.is_running(sleep)

        terminal.type("echo alive-$((6 * 7))\n")
        terminal.expect("alive-42")
        assert terminal.process.poll() is None
        terminal.type("exit 3\n")
        assert terminal.wait() == 3
        assert terminal.settings_now() == terminal.settings
        assert not complaints(terminal)
        terminal.expect("leftopen: .*")
    validated = json.loads(report.read_text())
    leftopen.validate(validated)
    ends = {(process["exit_code"], process["signal"]) for process in validated["processes"]}
    assert {(3, 0), (None, signal.SIGTERM), (None, signal.SIGINT)} <= ends


def test_ctrl_z_and_ctrl_c_from_the_shell_outside():
    """leftopen and its command are one job of the caller's shell: it stops, goes on and ends as one."""
    with Terminal(*SHELL, env=ENV) as terminal:
        terminal.expect(PROMPT)
        terminal.type("%s run -- sleep 1000\n" % leftopen.LEFTOPEN)
        job = terminal.expect_foreground("leftopen")
        sleep = processes.wait_until(
            lambda: [child for child in processes.children(job) if processes.comm(child) == "sleep"],
            "leftopen to run the command")[0]
        terminal.type("\x1a")
        terminal.expect("Stopped")
        terminal.expect(PROMPT)
        processes.wait_until(lambda: processes.state(job) == processes.state(sleep) == "T", "both to stop")
        terminal.type("fg\n")
        assert terminal.expect_foreground("leftopen") == job
        processes.wait_until(lambda: processes.state(sleep) == "S", "fg to let the command go on")
        terminal.type("\x03")
        terminal.expect("leftopen: no leak")
        terminal.expect(PROMPT)
        assert not processes.is_running(sleep)
        terminal.type("echo status=$?\n")
        terminal.expect("status=%d" % (128 + signal.SIGINT))
        terminal.type("exit\n")
        terminal.wait()
        assert terminal.settings_now() == terminal.settings


def test_ctrl_c_is_the_commands_business():
    """A command that takes Ctrl-C and Ctrl-\\ as a word and goes on is followed to its own end."""
    # Not print(): the signal may come while the first one is still in it, which Python does not allow.
    program = ("import os, signal, sys\n"
               "signal.signal(signal.SIGINT, lambda *_: os.write(1, b'interrupted\\n'))\n"
               "signal.signal(signal.SIGQUIT, lambda *_: os.write(1, b'quitted\\n'))\n"
               "print('ready', flush=True)\n"
               "sys.stdin.readline()\n"
               "sys.exit(5)\n")
    with Terminal(leftopen.LEFTOPEN, "run", "--", leftopen.PYTHON, "-c", program) as terminal:
        terminal.expect("ready")
        terminal.type("\x03")
        terminal.expect("interrupted")
        terminal.type("\x1c")
        terminal.expect("quitted")
        terminal.type("\n")
        assert terminal.wait() == 5
        terminal.expect("leftopen: no leak")


def test_death_by_ctrl_c_is_repeated():
    with Terminal(leftopen.LEFTOPEN, "run", "--", "sh", "-c", "echo ready; read line") as terminal:
        terminal.expect("ready")
        terminal.type("\x03")
        assert terminal.wait() == -signal.SIGINT
        terminal.expect("leftopen: no leak")


def test_colour_only_on_a_terminal():
    program = "import os; os.open('/etc/hostname', os.O_RDONLY)"

    def output(*options, no_color=None):
        with Terminal(leftopen.LEFTOPEN, "run", *options, "--", leftopen.PYTHON, "-c", program,
                      env={"NO_COLOR": no_color}) as terminal:
            assert terminal.wait() == 0
            assert b"left open" in terminal.output
            return terminal.output

    assert b"\x1b[" in output()
    assert b"\x1b[" not in output(no_color="1")
    assert b"\x1b[" not in output("--color=never")
    assert b"\x1b[" in output("--color=always", no_color="1")
    # no-color.org: an empty one says nothing.
    assert b"\x1b[" in output(no_color="")
