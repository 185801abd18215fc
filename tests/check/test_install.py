"""`make install` puts everything where DESTDIR and PREFIX say, the installed program runs, and `make uninstall`
leaves nothing of it and everything else."""

import json
import os
import subprocess

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("LEFTOPEN_BUILD", os.path.join(ROOT, "build"))


def make(*arguments):
    """Run make on its own: not as a part of the make that runs the tests."""
    environment = {name: value for name, value in os.environ.items()
                   if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "DESTDIR", "PREFIX")}
    done = subprocess.run(["make", "-C", ROOT, "BUILD=" + BUILD, *arguments], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, universal_newlines=True, env=environment, check=False,
                          timeout=600)
    assert done.returncode == 0, done.stdout


def files_below(folder):
    """Every file below the folder, by path from there."""
    return sorted(os.path.relpath(os.path.join(where, name), folder)
                  for where, _, names in os.walk(folder) for name in names)


@pytest.mark.parametrize("prefix", [None, "/usr", "/opt/left open"])
def test_install_and_uninstall(tmp_path, prefix):
    where = ["DESTDIR=%s" % tmp_path] + (["PREFIX=" + prefix] if prefix else [])
    below = (prefix or "/usr/local").lstrip("/")
    foreign = tmp_path / below / "share/doc/other"
    foreign.mkdir(parents=True)
    (foreign / "README").write_text("not leftopen's\n")

    make("install", *where)
    assert files_below(str(tmp_path)) == sorted(os.path.join(below, name) for name in (
        "bin/leftopen",
        "share/doc/leftopen/LICENSE",
        "share/doc/leftopen/README.md",
        "share/doc/other/README",
        "share/leftopen/report.schema.json",
    ))
    program = tmp_path / below / "bin/leftopen"
    assert program.stat().st_mode & 0o777 == 0o755
    said = subprocess.run([str(program), "--version"], stdout=subprocess.PIPE, check=True, cwd="/",
                          universal_newlines=True, timeout=60).stdout
    assert said.startswith("leftopen ") and said.count("\n") == 1
    schema = tmp_path / below / "share/leftopen/report.schema.json"
    assert schema.stat().st_mode & 0o777 == 0o644
    assert "$defs" in json.loads(schema.read_text(encoding="utf-8"))

    make("uninstall", *where)
    assert files_below(str(tmp_path)) == [os.path.join(below, "share/doc/other/README")]
    assert not (tmp_path / below / "share/leftopen").exists()
    assert not (tmp_path / below / "share/doc/leftopen").exists()
    make("uninstall", *where)  # nothing there is nothing to do
