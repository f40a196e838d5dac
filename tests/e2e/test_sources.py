# SPDX-License-Identifier: Apache-2.0
"""Where memory samples come from: the cheapest that the target has, or what --source says."""

import re
import subprocess
import time

import pytest

from harness import BUILD, Agent, Target, settled_sites, wait_until
from memory import CODE, READ_ONLY, mapped_pages
import pprof_check

SAMPLER = str(BUILD / "libpprofd.so")


def source(agent):
    return {dict(pairs)["source"] for (name, pairs), value in agent.metrics().items()
            if name == "pprofd_target_source" and value == 1}


def comments(agent, kind="heap"):
    profile = agent.profile(kind)
    return "\n".join(profile.string_table[index] for index in profile.comment)


def preloaded(start, name, *args, interval="1"):
    return start(Target, name, *args,
                 env={"LD_PRELOAD": SAMPLER, "PPROFD_ALLOC_INTERVAL": interval}).ready()


def test_a_preloaded_sampler_is_used_without_being_asked_for(start):
    target = preloaded(start, "known-counts")
    agent = start(Agent, "--pid", str(target.pid)).ready()
    assert source(agent) == {"sampler"}
    target.send()
    truth = target.truth()
    assert settled_sites(agent, truth) == truth
    assert "source: sampler" in comments(agent)
    assert agent.lost() == 0


def test_probes_are_used_where_they_are_asked_for(start):
    target = preloaded(start, "known-counts")
    agent = start(Agent, "--alloc-interval", "1", "--source", "probes", "--pid",
                  str(target.pid)).ready()
    assert source(agent) == {"probes"}


# An allocator that is called by a name of its own, as redis and Rust programs have them.
PREFIXED = r"""
#include <stdio.h>
#include <stdlib.h>
static char arena[1 << 20];
static size_t used;
__attribute__((noinline)) void *je_malloc(size_t size)
{
	void *block = arena + used;
	used += (size + 15) & ~15UL;
	return block;
}
__attribute__((noinline)) void je_free(void *block) { *(volatile char *)block = 0; }
static void *volatile kept[100];
__attribute__((noinline)) void site_prefixed(int i) { kept[i] = je_malloc(100); }
__attribute__((noinline)) void site_plain(int i) { kept[i] = malloc(200); }
int main(void)
{
	puts("ready");
	fflush(stdout);
	getchar();
	for (int i = 0; i < 100; i++)
		site_prefixed(i);
	for (int i = 0; i < 40; i++)
		je_free(kept[i]);
	for (int i = 0; i < 50; i++)
		site_plain(i);
	puts("{\"site_prefixed\": {\"alloc_objects\": 100, \"alloc_space\": 10000, "
	     "\"inuse_objects\": 60, \"inuse_space\": 6000}, "
	     "\"site_plain\": {\"alloc_objects\": 50, \"alloc_space\": 10000, "
	     "\"inuse_objects\": 50, \"inuse_space\": 10000}}");
	fflush(stdout);
	while (getchar() != EOF)
		;
	return 0;
}
"""


@pytest.fixture
def prefixed(folder):
    (folder / "prefixed.c").write_text(PREFIXED)
    subprocess.run(["gcc", "-O1", "-fno-builtin", "-fno-optimize-sibling-calls", "-o",
                    folder / "prefixed", folder / "prefixed.c"], check=True)
    return str(folder / "prefixed")


@pytest.mark.parametrize("way", ["preload", "inject"])
def test_a_prefixed_allocator_is_probed_beside_the_sampler(start, prefixed, way):
    env = {"LD_PRELOAD": SAMPLER, "PPROFD_ALLOC_INTERVAL": "1"} if way == "preload" else {}
    options = () if way == "preload" else ("--inject",)
    target = start(Target, prefixed, env=env).ready()
    agent = start(Agent, *options, "--alloc-interval", "1", "--pid", str(target.pid)).ready()
    wait_until(lambda: source(agent) == {"sampler,probes"}, 30, "both sources")
    target.send()
    truth = target.truth()
    assert settled_sites(agent, truth) == truth


def test_what_is_not_allowed_is_not_used(start):
    target = preloaded(start, "known-counts")
    agent = start(Agent, "--source", "go", "--pid", str(target.pid)).ready()
    assert source(agent) == set()
    answer = agent.get("/debug/pprof/heap")
    assert answer.status == 501 and str(target.pid) in answer.text


@pytest.fixture
def injected(start):
    """injected(NAME, ...): a target that runs without the sampler, and an agent that loads it."""
    def make(name, *args, options=()):
        target = start(Target, name, *args).ready()
        agent = start(Agent, "--inject", *options, "--pid", str(target.pid)).ready()
        wait_until(lambda: source(agent) == {"sampler"}, 30, "the sampler to be in use")
        return target, agent
    return make


def test_an_injected_sampler_counts_as_probes_do(injected):
    target, agent = injected("known-counts", options=("--alloc-interval", "1"))
    target.send()
    truth = target.truth()
    found = settled_sites(agent, truth)
    assert found == truth
    assert "source: sampler" in comments(agent)


def test_a_target_is_as_it_was_after_the_agent(start):
    target = start(Target, "churn").ready()

    def pages():
        return [mapped_pages(target.pid, kind) for kind in (READ_ONLY, CODE)]

    before = pages()
    agent = start(Agent, "--inject", "--pid", str(target.pid)).ready()
    wait_until(lambda: source(agent) == {"sampler"}, 30, "the sampler to be in use")
    assert pages() != before
    assert target.rate(1) > 0
    agent.stop()
    assert pages() == before
    assert target.rate(1) > 0
    again = start(Agent, "--inject", "--pid", str(target.pid)).ready()
    wait_until(lambda: source(again) == {"sampler"}, 30, "the sampler to be in use again")
    again.kill()
    # Who is killed leads no call back, but neither does a probe stay.
    wait_until(lambda: pages()[1] == before[1], 10, "the code as it was")
    assert target.rate(1) > 0
    target.stop()


@pytest.mark.parametrize("end", [Agent.stop, Agent.kill])
def test_an_agent_that_does_not_inject_sees_what_comes_after_one_that_did(start, injected, end):
    """Ended, the first one leaves its library idle; killed, it leaves it at work."""
    target, first = injected("known-counts", options=("--alloc-interval", "1"))
    end(first)
    agent = start(Agent, "--alloc-interval", "1", "--pid", str(target.pid)).ready()
    assert source(agent) == ({"probes"} if end == Agent.stop else {"sampler"})
    target.send()
    truth = target.truth()
    assert settled_sites(agent, truth) == truth


def test_a_set_that_is_full_is_told(start):
    """Of blocks that are never freed the sampler can remember 2^20."""
    target = preloaded(start, "hoarder", "1200000")
    agent = start(Agent, "--pid", str(target.pid)).ready()
    wait_until(lambda: "no room in the sampler's set" in comments(agent), 30, "the comment")
    untracked = int(re.search(r"(\d+) samples found no room in the sampler", comments(agent))[1])
    assert 1200000 - 2 ** 20 <= untracked < 1200000
    assert "at least" in agent.get("/debug/pprof/").text


def test_an_injected_sampler_needs_no_budget(injected):
    target, agent = injected("churn", "1000", "1000", options=("--budget", "3"))
    time.sleep(2)
    before = agent.metric("pprofd_target_probe_slices_total")
    time.sleep(3)
    assert agent.metric("pprofd_target_probe_slices_total") == before
    assert "budget" not in comments(agent)
    assert pprof_check.cumulative(agent.profile("heap"), "alloc_space")["churn_pair"] > 0


def test_what_cannot_be_injected_keeps_its_probes(start):
    target = start(Target, "static-musl").ready()
    agent = start(Agent, "--inject", "--alloc-interval", "1", "--pid", str(target.pid)).ready()
    wait_until(lambda: "no sampler was injected" in comments(agent), 40, "a refusal")
    assert source(agent) == {"probes"}
    target.send()
    truth = target.truth()
    assert settled_sites(agent, truth) == truth
