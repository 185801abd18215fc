"""Tests that are not pytest's: `leftopen mark` and LEFTOPEN_TEST."""

import os
import shutil
import subprocess

import pytest

import leftopen

OPENING = "import os, sys; [os.open(os.devnull, 0) for _ in range(int(sys.argv[1]))]; os._exit(0)"
MARK = leftopen.LEFTOPEN + " mark "
OPEN = f'{leftopen.PYTHON} -c "{OPENING}" '


def made_in(report):
    """Return the tests of what Python programs left open, by name: made, outlived."""
    found = {}
    for site in report["sites"]:
        for test in site["tests"]:
            made, outlived = found.get(test["name"], (0, 0))
            found[test["name"]] = (made + test["made"], outlived + test["outlived"])
    return found


def run_script(script, **arguments):
    done = leftopen.run("bash", "-c", script, **arguments)
    assert done.status == 0, done.stderr
    return done


def test_marks_of_a_script():
    done = run_script(f"{OPEN} 1; {MARK} first; {OPEN} 2; {MARK} second; {OPEN} 3; {OPEN} 4; {MARK} ''; {OPEN} 5")
    assert made_in(done.report) == {"first": (2, 0), "second": (7, 0)}
    assert "made 15 times in 2 tests" in done.stderr
    assert "first (2)" in done.stderr and "second (7)" in done.stderr


def test_a_server_that_ran_before(tmp_path):
    """It is told of no test, and what it opens belongs to the one that was marked when it did."""
    (tmp_path / "server.py").write_text(
        "import os, sys\n"
        "for line in sys.stdin:\n"
        "    os.open('/dev/null', 0)\n"
        "    os.write(1, b'.')\n")
    script = f"""
        coproc {leftopen.PYTHON} {tmp_path}/server.py
        ask() {{ echo ask >&"${{COPROC[1]}}"; read -rN1 -u "${{COPROC[0]}}"; }}
        ask
        for name in one two three; do {MARK} $name; ask; ask; done
        eval "exec ${{COPROC[1]}}>&-"; wait
    """
    report = run_script(script).report
    assert made_in(report) == {"one": (2, 2), "two": (2, 2), "three": (2, 0)}


def test_the_environment_names_a_test():
    script = f"LEFTOPEN_TEST=a {OPEN} 1; LEFTOPEN_TEST=b bash -c '{OPEN} 2; :'"
    report = run_script(script + f"; LEFTOPEN_TEST= {OPEN} 4; {OPEN} 8").report
    assert made_in(report) == {"a": (1, 0), "b": (2, 0)}


@pytest.mark.parametrize("before", [0, 1, 40])
def test_long_variables_before_it(before):
    """Found behind any that are longer than what is read at once, and not in one that only holds its text."""
    environment = {f"A{i:02}": "x" * (487 + i) + "LEFTOPEN_TEST=wrong" for i in range(before)}
    environment.update(XLEFTOPEN_TEST="wrong", LEFTOPEN_TESTS="wrong", LEFTOPEN_TEST="right")
    # By execve, which sets no variable in this process before.
    program = f"import os; os.execve({leftopen.PYTHON!r}, ['python3', '-c', {OPENING!r}, '3'], {environment!r})"
    assert made_in(leftopen.run(leftopen.PYTHON, "-c", program).report) == {"right": (3, 0)}


@pytest.mark.parametrize("setting", ["", "env "])
def test_programs_are_not_one_that_runs_tests(setting):
    """env(1) sets the variable too; what three programs each left open is no leak of a suite."""
    done = run_script("".join(f"{setting}LEFTOPEN_TEST={name} {OPEN} 3;" for name in "abc"))
    assert made_in(done.report) == {"a": (3, 0), "b": (3, 0), "c": (3, 0)}
    assert "leak" not in [site["verdict"] for site in done.report["sites"]]


def test_a_program_sets_the_variable():
    program = ("import os\n"
               "for name in ('x', 'y', 'z'):\n"
               "    os.environ['LEFTOPEN_TEST'] = name\n"
               "    os.open('/dev/null', 0)\n"
               "os._exit(0)\n")
    report = leftopen.run(leftopen.PYTHON, "-c", program).report
    assert made_in(report) == {"x": (1, 1), "y": (1, 1), "z": (1, 0)}


def test_an_announced_test_is_nearer_than_the_environment(tmp_path):
    """pytest under LEFTOPEN_TEST, whose tests start programs that inherit the variable."""
    (tmp_path / "test_it.py").write_text(
        "import subprocess, sys\n"
        "def test_one():\n"
        f"    subprocess.check_call([sys.executable, '-c', {OPENING!r}, '2'])\n")
    report = leftopen.run(leftopen.PYTHON, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_it.py",
                          cwd=tmp_path, env={"LEFTOPEN_TEST": "suite"}).report
    assert made_in(report)["test_it.py::test_one"] == (2, 0)


@pytest.mark.parametrize("name, kept", [
    (b"a\x1b[31mred\nline", "a\x1b[31mred\nline"), (b"\xff\xfe", "\\xff\\xfe"), (b"n" * 5000, "n" * 511),
    (b"--verbose", "--verbose"), ("t\u00e4st \u2713".encode(), "t\u00e4st \u2713")])
def test_hostile_names(name, kept):
    script = os.fsencode(f'{leftopen.LEFTOPEN} mark -- "$1"; {OPEN} 1')
    done = leftopen.run("bash", "-c", script, "_", name)
    assert made_in(done.report) == {kept: (1, 0)}
    assert "\x1b" not in done.stderr


def test_a_megabyte_for_a_name():
    program = "import os; os.environ['LEFTOPEN_TEST'] = 'm' * 2 ** 20; os.open('/dev/null', 0); os._exit(0)"
    assert made_in(leftopen.run(leftopen.PYTHON, "-c", program).report) == {"m" * 511: (1, 0)}


def test_marks_need_no_privileges():
    user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs"]
    script = f"{' '.join(user)} {leftopen.LEFTOPEN} mark nobody && {OPEN} 1"
    assert made_in(run_script(script).report) == {"nobody": (1, 0)}


def test_a_stripped_copy(tmp_path):
    """Known by its function once it has run: here it runs before, slowly."""
    copy = tmp_path / "leftopen-copy"
    shutil.copy(leftopen.LEFTOPEN, copy)
    subprocess.check_call(["strip", copy])
    script = f"{copy} --version; sleep 1; {copy} mark copied; {OPEN} 1"
    assert made_in(run_script(script).report) == {"copied": (1, 0)}


def test_nobody_follows():
    done = subprocess.run([leftopen.LEFTOPEN, "mark", "x"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=True)
    assert (done.stdout, done.stderr) == (b"", b"")


@pytest.mark.parametrize("arguments, said", [
    ([], "takes one name, not 0"), (["a", "b"], "takes one name, not 2"), (["--all"], "no option of mark"),
    (["--"], "takes one name, not 0")])
def test_wrong_arguments(arguments, said):
    done = subprocess.run([leftopen.LEFTOPEN, "mark", *arguments], stderr=subprocess.PIPE, check=False)
    assert done.returncode == 125 and said in done.stderr.decode()


def test_help():
    said = subprocess.check_output([leftopen.LEFTOPEN, "mark", "--help"]).decode()
    assert "usage: leftopen mark NAME" in said
