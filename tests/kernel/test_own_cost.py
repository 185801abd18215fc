"""What a report says that leftopen itself cost."""


import leftopen
from watching import Watched, Watching

LARGE_BYTES = 300 << 20
# Its programs' text, tables and ring are a third of that.
MOST_BYTES = 200 << 20


def test_run():
    """Its memory is its own: who started it had more, which exec carries on in getrusage(2)."""
    large = b"\1" * LARGE_BYTES
    report = leftopen.run("true").report
    assert len(large) == LARGE_BYTES
    assert 1 << 20 < report["self"]["rss_peak_bytes"] < MOST_BYTES


def test_watch():
    """Also where a child writes the report."""
    large = b"\1" * LARGE_BYTES
    with Watched() as watched, Watching("-p", str(watched.pid)) as watch:
        report = watch.follows(watched.pid)
        with open("/proc/%d/status" % watch.process.pid, encoding="ascii") as file:
            peak = next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM:"))
        assert len(large) == LARGE_BYTES
        assert peak / 2 < report["self"]["rss_peak_bytes"] < MOST_BYTES
