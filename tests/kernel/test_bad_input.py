"""What leftopen does where the machine, its rights, its files or its command are not as they should be.

Mount namespaces and rights are changed in children only.
"""

import os
import re
import shutil
import socket
import subprocess
import tempfile

import pytest

import leftopen
import processes

NOBODY = "65534"


@pytest.fixture(scope="module")
def for_everybody():
    """A copy of leftopen, where every user may run it, and a folder that every user may write to."""
    with tempfile.TemporaryDirectory(prefix="leftopen-test.") as folder:
        os.chmod(folder, 0o755)
        program = os.path.join(folder, "leftopen")
        shutil.copy(leftopen.LEFTOPEN, program)
        os.chmod(program, 0o755)
        os.mkdir(os.path.join(folder, "open"))
        os.chmod(os.path.join(folder, "open"), 0o777)
        yield program, os.path.join(folder, "open")


def refused(done, folder):
    """Check that leftopen failed as it should, before the command ran; return its line."""
    assert done.returncode == 125, (done.returncode, done.stderr)
    assert done.stdout == b""
    text = done.stderr.decode()
    assert text.startswith("leftopen: ") and text.count("\n") == 1
    assert os.listdir(folder) == []
    return text


def run(*command, **options):
    return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          check=False, timeout=120, **options)


# Rights

def test_not_root(for_everybody):
    program, folder = for_everybody
    as_nobody = ["setpriv", "--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"]
    text = refused(run(*as_nobody, program, "run", "--json=report.json", "--", "touch", "ran", cwd=folder), folder)
    assert "there is no CAP_BPF, needed to load BPF programs" in text
    assert "What to do: run leftopen as root (sudo leftopen ...)" in text
    doctor = run(*as_nobody, program, "doctor")
    assert doctor.returncode == 1
    assert re.search(rb"^  missing  CAP_BPF .*: run leftopen as root \(sudo leftopen ...\)", doctor.stdout, re.M)
    assert doctor.stdout.splitlines()[-1].startswith(b"leftopen cannot follow processes here: CAP_BPF, CAP_PERFMON")


@pytest.mark.parametrize("dropped, missing, remedy", [
    (["cap_bpf", "cap_sys_admin"], "CAP_BPF, needed to load BPF programs", "--cap-add BPF"),
    (["cap_perfmon", "cap_sys_admin"], "CAP_PERFMON, needed to attach them to tracepoints", "--cap-add PERFMON"),
    # Not mounted here, and mounting it takes this one.
    (["cap_sys_admin"], "tracefs, needed to find tracepoints", "run it privileged"),
])
def test_capability_dropped(tmp_path, dropped, missing, remedy):
    hide_tracefs = "mount -t tmpfs none /sys/kernel/tracing; exec capsh --drop=%s -- -c 'exec \"$0\" \"$@\"' \"$@\""
    done = run("unshare", "--mount", "sh", "-c", hide_tracefs % ",".join(dropped), "sh", leftopen.LEFTOPEN, "run",
               "--json=report.json", "--", "touch", "ran", cwd=tmp_path)
    text = refused(done, tmp_path)
    assert "there is no " + missing in text
    assert "What to do: run leftopen as root" in text and remedy in text
    assert "`leftopen doctor` says more" in text


def test_capability_that_another_one_stands_for():
    """CAP_SYS_ADMIN holds the place of CAP_PERFMON and CAP_BPF: capabilities(7)."""
    done = run("capsh", "--drop=cap_perfmon,cap_bpf", "--", "-c", "exec %s run -- echo ran" % leftopen.LEFTOPEN)
    assert done.returncode == 0 and done.stdout == b"ran\n", done.stderr
    doctor = run("capsh", "--drop=cap_perfmon,cap_bpf", "--", "-c", "exec %s doctor" % leftopen.LEFTOPEN)
    assert doctor.returncode == 0
    assert re.search(rb"^  ok       CAP_PERFMON +by CAP_SYS_ADMIN$", doctor.stdout, re.M)


# The kernel

def in_private_mounts(script, *arguments, cwd):
    """Run a shell script, with leftopen as $0, in a mount namespace of its own."""
    return run("unshare", "--mount", "sh", "-c", script, leftopen.LEFTOPEN, *arguments, cwd=cwd)


@pytest.mark.parametrize("hide", [
    "mount -t tmpfs none /sys/kernel/btf",
    "mount --bind /dev/null /sys/kernel/btf/vmlinux",
    "head -c 100000 /dev/zero > /tmp/btf; mount --bind /tmp/btf /sys/kernel/btf/vmlinux",
])
def test_no_btf(tmp_path, hide):
    # /tmp is hidden too, for what the script makes there.
    script = "mount -t tmpfs none /tmp; %s; exec \"$0\" \"$@\"" % hide
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="leftopen-test.") as folder:
        with open(leftopen.LEFTOPEN, "rb") as program:
            # By descriptor: the build folder may be below /tmp.
            done = run("unshare", "--mount", "sh", "-c", script.replace('"$0"', "/proc/self/fd/%d" % program.fileno()),
                       "sh", "run", "--json=report.json", "--", "touch", "ran", cwd=folder,
                       pass_fds=[program.fileno()])
        text = refused(done, folder)
    assert "there is no kernel BTF, needed to find the kernel's fields" in text
    assert "What to do: run a kernel built with CONFIG_DEBUG_INFO_BTF=y" in text
    doctor = in_private_mounts("mount -t tmpfs none /sys/kernel/btf; exec \"$0\" doctor", cwd=tmp_path)
    assert doctor.returncode == 1
    assert re.search(rb"^  missing  kernel BTF .*CONFIG_DEBUG_INFO_BTF=y", doctor.stdout, re.M)
    assert b"\nleftopen cannot follow processes here: kernel BTF" in doctor.stdout


def test_no_tracefs_mounted(tmp_path):
    """It is mounted for leftopen alone, and nothing is said or left of it."""
    script = ("umount /sys/kernel/tracing 2>/dev/null; umount /sys/kernel/debug/tracing 2>/dev/null; "
              "umount /sys/kernel/debug 2>/dev/null; ! grep -q ' tracefs ' /proc/self/mounts || exit 99; "
              "\"$0\" run -q -- echo ran; status=$?; grep -c tracefs /proc/self/mounts; exit $status")
    done = in_private_mounts(script, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == b"ran\n0\n"
    assert done.stderr == b""


def test_tracefs_hidden_by_something_else(tmp_path):
    script = ("mount -t tmpfs none /sys/kernel/tracing; mkdir -p /sys/kernel/tracing/events/syscalls; "
              "exec \"$0\" run -q -- echo ran")
    done = in_private_mounts(script, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"ran\n", b"")


# Report files

def make_missing_folder(folder):
    return os.path.join(folder, "missing", "report"), "its folder does not exist"


def make_folder(folder):
    os.mkdir(os.path.join(folder, "report"))
    return os.path.join(folder, "report"), "it is a folder"


def make_symlink(folder):
    os.symlink("target", os.path.join(folder, "report"))
    return os.path.join(folder, "report"), "it is a symbolic link, which is not followed"


def make_symlink_to_file(folder):
    with open(os.path.join(folder, "target"), "w", encoding="ascii") as file:
        file.write("old")
    return make_symlink(folder)


def make_file_as_folder(folder):
    with open(os.path.join(folder, "file"), "w", encoding="ascii"):
        pass
    return os.path.join(folder, "file", "report"), "Not a directory"


def make_fifo(folder):
    os.mkfifo(os.path.join(folder, "report"))
    return os.path.join(folder, "report"), "nobody reads from it"


def make_socket(folder):
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(os.path.join(folder, "report"))
    return os.path.join(folder, "report"), "neither a file nor a FIFO"


def make_long_name(folder):
    return os.path.join(folder, "x" * 256), "File name too long"


def make_empty_name(_):
    return "", "its folder does not exist"


def make_pseudo_file(_):
    return "/proc/self/report", "its folder does not exist"


@pytest.mark.parametrize("option", ["--json", "--log-file"])
@pytest.mark.parametrize("make", [make_missing_folder, make_folder, make_symlink, make_symlink_to_file,
                                  make_file_as_folder, make_fifo, make_socket, make_long_name, make_empty_name,
                                  make_pseudo_file])
def test_report_that_cannot_be_written_is_known_before_the_command_runs(tmp_path, make, option):
    path, reason = make(str(tmp_path))
    before = sorted(os.listdir(tmp_path))
    done = processes.leftopen_raw("run", option, path, "--", "touch", "ran", cwd=tmp_path)
    assert done.returncode == 125
    assert done.stderr.startswith(b'leftopen: "%s" cannot be written: ' % path.encode())
    assert reason in done.stderr.decode()
    assert sorted(os.listdir(tmp_path)) == before
    if os.path.exists(tmp_path / "target"):
        assert (tmp_path / "target").read_text() == "old"


def test_second_report_that_cannot_be_written_takes_the_first_with_it(tmp_path):
    done = processes.leftopen_raw("run", "--json=good.json", "--log-file=missing/log", "--", "touch", "ran",
                                  cwd=tmp_path)
    refused(done, tmp_path)


def test_read_only_file_system(tmp_path):
    script = "mount -t tmpfs -o ro none /mnt; \"$0\" run --json=/mnt/report.json -- touch ran"
    text = refused(in_private_mounts(script, cwd=tmp_path), tmp_path)
    assert '"/mnt/report.json" cannot be written: Read-only file system' in text


@pytest.mark.parametrize("option", ["--json", "--log-file"])
def test_full_disk(tmp_path, option):
    """The old report stays whole, nothing else is left, and nobody takes the run for a success."""
    # One page for the old file, none for a new one.
    script = ("mount -t tmpfs -o size=4k none /mnt; cd /mnt; echo old > report; "
              "\"$0\" run %s=report -- echo ran; echo status=$?; ls -A; cat report" % option)
    done = in_private_mounts(script, cwd=tmp_path)
    assert done.stdout == b"ran\nstatus=125\nreport\nold\n", done.stderr
    assert b"leftopen: \"report\" was not written: the disk is full: the old file, if there was one, is as it was" \
        in done.stderr
    # The text, which had a place to go to, is not lost with the JSON.
    assert (b"leftopen: no leak" in done.stderr) == (option == "--json")


def test_limit_on_the_size_of_files(tmp_path):
    """The kernel's signal for it would end leftopen with half a report in the folder; the command keeps it."""
    script = "echo old > report; ulimit -f 0; \"$0\" run --json=report -q -- sh -c 'echo long > file'; echo status=$?"
    done = run("sh", "-c", script, leftopen.LEFTOPEN, cwd=tmp_path)
    assert done.stdout == b"status=125\n"
    assert b'leftopen: "report" was not written: File too large' in done.stderr
    assert sorted(os.listdir(tmp_path)) == ["file", "report"]
    assert (tmp_path / "report").read_text() == "old\n"


def test_full_disk_for_a_long_report(tmp_path):
    """It is found full in the middle, beyond what stdio buffers."""
    script = ("mount -t tmpfs -o size=64k none /mnt; cd /mnt; echo old > report; "
              "\"$0\" run --json=report --samples=0 -q -- \"$1\" -c \"$2\"; "
              "echo status=$?; ls -A; cat report")
    done = in_private_mounts(script, leftopen.PYTHON, "import os; [os.dup(0) for _ in range(3000)]", cwd=tmp_path)
    assert done.stdout == b"status=125\nreport\nold\n", done.stderr
    assert b"the disk is full" in done.stderr


# Commands

def test_long_argument():
    argument = "x" * 100 * 1024
    result = leftopen.run("/bin/sh", "-c", "printf %s \"$1\" | wc -c", "sh", argument)
    assert result.stdout == b"102400\n"
    assert result.report["command"][-1] == argument


def test_many_arguments():
    arguments = [str(number) for number in range(10000)]
    result = leftopen.run("/bin/sh", "-c", "echo $#", "sh", *arguments)
    assert result.stdout == b"10000\n"
    assert result.report["command"][-10000:] == arguments


def test_script_without_interpreter_line(tmp_path):
    script = tmp_path / "script"
    script.write_text('echo "$1 of $0"; exit 4\n')
    script.chmod(0o755)
    result = leftopen.run(str(script), "an argument")
    assert (result.status, result.stdout) == (4, b"an argument of %s\n" % str(script).encode())


def test_program_of_another_machine(tmp_path):
    program = tmp_path / "program"
    with open("/bin/true", "rb") as file:
        elf = bytearray(file.read())
    elf[18:20] = (183).to_bytes(2, "little")  # e_machine: EM_AARCH64
    program.write_bytes(elf)
    program.chmod(0o755)
    done = processes.leftopen_raw("run", "--", str(program))
    assert done.returncode == 126
    assert done.stderr.decode() == (
        'leftopen: "%s": it is neither a program for this machine nor a script\n' % program)


def test_truncated_program(tmp_path):
    program = tmp_path / "program"
    with open("/bin/true", "rb") as file:
        program.write_bytes(file.read()[:100])
    program.chmod(0o755)
    done = processes.leftopen_raw("run", "--", str(program))
    # The kernel's own word for it: a truncated table of segments is EIO or ENOEXEC.
    assert done.returncode == 126
    assert done.stderr.startswith(b'leftopen: "%s": ' % str(program).encode())


def test_script_whose_interpreter_is_missing(tmp_path):
    script = tmp_path / "script"
    script.write_text("#!/no/such/interpreter\n")
    script.chmod(0o755)
    done = processes.leftopen_raw("run", "--", str(script), env={**os.environ, "SUDO_USER": "root"})
    assert done.returncode == 127
    assert done.stderr.decode() == 'leftopen: "%s": the interpreter that it names does not exist\n' % script


def test_fifo_as_command(tmp_path):
    os.mkfifo(tmp_path / "fifo", 0o755)
    os.chmod(tmp_path / "fifo", 0o755)
    done = processes.leftopen_raw("run", "--", str(tmp_path / "fifo"))
    assert done.returncode == 126
    assert b"permission denied: " in done.stderr


# Loss

OPENS_AS_32_BIT = """
static int call(int number, const char *first)
{
	int result;

	__asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(first), "c"(0), "d"(0) : "memory");
	return result;
}

void _start(void)
{
	for (int i = 0; i < 5; i++)
		(void)call(5, "/dev/null"); /* open */
	(void)call(1, (const char *)0); /* exit */
}
"""


def test_calls_of_32_bit_programs_are_not_seen_and_that_is_said(tmp_path):
    """The kernel does not trace them (ARCH_TRACE_IGNORE_COMPAT_SYSCALLS): the descriptors come from its tables."""
    (tmp_path / "opens.c").write_text(OPENS_AS_32_BIT)
    subprocess.run(["gcc", "-m32", "-nostdlib", "-static", "-fno-pie", "-no-pie", "-o", tmp_path / "opens",
                    tmp_path / "opens.c"], check=True)
    result = leftopen.run(str(tmp_path / "opens"), check_complete=False)
    assert result.report["completeness"]["complete"] is False
    assert "1 programs were 32-bit ones, whose calls the kernel does not trace" in result.report["completeness"]["why"]
    groups = [group for group in result.report["groups"] if group["kind"] == "fd"]
    assert sum(group["count"] for group in groups) == 5
    assert {group["origin"] for group in groups} == {"unseen"}


OPENS_BY_32_BIT_CALLS = r"""
#include <unistd.h>
static __attribute__((noipa)) int call(int number, unsigned long first)
{
	int result;

	__asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(first), "c"(0), "d"(0)
	                 : "memory", "r8", "r9", "r10", "r11");
	return result;
}
static __attribute__((noipa)) int deeper(int depth)
{
	volatile char room[40] = {0};

	/* open, and dup: the number of a 64-bit call that makes something too. */
	return depth ? deeper(depth - 1) + room[0] : call(5, (unsigned long)"/dev/null") + call(41, 1);
}
int main(void)
{
	for (int i = 0; i < 5; i++)
		deeper(3);
	_exit(0);
}
"""


def test_32_bit_calls_of_a_64_bit_program(tmp_path):
    """What is seen of them has the stack of the 64-bit code that they come from; the rest says that it has none."""
    (tmp_path / "calls.c").write_text(OPENS_BY_32_BIT_CALLS)
    subprocess.run(["gcc", "-O2", "-fno-pie", "-no-pie", "-o", tmp_path / "calls", tmp_path / "calls.c"], check=True)
    report = leftopen.run(str(tmp_path / "calls"), options=["--stacks=native"], check_complete=False).report
    groups = [group for group in report["groups"] if group["kind"] == "fd"]
    assert sum(group["count"] for group in groups) == 10
    seen = [group for group in groups if group["origin"] == "fd_install"]
    assert {group["origin"] for group in groups if group not in seen} == {"unseen"}
    assert not [group for group in groups if group["origin"] == "unseen" and group["stack"] in report["stacks"]]
    for group in seen:
        stack = report["stacks"][group["stack"]]
        assert stack["complete"], stack["why"]
        assert [frame["function"] for frame in stack["frames"]][:6] == ["call", *["deeper"] * 4, "main"]


def test_overload_is_never_reported_as_clean():
    """A storm while leftopen does not get to read: what does not fit in the ring is lost, and said to be."""
    storm = "kill -STOP $PPID; %s 2 20000; status=$?; kill -CONT $PPID; exit $status" % (
        leftopen.workload("open_storm"))
    for quiet in (False, True):
        result = leftopen.run("/bin/sh", "-c", storm, options=["--ring-size=64K"] + ["-q"] * quiet,
                              check_complete=False)
        completeness = result.report["completeness"]
        assert result.status == 0
        assert completeness["lost"] > 0
        assert completeness["complete"] is False
        assert any("ring was full" in why for why in completeness["why"])
        first = result.stderr.splitlines()[0]
        assert "not followed completely" in first and "--ring-size" in first, first
        assert not first.startswith("leftopen: no leak:")
        if not quiet:
            assert re.search(r"^not complete: .* lost", result.stderr, re.MULTILINE), result.stderr
    whole = leftopen.run(leftopen.workload("open_storm"), "2", "20000")
    assert whole.report["completeness"]["lost"] == 0
    assert whole.stderr.startswith("leftopen: no leak: ")
