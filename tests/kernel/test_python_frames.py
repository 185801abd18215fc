"""CPython's own frames in stacks, on every installed version, against traceback.

python_frames_case.py makes handles at call points of every kind and writes down what traceback says of each call;
every frame of every one of these must be in the report, with its file, line and function, and no other.
"""

import collections
import glob
import json
import os
import re
import shutil
import subprocess
import sysconfig

import pytest

import leftopen

HERE = os.path.dirname(os.path.abspath(__file__))
CASE = os.path.join(HERE, "python_frames_case.py")
INTERPRETERS = [leftopen.PYTHON] + sorted(glob.glob(os.path.expanduser("~/.pyenv/versions/3.*/bin/python3")))
SHOWN_MISMATCHES = 12
UNREAD = {"the process's memory could not be read", "the interpreter's thread state was not found"}


def version_of(interpreter):
    return "debian" if interpreter == leftopen.PYTHON else interpreter.split("/")[-3]


def frames_kept():
    """Return how many frames of a stack are kept."""
    with open(os.path.join(leftopen.SOURCE, "include", "event_abi.h"), encoding="utf-8") as file:
        return int(re.search(r"#define STACK_FRAMES_MAX (\d+)", file.read()).group(1))


def is_cut(stack):
    """Return whether its native frames are more than are kept: Python's may be all there."""
    return stack["why"] == "more frames than are kept" and len(stack["frames"]) >= frames_kept()


class Followed:
    """What a run of the case wrote down, beside the report of it."""

    def __init__(self, interpreter, folder, mode, env=None, options=()):
        result = leftopen.run(interpreter, CASE, str(folder), mode, options=["--samples", "0", "--as-root", *options],
                              env=env)
        assert result.status == 0, result.stderr
        self.interpreter = interpreter
        self.folder = str(folder)
        self.report = result.report
        self.notes = {}
        for path in glob.glob(str(folder / "points-*.json")):
            with open(path, encoding="utf-8") as file:
                self.notes[int(re.search(r"points-(\d+)", path).group(1))] = json.load(file)
        self.points = [point for notes in self.notes.values() for point in notes["points"]]
        self._found = collections.defaultdict(list)
        for group in self.report["groups"]:
            for sample in group["samples"]:
                what = ("fd", sample["fd"]) if group["kind"] == "fd" else ("length", sample["bytes"])
                self._found[group["pid"], what].append((group, sample))

    def process(self, pid):
        found = [process for process in self.report["processes"] if process["pid"] == pid]
        assert len(found) == 1, "%d processes have the id %d" % (len(found), pid)
        return found[0]

    def main_process(self):
        return next(process for process in self.report["processes"] if process["ppid"] not in self.notes
                    and process["pid"] in self.notes)

    def find(self, point):
        """Return the group, the sample and the stack of what a point made."""
        what = ("fd", point["fd"]) if "fd" in point else ("length", point["length"])
        found = self._found[point["pid"], what]
        # A number that was released at shutdown may have been given to another file after it.
        if point.get("target", "").startswith("/"):
            found = [(group, sample) for group, sample in found if sample["target"] == point["target"]]
        assert len(found) == 1, "%d handles in the report" % len(found)
        group, sample = found[0]
        return group, sample, self.report["stacks"][group["stack"]]

    def stack(self, point):
        """Return the stack of what a point made, and its Python frames as the point has them."""
        stack = self.find(point)[2]
        frames = [[frame["file"], frame["line"], frame["function"]] for frame in stack["frames"]
                  if frame["language"] == "python"]
        return stack, frames


def difference(expected, found):
    """Return lines that show where two lists of frames differ, innermost first."""
    lines = ["%d frames expected, %d found" % (len(expected), len(found))]
    for index in range(max(len(expected), len(found))):
        left = expected[index] if index < len(expected) else None
        right = found[index] if index < len(found) else None
        if left != right:
            lines.append("  #%-3d traceback %s" % (index, left))
            lines.append("       leftopen  %s" % right)
        if len(lines) > 8:
            lines.append("  ...")
            break
    return lines


@pytest.fixture(scope="module", params=INTERPRETERS, ids=version_of)
def followed(request, tmp_path_factory):
    return Followed(request.param, tmp_path_factory.mktemp("frames"), "all")


def memory_is_moved():
    """Whether the kernel makes huge pages of any memory: what it is just moving cannot be read meanwhile."""
    with open("/sys/kernel/mm/transparent_hugepage/enabled", encoding="ascii") as file:
        return "[always]" in file.read()


def assert_every_frame_equals_traceback(followed):
    """Of all points; where memory is moved one in a thousand may say that it could not be read."""
    mismatches, unread = [], 0
    for point in followed.points:
        try:
            stack, frames = followed.stack(point)
        except AssertionError as error:
            mismatches.append("%s of %d: %s" % (point["name"], point["pid"], error))
            continue
        if stack["why"] in UNREAD and memory_is_moved():
            unread += 1
        elif frames != point["frames"]:
            mismatches.append("%s of %d: %s: %s" % (
                point["name"], point["pid"], stack["why"], "\n".join(difference(point["frames"], frames))))
        elif (not stack["complete"] or stack["why"]) and not is_cut(stack):
            mismatches.append("%s of %d: not complete: %s" % (point["name"], point["pid"], stack["why"]))
    assert unread <= len(followed.points) / 1000
    if mismatches:
        pytest.fail("%d of %d call points differ:\n%s" % (
            len(mismatches), len(followed.points), "\n".join(mismatches[:SHOWN_MISMATCHES])), pytrace=False)


def test_every_frame_equals_traceback(followed):
    assert_every_frame_equals_traceback(followed)


def test_frames_in_the_place_of_evaluations(tmp_path):
    """With all native frames, of which none is an evaluation any more, and main() is the last but for libc's."""
    followed = Followed(leftopen.PYTHON, tmp_path, "all", options=["--stacks=full"])
    assert_every_frame_equals_traceback(followed)
    for point in followed.points:
        frames = followed.stack(point)[0]["frames"]
        assert frames[0]["language"] == frames[-1]["language"] == "native"
        assert "_PyEval_EvalFrameDefault" not in {frame["function"] for frame in frames}


def test_call_points_are_many_and_of_every_process(followed):
    """The comparison above compares nothing where there is nothing: main, four children, an interpreter more."""
    of_process = collections.Counter(point["pid"] for point in followed.points)
    assert len(of_process) == 6
    assert min(of_process.values()) > 200, of_process
    assert of_process[followed.main_process()["pid"]] > 1500, of_process
    # The runtime's own frames, of code that is frozen into it, are among those compared.
    assert any(frame[0] == "<frozen importlib._bootstrap>" for point in followed.points for frame in point["frames"])
    assert max(len(point["frames"]) for point in followed.points) > 60
    # Memory of freed code objects was used again, so an address alone would have given wrong lines.
    assert followed.notes[followed.main_process()["pid"]]["notes"]["addresses used again"] > 0


def test_makers_are_all_there(followed):
    """An interpreter that was built without sqlite3 has no points of it; Debian's has it."""
    names = {point["name"] for point in followed.points}
    assert followed.interpreter != leftopen.PYTHON or "database_opened" in names
    types = {followed.find(point)[0]["type"] for point in followed.points}
    assert {"file", "socket", "pipe", "epoll", "anon"} <= types, types


def test_report_is_complete(followed):
    assert followed.report["completeness"]["complete"] is True
    assert followed.report["completeness"]["why"] == []


def test_each_process_is_left_open_at_its_own_end(followed):
    """Finalization; a child that leaves by os._exit(), as multiprocessing's do; a new interpreter."""
    expected = {pid: notes["mark"] for pid, notes in followed.notes.items()}
    assert {pid: followed.process(pid)["left_open_at"] for pid in expected} == expected
    assert sorted(expected.values()) == ["exit_group"] * 2 + ["finalize"] * 4
    assert expected[followed.main_process()["pid"]] == "finalize"


@pytest.fixture(scope="module", params=INTERPRETERS, ids=version_of)
def limits(request, tmp_path_factory):
    return Followed(request.param, tmp_path_factory.mktemp("limits"), "limits", options=["--stacks=fp"])


def test_stacks_deeper_than_what_is_kept(limits):
    """The innermost frames are kept, and only a stack that was cut is marked so."""
    kept = frames_kept()
    points = [point for point in limits.points if not point["name"].startswith("line table")]
    cut = 0
    for point in points:
        stack, frames = limits.stack(point)
        native = len(stack["frames"]) - len(frames)
        expected = point["frames"][:kept - native]
        assert frames == expected, "%s: %s" % (point["name"], "\n".join(difference(expected, frames)))
        is_cut = len(expected) < len(point["frames"])
        assert stack["complete"] is not is_cut, (point["name"], len(point["frames"]), stack["why"])
        assert bool(stack["why"]) is is_cut, (point["name"], stack["why"])
        cut += is_cut
    # On either side of the limit, and exactly at it.
    depths = [len(point["frames"]) for point in points]
    assert min(depths) < kept - native and kept - native in depths and kept in depths and max(depths) > 400
    assert 3 < cut < len(points)


def test_line_tables_larger_than_what_is_copied(limits):
    """A line behind what was copied is not known, and 0 says so; all others are right."""
    innermost = {}
    for point in limits.points:
        if point["name"].startswith("line table"):
            frames = limits.stack(point)[1]
            innermost[point["name"]] = (point["frames"][0][1], frames[0][1])
            frames[0][1] = point["frames"][0][1]
            assert frames == point["frames"], "\n".join(difference(point["frames"], frames))
    assert innermost == {"line table, before": (2, 2), "line table, behind": (24002, 0)}


@pytest.fixture(scope="module")
def embedded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("embedded")
    program = str(tmp_path_factory.mktemp("program") / "python_embedded")
    subprocess.run(
        ["gcc", "-std=gnu11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-O1", "-g", "-fno-omit-frame-pointer",
         "-pthread", "-isystem", sysconfig.get_path("include"), os.path.join(HERE, "python_embedded.c"),
         "-o", program, "-lpython" + sysconfig.get_config_var("LDVERSION")], check=True)
    return Followed(program, folder, "once", env={"PYTHONPATH": HERE})


def test_embedded_python(embedded):
    """A C program that is linked with libpython."""
    assert len(embedded.points) > 200
    assert_every_frame_equals_traceback(embedded)
    assert embedded.process(embedded.points[0]["pid"])["left_open_at"] == "finalize"


@pytest.mark.parametrize("function", ["opens_before", "opens_beside", "opens_in_thread", "opens_after"])
def test_embedding_program_has_its_own_frames(embedded, function):
    """Where it is outside of Python: before, between, in a thread that Python does not know, and afterwards."""
    target = os.path.join(embedded.folder, function)
    groups = [group for group in embedded.report["groups"] for sample in group["samples"]
              if sample["target"] == target]
    assert len(groups) == 1
    stack = embedded.report["stacks"][groups[0]["stack"]]
    assert function in [frame["function"] for frame in stack["frames"]], stack
    assert {frame["language"] for frame in stack["frames"]} == {"native"}


OPENS_FOR_A_WHILE = """
import os, time

def opens():
    os.dup(0)

for _ in range(40):
    opens()
    time.sleep(0.05)
"""


def test_several_processes_start_an_interpreter_that_was_not_seen_before(tmp_path):
    """Each of them is known within two seconds, and not only the first one whose mapping was told of."""
    copy = str(tmp_path / "interpreter")
    shutil.copy(os.path.realpath(leftopen.PYTHON), copy)
    (tmp_path / "opens.py").write_text(OPENS_FOR_A_WHILE)
    script = "for i in 1 2 3 4 5; do PYTHONHOME=/usr %s %s & done; wait" % (copy, tmp_path / "opens.py")
    result = leftopen.run("/bin/sh", "-c", script, options=["--samples", "0"])
    last = {}
    for group in result.report["groups"]:
        for sample in group["samples"]:
            if group["origin"] == "fcntl":
                number, frames = last.get(group["pid"], (-1, None))
                if sample["fd"] > number:
                    last[group["pid"]] = (sample["fd"], result.report["stacks"][group["stack"]]["frames"])
    assert len(last) == 5
    for _, frames in last.values():
        assert [frame["function"] for frame in frames if frame["language"] == "python"] == ["opens", "<module>"]
