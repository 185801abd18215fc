"""Kernels that lack what leftopen would like to have, or that are locked down.

The kernel's description of its own types is what libbpf and the table of features look into: one in which a type has
another name is bound over it, for leftopen alone, in a mount namespace.
"""

import json
import re
import subprocess

import pytest

import leftopen

BTF = "/sys/kernel/btf/vmlinux"


def run_without(function, folder, *arguments):
    """Run leftopen where the kernel has no function of that name for programs to be attached to."""
    with open(BTF, "rb") as file:
        types = file.read()
    name = b"\0%s\0" % function.encode()
    assert types.count(name) == 1
    path = folder / "vmlinux"
    path.write_bytes(types.replace(name, b"\0gone%s\0" % name[5:-1]))
    return subprocess.run(["unshare", "--mount", "sh", "-c", 'mount --bind "$1" "$2"; shift 2; exec "$0" "$@"',
                           leftopen.LEFTOPEN, str(path), BTF, *arguments], cwd=folder, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, check=False)


@pytest.mark.parametrize("function, name", [("bpf_iter_task", "task iterator"),
                                            ("bpf_iter_task_vma", "mapping iterator")])
def test_no_iterator(function, name, tmp_path):
    """watch cannot begin, and says why; run needs it only to make good what was lost, and says that it could not."""
    done = run_without(function, tmp_path, "watch", "-a", "0.1", "1")
    assert done.returncode == 125 and done.stdout == b""
    assert ("there is no %s, needed to watch what runs already, and to make good what was lost (Operation not "
            "supported). What to do: run " % name).encode() in done.stderr
    assert b"; `leftopen doctor` says more\n" in done.stderr

    doctor = run_without(function, tmp_path, "doctor")
    assert doctor.returncode == 1
    assert re.search(rb"^  missing  %s .*needed to watch what runs already" % name.encode(), doctor.stdout, re.M)
    assert doctor.stdout.endswith(b"\nleftopen can run and follow commands on this machine, and cannot watch: "
                                  b"%s missing\n" % name.encode())

    done = run_without(function, tmp_path, "run", "--json=report.json", "--", "sh", "-c", "exec 7</etc/hosts")
    assert done.returncode == 0, done.stderr
    assert b"complete: " in done.stderr and b"not complete" not in done.stderr
    with open(tmp_path / "report.json", encoding="utf-8") as file:
        report = json.load(file)
    assert [sample["target"] for group in report["groups"] for sample in group["samples"] if sample["fd"] == 7] == [
        "/etc/hosts"]


def test_losses_without_an_iterator(tmp_path):
    """What a survey would have made good is told: the report is not complete, and for both reasons."""
    storm = "kill -STOP $PPID; %s 2 20000; status=$?; kill -CONT $PPID; exit $status" % leftopen.workload("open_storm")
    done = run_without("bpf_iter_task_vma", tmp_path, "run", "--ring-size=64K", "--json=report.json", "--", "sh", "-c",
                       storm)
    assert done.returncode == 0, done.stderr
    with open(tmp_path / "report.json", encoding="utf-8") as file:
        report = json.load(file)
    leftopen.validate(report)
    why = report["completeness"]["why"]
    assert not report["completeness"]["complete"]
    assert any("ring was full" in reason for reason in why)
    assert "1 comparisons with the kernel's tables could not be made: `leftopen doctor` says why" in why
    assert b"not followed completely" in done.stderr and b"could not be made: `leftopen doctor` says why" in done.stderr


def test_lockdown_that_is_no_hindrance(tmp_path):
    """What the kernel says of it is shown, and what can be done is tried: lockdown=integrity takes nothing.

    Of lockdown=confidentiality only the kernel itself can tell, which refuses bpf_probe_read_kernel() to programs.
    """
    said = "none [integrity] confidentiality"
    (tmp_path / "lockdown").write_text(said + "\n")
    script = ("mount -t tmpfs none /sys/kernel/security && cp lockdown /sys/kernel/security && "
              "\"$0\" doctor; echo $?; exec \"$0\" run -q -- echo ran")
    done = subprocess.run(["unshare", "--mount", "sh", "-c", script, leftopen.LEFTOPEN], cwd=tmp_path,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, check=False)
    assert re.search(r"^  ok       access to kernel memory +lockdown: %s$" % re.escape(said), done.stdout.decode(), re.M)
    assert done.stdout.endswith(b"\nleftopen can follow processes on this machine\n0\nran\n")
