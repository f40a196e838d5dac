# SPDX-License-Identifier: Apache-2.0
"""Allocations and the live heap: exact at interval 1, near the truth at the default."""

import concurrent.futures
import platform
import time

import pytest

import pprof_check
from harness import Agent, HEAP_TYPES, Target, go_pprof, settled_sites, sites, target_path, \
    wait_until

RATE, SECONDS = "50000", "3"
# All events of such a run, should the agent get no CPU before it ends.
LARGE_RING = {"PPROFD_RING_BYTES": str(64 << 20)}
PRELOADS = ("libjemalloc.so.2", "libtcmalloc_minimal.so.4", "libmimalloc.so.2")


def assert_exact(agent, process):
    """Lets the target count; every count and byte must be found, and nothing lost."""
    process.send()
    truth = process.truth()
    assert sum(site["alloc_objects"] for site in truth.values()) > 100000
    assert settled_sites(agent, truth) == truth
    assert agent.lost() == 0


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize("program", ["known-counts", "static-musl"])
def test_every_count_is_exact_after_attaching(agent, target, program, threads):
    process = target(program, str(threads), RATE, SECONDS)
    watcher = agent("--pid", process.pid, "--alloc-interval", "1", env=LARGE_RING)
    assert_exact(watcher, process)
    watcher.stop()
    process.stop()


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize("program", ["known-counts", "static-musl"])
def test_every_count_of_a_command_is_exact(start, program, threads):
    command = [target_path(program), str(threads), RATE, SECONDS]
    watcher = start(Agent, "--alloc-interval", "1", command=command, env=LARGE_RING).ready()
    watcher.expect("ready")
    assert_exact(watcher, Steered(watcher))
    watcher.stop_command()


class Steered:
    """The command of an agent, steered over the stdin and stdout that it inherits."""

    def __init__(self, watcher):
        self.watcher = watcher

    def send(self):
        self.watcher.send()

    def truth(self):
        return Target.truth(self.watcher)


@pytest.mark.parametrize("mode", ["single", "multi"])
def test_every_count_is_exact_the_way_older_kernels_place_probes(agent, target, mode):
    release = tuple(int(part) for part in platform.release().split(".")[:2])
    if mode == "multi" and release < (6, 6):
        pytest.skip("this kernel has no uprobe_multi links")
    process = target("known-counts", "2", RATE, SECONDS)
    watcher = agent("--pid", process.pid, "--alloc-interval", "1",
                    env={"PPROFD_UPROBES": mode, **LARGE_RING})
    assert_exact(watcher, process)
    watcher.stop()
    process.stop()


@pytest.mark.parametrize("library", PRELOADS)
def test_every_count_is_exact_with_other_allocators(agent, target, library):
    process = target("known-counts", "2", RATE, SECONDS, env={"LD_PRELOAD": library})
    watcher = agent("--pid", process.pid, "--alloc-interval", "1", env=LARGE_RING)
    assert library.removeprefix("lib").split(".")[0].split("_")[0] in \
        watcher.get("/debug/pprof/").text
    assert_exact(watcher, process)
    watcher.stop()
    process.stop()


def test_a_command_misses_nothing_before_main(start):
    watcher = start(Agent, "--alloc-interval", "1", command=[target_path("early")]).ready()
    truth = Target.truth(watcher)
    assert settled_sites(watcher, truth) == truth
    watcher.stop_command()


@pytest.fixture(scope="module")
def shared_out():
    """The program shares, run once at the default interval, and what the agent saw of it."""
    process = Target("shares")
    watcher = None
    try:
        process.ready()
        watcher = Agent("--pid", str(process.pid)).ready()
        process.send()
        truth = process.truth(300)
        time.sleep(1)
        yield watcher, truth, watcher.profile("heap")
        watcher.stop()
    finally:
        for started in (watcher, process):
            if started:
                started.kill()


@pytest.mark.parametrize("value_type", HEAP_TYPES)
def test_large_sites_are_within_10_percent(shared_out, value_type):
    _, truth, profile = shared_out
    whole = sum(site["alloc_space"] for site in truth.values())
    found = sites(profile, truth)
    checked = 0
    for name, site in truth.items():
        if site["alloc_space"] <= whole * 0.05 or site[value_type] == 0:
            continue
        assert found[name][value_type] == pytest.approx(site[value_type], rel=0.1), name
        checked += 1
    assert checked


def test_a_site_that_frees_everything_has_nothing_in_use(shared_out):
    _, truth, profile = shared_out
    found = sites(profile, truth)
    for name in ("site_twenty_five", "site_fifteen", "site_eight"):
        assert found[name]["inuse_space"] == found[name]["inuse_objects"] == 0


def test_nothing_was_lost_at_the_default_interval(shared_out):
    assert shared_out[0].lost() == 0


def test_samples_carry_their_block_size(shared_out):
    _, _, profile = shared_out
    sizes = {int(value) for sample in profile.sample
             for key, value in pprof_check.labels(sample).items() if key == "bytes"}
    assert {100000, 4000, 1000, 32000, 500} <= sizes


def test_go_reads_the_text_form(shared_out):
    watcher, _, _ = shared_out
    raw = go_pprof(watcher.get("/debug/pprof/heap?debug=1").body, "-raw")
    assert "inuse_space/bytes" in raw.replace(" ", "")


def test_go_names_the_largest_site_first(shared_out):
    watcher, _, _ = shared_out
    top = go_pprof(watcher.get("/debug/pprof/allocs").body, "-top", "-cum", "-focus=site_")
    assert "Type: alloc_space" in top
    assert top.index("site_forty") < top.index("site_twenty_five") < top.index("site_fifteen")


def test_the_metrics_estimate_the_heap(shared_out):
    watcher, truth, _ = shared_out
    live = sum(site["inuse_space"] for site in truth.values())
    allocated = sum(site["alloc_space"] for site in truth.values())
    assert watcher.metric("pprofd_target_heap_inuse_bytes") == pytest.approx(live, rel=0.1)
    assert watcher.metric("pprofd_target_alloc_bytes_total") == pytest.approx(allocated, rel=0.1)


def test_a_difference_counts_its_span_alone(agent, target):
    process = target("known-counts", "1", "14000", "1")
    watcher = agent("--pid", process.pid, "--alloc-interval", "1")
    process.send()
    before = process.truth()
    with concurrent.futures.ThreadPoolExecutor() as pool:
        asked = pool.submit(watcher.profile, "heap", query="?seconds=10")
        wait_until(lambda: watcher.spans(10), 60, "the span to begin")
        process.send()
        after = process.truth()
        assert not asked.done()
        delta = asked.result()
    truth = {site: {kind: after[site][kind] - before[site][kind] for kind in HEAP_TYPES}
             for site in after}
    assert truth["site_malloc"]["alloc_objects"] == 1000
    assert sites(delta, truth) == truth
    watcher.stop()


def test_counters_only_grow(agent, target):
    process = target("known-counts", "2", "20000", "5")
    watcher = agent("--pid", process.pid, "--alloc-interval", "1")
    process.send()
    last = 0
    for _ in range(8):
        totals = pprof_check.cumulative(watcher.profile("allocs"), "alloc_space")
        assert totals.get("site_large", 0) >= last
        last = totals.get("site_large", 0)
        time.sleep(0.2)
    assert last > 0
    watcher.stop()
