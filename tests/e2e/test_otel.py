# SPDX-License-Identifier: Apache-2.0
"""Allocations that a process tells of itself, by probes of provider otel_memory."""

import os
import subprocess

import pytest

import pprof_check
from harness import HEAP_TYPES, settled_sites, sites, wait_until

SOURCE = os.path.join(os.path.dirname(__file__), "..", "targets", "emitter.c")
NOTHING = {name: 0 for name in HEAP_TYPES}


COMPILE = ["gcc", "-std=gnu17", "-O1", "-g", "-fno-omit-frame-pointer", "-fno-inline",
           "-fno-optimize-sibling-calls", "-D_GNU_SOURCE"]


def build_silent(folder):
    """The emitter without notes of its own."""
    path = folder / "silent"
    subprocess.run([*COMPILE, "-DEMITTER_SILENT", "-o", path, SOURCE], check=True)
    return str(path)


def build_library(folder, soname):
    """The emitter as a library, in a file whose name says nothing."""
    path = folder / "library.so"
    subprocess.run([*COMPILE, "-DEMITTER_LIBRARY", "-shared", "-fPIC", f"-Wl,-soname,{soname}",
                    "-o", path, SOURCE], check=True)
    return path


def await_source(agent, process, source):
    wait_until(lambda: agent.metric("pprofd_target_source", pid=process.pid, source=source) == 1,
               10, f"the source to be {source}")


def assert_told(agent, truth):
    """What the emitter said, by its own weights, and no block of which it said nothing."""
    def is_settled():
        return sites(agent.profile("heap"), truth)["site_large"]["alloc_objects"] >= \
            truth["site_large"]["alloc_objects"] * 0.999
    wait_until(is_settled, 10, "all samples")
    found = settled_sites(agent, truth, seconds=1)
    for site, values in truth.items():
        assert found[site] == pytest.approx(values, rel=0.001), site
    assert agent.lost() == 0


def test_a_program_that_emits_notes_is_not_probed_elsewhere(agent, target):
    process = target("emitter")
    watcher = agent("--pid", process.pid, "--alloc-interval", "1")
    await_source(watcher, process, "usdt")
    process.send()
    process.expect("unsaid")
    process.send()
    assert_told(watcher, process.truth())
    assert sites(watcher.profile("heap"), ["site_unsaid"]) == {"site_unsaid": NOTHING}
    watcher.stop()
    process.stop()


@pytest.mark.parametrize("soname, source", [("libpprofd.so", "sampler"),
                                            ("libother.so", "usdt")])
def test_a_library_that_comes_later_takes_the_probes_place(agent, target, folder, soname, source):
    process = target(build_silent(folder), build_library(folder, soname))
    watcher = agent("--pid", process.pid, "--alloc-interval", "1")
    process.send()
    process.expect("unsaid")
    probed = {"alloc_objects": 100, "alloc_space": 100000, "inuse_objects": 100,
              "inuse_space": 100000}
    assert settled_sites(watcher, {"site_unsaid": probed}) == {"site_unsaid": probed}
    process.send()
    process.expect("open")
    await_source(watcher, process, source)
    process.send()
    assert_told(watcher, process.truth())
    # What was probed counts as allocated; whether it was freed since, nobody sees.
    gone = {**probed, "inuse_objects": 0, "inuse_space": 0}
    assert settled_sites(watcher, {"site_unsaid": gone}) == {"site_unsaid": gone}
    profile = watcher.profile("heap")
    assert f"source: {source}" in pprof_check.comments(profile)
    # The sampler's own frames are left out; of others nobody knows which are.
    assert ("note_alloc" in pprof_check.by_function(profile, "alloc_objects")) == (source == "usdt")
    watcher.stop()
    process.stop()


@pytest.mark.parametrize("mode", ["single", "multi"])
def test_notes_are_heard_the_way_older_kernels_place_probes(agent, target, mode):
    process = target("emitter")
    watcher = agent("--pid", process.pid, env={"PPROFD_UPROBES": mode})
    await_source(watcher, process, "usdt")
    process.send()
    process.expect("unsaid")
    process.send()
    assert_told(watcher, process.truth())
    watcher.stop()
    process.stop()
