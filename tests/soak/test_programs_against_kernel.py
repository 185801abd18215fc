"""The live sets of every process against the kernel's own tables: servers under load, CPython's own tests, a build."""

import leftopen
import pytest
import quiet_points
import servers

# What is told to CPython's own runner, and how far its quiet points are apart in seconds. The short ones are run
# again and again; a test of sockets that only some hypervisors answer hangs on others.
PYTHON_TESTS = {
    "test_os": ("test_os " * 8, 0.3),
    "test_socket": ("-i '*VSOCK*' test_socket", 0.5),
    "test_subprocess": ("test_subprocess", 0.8),
    "test_mmap": ("test_mmap " * 60, 0.2),
    "test_multiprocessing_fork": ("test_multiprocessing_fork", 1),
}


def compare_server(watch, group, user, script, points, every_s):
    """Run a server's script, compare while it works, and see that it came through; return what was compared."""
    with servers.folder_of(user) as folder, quiet_points.started(
            group, *servers.command_as(user, script), cwd=folder) as process:
        status, names = quiet_points.compare_while_running(watch, group, process, points, every_s)
    assert status == 0
    return names


def test_postgres(watch, group):
    names = compare_server(watch, group, "postgres", servers.postgres(10), 20, 0.25)
    assert {"postgres", "pgbench", "psql"} <= names


def test_nginx(watch, group):
    names = compare_server(watch, group, "www-data", servers.nginx(8), 20, 0.25)
    assert {"nginx", "ab"} <= names


@pytest.mark.parametrize("name", PYTHON_TESTS)
def test_of_python(watch, group, tmp_path, name):
    """What the tests find of Python on this machine, slow as it is with all the freezing, is not the question."""
    arguments, every_s = PYTHON_TESTS[name]
    names = quiet_points.work(watch, group, """
%s -m test -v %s > results.txt 2>&1 || test $? -lt 126
test "$(grep -c ' ok$' results.txt)" -gt 20
""" % (leftopen.PYTHON, arguments), tmp_path, 20, every_s)
    assert "python3" in names


def test_parallel_make(watch, group, tmp_path):
    """leftopen itself, with its unit tests."""
    names = quiet_points.work(watch, group, """
make -C %s -j4 BUILD="$PWD" all "$PWD/unit-tests"
""" % leftopen.SOURCE, tmp_path, 20, 0.5)
    assert {"make", "cc1", "as"} <= names
