# SPDX-License-Identifier: Apache-2.0
"""CPU samples of Go programs: stacks end whole, also across the border between Go and C."""

import os
import pathlib
import re
import shutil
import subprocess

import pytest

import harness

SOURCES = pathlib.Path(__file__).resolve().parents[1] / "targets" / "go"
OUTERMOST = {"runtime.mstart", "runtime.mcall", "runtime.morestack", "gogo", "runtime.rt0_go"}
# What goroutines begin with: the runtime's, by the function that has the go statement, and ours.
STARTS = re.compile(r"main\.|runtime\.(main|gcenable\.\w+|init\.\d+|forcegchelper|runfinq|"
                    r"gcBgMarkWorker|gcBgMarkStartWorkers\.\w+|ensureSigM\.\w+)$")


def is_whole(names):
    """Down to where a goroutine began, without Go's goexit as in its own profiles, or a thread did."""
    # To Go 1.20 the caller of systemstack is missing: of the collector's worker that is its first.
    if names[-1] == "runtime.systemstack":
        return len(names) > 1 and names[-2].startswith("runtime.gcBgMarkWorker.")
    return names[-1] in OUTERMOST or STARTS.match(names[-1]) is not None


@pytest.fixture
def go_target(start, folder):
    """go_target(NAME, OPTION...): a program of tests/targets/go that has said it is ready."""
    def make(name, *options):
        go = os.environ.get("GO") or shutil.which("go")
        if not go:
            pytest.skip("no go command to build the target with")
        cache = harness.BUILD / "go-cache"
        subprocess.run([go, "build", *options, "-o", folder / name, SOURCES / f"{name}.go"],
                       check=True, env={**os.environ, "GO111MODULE": "off", "GOFLAGS": "",
                                        "GOTOOLCHAIN": "local", "GOCACHE": str(cache)})
        return start(harness.Target, str(folder / name)).ready()
    return make


def ends(watcher):
    return {dict(pairs)["end"]: value for (name, pairs), value in watcher.metrics().items()
            if name == "pprofd_stacks_total" and ("kind", "profile") in pairs}


def stacks(profile):
    """Every sample's function names, innermost first, and how often it was seen."""
    functions = {function.id: profile.string_table[function.name]
                 for function in profile.function}
    locations = {location.id: [functions[line.function_id] for line in location.line]
                 for location in profile.location}
    for sample in profile.sample:
        yield [name for key in sample.location_id for name in locations[key] or ["?"]], \
            sample.value[0]


def sampled(watcher, seconds=5):
    """A profile, and the share of its stacks that are whole."""
    before = ends(watcher)
    profile = watcher.profile("profile", query=f"?seconds={seconds}")
    spent = {end: count - before.get(end, 0) for end, count in ends(watcher).items()}
    total = sum(spent.values())
    assert total > 500, spent
    return profile, spent["complete"] / total


@pytest.mark.parametrize("options", ([], ["-ldflags=-s -w"], ["-buildmode=pie"]),
                         ids=("default", "stripped", "pie"))
def test_go_stacks_end_whole(agent, go_target, options):
    target = go_target("busy", *options)
    watcher = agent("--pid", target.pid, "--cpu-hz", "999")
    profile, whole = sampled(watcher)
    assert whole >= 0.995
    found = list(stacks(profile))
    strange = sum(count for names, count in found if not is_whole(names))
    assert strange <= 0.005 * sum(count for _, count in found)
    # The scheduler's stacks apart, all begin with the go statement of one of ours.
    assert any("main.sorting" in names and names[-1].startswith("main.main.func")
               for names, _ in found)
    assert not any("runtime.goexit" in names for names, _ in found)
    flags = profile.mapping[0]
    assert flags.has_functions and flags.has_filenames
    watcher.stop()
    target.stop()


def test_stacks_cross_from_go_into_c_and_back(agent, go_target):
    target = go_target("crossings", "-ldflags=-s -w")
    watcher = agent("--pid", target.pid, "--cpu-hz", "999")
    profile, whole = sampled(watcher)
    assert whole >= 0.995
    depths = set()
    for names, _ in stacks(profile):
        if is_whole(names) and "main.descend" in names:
            depths.add(names.count("main.descend"))
            # Each was called by C, which Go called.
            assert names.count("crosscall2") >= names.count("main.descend")
    assert {1, 2, 3} <= depths
    # And a thread that C made, down to where it began.
    assert any("main.goBack" in names and
               any(name in names for name in ("start_thread", "clone3", "clone"))
               for names, _ in stacks(profile))
    watcher.stop()
    target.stop()
