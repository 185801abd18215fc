"""`leftopen watch`: running processes, selected in four ways, and the truth about what they hold.

Purpose: what was there before is not blamed, what comes later is named at its line, in whatever process.
Inputs: processes that obey (watched.py). Outputs: assertions on the JSON file and on the tables.
"""

import json
import os
import signal
import subprocess

import leftopen
import processes
import pytest
import truth
import watching
from terminal import Terminal
from watching import Watched, Watching

BEFORE = ["/etc/passwd", "/etc/group", "/etc/hosts", "/etc/passwd", "/etc/fstab"]


def opened_at(function):
    """Return the place of watched.py where a function opens, as a site names it."""
    return ("watched.py", function, watching.line_of(function))


def open_and_see(watch, watched, count=4):
    """Have it open files; wait until they are reported at the line that opened them; return that report."""
    for _ in range(count):
        watched.tell("open", "/etc/hosts")
    return watch.report(lambda report: watching.sites_of(report, watched.pid).get(opened_at("open_later")) == count,
                        "%d descriptors at the line" % count)


def test_what_was_open_before_is_not_blamed():
    """A running python with open files: its sites have what it opens afterwards, and nothing else."""
    with Watched(*BEFORE) as watched, Watching("-p", str(watched.pid)) as watch:
        before = watch.follows(watched.pid)
        assert before["sites"] == [] and before["groups"] == []
        report = open_and_see(watch, watched)
        assert watching.sites_of(report, watched.pid) == {opened_at("open_later"): 4}
        assert report["completeness"]["complete"], report["completeness"]
        process = truth.process_of(report, watched.pid)
        assert process["left_open_at"] == "live" and not process["exited"]
        assert process["cmdline"][1:] == [watching.WATCHED, *BEFORE]
        assert process["fds"]["live"] == len(watching.descriptors_of(watched.pid))
        assert watch.interrupt() == 0
        last = watch.printed().decode().rstrip().split("\n\n")[-1]
        assert "%d descriptors and" % (len(BEFORE) + 3) in last and "were open before" in last
        assert "watched.py (%d)" % watched.pid in last
        assert ":%d in open_later" % watching.line_of("open_later") in last


def test_the_first_handle_has_its_line():
    """A process that opens all the time: no handle that is not inherited is without its line, from the first on."""
    with Watched() as watched:
        watched.process.stdin.write(b"trickle /etc/hosts\n")
        watched.process.stdin.flush()
        assert watched.process.stdout.readline() == b"begun\n"
        with Watching("-p", str(watched.pid)) as watch:
            place = opened_at("open_in_trickle")
            watch.report(lambda report: watching.sites_of(report, watched.pid).get(place, 0) >= 100, "a hundred")
            report = watch.read()
            assert set(watching.sites_of(report, watched.pid)) == {place}


def test_what_is_closed_is_gone():
    """A descriptor that was opened and closed since is in no table; one from before that is closed is not open."""
    with Watched(*BEFORE) as watched, Watching("-p", str(watched.pid), "--inherited", "--samples", "0") as watch:
        watch.follows(watched.pid)
        number = watched.tell("open", "/etc/hosts")
        watch.report(lambda report: report["sites"], "a site")
        watched.tell("close", number)
        report = watch.report(lambda report: not report["sites"], "no site")
        assert int(number) not in watching.live_descriptors(report, watched.pid)


@pytest.mark.parametrize("selection", ["-p", "-a"])
def test_the_live_set_is_what_proc_says(selection):
    """With --inherited and --samples 0 the file has every number with its target and every address of a process."""
    with Watched(*BEFORE) as watched:
        arguments = ["-p", str(watched.pid)] if selection == "-p" else ["-a"]
        with Watching(*arguments, "--inherited", "--samples", "0") as watch:
            watch.follows(watched.pid)
            report = open_and_see(watch, watched)
            assert watching.live_descriptors(report, watched.pid) == watching.descriptors_of(watched.pid)
            assert truth.left_open_ranges(report, watched.pid) == watching.mappings_of(watched.pid)
            assert watching.sites_of(report, watched.pid) == {opened_at("open_later"): 4}
            blamed = {index for site in report["sites"] for index in site["groups"]}
            assert all(report["groups"][index]["origin"] != "inherited" for index in blamed)
            # Neither leftopen itself nor the child that holds its programs.
            assert not {watch.process.pid, *processes.children(watch.process.pid)} & watching.pids(report)


def test_all_sees_what_starts_later():
    """-a: a process that starts later, and one that has made itself a daemon."""
    with Watching("-a") as watch:
        watch.report()
        with Watched() as watched:
            watch.follows(watched.pid)
            open_and_see(watch, watched)
            daemon = int(watched.tell("daemon", "/etc/group"))
            with processes.killed_at_end(daemon):
                report = watch.report(
                    lambda report: watching.sites_of(report, daemon) == {opened_at("open_in_daemon"): 1},
                    "the daemon's site")
                assert truth.process_of(report, daemon)["comm"].startswith("python3")


def test_all_sees_a_helper_of_the_kernel(tmp_path):
    """-a: the kernel starts a program itself (core_pattern's pipe), whose parent is no process that is followed."""
    helper, told = tmp_path / "helper", tmp_path / "told"
    helper.write_text("#!%s\nimport os, signal\nheld = os.open('/etc/group', os.O_RDONLY)\n"
                      "os.mkfifo('%s.new')\nopen('%s.pid', 'w').write(str(os.getpid()))\n"
                      "os.rename('%s.pid', '%s')\nopen('%s.new').read()\n"
                      % (leftopen.PYTHON, told, told, told, told, told))
    helper.chmod(0o755)
    with open("/proc/sys/kernel/core_pattern", encoding="utf-8") as file:
        pattern = file.read()
    # What a run of this left that was killed.
    if "test_all_sees_a_helper" in pattern:
        pattern = "core"
    with Watching("-a") as watch:
        watch.report()
        try:
            set_core_pattern("|%s" % helper)
            # Whoever crashes waits for its helper, so nobody waits for it before that has ended.
            with subprocess.Popen(["/bin/sleep", "60"]) as crashing:
                crashing.send_signal(signal.SIGSEGV)
                processes.wait_until(told.exists, "the helper runs")
                pid = int(told.read_text())
                report = watch.report(lambda report: ("helper", "<module>", 3) in watching.sites_of(report, pid),
                                      "the helper's site")
                assert truth.process_of(report, pid)["exe"].startswith("/usr/bin/python3")
                with open("%s.new" % told, "w", encoding="utf-8"):
                    pass
        finally:
            set_core_pattern(pattern)


def set_core_pattern(pattern):
    """Say what the kernel does with a crash."""
    with open("/proc/sys/kernel/core_pattern", "w", encoding="utf-8") as file:
        file.write(pattern)


def gone_pid():
    """Return the id of a process that is gone."""
    with subprocess.Popen(["/bin/true"]) as process:
        process.wait()
        return process.pid


def test_a_pid_that_is_gone():
    """Nothing is attached for a process that is not there: an error that says so, status 125."""
    pid = gone_pid()
    done = processes.leftopen_raw("watch", "-p", str(pid), "0.1", "1")
    assert done.returncode == 125 and done.stdout == b""
    assert "there is no process %d" % pid in done.stderr.decode()


def test_pids_of_which_one_is_gone_and_one_goes():
    """Several pids: those that are gone are listed, the others followed; when all are gone it ends."""
    pid = gone_pid()
    with Watched() as first, Watched() as second:
        with Watching("-p", "%d,%d" % (first.pid, pid), "-p", str(second.pid)) as watch:
            watch.follows(first.pid, second.pid)
            open_and_see(watch, first)
            open_and_see(watch, second, 2)
            first.end()
            report = watch.report(lambda report: first.pid not in watching.pids(report), "it is gone")
            assert second.pid in watching.pids(report)
            processes.wait_until(lambda: b"gone: pid %d, %d\n" % (first.pid, pid) in watch.printed()
                                 or b"gone: pid %d, %d\n" % (pid, first.pid) in watch.printed(), "both are listed")
            second.end()
            assert watch.wait() == 0
            assert b"0 processes, 0 descriptors and 0 mappings open" in watch.printed()


def test_comm_finds_those_that_come_later():
    """--comm GLOB: a process of that name now, one that takes it later, and none of another name."""
    with Watched() as other, Watched() as first, Watched() as later:
        first.tell("name", b"worker-1".hex())
        with Watching("--comm", "worker-*") as watch:
            watch.follows(first.pid)
            open_and_see(watch, first)
            later.tell("name", b"worker-2".hex())
            watch.follows(first.pid, later.pid)
            report = open_and_see(watch, later, 3)
            assert watching.pids(report) == {first.pid, later.pid}
            assert other.pid not in watching.pids(report)


def cgroup_mount():
    """Return where version 2's hierarchy is mounted."""
    with open("/proc/self/mounts", encoding="utf-8") as file:
        return next(line.split()[1] for line in file if line.split()[2] == "cgroup2")


class Cgroup:
    """A control group with one below it; use it in a with statement."""

    def __init__(self, name):
        self.path = "/" + name
        self.folder = os.path.join(cgroup_mount(), name)
        self.below = os.path.join(self.folder, "below")

    def __enter__(self):
        os.mkdir(self.folder)
        os.mkdir(self.below)
        return self

    def __exit__(self, *_):
        for folder in (self.below, self.folder):
            if os.path.isdir(folder):
                os.rmdir(folder)

    @staticmethod
    def put(folder, pid):
        """Move a process into a group."""
        with open(os.path.join(folder, "cgroup.procs"), "w", encoding="ascii") as file:
            file.write(str(pid))


def test_cgroup():
    """--cgroup PATH: members, those of a group below, those that enter later; a group that vanishes is told once."""
    with Cgroup("leftopen-test-%d" % os.getpid()) as group:
        with Watched() as outside, Watched() as member, Watched() as below, Watched() as later:
            group.put(group.folder, member.pid)
            group.put(group.below, below.pid)
            with Watching("--cgroup", group.path, interval="0.2") as watch:
                report = watch.follows(member.pid, below.pid)
                assert watching.pids(report) == {member.pid, below.pid}
                assert truth.process_of(report, below.pid)["cgroup"] == group.path + "/below"
                open_and_see(watch, below)
                group.put(group.folder, later.pid)
                watch.follows(later.pid)
                report = open_and_see(watch, later, 2)
                assert outside.pid not in watching.pids(report)
                for process in (member, below, later):
                    process.end()
                watch.report(lambda report: not watching.pids(report), "all are gone")
                os.rmdir(group.below)
                os.rmdir(group.folder)
                processes.wait_until(lambda: "is gone" in watch.said(), "that the group is gone is said")
                tables = watch.printed().count(b"processes,")
                processes.wait_until(lambda: watch.printed().count(b"processes,") > tables + 2, "it goes on")
                assert watch.interrupt() == 0
                assert watch.said().count("is gone") == 1


def test_a_cgroup_that_does_not_exist():
    """An error that names it, status 125."""
    done = processes.leftopen_raw("watch", "--cgroup", "/no/such/group")
    assert done.returncode == 125 and b'no control group "/no/such/group"' in done.stderr


def test_interval_and_count():
    """INTERVAL COUNT: so many tables and no more, the file is the last one's."""
    with Watched() as watched, Watching("-p", str(watched.pid), interval="0.2", count=3) as watch:
        assert watch.wait() == 0
        assert watch.printed().count(b"1 process,") == 3
        assert watch.read()["duration_s"] >= 0.6


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_prints_a_last_table(number):
    """Long before the first interval ends: a table of what was opened until then, and status 0."""
    with Watched() as watched, Watching("-p", str(watched.pid), interval="1000") as watch:
        watch.ask_for_table()
        for _ in range(3):
            watched.tell("open", "/etc/hosts")
        assert watch.interrupt(number) == 0
        report = watch.read()
        assert watching.sites_of(report, watched.pid) == {opened_at("open_later"): 3}
        assert watch.printed().count(b"1 process,") == 2


def test_usr1_prints_a_table_and_it_goes_on():
    """SIGUSR1: a table now, long before the interval ends; it goes on afterwards."""
    with Watched() as watched, Watching("-p", str(watched.pid), interval="1000") as watch:
        assert watch.ask_for_table()["sites"] == []
        watched.tell("open", "/etc/hosts")
        assert watching.sites_of(watch.ask_for_table(), watched.pid) == {opened_at("open_later"): 1}
        assert watch.process.poll() is None


def test_json_is_replaced_whole():
    """Whoever reads the file at any moment reads one whole report, and later ones of later moments."""
    with Watched() as watched, Watching("-p", str(watched.pid), "--inherited", count=20) as watch:
        durations, files = [], set()
        watch.report()
        while watch.process.poll() is None:
            # Fails where it is not whole.
            with open(watch.path, encoding="utf-8") as file:
                files.add(os.fstat(file.fileno()).st_ino)
                durations.append(json.load(file)["duration_s"])
        assert watch.wait() == 0
        assert durations == sorted(durations) and len(set(durations)) > 10
        assert os.listdir(watch.folder.name) == ["watch.json"]


def test_a_hostile_name():
    """A process's name with escape sequences reaches no terminal as it is, and JSON has it as it is."""
    with Watched() as watched, Watching("-p", str(watched.pid), "--color", "never") as watch:
        watched.tell("name", b"\x1b[2J\xff\nx".hex())
        watch.follows(watched.pid)
        watch.report(lambda report: truth.process_of(report, watched.pid)["comm"] == "\x1b[2J\\xff\nx", "its name",
                     seconds=60)
        open_and_see(watch, watched)
        assert watch.interrupt() == 0
        assert b"\x1b" not in watch.printed() and b"\xff" not in watch.printed()
        assert rb"\e[2J\xff\nx (%d)" % watched.pid in watch.printed()


def test_near_the_limit():
    """A process that has most of its RLIMIT_NOFILE in use is shown with both figures."""
    with Watched() as watched:
        watched.tell("limit", "40")
        with Watching("-p", str(watched.pid)) as watch:
            watch.follows(watched.pid)
            assert b"near its limit" not in watch.printed()
            open_and_see(watch, watched, 30)
            assert watch.interrupt() == 0
            used = len(watching.descriptors_of(watched.pid))
            assert (b"near its limit: watched.py (pid %d) has %d of 40 descriptors\n" % (watched.pid, used)
                    in watch.printed())


def test_verbose_prints_stacks():
    """-v: below each place the stack, as run prints it."""
    with Watched() as watched, Watching("-p", str(watched.pid), "-v") as watch:
        watch.follows(watched.pid)
        open_and_see(watch, watched)
        assert watch.interrupt() == 0
        last = watch.printed().decode().rstrip().split("\n\n")[-1]
        assert "watched.py:%d in open_later" % watching.line_of("open_later") in last
        assert " in obey" in last and " in main" in last


def test_top_and_quiet():
    """-T N shows so many places and says how many more there are; -q prints none."""
    with Watched() as watched:
        with Watching("-p", str(watched.pid), "-T", "1") as watch:
            watch.follows(watched.pid)
            open_and_see(watch, watched)
            with processes.killed_at_end(int(watched.tell("daemon", "/etc/group"))):
                watch.report(lambda report: len(report["sites"]) == 2, "two places")
                assert watch.interrupt() == 0
            assert b"  and 1 more place (--top 0 shows all)" in watch.printed()
        with Watching("-p", str(watched.pid), "-q", count=1) as watch:
            assert watch.wait() == 0 and watch.printed() == b""


def test_log_file(tmp_path):
    """--log-file: the tables go there, one after the other, and standard output has none."""
    log = tmp_path / "watch.log"
    with Watched() as watched, Watching("-p", str(watched.pid), "--log-file", str(log)) as watch:
        watch.follows(watched.pid)
        processes.wait_until(lambda: log.exists() and log.read_bytes().count(b"1 process,") >= 3, "three tables")
        assert watch.interrupt() == 0
        assert watch.printed() == b"" and os.listdir(tmp_path) == ["watch.log"]


def test_colours_on_a_terminal_only():
    """Colours on a terminal, and none with --color=never; Ctrl-C prints a last table."""
    with Watched() as watched:
        arguments = [leftopen.LEFTOPEN, "watch", "-p", str(watched.pid)]
        with Terminal(*arguments, "0.2", env={"NO_COLOR": None}) as terminal:
            terminal.expect(" process, ")
            for _ in range(3):
                watched.tell("open", "/etc/hosts")
            terminal.expect(r"made at\x1b\[0m")
            terminal.type("\x03")
            assert terminal.wait() == 0
        with Terminal(*arguments, "--color=never", "0.2", "2") as terminal:
            assert terminal.wait() == 0
            assert b"\x1b" not in terminal.output and b" process, " in terminal.output


def test_ten_thousand_pids():
    """10,000 processes that live, all named: all are followed."""
    crowd = subprocess.Popen([leftopen.workload("crowd"), "10000"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with crowd:
        try:
            pids = [int(line) for line in crowd.stdout.readline().split()]
            assert len(set(pids)) == 10000
            with Watching("-p", ",".join(map(str, pids)), interval="1") as watch:
                report = watch.report(lambda report: len(watching.pids(report)) == 10000, "all are there", 120)
                assert watching.pids(report) == set(pids)
                assert report["completeness"]["complete"], report["completeness"]
                crowd.stdin.close()
                assert watch.process.wait(120) == 0
                assert b"0 processes," in watch.printed()
        finally:
            crowd.kill()


@pytest.mark.parametrize("command", ["run", "watch"])
def test_after_losses_the_live_set_is_exact(command, tmp_path):
    """A ring that is too small for a storm: losses are counted, and what lives in the end is what /proc says."""
    options = ["--ring-size", "64K", "--inherited", "--samples", "0"]
    if command == "run":
        check_survivor_of_a_storm(options, tmp_path)
        return
    with Watched(*BEFORE) as watched, Watching("-p", str(watched.pid), *options) as watch:
        watch.follows(watched.pid)
        open_and_see(watch, watched)
        # Nobody reads the ring meanwhile: it overflows for sure.
        watch.process.send_signal(signal.SIGSTOP)
        for _ in range(5):
            watched.tell("storm", "2000")
            watched.tell("open", "/etc/hosts")
        watch.process.send_signal(signal.SIGCONT)
        report = watch.report(
            lambda report: report["completeness"]["lost"] and
            watching.live_descriptors(report, watched.pid) == watching.descriptors_of(watched.pid), "it is exact")
        assert not report["completeness"]["complete"]
        # Unseen is right, and wrong is not.
        assert set(watching.sites_of(report, watched.pid)) <= {opened_at("open_later"), ("", "", 0)}


def check_survivor_of_a_storm(options, tmp_path):
    """A command that leaves a process behind which opened and closed more than the ring held."""
    script = tmp_path / "storm.py"
    script.write_text(SURVIVOR)
    path = tmp_path / "report.json"
    done = processes.leftopen_raw("run", "--json", str(path), *options, "--", leftopen.PYTHON, str(script))
    pid = int(done.stdout)
    with processes.killed_at_end(pid):
        with open(path, encoding="utf-8") as file:
            report = json.load(file)
        leftopen.validate(report)
        assert report["completeness"]["lost"] and not report["completeness"]["complete"]
        assert watching.live_descriptors(report, pid) == watching.descriptors_of(pid)


SURVIVOR = """
import os, signal
ready, told = os.pipe()
leftopen = os.getppid()
if os.fork() == 0:
    os.close(ready)
    # Nobody reads the ring meanwhile: it overflows for sure.
    os.kill(leftopen, signal.SIGSTOP)
    for i in range(20):
        held = os.open("/etc/hosts", os.O_RDONLY)
        for _ in range(1000):
            os.close(os.open("/dev/null", os.O_RDONLY))
        if i % 2:
            os.close(held)
    os.kill(leftopen, signal.SIGCONT)
    null = os.open("/dev/null", os.O_RDWR)
    for standard in range(3):
        os.dup2(null, standard)
    os.write(told, b"%d" % os.getpid())
    os.close(told)
    signal.pause()
os.close(told)
print(os.read(ready, 32).decode(), flush=True)
"""


@pytest.mark.parametrize("arguments, said", [
    ((), ["-p PID,..", "-a", "--cgroup PATH", "--comm GLOB"]),
    (("1", "2"), ["-p PID,..", "-a", "--cgroup PATH", "--comm GLOB"]),
    (("-a", "-p", "1"), ["only one of"]),
    (("-p", "1,x"), ['"1,x"']),
    (("-a", "0.05"), ['INTERVAL takes seconds, 0.1 at least, not "0.05"']),
    (("-a", "1", "0"), ["COUNT takes a whole number from 1"]),
    (("-a", "1", "2", "3"), ['"3" is too much']),
    (("--fail-on", "leak", "-a"), ["--fail-on is no option of watch"]),
])
def test_mistakes(arguments, said):
    """What cannot be meant is an error that says what can, status 125."""
    done = processes.leftopen_raw("watch", *arguments)
    assert done.returncode == 125 and done.stdout == b""
    for words in said:
        assert words in done.stderr.decode()


def test_a_reader_that_goes_away():
    """Whoever reads the tables ends: so does leftopen."""
    reader, writer = os.pipe()
    with Watched() as watched, open(writer, "wb") as end, Watching("-p", str(watched.pid), stdout=end) as watch:
        watch.follows(watched.pid)
        os.close(reader)
        assert watch.wait() == 125
        assert "standard output cannot be written: Broken pipe" in watch.said()
