"""A program that forks without end, as many at once as a pids controller allows, until its cgroup is killed.

Purpose: leftopen lives through it in bounded memory, ends soon afterwards, and either has every process or says why not.
Inputs: fork_bombs.py. Outputs: assertions on the report.
"""

import json
import os

import fork_bombs
import leftopen
import processes


def test_run(tmp_path):
    """It is killed, and so is leftopen afterwards; the report has each process, or is not complete and says why."""
    report_path, count_path = tmp_path / "report.json", tmp_path / "made"
    with fork_bombs.Bounded("leftopen-test-bomb-%d" % os.getpid(), fork_bombs.AT_ONCE) as group:
        with processes.leftopen_running("run", "--json", str(report_path), "--", *group.command(
                leftopen.workload("fork_bomb"), str(count_path))) as process:
            processes.wait_until(count_path.exists, "the bomb is there")
            fork_bombs.let_it_go_off(process, count_path)
            group.kill()
            _, said = process.communicate(timeout=60)
            assert process.returncode == -9, said
    made = fork_bombs.made_so_far(count_path)
    with open(report_path, encoding="utf-8") as file:
        report = json.load(file)
    assert report["self"]["rss_peak_bytes"] < fork_bombs.BASE_BYTES + fork_bombs.PROCESS_BYTES * made, report["self"]
    if report["completeness"]["complete"]:
        # Those that were being made as they were killed are not in the bomb's own count.
        assert made + 1 <= len(report["processes"]) <= made + 1 + fork_bombs.AT_ONCE
        assert b"not complete" not in said
    else:
        assert report["completeness"]["why"] and b"not complete: " in said
        assert len(report["processes"]) <= made + 1 + fork_bombs.AT_ONCE
