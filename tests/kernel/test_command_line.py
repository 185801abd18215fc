"""The command line: exit statuses, options, files, and streams that belong to the command."""

import json
import os
import re
import resource
import signal
import subprocess

import pytest

import leftopen
import processes

# Leaks three descriptors, each in a test of its own: pytest says which test runs by this variable.
LEAK = """
import os, signal, sys
for number in range(3):
    os.environ["PYTEST_CURRENT_TEST"] = "test_it.py::test_%d (call)" % number
    os.open("/etc/hostname", os.O_RDONLY)
"""
LEFT_OPEN = """
import os
os.open("/etc/hostname", os.O_RDONLY)
"""
CLEAN = ""


def python(program):
    return [leftopen.PYTHON, "-c", program]


def shell(program):
    return ["/bin/sh", "-c", program]


def without(name):
    """Return the environment without a variable."""
    return {key: value for key, value in os.environ.items() if key != name}


# Exit status

@pytest.mark.parametrize("status", [0, 7, 255])
def test_exit_status_is_passed_through(status):
    result = leftopen.run(*shell("exit %d" % status))
    assert result.status == status
    assert result.report["processes"][0]["exit_code"] == status
    assert result.report["processes"][0]["signal"] == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV, signal.SIGPIPE])
def test_death_by_signal_is_repeated(number):
    result = leftopen.run(*shell("kill -%d $$" % number))
    assert result.status == -number
    assert result.report["processes"][0]["signal"] == number
    assert result.report["processes"][0]["exit_code"] is None


def wait_status(command, folder):
    """Run a command that may leave a core file; return its status as wait(2) has it."""
    child = os.fork()
    if child == 0:
        try:
            os.chdir(folder)
            hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
            resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
            null = os.open("/dev/null", os.O_RDWR)
            for stream in range(3):
                os.dup2(null, stream)
            os.execv(command[0], command)
        finally:
            os._exit(125)
    return os.waitpid(child, 0)[1]


def test_no_core_of_leftopens_own(tmp_path):
    crash = shell("kill -SEGV $$")
    assert os.WCOREDUMP(wait_status(crash, tmp_path)), "this machine leaves no cores: nothing can be shown"
    crash_without_core = shell("ulimit -c 0; kill -SEGV $$")
    assert not os.WCOREDUMP(wait_status(crash_without_core, tmp_path))
    status = wait_status([leftopen.LEFTOPEN, "run", "--", *crash_without_core], tmp_path)
    assert os.WTERMSIG(status) == signal.SIGSEGV
    assert not os.WCOREDUMP(status)


def test_command_not_found():
    done = processes.leftopen_raw("run", "--", "no-such-command", env=without("SUDO_USER"))
    assert done.returncode == 127
    assert done.stderr == b'leftopen: "no-such-command": command not found\n'
    assert done.stdout == b""


def test_command_not_found_under_sudo_says_how_to_keep_the_path():
    env = {**os.environ, "PATH": "/usr/bin:/bin", "SUDO_USER": "nobody", "SUDO_UID": "65534",
           "SUDO_GID": "65534"}
    done = processes.leftopen_raw("run", "--", "no-such-command", env=env)
    assert done.returncode == 127
    assert b"command not found" in done.stderr
    assert b'sudo env "PATH=$PATH" leftopen run -- CMD' in done.stderr
    # With a slash PATH has no part in it.
    done = processes.leftopen_raw("run", "--", "./no-such-command", env=env)
    assert done.returncode == 127
    assert b"PATH" not in done.stderr


def test_command_that_cannot_be_run(tmp_path):
    plain = tmp_path / "plain"
    plain.write_text("#!/bin/sh\n")
    plain.chmod(0o644)
    for command in (plain, tmp_path):
        done = processes.leftopen_raw("run", "--", str(command))
        assert done.returncode == 126
        assert done.stderr.startswith(b'leftopen: "%s": permission denied: ' % str(command).encode())
        assert done.stderr.count(b"\n") == 1


WRONG = {
    "no command": ([], "no command given"),
    "unknown command": (["frob"], 'there is no command "frob"'),
    "no CMD": (["run"], "no command given"),
    "no CMD after --": (["run", "--"], "no command given"),
    "unknown option": (["run", "--frob", "--", "true"], "--frob is no option of run"),
    "unknown letter": (["run", "-x", "--", "true"], "-x is no option of run"),
    "unknown letter before others": (["run", "--as-root", "-xq", "--", "true"], "-xq is no option of run"),
    "no value after others": (["run", "--as-root", "-qT"], "-qT needs an argument"),
    "value for a flag": (["run", "--quiet=3", "--", "true"], "--quiet=3 is no option of run"),
    "no value": (["run", "-T"], "-T needs an argument"),
    "top": (["run", "--top=some", "--", "true"], '--top takes a whole number from 0 to 1000000, not "some"'),
    "top negative": (["run", "-T", "-1", "--", "true"], 'not "-1"'),
    "top empty": (["run", "-T", "", "--", "true"], 'not ""'),
    "top huge": (["run", "-T99999999999999999999", "--", "true"], "--top takes"),
    "min-count": (["run", "--min-count", "0", "--", "true"], "--min-count takes a whole number from 1"),
    "samples": (["run", "--samples=1e3", "--", "true"], "--samples takes a whole number"),
    "ring-size": (["run", "--ring-size=3K", "--", "true"], "--ring-size takes a power of two from 64K to 1G"),
    "ring-size small": (["run", "--ring-size=32K", "--", "true"], "--ring-size takes"),
    "ring-size large": (["run", "--ring-size=2G", "--", "true"], "--ring-size takes"),
    "ring-size unit": (["run", "--ring-size=64k", "--", "true"], "--ring-size takes"),
    "ring-size tail": (["run", "--ring-size=1MB", "--", "true"], "--ring-size takes"),
    # 2^64 + 2^30 bytes: 1G, if a bit were lost.
    "ring-size wraps": (["run", "--ring-size=17179869185G", "--", "true"], "--ring-size takes"),
    "error-exitcode": (["run", "--error-exitcode=256", "--", "true"], "from 1 to 255"),
    "error-exitcode 0": (["run", "--error-exitcode=0", "--", "true"], "from 1 to 255"),
    "fail-on": (["run", "--fail-on=bad", "--", "true"], "--fail-on takes one of leak, left-open"),
    "color": (["run", "--color=some", "--", "true"], "--color takes one of auto, always, never"),
    "stacks": (["run", "--stacks=some", "--", "true"], "--stacks takes one of full, native, fp, none"),
    "user": (["run", "--user=no-such-user", "--", "true"], "there is no account 'no-such-user'"),
    "both": (["run", "--as-root", "--user=nobody", "--", "true"], "exclude each other"),
    "log-file": (["run", "--log-file=%q", "--", "true"], "only %p"),
    "doctor option": (["doctor", "--frob"], '"--frob" is not understood'),
    "doctor argument": (["doctor", "frob"], '"frob" is not understood'),
}


@pytest.mark.parametrize("name", WRONG)
def test_mistakes_are_125_with_one_line(name, tmp_path):
    arguments, text = WRONG[name]
    arguments = [str(tmp_path / "ran") if argument == "true" else argument for argument in arguments]
    if str(tmp_path / "ran") in arguments:
        arguments.insert(-1, "touch")
    done = processes.leftopen_raw(*arguments, cwd=tmp_path)
    assert done.returncode == 125
    assert done.stdout == b""
    assert done.stderr.startswith(b"leftopen") and done.stderr.count(b"\n") == 1
    assert text in done.stderr.decode()
    assert os.listdir(tmp_path) == []


# Findings and the exit status

@pytest.mark.parametrize("program, options, status", [
    (LEAK, ["--error-exitcode=3"], 3),
    (LEAK, ["--error-exitcode=3", "--fail-on=leak"], 3),
    (LEAK, ["--error-exitcode=3", "--fail-on=left-open"], 3),
    (LEAK, [], 0),
    (LEAK, ["--fail-on=left-open"], 0),
    (LEAK, ["--error-exitcode=3", "--min-count=4"], 0),
    (LEAK + "sys.exit(4)", ["--error-exitcode=3"], 4),
    (LEAK + "os.kill(os.getpid(), signal.SIGTERM)", ["--error-exitcode=3"], -signal.SIGTERM),
    (LEFT_OPEN, ["--error-exitcode=3"], 0),
    (LEFT_OPEN, ["--error-exitcode=3", "--fail-on=left-open"], 3),
    (CLEAN, ["--error-exitcode=3", "--fail-on=left-open"], 0),
])
def test_error_exitcode(program, options, status):
    result = leftopen.run(*python(program), options=options)
    assert result.status == status, result.stderr
    verdicts = {site["verdict"] for site in result.report["sites"]}
    if "--min-count=4" in options:
        assert verdicts == {"left-open"}
    elif program.startswith(LEAK):
        assert verdicts == {"leak"}
    else:
        assert verdicts == ({"left-open"} if program else set())


# Reports

def test_log_file_and_pid_in_names(tmp_path):
    done = processes.leftopen_raw("run", "--json", "r-%p-100%%.json", "--log-file", "l-%p.txt", "--",
                                  *python("import os; print(os.getpid())\n" + LEFT_OPEN), cwd=tmp_path)
    assert done.returncode == 0
    assert done.stderr == b""
    pid = int(done.stdout)
    assert sorted(os.listdir(tmp_path)) == ["l-%d.txt" % pid, "r-%d-100%%.json" % pid]
    text = (tmp_path / ("l-%d.txt" % pid)).read_text()
    assert text.startswith("leftopen: no leak, but 1 descriptor was left open")
    assert "\x1b" not in text
    report = json.loads((tmp_path / ("r-%d-100%%.json" % pid)).read_text())
    leftopen.validate(report)
    assert report["processes"][0]["pid"] == pid


def test_reports_take_the_place_of_older_ones_whole(tmp_path):
    path = tmp_path / "report.json"
    path.write_text("x" * 1000000)
    os.link(path, tmp_path / "old")
    done = processes.leftopen_raw("run", "--json", str(path), "--", "true")
    assert done.returncode == 0
    leftopen.validate(json.loads(path.read_text()))
    assert (tmp_path / "old").read_text() == "x" * 1000000


def test_json_to_standard_output_comes_after_the_command():
    done = processes.leftopen_raw("run", "--json=-", "-q", "--", "echo", "first")
    first, _, rest = done.stdout.partition(b"\n")
    assert first == b"first"
    leftopen.validate(json.loads(rest))


def test_quiet():
    assert leftopen.run(*python(CLEAN), options=["-q"]).stderr == ""
    quiet = leftopen.run(*python(LEAK), options=["-q"]).stderr
    whole = leftopen.run(*python(LEAK)).stderr
    assert quiet.startswith("leftopen: 1 leak: 3 descriptors left open by")
    assert len(quiet.splitlines()) <= 2
    # The processes' numbers differ, and nothing else does.
    assert re.sub(r"pid \d+", "", whole).startswith(re.sub(r"pid \d+", "", quiet))
    assert "leftopen itself:" in whole and "complete:" in whole


NESTED = """
import os
def innermost(): os.open("/etc/hostname", os.O_RDONLY)
def between(): innermost()
between()
os.open("/etc/passwd", os.O_RDONLY)
os.open("/etc/group", os.O_RDONLY)
"""


def test_verbose_prints_whole_stacks():
    verbose = leftopen.run(*python(NESTED), options=["-v"]).stderr
    plain = leftopen.run(*python(NESTED)).stderr
    for function in ("innermost", "between", "<module>"):
        assert "in " + function in verbose
    assert "open64" in verbose and "open64" not in plain


def test_top():
    for options, shown in (([], 3), (["-T", "1"], 1), (["--top=2"], 2), (["--top=0"], 3)):
        result = leftopen.run(*python(NESTED), options=options)
        assert len(result.report["sites"]) == 3
        assert len(re.findall("^left-open ", result.stderr, re.MULTILINE)) == shown, result.stderr


def test_colour_where_it_is_asked_for():
    """What happens at a terminal is in test_terminal.py; here standard error is a pipe."""
    for options, colour in (([], False), (["--color=auto"], False), (["--color=never"], False),
                            (["--color=always"], True)):
        assert ("\x1b[" in leftopen.run(*python(LEAK), options=options).stderr) == colour


def test_no_stacks():
    result = leftopen.run(*python(LEFT_OPEN), options=["--stacks=none"])
    assert result.report["stacks"] == {}
    assert sum(group["count"] for group in result.report["groups"] if group["kind"] == "fd") == 1


def test_help():
    for arguments, mentions in (
            (["--help"], ["run", "doctor", "--version", "sudo leftopen run -- pytest"]),
            (["-h"], ["run", "doctor"]),
            (["run", "--help"], ["usage: leftopen run", "examples:\n  sudo leftopen run --", "--error-exitcode",
                                 "--log-file", "SIGUSR1", "125", "126", "127"]),
            (["run", "-h"], ["usage: leftopen run"]),
            (["doctor", "--help"], ["usage: leftopen doctor", "examples:\n  sudo leftopen doctor", "125"])):
        done = processes.leftopen_raw(*arguments)
        assert done.returncode == 0
        assert done.stderr == b""
        for text in mentions:
            assert text in done.stdout.decode()
    done = processes.leftopen_raw("--version")
    assert done.returncode == 0 and re.fullmatch(rb"leftopen \d+\.\d+\.\d+\n", done.stdout)


def test_doctor():
    done = processes.leftopen_raw("doctor")
    text = done.stdout.decode()
    assert done.returncode == 0, text
    assert done.stderr == b""
    assert "missing" not in text
    for line in (r"^  ok       kernel BTF +\d+ types$", r"^  ok       tracefs$",
                 r"^  /usr/bin/python3(\.11)? +3\.11 +frames can be walked$", r"^  vm.max_map_count +\d+$"):
        assert re.search(line, text, re.MULTILINE), line
    assert text.endswith("\nleftopen can follow processes on this machine\n")


@pytest.mark.parametrize("arguments", [["doctor"], ["doctor", "--help"], ["run", "--help"], ["--help"], ["--version"]])
def test_nowhere_to_write(arguments):
    with open("/dev/full", "wb") as full:
        done = subprocess.run([leftopen.LEFTOPEN, *arguments], stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 125
    assert b"standard output cannot be written: No space left on device" in done.stderr


# What belongs to the command

def test_standard_streams_are_the_commands():
    data = os.urandom(3000000)
    done = subprocess.run([leftopen.LEFTOPEN, "run", "--", "cat"], input=data, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, check=False, timeout=120)
    assert done.returncode == 0
    assert done.stdout == data
    assert done.stderr.startswith(b"leftopen: no leak")


def test_closed_streams_stay_closed(tmp_path):
    """What leftopen opens must not become the command's standard streams, nor be written to as its own."""
    def close_streams():
        for stream in range(3):
            os.close(stream)

    program = "for n in 0 1 2; do test -e /proc/$$/fd/$n && list=\"$list $n\"; done; echo open:$list > listing"
    done = subprocess.run([leftopen.LEFTOPEN, "run", "--json=report.json", "--", *shell(program + "; exit 6")],
                          preexec_fn=close_streams, cwd=tmp_path, check=False, timeout=120)
    assert done.returncode == 6
    leftopen.validate(json.loads((tmp_path / "report.json").read_text()))
    assert (tmp_path / "listing").read_text() == "open:\n"


def test_closed_output_is_an_error_where_it_is_needed(tmp_path):
    done = processes.leftopen_raw("run", "--json=-", "--", "touch", "ran", preexec_fn=lambda: os.close(1),
                                  cwd=tmp_path)
    assert done.returncode == 125
    assert done.stderr == b'leftopen: "-" cannot be written: Bad file descriptor\n'
    assert os.listdir(tmp_path) == []


SURROUNDINGS = """
import json, os, resource, signal
names = [name for name in dir(resource) if name.startswith("RLIMIT_")]
with open("/proc/self/status") as file:
    status = dict(line.rstrip("\\n").split(":\\t", 1) for line in file if ":\\t" in line)
listed = {}
for fd in os.listdir("/proc/self/fd"):
    try:
        listed[fd] = os.readlink("/proc/self/fd/" + fd)
    except FileNotFoundError:
        pass  # the descriptor of the listing itself
print(json.dumps({
    "fds": listed,
    "limits": {name: resource.getrlimit(getattr(resource, name)) for name in names},
    "status": {name: status[name] for name in (
        "Umask", "Uid", "Gid", "Groups", "ShdPnd", "SigPnd", "SigBlk", "SigIgn", "SigCgt", "CapInh", "CapPrm",
        "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp", "TracerPid")},
    "environment": dict(os.environ), "cwd": os.getcwd(), "group": os.getpgrp(), "session": os.getsid(0),
    "nice": os.nice(0), "scheduler": os.sched_getscheduler(0), "cpus": sorted(os.sched_getaffinity(0)),
    "cgroup": open("/proc/self/cgroup").read(), "root": os.readlink("/proc/self/root"),
    "namespaces": {name: os.readlink("/proc/self/ns/" + name) for name in os.listdir("/proc/self/ns")},
    "oom": open("/proc/self/oom_score_adj").read(), "personality": open("/proc/self/personality").read(),
}))
"""


def test_the_commands_surroundings_are_its_callers(tmp_path):
    """Descriptors, limits, signals, credentials, groups: as without leftopen, which itself changes some."""
    read_end, write_end = os.pipe()

    def prepare():
        resource.setrlimit(resource.RLIMIT_NOFILE, (300, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
        signal.signal(signal.SIGUSR2, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1, signal.SIGALRM])
        os.umask(0o027)

    def run(*wrapper):
        done = subprocess.run(
            [*wrapper, leftopen.PYTHON, "-c", SURROUNDINGS], preexec_fn=prepare, pass_fds=[read_end, write_end],
            cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=null, check=True, timeout=120)
        found = json.loads(done.stdout)
        found["fds"]["1"] = found["fds"]["1"].split(":")[0]  # a pipe of its own each time
        return found

    with open(os.devnull, "wb") as null:
        alone = run()
        followed = run(leftopen.LEFTOPEN, "run", "--json=report.json", "--log-file=log.txt", "--")
    os.close(read_end)
    os.close(write_end)
    assert set(alone["fds"]) == {"0", "1", "2", str(read_end), str(write_end)}
    assert alone["limits"]["RLIMIT_NOFILE"][0] == 300
    assert followed == alone
