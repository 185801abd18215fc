"""Many processes: none is lost, and none stays.

tests/soak/test_scale.py has the same for minutes, with the memory that it takes.
"""

import pytest

import watching
from scale_case import Churn
from watching import Watching

PROCESSES = 6000
PER_SECOND = 3000


@pytest.mark.parametrize("shards", ["1", "4"])
def test_processes_that_are_gone_leave_nothing(monkeypatch, shards):
    """In one ring, and in several, of which a machine of few CPUs has no need: large ones, as others run beside this."""
    monkeypatch.setenv("LEFTOPEN_RING_SHARDS", shards)
    with Churn(PER_SECOND) as churn, Watching("-p", str(churn.pid), "--inherited", "--samples", "0",
                                             "--ring-size", "64M") as watch:
        watch.follows(churn.pid)
        churn.make(PROCESSES)
        report = watch.ask_for_table()
        assert report["completeness"]["complete"], report["completeness"]
        assert report["completeness"]["drift"] == report["completeness"]["reconciled"] == 0
        assert report["completeness"]["events"] > 10 * PROCESSES
        alive = [process for process in report["processes"] if not process["exited"]]
        assert {process["pid"] for process in alive} == {churn.pid}, (alive, report["completeness"])
        assert set(watching.live_descriptors(report, churn.pid)) == set(watching.descriptors_of(churn.pid))
