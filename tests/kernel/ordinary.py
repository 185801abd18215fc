"""Ordinary programs: where they are, and what a report of them has to be.

Purpose: assert_clean() is the claim that tests/kernel and tests/soak make of each of them.
Inputs: leftopen.run()'s results. Outputs: an AssertionError with leftopen's own report.
"""

import shutil

GIT = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null", "GIT_AUTHOR_NAME": "A", "GIT_COMMITTER_NAME":
       "A", "GIT_AUTHOR_EMAIL": "a@example.org", "GIT_COMMITTER_EMAIL": "a@example.org", "GIT_PAGER": "cat"}


def program(*names):
    """Return the path of the first of these programs that is installed."""
    found = [path for path in map(shutil.which, names) if path]
    assert found, "%s is not installed (tests/packages installs it, or tests/packages soak)" % names[0]
    return found[0]


def assert_clean(result, status=0, least_processes=1):
    """Nothing is a leak, everything was seen, and the status is the command's."""
    assert result.status == status, result.stderr
    leaks = [site for site in result.report["sites"] if site["verdict"] == "leak"]
    assert not leaks, result.stderr
    assert result.report["completeness"]["drift"] == 0
    assert len(result.report["processes"]) >= least_processes
    commands = [process for process in result.report["processes"] if process["exit_code"] == status]
    assert commands and result.report["processes"][0] in commands


def write(folder, name, text):
    """Write a file into a folder; return its path."""
    path = folder / name
    path.write_text(text)
    return str(path)
