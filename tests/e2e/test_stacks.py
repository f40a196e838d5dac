# SPDX-License-Identifier: Apache-2.0
"""Whole stacks of programs without frame pointers, with lines and inlined calls."""

import pathlib
import re

import pytest

import pprof_check
from harness import Target, target_path, wait_until

SOURCE = pathlib.Path(__file__).parent.parent / "targets" / "bare-frames.c"


def marked_line(mark):
    for number, text in enumerate(SOURCE.read_text().splitlines(), 1):
        if f"/* line: {mark} */" in text:
            return number
    raise AssertionError(mark)


def lines_of(profile, sample):
    """(function, line) of every frame, innermost first, inlined calls included."""
    strings, functions = profile.string_table, {f.id: f for f in profile.function}
    locations = {location.id: location for location in profile.location}
    return [(strings[functions[line.function_id].name], line.line)
            for location_id in sample.location_id
            for line in locations[location_id].line]


def stacks_through(profile, function):
    found = [lines_of(profile, sample) for sample in profile.sample]
    return [stack for stack in found if any(name == function for name, _ in stack)]


def ends(agent, kind):
    return {dict(pairs)["end"]: value for (name, pairs), value in agent.metrics().items()
            if name == "pprofd_stacks_total" and dict(pairs)["kind"] == kind and value > 0}


def run(agent, start, *args):
    process = start(Target, "bare-frames", *args).ready()
    watcher = agent("--pid", process.pid, "--alloc-interval", "1")
    process.send()
    process.truth()
    return process, watcher


@pytest.fixture
def bare(agent, start):
    process, watcher = run(agent, start)
    yield watcher, watcher.profile("allocs")
    watcher.stop()
    process.stop()


def test_every_stack_is_complete(bare):
    watcher, _ = bare
    found = ends(watcher, "heap")
    assert found.get("complete", 0) > 100
    assert found["complete"] >= 0.995 * sum(found.values()), found


def test_a_stack_goes_through_qsort_to_start_with_lines_and_inlines(bare):
    _, profile = bare
    stacks = stacks_through(profile, "compare_site")
    assert stacks
    for stack in stacks:
        assert stack[0] == ("inlined_site", marked_line("inlined"))
        assert stack[1] == ("compare_site", marked_line("compare"))
        assert ("sort_site", marked_line("sort")) in stack
        names = [name for name, _ in stack]
        assert "main" in names and names[-1] == "_start"
    assert any(("main", marked_line("main")) in stack for stack in stacks)


def test_a_stack_goes_through_a_signal_handler(bare):
    _, profile = bare
    for stack in stacks_through(profile, "handler_site"):
        assert stack[0] == ("handler_site", marked_line("handler"))
        names = [name for name, _ in stack]
        assert names.index("handler_site") < names.index("raise_site") < names.index("main")
        assert ("raise_site", marked_line("raise")) in stack
        assert names[-1] == "_start"


def test_a_threads_stack_ends_where_the_thread_began(bare):
    watcher, _ = bare

    def whole_profile():
        profile = watcher.profile("allocs")
        count = pprof_check.cumulative(profile, "alloc_objects").get("thread_site", 0)
        return profile if count == 20 else None

    profile = wait_until(whole_profile, 10, "its 20 allocations")
    stacks = stacks_through(profile, "thread_site")
    assert stacks
    for stack in stacks:
        assert stack[0] == ("thread_site", marked_line("thread"))
        assert "main" not in [name for name, _ in stack]


def test_libraries_that_come_and_go_do_no_harm(agent, start):
    process, watcher = run(agent, start, "churn")
    profile = watcher.profile("allocs")
    stacks = stacks_through(profile, "compare_site")
    assert stacks and all(stack[0][0] == "inlined_site" for stack in stacks)
    found = ends(watcher, "heap")
    assert found["complete"] >= 0.9 * sum(found.values()), found
    watcher.stop()
    process.stop()


def test_source_paths_are_rewritten(agent, target):
    process = target("bare-frames")
    folder = str(SOURCE.parent)
    watcher = agent("--pid", process.pid, "--alloc-interval", "1",
                    "--path-map", f"{folder}=/elsewhere")
    process.send()
    process.truth()
    profile = watcher.profile("allocs")
    files = {profile.string_table[function.filename] for function in profile.function}
    assert "/elsewhere/bare-frames.c" in files
    assert not any(name.startswith(folder) for name in files)
    watcher.stop()


def test_the_main_binary_is_named_throughout(bare):
    _, profile = bare
    main = profile.mapping[0]
    assert profile.string_table[main.filename].endswith("/bare-frames")
    assert main.has_functions
    assert not main.has_filenames  # _start comes from the C library, without debug information


def test_a_program_cut_short_on_disk_is_walked_by_what_is_there(agent, start, folder):
    """An ELF whose tables are garbage: stacks are marked, nothing else happens."""
    original = pathlib.Path(target_path("bare-frames")).read_bytes()
    section = re.search(rb"\x01\x1b\x03\x3b", original)  # .eh_frame_hdr: version and encodings
    assert section
    damaged = bytearray(original)
    damaged[section.start() + 64:section.start() + 1024] = b"\xff" * 960
    path = folder / "damaged"
    path.write_bytes(damaged)
    path.chmod(0o755)
    process = start(Target, str(path)).ready()
    watcher = agent("--pid", process.pid, "--alloc-interval", "1")
    process.send()
    process.truth()
    wait_until(lambda: sum(ends(watcher, "heap").values()) > 100, 10, "samples")
    pprof_check.check_invariants(watcher.profile("allocs"))
    assert process.is_running()
    watcher.stop()
    process.stop()
