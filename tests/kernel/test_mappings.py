"""Mappings in exact addresses and bytes, against what each process reads in /proc/self/maps as it ends.

truth.made_by_calls() says which mappings are compared: all but those that execve itself made.
"""

import pytest

import truth

PAGE = 4096
CASES = [
    "anonymous", "length_in_part_of_a_page", "shared_anonymous", "file", "file_shared", "stack", "released_whole",
    "released_in_the_middle", "released_at_both_ends", "released_across_several", "released_twice", "unmap_that_fails",
    "map_that_fails", "overlaid_in_the_middle", "overlaid_across_several", "protected_in_the_middle", "grown_in_place",
    "grown_by_a_move", "part_grown_by_a_move", "moved_over_another", "moved_and_shrunk", "shrunk",
    "file_grown_by_a_move", "duplicated", "duplicated_from_the_middle", "old_range_kept", "resize_that_fails",
    "move_of_several_that_fails", "move_that_is_interrupted",
    "shifted_many_times", "by_libc", "threads_at_once", "forked", "forked_and_left", "kept_from_children", "segment",
    "segment_detached", "aio_ring", "huge_pages", "heap"]
CHILDREN = ["forked_child", "idle_child", "child_kept_from", "grandchild_kept_from"]


@pytest.fixture(scope="module")
def followed(tmp_path_factory):
    return truth.follow("mappings", tmp_path_factory.mktemp("mappings"))


def sample_at(report, pid, address):
    """Return the group and its sample that begins at the address."""
    found = [(group, sample) for group in truth.groups_of(report, "map", pid) for sample in group["samples"]
             if int(sample["addr"], 16) == address]
    assert len(found) == 1, hex(address)
    return found[0]


@pytest.mark.parametrize("case", CASES + ["spawner"])
def test_addresses_and_bytes(followed, case):
    _, told, report = followed
    truth.assert_mappings(report, told.line(case))


def test_every_case_was_run(followed):
    _, told, _ = followed
    assert {line["label"] for line in told.lines if "maps" in line} == {*CASES, *CHILDREN, "spawner"}


@pytest.mark.parametrize("name, type_, origin", [
    ("anonymous_made", "anon", "mmap"), ("shared_anonymous_made", "shm", "mmap"), ("file_made", "file-map", "mmap"),
    ("file_shared_made", "file-map", "mmap"), ("stack_made", "anon", "mmap"), ("overlaid_made", "file-map", "mmap"),
    ("file_grown_made", "file-map", "mmap"), ("duplicated_made", "shm", "mremap"),
    ("old_range_kept_made", "anon", "mremap"), ("segment_made", "shm", "shmat"), ("huge_pages_made", "anon", "mmap")])
def test_type_origin_and_size(followed, name, type_, origin):
    _, told, report = followed
    line = told.line(name)
    group, sample = sample_at(report, line["pid"], line["made"][0])
    assert line["type"] == type_
    assert (group["type"], group["origin"], sample["bytes"]) == (type_, origin, line["made"][1] - line["made"][0])


@pytest.mark.parametrize("case, origin", [("aio_ring", "io_setup"), ("heap", "brk"), ("segment", "shmat")])
def test_mappings_of_other_calls(followed, case, origin):
    """Each at its own call, once."""
    _, told, report = followed
    groups = [group for group in truth.groups_of(report, "map", told.pid(case)) if group["origin"] == origin]
    assert sum(group["instances"] for group in groups) == 1


def test_the_heap_is_the_allocators(followed):
    _, told, report = followed
    groups = [group for group in truth.groups_of(report, "map") if group["origin"] == "brk"]
    assert groups and {group["category"] for group in groups} == {"allocator"}


@pytest.mark.parametrize("name", ["file_made", "file_shared_made", "overlaid_made", "file_grown_made"])
def test_file_mappings_name_their_file(followed, name):
    folder, told, report = followed
    line = told.line(name)
    _, sample = sample_at(report, line["pid"], line["made"][0])
    assert sample["target"] == str(folder / "mapped")


def test_stacks_are_labelled(followed):
    _, told, report = followed
    line = told.line("stack_made")
    group, _ = sample_at(report, line["pid"], line["made"][0])
    assert group["category"] == "thread-stack"
    threads = [group for group in truth.groups_of(report, "map", told.pid("by_libc"))
               if group["category"] == "thread-stack"]
    # libc keeps the stacks of threads that have ended for the next ones (nptl/nptl-stack.c).
    assert sum(group["count"] for group in threads) == 4


def test_what_the_loader_mapped_is_labelled(followed):
    _, told, report = followed
    pid = told.pid("anonymous")
    libc = [start for start, _, offset, name in told.line("anonymous")["maps"]
            if name.endswith("/libc.so.6") and offset == 0]
    group, _ = sample_at(report, pid, libc[0])
    assert group["category"] == "loader"


@pytest.mark.parametrize("case", CHILDREN)
def test_a_child_holds_what_it_read(followed, case):
    """In bytes, what it inherited included."""
    _, told, report = followed
    line = told.line(case)
    assert truth.process_of(report, line["pid"])["maps"]["bytes"] == truth.size(truth.made_by_calls(line))


def test_a_child_is_blamed_for_what_it_made_only(followed):
    _, told, report = followed
    made = truth.union([tuple(told.line(name)["made"]) for name in ("child_made", "child_overlaid")])
    assert truth.left_open_ranges(report, told.pid("forked_child")) == made
    assert truth.left_open_ranges(report, told.pid("idle_child")) == []
    assert not truth.subtract(made, truth.made_by_calls(told.line("forked_child")))


def test_the_kernels_own_count_of_areas(followed):
    """vmas is what the kernel counts against vm.max_map_count: all lines of maps but [vsyscall]."""
    _, told, report = followed
    for case in CASES:
        line = told.line(case)
        counted = [name for _, _, _, name in line["maps"] if name != "[vsyscall]"]
        # The mark's own page comes with the first breakpoint that is hit, which may be the mark itself.
        marks = 0 if "[uprobes]" in counted else 1
        assert truth.process_of(report, line["pid"])["maps"]["vmas"] - len(counted) in (0, marks)


def test_nothing_is_left_of_cases_that_leave_nothing(followed):
    """The program of released_whole holds exactly what one does that maps and releases nothing."""
    _, told, report = followed
    sizes = {case: truth.process_of(report, told.pid(case))["maps"]["bytes"] for case in CASES}
    assert sizes["anonymous"] - sizes["released_whole"] == 3 * PAGE
    assert sizes["released_in_the_middle"] - sizes["released_whole"] == 7 * PAGE
    assert sizes["released_at_both_ends"] - sizes["released_whole"] == 6 * PAGE
    assert sizes["shrunk"] - sizes["released_whole"] == 2 * PAGE
    assert sizes["old_range_kept"] - sizes["released_whole"] == 10 * PAGE
