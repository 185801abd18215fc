"""Where what is kept of one thing ends: the longest path, the most targets.

Each bound is one that a loop of a BPF program counts to by itself.
"""

import os
import resource

import pytest

import leftopen

# include/event_abi.h: names are copied while there is room for a whole one.
NAMES_BYTES = 4096
NAME_BYTES = 256
# bpf/mark.bpf.h
TARGETS_MAX = 4096

OPEN_BELOW = """
import os, sys
os.chdir(sys.argv[1])
for name in sys.argv[2:]:
    os.mkdir(name)
    os.chdir(name)
    os.open("file", os.O_CREAT | os.O_RDWR)
"""


def targets(report):
    """Return {number: target} of what is left open."""
    return {sample["fd"]: sample["target"] for group in report["groups"] if group["kind"] == "fd"
            for sample in group["samples"]}


def test_a_path_that_is_longer_than_what_is_kept(tmp_path):
    """Its innermost names are kept, "..." stands for the others; one that fits is there as a whole."""
    names = ["%02d" % number + "n" * 248 for number in range(20)]
    result = leftopen.run(leftopen.PYTHON, "-c", OPEN_BELOW, str(tmp_path), *names,
                          options=["--samples", "0", "--as-root"])
    assert result.status == 0, result.stderr
    found = targets(result.report)
    cut = 0
    for depth in range(len(names)):
        path = os.path.join(str(tmp_path), *names[:depth + 1], "file")
        target = found[3 + depth]
        if not target.startswith("..."):
            assert target == path
            continue
        cut += 1
        assert path.endswith(target[len("..."):])
        assert NAMES_BYTES - 2 * NAME_BYTES < len(target) <= NAMES_BYTES
    assert 0 < cut < len(names)


def test_more_descriptors_than_targets():
    """Each is there; of those beyond the bound it is not known what they refer to."""
    more = TARGETS_MAX + 1000
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] <= more:
        pytest.fail("%d descriptors are more than this machine allows" % more)
    program = "import os, resource; resource.setrlimit(resource.RLIMIT_NOFILE, (%d, %d))\n" % (more + 10, more + 10)
    program += "for i in range(%d): os.eventfd(0)" % more
    result = leftopen.run(leftopen.PYTHON, "-c", program, options=["--samples", "0"])
    assert result.status == 0, result.stderr
    found = targets(result.report)
    assert len(found) == more
    # Standard input, output and error are among those that are told.
    assert sum(target == "[eventfd]" for target in found.values()) == TARGETS_MAX - 3
