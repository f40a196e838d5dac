# SPDX-License-Identifier: Apache-2.0
"""Where memory samples come from: the cheapest that the target has, or what --source says."""

import time

import pytest

from harness import BUILD, Agent, Target, settled_sites, wait_until
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


def test_a_target_is_as_it_was_after_the_agent(start, injected):
    target, agent = injected("churn")
    assert target.rate(1) > 0
    agent.stop()
    assert target.rate(1) > 0
    again = start(Agent, "--inject", "--pid", str(target.pid)).ready()
    wait_until(lambda: source(again) == {"sampler"}, 30, "the sampler to be in use again")
    again.kill()
    assert target.rate(1) > 0
    target.stop()


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
