# SPDX-License-Identifier: Apache-2.0
"""Things that go wrong: kills, exits in the middle of a capture, a ring buffer too small."""

import re
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import pprof_check
from harness import Agent, Target, rss_bytes, sites, wait_until
from memory import CODE, mapped_pages


@pytest.mark.parametrize("end", [Agent.kill, Agent.stop])
def test_an_agent_that_ends_leaves_no_probe(start, target, end):
    process = target("churn")
    unprobed = mapped_pages(process.pid, CODE)
    watcher = start(Agent, "--pid", process.pid).ready()
    assert mapped_pages(process.pid, CODE) != unprobed
    end(watcher)
    wait_until(lambda: mapped_pages(process.pid, CODE) == unprobed, 10, "the code as it was")
    process.stop()


def test_a_target_killed_while_probed_does_no_harm(agent, target):
    victim, other = target("churn"), target("known-counts")
    watcher = agent("--pid", victim.pid, "--pid", other.pid)
    time.sleep(0.5)
    victim.kill()
    time.sleep(1)
    assert watcher.metric("pprofd_targets") == 1
    watcher.profile("heap")
    watcher.profile("profile", query="?seconds=1")
    watcher.stop()
    other.stop()


@pytest.mark.parametrize("kind", ["heap", "profile"])
@pytest.mark.parametrize("scope", ["", "/pid/{pid}"])
def test_a_target_may_end_in_the_middle_of_a_capture(agent, target, kind, scope):
    process = target("cpu-split")
    watcher = agent("--pid", process.pid)
    path = f"{scope.format(pid=process.pid)}/debug/pprof/{kind}?seconds=5"
    with ThreadPoolExecutor(1) as pool:
        capture = pool.submit(watcher.get, path)
        time.sleep(2)
        process.stop()
        answer = capture.result(30)
    if answer.status == 200:
        pprof_check.check_invariants(pprof_check.load(answer.body))
    else:
        assert answer.headers["x-go-pprof"] == "1" and answer.text.endswith("\n")
    assert watcher.get("/-/healthy").status == 200
    watcher.stop()


def test_a_target_may_exec_in_the_middle_of_a_capture(agent, target):
    process = target("exec-chain")
    watcher = agent("--pid", process.pid, "--alloc-interval", "1")
    process.send()
    process.expect("allocated")
    with ThreadPoolExecutor(1) as pool:
        capture = pool.submit(watcher.get, "/debug/pprof/heap?seconds=3")
        time.sleep(1)
        process.send()
        process.expect("execed")
        answer = capture.result(30)
    assert answer.status == 200
    profile = pprof_check.load(answer.body)
    pprof_check.check_invariants(profile)
    assert "before_exec_site" not in pprof_check.cumulative(profile, "alloc_space")
    watcher.stop()


def test_a_ring_that_is_too_small_loses_and_says_so(agent, target):
    process = target("known-counts", "4", "500000", "3")
    watcher = agent("--pid", process.pid, "--alloc-interval", "1",
                    env={"PPROFD_RING_BYTES": "4096"})
    process.send()
    truth = process.truth()
    time.sleep(2.5)
    assert watcher.lost(reason="ring_full") > 0
    assert watcher.lost(reason="free_ring_full") > 0
    found = sites(watcher.profile("heap"), truth)
    for name, site in truth.items():
        assert found[name]["inuse_objects"] <= site["inuse_objects"], name
    comments = pprof_check.comments(watcher.profile("heap"))
    assert any(re.search(r"ring", text) and re.search(r"lost|drop", text) for text in comments)
    watcher.stop()
    process.stop()


def test_a_storm_does_not_make_the_agent_grow(agent, target):
    watcher = agent("--pid", target("churn").pid, "--alloc-interval", "1")
    time.sleep(3)
    before = rss_bytes(watcher.pid)
    time.sleep(5)
    assert rss_bytes(watcher.pid) < before + (16 << 20)
    assert watcher.get("/-/healthy").status == 200
    watcher.stop()


def test_it_starts_and_stops_ten_times_under_load(agent, target):
    process = target("churn")
    for _ in range(10):
        watcher = agent("--pid", process.pid)
        assert watcher.get("/debug/pprof/heap").status == 200
        watcher.stop()
    assert process.rate(1) > 0
    process.stop()


def test_two_agents_on_one_target_both_count(agent, target):
    process = target("known-counts", "1", "5000", "2")
    watchers = [agent("--pid", process.pid, "--alloc-interval", "1") for _ in range(2)]
    process.send()
    truth = process.truth()["site_keep"]["alloc_objects"]
    time.sleep(1)
    for watcher in watchers:
        found = pprof_check.cumulative(watcher.profile("heap"), "alloc_objects")
        assert found["site_keep"] == truth
        watcher.stop()
    process.stop()


THROWER = r"""
#include <cstdio>
#include <new>
static char *volatile kept;
static volatile unsigned long size = 1UL << 50;

int main()
{
	std::puts("ready");
	std::fflush(stdout);
	std::getchar();
	int caught = 0;
	for (int i = 0; i < 100; i++) {
		kept = new char[10];
		delete[] kept;
		try {
			kept = new char[size];
			delete[] kept;
		} catch (const std::bad_alloc &) {
			caught++;
		}
	}
	std::printf("{\"caught\": %d}\n", caught);
	return 0;
}
"""


@pytest.mark.parametrize("allocator", ["libjemalloc.so.2", "libtcmalloc_minimal.so.4"])
@pytest.mark.parametrize("way", ["session", "multi", "single"])
def test_an_exception_passes_a_probed_operator_new(agent, start, folder, allocator, way):
    (folder / "thrower.cc").write_text(THROWER)
    subprocess.run(["g++", "-O1", "-o", folder / "thrower", folder / "thrower.cc"], check=True)
    process, other = (start(Target, str(folder / "thrower"),
                            env={"LD_PRELOAD": allocator}).ready() for _ in range(2))
    # Two targets: the kernel has the session of one arm the returns of the other.
    watcher = agent("--pid", process.pid, "--pid", other.pid, "--alloc-interval", "1",
                    env={"PPROFD_UPROBES": way})
    process.send()
    assert process.truth() == {"caught": 100}
    assert process.wait() == 0
    other.send()
    assert other.truth() == {"caught": 100}
    watcher.stop()
