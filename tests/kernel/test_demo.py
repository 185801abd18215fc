"""The main job on the demo suites: what leftopen says equals what the suites count themselves.

The suites write what they hold in /proc/self just before they end (tests/demo/truth.py); which line that has to be
blamed on stands in their sources.
"""

import json
import os
import subprocess
import sys

import pytest

import leftopen

DEMO = os.path.join(leftopen.SOURCE, "tests", "demo")
sys.path.insert(0, DEMO)
import expected  # noqa: E402  (the suite's own list of what it leaks)


def run_suite(name, tmp_path, *wrapper):
    folder = os.path.join(DEMO, name)
    truth = str(tmp_path / "truth.json")
    result = leftopen.run(
        *wrapper, leftopen.PYTHON, "-m", "pytest", "-q", "-p", "no:cacheprovider", folder,
        options=["--samples", "0"], env={"DEMO_TRUTH": truth}, cwd=folder)
    assert result.status == 0, result.stdout.decode() + result.stderr
    assert not expected.load_truth(truth)["unexplained"]
    return folder, truth, result.report


def sites_of(report, verdict):
    return {"%s:%d" % (site["location"]["file"], site["location"]["line"]): site
            for site in report["sites"] if site["verdict"] == verdict}


@pytest.fixture(scope="module")
def leaky(tmp_path_factory):
    return run_suite("leaky", tmp_path_factory.mktemp("leaky"))


def test_every_leak_at_its_line_in_its_number(leaky):
    folder, truth, report = leaky
    found = {line: {"fds": site["fds"], "maps": site["maps"]} for line, site in sites_of(report, "leak").items()}
    wanted = expected.expected_sites(folder, truth)
    assert len(wanted) >= 7
    assert found == wanted


def test_nothing_but_leaks_and_the_log_is_held(leaky):
    _, _, report = leaky
    assert not sites_of(report, "left-open")
    held = [(os.path.basename(site["location"]["file"]), site["fds"]) for site in report["sites"]
            if site["verdict"] == "held"]
    assert held == [("log.py", 1)]


def test_each_descriptor_is_the_one_that_the_suite_saw(leaky):
    _, truth, report = leaky
    counted = expected.load_truth(truth)
    leaks = [site for site in report["sites"] if site["verdict"] == "leak"]
    samples = [(sample["fd"], group) for site in leaks for index in site["groups"]
               for group in [report["groups"][index]] if group["kind"] == "fd" for sample in group["samples"]]
    assert sorted(fd for fd, _ in samples) == sorted(handle["fd"] for handle in counted["descriptors"])
    targets = {sample["fd"]: sample["target"] for site in leaks for index in site["groups"]
               if report["groups"][index]["kind"] == "fd" for sample in report["groups"][index]["samples"]}
    for handle in counted["descriptors"]:
        if handle["target"].startswith("/"):
            assert targets[handle["fd"]] == handle["target"]


def test_each_mapping_in_exact_bytes(leaky):
    _, truth, report = leaky
    leaks = [site for site in report["sites"] if site["verdict"] == "leak"]
    found = sorted((int(sample["addr"], 16), sample["bytes"]) for site in leaks for index in site["groups"]
                   if report["groups"][index]["kind"] == "map" for sample in report["groups"][index]["samples"])
    counted = expected.load_truth(truth)["mappings"]
    wanted = sorted((handle["addr"] if isinstance(handle["addr"], int) else int(handle["addr"], 16),
                     handle["bytes"]) for handle in counted)
    assert found == wanted


def test_the_set_is_taken_before_python_closes_it(leaky):
    _, _, report = leaky
    command = report["processes"][0]
    assert command["left_open_at"] == "finalize"
    for site in sites_of(report, "leak").values():
        for index in site["groups"]:
            assert report["groups"][index]["released"]["never"] == 0
            assert report["groups"][index]["released"]["at_shutdown"] == report["groups"][index]["count"]


def test_tests_are_named(leaky):
    _, _, report = leaky
    sites = sites_of(report, "leak")
    engine = sites["conftest.py:16"]
    assert len(engine["tests"]) == engine["occasions"] == 17
    assert all(test["made"] == 4 for test in engine["tests"])
    assert engine["tests"][0]["name"] == "leaky/test_export.py::test_every_article_is_written"


def test_clean_fixture_and_fixed_suite_have_no_leak(tmp_path):
    _, truth, report = run_suite("fixed", tmp_path)
    assert not expected.load_truth(truth)["descriptors"]
    assert not sites_of(report, "leak")
    assert not sites_of(report, "left-open")
