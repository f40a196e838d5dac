# SPDX-License-Identifier: Apache-2.0
"""The budget: a target that its probes would slow down is sampled in slices of time, or not at all."""

import signal
import time

import pytest

from harness import Agent, Target, task_states, wait_until
from memory import CODE, mapped_pages
import pprof_check

BLOCK = 1000


@pytest.fixture
def churn(start):
    """Some 300,000 pairs a second and more: probed all the time, it would be half as fast."""
    target = start(Target, "churn", str(BLOCK), "1000").ready()
    return target


def slices(agent):
    return agent.metric("pprofd_target_probe_slices_total")


def allocated(agent, function="churn_pair"):
    return pprof_check.cumulative(agent.profile("allocs"), "alloc_space").get(function, 0)


def comments(agent):
    profile = agent.profile("heap")
    return "\n".join(profile.string_table[index] for index in profile.comment)


def test_an_expensive_target_is_sampled_in_slices(start, churn):
    agent = start(Agent, "--budget", "3", "--pid", str(churn.pid)).ready()
    wait_until(lambda: slices(agent) >= 10, 60, "slices")
    said = comments(agent)
    assert "budget: probes would cost more than 3 % of CPU time" in said
    assert "inuse_* is as of" in said and "--inject" in said
    assert "in slices of time" in agent.get("/debug/pprof/").text
    assert agent.lost() == 0


def test_the_cost_stays_within_the_budget(start, churn):
    agent = start(Agent, "--budget", "3", "--pid", str(churn.pid)).ready()
    wait_until(lambda: slices(agent) >= 5, 60, "slices")
    ratios = []
    for _ in range(20):
        ratios.append(agent.metric("pprofd_target_overhead_ratio"))
        time.sleep(0.5)
    # One second may hold one slice more than the next: the mean is what is promised.
    assert 0 < sum(ratios) / len(ratios) < 0.045, ratios


def at_the_end_of_a_slice(agent, churn):
    """What the profile says of the allocated bytes, and the truth, of one moment between slices."""
    while True:
        before = slices(agent)
        last = wait_until(lambda: max(slices(agent) - before, 0), 60, "a slice") + before
        churn.send()
        found, truth = allocated(agent), churn.truth()["pairs"] * BLOCK
        if slices(agent) == last:
            return found, truth


def test_what_slices_see_is_scaled_to_the_truth(start, churn):
    agent = start(Agent, "--budget", "3", "--alloc-interval", "16K", "--pid",
                  str(churn.pid)).ready()
    wait_until(lambda: slices(agent) >= 5, 60, "slices")
    # What was allocated since a slice is known at the end of the next.
    found, truth = at_the_end_of_a_slice(agent, churn)
    many = slices(agent) + 15
    wait_until(lambda: slices(agent) >= many, 300, "more slices")
    later_found, later_truth = at_the_end_of_a_slice(agent, churn)
    assert 0.7 < (later_found - found) / (later_truth - truth) < 1.4


def test_a_call_that_outlasts_its_slice_hides_no_later_ones(start):
    target = start(Target, "slow-calls").ready()
    agent = start(Agent, "--budget", "30", "--alloc-interval", "1K", "--pid",
                  str(target.pid)).ready()
    wait_until(lambda: slices(agent) >= 6, 60, "slices")
    before = allocated(agent, "call_allocator")
    wait_until(lambda: slices(agent) >= 12, 60, "more slices")
    assert allocated(agent, "call_allocator") > before


def test_live_blocks_stay_as_they_were_when_slices_began(start, churn):
    agent = start(Agent, "--budget", "3", "--alloc-interval", "16K", "--pid",
                  str(churn.pid)).ready()
    wait_until(lambda: slices(agent) >= 3, 60, "slices")
    profile = agent.profile("heap")
    live = pprof_check.cumulative(profile, "inuse_space").get("churn_pair", 0)
    allocated = pprof_check.cumulative(profile, "alloc_space")["churn_pair"]
    assert allocated > 50_000_000
    # The thread has one block at a time; a few that were freed as the probes went may be left.
    assert live < 4 * 16384


def test_no_budget_means_no_probes(start, churn):
    agent = start(Agent, "--budget", "0", "--pid", str(churn.pid)).ready()
    wait_until(lambda: "none since" in comments(agent), 20, "the probes to go")
    before = pprof_check.cumulative(agent.profile("allocs"), "alloc_space").get("churn_pair", 0)
    time.sleep(2)
    after = pprof_check.cumulative(agent.profile("allocs"), "alloc_space").get("churn_pair", 0)
    assert before == after
    assert slices(agent) == 0


def test_a_frugal_target_keeps_its_probes(start):
    """Each block is larger than the interval: no hit of these few goes unseen."""
    target = start(Target, "churn", "1000000", "1000000").ready()
    agent = start(Agent, "--budget", "3", "--pid", str(target.pid)).ready()
    wait_until(lambda: allocated(agent) >= 500 * 1000000, 60, "hits")
    time.sleep(2)
    assert slices(agent) == 0
    assert "budget" not in comments(agent)


def test_what_the_agent_allocates_to_measure_a_hit_is_not_lost(start):
    """At this interval its measuring child is sampled some hundred times."""
    target = start(Target, "churn", "1000000", "1000000").ready()
    agent = start(Agent, "--budget", "3", "--alloc-interval", "128", "--pid",
                  str(target.pid)).ready()
    wait_until(lambda: allocated(agent) > 0, 20, "allocations")
    assert agent.lost() == 0


def test_all_allocations_are_recorded_whatever_that_costs(start, churn):
    agent = start(Agent, "--alloc-interval", "1", "--pid", str(churn.pid), budget=False).ready()
    time.sleep(2)
    assert slices(agent) == 0
    assert "budget" not in comments(agent)


def stop_in_a_slice(agent, pid, unprobed):
    """Leaves the agent stopped while its probes are in the target's code."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if mapped_pages(pid, CODE) == unprobed:
            continue
        agent.signal(signal.SIGSTOP)
        wait_until(lambda: set(task_states(agent.pid)) == {"T"}, 20, "the agent to stop")
        if mapped_pages(pid, CODE) != unprobed:
            return
        agent.signal(signal.SIGCONT)
    raise AssertionError("no slice was seen")


def test_a_target_outlives_an_agent_that_dies_in_a_slice(start, churn):
    unprobed = mapped_pages(churn.pid, CODE)
    for _ in range(4):
        agent = start(Agent, "--budget", "3", "--pid", str(churn.pid)).ready()
        wait_until(lambda: slices(agent) >= 1, 60, "slices")
        stop_in_a_slice(agent, churn.pid, unprobed)
        agent.kill()
        wait_until(lambda: mapped_pages(churn.pid, CODE) == unprobed, 20, "the probes to go")
        churn.send()
        before = churn.truth()["pairs"]
        churn.send()
        assert churn.truth()["pairs"] >= before
    churn.skip_lines()
    assert int(churn.line()) > 0
