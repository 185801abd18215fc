"""The child that writes the JSON file of `leftopen watch`, as it is killed, and as leftopen is told to end."""

import os
import signal

import many
import processes
import pytest
import watching
from test_watch_json import first_report, stopped_writer
from watching import Watching


@pytest.fixture(name="large", scope="module")
def _large():
    with many.Many("descriptors", 3000) as process:
        yield process


def test_the_last_report_is_whole(large):
    """Ctrl-C while a file is being written: that one is waited for, and then comes the last one."""
    with Watching("-p", str(large.pid), "--inherited", "--samples", "0", interval="0.3") as watch:
        first = first_report(watch, large.pid)
        with stopped_writer(watch):
            watch.process.send_signal(signal.SIGINT)
            assert watch.process.poll() is None
        assert watch.wait() == 0
        last = watch.look()
        assert last["duration_s"] > first["duration_s"]
        assert set(watching.live_descriptors(last, large.pid)) == set(watching.descriptors_of(large.pid))
        assert os.listdir(watch.folder.name) == ["watch.json"]


def test_a_writer_that_is_killed(large):
    """It is said, its unfinished file is removed, the next one is written, and nobody takes it for a success."""
    with Watching("-p", str(large.pid), "--inherited", "--samples", "0", interval="0.3") as watch:
        first_report(watch, large.pid)
        with stopped_writer(watch) as writer:
            os.kill(writer, signal.SIGKILL)
        words = '"%s" was not written: the child that wrote it was ended by signal 9' % watch.path
        processes.wait_until(lambda: words in watch.said(), "it is said")
        stamp = watch.stamp()
        processes.wait_until(lambda: watch.stamp() != stamp, "the next one")
        assert watch.interrupt() == 125
        assert os.listdir(watch.folder.name) == ["watch.json"]
