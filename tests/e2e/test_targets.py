# SPDX-License-Identifier: Apache-2.0
"""Which processes are profiled: by name, all, children; over exec, after the end, in namespaces."""

import os
import re
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import pprof_check
from harness import Agent, Process, Target, children, copy_for_all, is_host_pid_namespace, \
    settled_sites, sites, target_path, wait_until

CHILD = {"alloc_objects": 200, "alloc_space": 600000, "inuse_objects": 200, "inuse_space": 600000}
PARENT = {"alloc_objects": 100, "alloc_space": 100000, "inuse_objects": 100, "inuse_space": 100000}


def has_targets(watcher, count):
    return lambda: (watcher.metric("pprofd_targets") == count
                    and watcher.get("/-/ready").status == 200)


@pytest.fixture
def named(folder, target):
    """named(NAME): known-counts under another name."""
    def make(name, *args):
        copy, = copy_for_all(folder, target_path("known-counts"))
        os.rename(copy, folder / name)
        return target(str(folder / name), *args)
    return make


def test_name_finds_old_and_new_processes(agent, named, target):
    other = target("known-counts")
    old = named("pprofd-e2e-old")
    watcher = agent("--name", "pprofd-e2e-*", "--alloc-interval", "1")
    assert watcher.metric("pprofd_targets") == 1
    new = named("pprofd-e2e-new")
    wait_until(has_targets(watcher, 2), 10, "the new process to be found")
    for process in (old, new):
        process.send()
        truth = process.truth()
        assert settled_sites(watcher, truth, process.pid) == truth
    assert watcher.get(f"/pid/{other.pid}/debug/pprof/heap").status == 404
    watcher.stop()


def test_several_targets_are_told_apart_by_labels(agent, named):
    processes = [named("pprofd-e2e-one"), named("pprofd-e2e-two")]
    watcher = agent(*(arg for p in processes for arg in ("--pid", p.pid)), "--alloc-interval", "1")
    for process in processes:
        process.send()
        process.truth()
    time.sleep(1)
    seen = set()
    for sample in watcher.profile("heap").sample:
        labels = pprof_check.labels(sample)
        seen.add((int(labels["pid"]), labels["comm"]))
    assert seen == {(p.pid, os.path.basename(p.argv[0])[:15]) for p in processes}
    watcher.stop()


def test_all_leaves_itself_and_kernel_threads_out(start, target):
    process = target("known-counts", "1", "2000", "1")
    watcher = start(Agent, "--all", "--alloc-interval", "4K").ready()
    process.send()
    truth = process.truth()["site_large"]["alloc_space"]
    time.sleep(1)
    found = pprof_check.cumulative(watcher.profile("heap", process.pid), "alloc_space")
    assert found["site_large"] == pytest.approx(truth, rel=0.01)
    assert watcher.get(f"/pid/{watcher.pid}/debug/pprof/heap").status == 404
    if is_host_pid_namespace():
        assert watcher.get("/pid/2/debug/pprof/heap").status == 404
    late = target("known-counts", "1", "2000", "1")
    wait_until(lambda: watcher.get(f"/pid/{late.pid}/debug/pprof/heap").status == 200, 10,
               "the late process to be found")
    watcher.stop()


def test_children_are_found_when_they_are_asked_for(agent, target):
    process = target("fork-tree", "3")
    watcher = agent("--pid", process.pid, "--children", "--alloc-interval", "1")
    process.send()
    pids = [int(process.line().removeprefix("child ")) for _ in range(3)]
    wait_until(has_targets(watcher, 4), 10, "the children to be found")
    process.send()
    for _ in pids:
        assert process.line().startswith("allocated ")
    for pid in pids:
        assert settled_sites(watcher, {"child_site": CHILD}, pid) == {"child_site": CHILD}
    assert settled_sites(watcher, {"parent_site": PARENT}, process.pid) == {"parent_site": PARENT}
    watcher.stop()


def test_children_are_left_alone_when_they_are_not(agent, target):
    process = target("fork-tree", "2")
    watcher = agent("--pid", process.pid, "--alloc-interval", "1")
    process.send()
    pids = [int(process.line().removeprefix("child ")) for _ in range(2)]
    process.send()
    for _ in pids:
        assert process.line().startswith("allocated ")
    time.sleep(1)
    assert watcher.metric("pprofd_targets") == 1
    profile = watcher.profile("heap")
    assert sites(profile, ["parent_site", "child_site"]) == {
        "parent_site": PARENT, "child_site": dict.fromkeys(CHILD, 0)}
    watcher.stop()


def test_children_of_a_command_are_found(start):
    command = ["sh", "-c", f"{target_path('known-counts')} 1 2000 1; exit 3"]
    watcher = start(Agent, "--children", "--alloc-interval", "1", command=command).ready()
    watcher.expect("ready")
    shell, = watcher.commands()
    pid, = children(shell)
    wait_until(lambda: watcher.get(f"/pid/{pid}/debug/pprof/heap").status == 200, 10,
               "the shell's child to be found")
    wait_until(has_targets(watcher, 2), 10, "both to be ready")
    watcher.send()
    truth = Target.truth(watcher)
    assert settled_sites(watcher, truth, pid) == truth
    watcher.close_stdin()
    assert watcher.wait() == 3, watcher.stderr()


def test_exec_drops_the_old_image(agent, target):
    process = target("exec-chain")
    watcher = agent("--pid", process.pid, "--alloc-interval", "1")
    process.send()
    process.expect("allocated")
    before = {"before_exec_site": dict(zip(PARENT, (1000, 10000000, 1000, 10000000)))}
    assert settled_sites(watcher, before) == before
    process.send()
    process.expect("execed")
    time.sleep(1)
    wait_until(has_targets(watcher, 1), 10, "the new image to be ready")
    process.send()
    process.expect("done")
    after = {"before_exec_site": dict.fromkeys(PARENT, 0),
             "after_exec_site": dict(zip(PARENT, (2000, 10000000, 2000, 10000000)))}
    assert settled_sites(watcher, after, process.pid) == after
    cmdline = watcher.get(f"/pid/{process.pid}/debug/pprof/cmdline").body.rstrip(b"\0")
    assert cmdline == b"exec-chain-second\0second"
    watcher.stop()


def test_a_target_that_ends_keeps_its_profiles_for_a_while(agent, target):
    process = target("known-counts", "1", "2000", "1")
    watcher = agent("--pid", process.pid, "--alloc-interval", "1")
    process.send()
    truth = process.truth()
    process.stop()
    wait_until(lambda: watcher.metric("pprofd_targets") == 0, 10, "the end to be noticed")
    time.sleep(3)
    found = sites(watcher.profile("heap", process.pid), truth)
    for name, site in truth.items():
        assert found[name]["alloc_space"] == site["alloc_space"], name
    assert watcher.get("/-/healthy").status == 200
    watcher.stop()


def test_a_difference_holds_what_ended_within_it(agent, target):
    process, other = target("known-counts", "1", "2000", "1"), target("known-counts")
    watcher = agent("--pid", process.pid, "--pid", other.pid, "--alloc-interval", "1")
    with ThreadPoolExecutor(1) as pool:
        capture = pool.submit(watcher.profile, "allocs", None, "?seconds=6")
        time.sleep(1)
        process.send()
        truth = process.truth()
        process.stop()
        found = sites(capture.result(), truth)
    for name, site in truth.items():
        assert found[name]["alloc_space"] == site["alloc_space"], name
    watcher.stop()


def test_an_agent_in_a_sidecar_sees_the_pids_of_its_namespace(start):
    """No --pid: in a PID namespace of its own the agent takes all. The shell becomes the agent."""
    script = 'exec 3<&0; "$1" 2 20000 2 <&3 & shift; exec "$@"'
    unshare = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child",
               "sh", "-c", script, "sidecar", target_path("known-counts"))
    watcher = start(Agent, "--alloc-interval", "1", prefix=unshare)
    watcher.expect("ready")
    watcher.ready()
    wait_until(has_targets(watcher, 1), 20, "the neighbour to be found")
    watcher.send()
    truth = Target.truth(watcher)
    assert settled_sites(watcher, truth) == truth
    pid = re.search(r"/pid/(\d+)/", watcher.get("/debug/pprof/").text)[1]
    assert int(pid) < 100
    assert settled_sites(watcher, truth, pid) == truth
    assert watcher.lost() == 0
    inner, = watcher.commands()
    os.kill(inner, 15)
    assert watcher.wait() == 0, watcher.stderr()


def test_a_target_in_nested_namespaces_is_read_from_outside(start, agent):
    """Its executable is on a file system that only its own mount namespace has."""
    script = 'mount -t tmpfs none /mnt && cp "$1" /mnt/nested && exec /mnt/nested 2 20000 2'
    unshare = start(Process, ["unshare", "--pid", "--mount", "--fork", "--mount-proc",
                              "--kill-child", "sh", "-c", script, "sh",
                              target_path("known-counts")])
    unshare.expect("ready")
    pid, = children(unshare.pid)
    watcher = agent("--pid", pid, "--alloc-interval", "1")
    unshare.send()
    truth = Target.truth(unshare)
    assert settled_sites(watcher, truth, pid) == truth
    assert watcher.lost() == 0
    profile = watcher.profile("heap")
    assert profile.string_table[profile.mapping[0].filename] == "/mnt/nested"
    watcher.stop()
