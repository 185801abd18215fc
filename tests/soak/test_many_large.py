"""Many processes at once, each with very many descriptors; each of very many mappings."""

import contextlib

import many
from watching import Watching


def test_many_processes_with_many_descriptors():
    """Twenty at once, each with 17,000: all of each are known, and they are gone with their processes."""
    with contextlib.ExitStack() as stack:
        crowd = [stack.enter_context(many.Many("descriptors", 17000)) for _ in range(20)]
        assert {each.made for each in crowd} == {17000}
        with Watching(*[word for each in crowd for word in ("-p", str(each.pid))], interval="1") as watch:
            wanted = {each.pid: many.held(each.pid, "descriptors") for each in crowd}
            report = watch.report(lambda report: {process["pid"]: process["fds"]["live"] for process in
                                                  report["processes"]} == wanted, "all of them")
            assert report["completeness"]["complete"], report["completeness"]
            many.check_memory(report, sum(wanted.values()))
            for each in crowd:
                each.process.stdin.close()
            assert watch.process.wait(60) == 0
            assert b"0 processes, 0 descriptors" in watch.printed()


def test_every_mapping():
    """As many as the kernel allows: each address is what /proc says."""
    many.check_watched("mappings", 70000, is_each_compared=True)
