# SPDX-License-Identifier: Apache-2.0
"""What is left in a target when the agent is killed in the middle of its work there: nothing."""

import os
import shutil
import signal

import pytest

from harness import Agent, Process, Target, children, free_port, settled_sites, target_path, \
    wait_until
from memory import CODE, mapped_pages

KILLS = 8


class Probes:
    """The bytes of a process's code that probes stand in."""

    def __init__(self, start, pid):
        self.pid = pid
        self.unprobed = mapped_pages(pid, CODE)
        agent = start(Agent, "--pid", str(pid)).ready()
        probed = mapped_pages(pid, CODE)
        agent.stop()
        assert self.are_gone()
        self.bytes = {begin + i: code[i:i + 1] for (file, begin), code in self.unprobed.items()
                      for i in range(len(code)) if code[i] != probed[file, begin][i]}
        assert len(self.bytes) >= 4

    def are_gone(self):
        return mapped_pages(self.pid, CODE) == self.unprobed

    def wait_for_first(self, is_probed):
        """Until the first of them is so, without a pause."""
        memory = os.open(f"/proc/{self.pid}/mem", os.O_RDONLY)
        while all((os.pread(memory, 1, address) != byte) != is_probed
                  for address, byte in self.bytes.items()):
            pass
        os.close(memory)


@pytest.fixture
def probes(start):
    """Of a process that waits: one CPU is free to look on while the agent works on another."""
    return Probes(start, start(Target, "known-counts").ready().pid)


@pytest.fixture
def address():
    """One for agents that follow each other: who is killed has freed it."""
    return f"127.0.0.1:{free_port()}"


def test_a_kill_while_probes_are_placed_leaves_none(start, probes, address):
    for _ in range(KILLS):
        agent = start(Agent, "--pid", str(probes.pid), listen=address)
        probes.wait_for_first(is_probed=True)
        agent.kill()
        wait_until(probes.are_gone, 20, "the probes to go")


def test_a_kill_while_probes_are_removed_leaves_none(start, probes, address):
    for _ in range(KILLS):
        agent = start(Agent, "--pid", str(probes.pid), listen=address).ready()
        agent.signal(signal.SIGTERM)
        probes.wait_for_first(is_probed=False)
        agent.kill()
        wait_until(probes.are_gone, 20, "the probes to go")


def test_signals_to_the_agents_group_do_not_reach_the_keeper(start, probes):
    agent = start(Agent, "--pid", str(probes.pid)).ready()
    keeper = agent.keeper()
    assert os.getpgid(keeper) == keeper
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        os.kill(keeper, number)
    assert agent.keeper() == keeper
    agent.stop()
    assert not os.path.exists(f"/proc/{keeper}")
    assert probes.are_gone()


def test_an_agent_whose_keeper_is_killed_goes_on(start, probes, folder):
    agent = start(Agent, "--pid", str(probes.pid), "--name", "late", "--alloc-interval",
                  "1").ready()
    os.kill(agent.keeper(), signal.SIGKILL)
    late = shutil.copy(target_path("known-counts"), folder / "late")
    target = start(Target, str(late)).ready()
    wait_until(lambda: agent.metric("pprofd_targets") == 2, 20, "the target")
    wait_until(lambda: agent.get("/-/ready").status == 200, 20, "its probes")
    target.send()
    truth = target.truth()
    assert settled_sites(agent, truth, target.pid) == truth
    assert "was killed" in agent.stop()
    assert probes.are_gone()


def test_no_keeper_is_a_target(start):
    first = start(Agent, "--name", "none-such").ready()
    agent = start(Agent, "--name", "pprofd", "--name", "uprobe-keeper").ready()
    assert agent.get(f"/pid/{first.pid}/debug/pprof/").status == 200
    last = start(Agent, "--name", "none-such").ready()
    wait_until(lambda: agent.get(f"/pid/{last.pid}/debug/pprof/").status == 200, 20, "the last")
    for keeper in (first.keeper(), agent.keeper(), last.keeper()):
        assert agent.get(f"/pid/{keeper}/debug/pprof/").status == 404


def code_of(pid):
    """What each file's code looks like in a process."""
    return {file: code for (file, _), code in mapped_pages(pid, CODE).items()}


def test_a_command_that_ends_leaves_its_children_as_they_were(start):
    """They are copies of it, with the probes that it had."""
    agent = start(Agent, command=["sh", "-c", "(sleep 60; :) & read line; exit 0"])
    agent.ready()
    wait_until(lambda: agent.commands(), 20, "the command")
    parent, = agent.commands()
    child, = wait_until(lambda: children(parent), 20, "its child")
    sleeper, = wait_until(lambda: children(child), 20, "the child's")
    try:
        pristine = start(Process, ["sh", "-c", "read line"])
        wait_until(lambda: code_of(pristine.pid).keys() == code_of(child).keys(), 20, "its files")
        agent.stop_command()
        assert code_of(child) == code_of(pristine.pid)
    finally:
        os.kill(child, signal.SIGKILL)
        os.kill(sleeper, signal.SIGKILL)
