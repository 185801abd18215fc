"""Runs the product in the kernel tests.

Purpose: `run()` runs a command under `leftopen run` and gives back what it printed and its report, validated.
Inputs: LEFTOPEN_BUILD names the build folder, ../../build by default.
Outputs: Result.
"""

import json
import os
import subprocess
import tempfile
from dataclasses import dataclass

import jsonschema

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.abspath(os.environ.get("LEFTOPEN_BUILD", os.path.join(SOURCE, "build")))
LEFTOPEN = os.path.join(BUILD, "leftopen")
PYTHON = "/usr/bin/python3"

with open(os.path.join(SOURCE, "doc", "report.schema.json"), encoding="utf-8") as _file:
    SCHEMA = json.load(_file)


@dataclass
class Result:
    status: int  # as subprocess gives it: negative where leftopen died by a signal
    stdout: bytes
    stderr: str
    report: dict  # None where none was written


def workload(name):
    """Return the path of a program of tests/kernel/workloads."""
    return os.path.join(BUILD, "workloads", name)


def validate(report):
    """Raise where the report is not what doc/report.schema.json says."""
    jsonschema.Draft202012Validator(SCHEMA).validate(report)


def run(*command, options=(), env=None, cwd=None, timeout=120, check_complete=True, stdin=subprocess.DEVNULL):
    """Run the command under `leftopen run` and return its Result.

    The report is validated against the schema; with check_complete a run that lost anything is an error.
    """
    with tempfile.TemporaryDirectory(prefix="leftopen-kernel.") as folder:
        path = os.path.join(folder, "report.json")
        done = subprocess.run(
            [LEFTOPEN, "run", "--json", path, *options, "--", *command],
            stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout, check=False, cwd=cwd,
            env=None if env is None else {**os.environ, **env})
        report = None
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                report = json.load(file)
            validate(report)
    stderr = done.stderr.decode("utf-8", "replace")
    if check_complete:
        assert report is not None, stderr
        assert report["completeness"]["complete"], (report["completeness"], stderr)
    return Result(done.returncode, done.stdout, stderr, report)
