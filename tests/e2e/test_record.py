# SPDX-License-Identifier: Apache-2.0
"""--record writes the event stream; --replay serves the same profiles without privileges."""

import os
import subprocess

import pytest

import pprof_check
from harness import AGENT, Agent, HEAP_TYPES, NOBODY, Target, copy_for_all, settled_sites, sites, \
    target_path


@pytest.fixture
def recorded(start, folder):
    """A recording of known-counts, its truth, and the profile that was served live."""
    agent, program = copy_for_all(folder, AGENT, target_path("known-counts"))
    path = folder / "events"
    process = start(Target, program, "2", "10000", "2").ready()
    watcher = start(Agent, "--pid", process.pid, "--alloc-interval", "1", "--record", path).ready()
    process.send()
    truth = process.truth()
    assert settled_sites(watcher, truth) == truth
    live = watcher.profile("heap")
    watcher.stop()
    process.stop()
    os.chmod(path, 0o644)
    return agent, path, truth, live


def test_a_replay_without_privileges_serves_the_same_heap(start, recorded):
    agent, path, truth, live = recorded
    replay = start(Agent, "--replay", path, path=agent, prefix=NOBODY).ready()
    profile = replay.profile("heap")
    assert sites(profile, truth) == truth
    for value_type in HEAP_TYPES:
        assert pprof_check.cumulative(profile, value_type) == \
            pprof_check.cumulative(live, value_type)
    replay.stop()


def test_a_recording_that_is_cut_is_no_crash(start, folder, recorded):
    """The agent either says in one line what is wrong or serves what is there."""
    agent, path, _, _ = recorded
    data = path.read_bytes()
    for size in (0, 1, 100, len(data) // 2, len(data) - 1):
        cut = folder / f"cut{size}"
        cut.write_bytes(data[:size])
        os.chmod(cut, 0o644)
        replay = start(Agent, "--replay", cut, path=agent, prefix=NOBODY)
        try:
            status = replay.wait(3)
        except subprocess.TimeoutExpired:
            replay.ready().profile("heap")
            replay.stop()
            continue
        assert status == 1, size
        assert replay.stderr().count("\n") == 1


def test_a_recording_that_is_not_there_is_named(start, folder):
    replay = start(Agent, "--replay", folder / "nosuch")
    assert replay.wait() == 1
    assert "nosuch" in replay.stderr()
    assert replay.stderr().count("\n") == 1


def test_a_recording_that_cannot_be_written_is_named(start):
    watcher = start(Agent, "--record", "/nonexistent/events", command=["true"])
    assert watcher.wait() == 1
    assert "/nonexistent/events" in watcher.stderr()
