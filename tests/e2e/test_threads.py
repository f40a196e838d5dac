# SPDX-License-Identifier: Apache-2.0
"""Every thread's stack, state and creator, of running programs in several languages."""

import collections
import concurrent.futures
import contextlib
import pathlib
import re
import shutil
import signal
import subprocess
import time

import pytest

import goroutines
import pprof_check
from harness import Agent, Process, Target, go_pprof, sites, task_states, total, \
    wait_until

TARGETS = pathlib.Path(__file__).parent.parent / "targets"
OLDER = "[older than the agent's record]"
PYTHON = """
import os, select, socket, threading, time
ways = [threading.Event().wait, lambda: time.sleep(1e6), select.epoll().poll,
        lambda: os.read(os.pipe()[0], 1), socket.create_server(("127.0.0.1", 0)).accept]
for i in range(50):
    threading.Thread(target=ways[i % 5], daemon=True).start()
time.sleep(0.5)
print("ready", flush=True)
input()
"""


class Redis(Process):
    def __init__(self, folder):
        self.socket = folder / "redis.sock"
        super().__init__(["redis-server", "--port", "0", "--unixsocket", self.socket, "--save", ""])

    def ready(self):
        wait_until(self.socket.exists, 10, "redis-server")
        time.sleep(0.5)
        return self


def compiled(folder, *argv):
    subprocess.run([*argv, "-o", folder / "program"], check=True, capture_output=True)
    return folder / "program"


def start_program(name, folder):
    if name == "redis":
        return Redis(folder)
    if name == "python":
        return Target("/usr/bin/python3", "-c", PYTHON)
    if name == "java":
        return Target(shutil.which("java"), TARGETS / "Parked.java", "9")
    if name == "c++":
        return Target(compiled(folder, "g++", "-O2", "-g", TARGETS / "parked.cc"), "30")
    if name == "rust":
        return Target(compiled(folder, "rustc", "-O", TARGETS / "parked.rs"), "30")
    return Target("threads", "30")


# The least number of threads in each state.
PROGRAMS = {
    "c": {"futex wait": 10, "read": 11, "sleep": 10},
    "c++": {"futex wait": 20, "sleep": 10, "read": 1},
    "rust": {"futex wait": 20, "sleep": 10, "read": 1},
    "python": {"futex wait": 10, "sleep": 10, "epoll": 10, "read": 11, "accept": 10},
    "redis": {"futex wait": 3},
    "java": {"futex wait": 9, "read": 1},
}
NEEDED = {"java": "java", "redis": "redis-server", "rust": "rustc", "c++": "g++"}


@pytest.fixture(scope="module", params=PROGRAMS)
def program(request, tmp_path_factory):
    """(name, process, agent) for each program, whose threads are all blocked."""
    name = request.param
    if name in NEEDED and not shutil.which(NEEDED[name]):
        pytest.skip(f"there is no {NEEDED[name]}")
    with contextlib.ExitStack() as stack:
        process = start_program(name, tmp_path_factory.mktemp("program"))
        stack.callback(process.kill)
        process.ready()
        agent = Agent("--pid", process.pid)
        stack.callback(agent.kill)
        yield name, process, agent.ready()
        agent.stop()


def dump(agent, pid, kind="goroutine"):
    answer = agent.get(f"/pid/{pid}/debug/pprof/{kind}?debug=2")
    assert answer.status == 200, answer.text
    return goroutines.parse(answer.text)


def thread_labels(agent, pid):
    """tid -> (name, state)."""
    found = {}
    for sample in agent.profile("threads", pid).sample:
        labels = pprof_check.labels(sample)
        assert set(labels) == {"tid", "thread", "state"} and list(sample.value) == [1]
        found[int(labels["tid"])] = labels["thread"], labels["state"]
    return found


@pytest.fixture
def served(agent, target):
    """served(NAME, ARG...): a program of tests/targets and an agent on it."""
    def make(*args):
        process = target(*args)
        return process, agent("--pid", process.pid)
    return make


def test_every_thread_is_listed_with_its_state(program):
    name, process, agent = program
    listed = dump(agent, process.pid)
    assert set(listed) == goroutines.tids(process.pid)
    states = collections.Counter(one.state for one in listed.values())
    assert all(states[state] >= least for state, least in PROGRAMS[name].items()), states
    for tid, one in listed.items():
        assert one.minutes == 0
        assert one.created_by == (None if tid == process.pid else OLDER) and one.creator is None


def test_labels_are_what_proc_says(program):
    _, process, agent = program
    labels = thread_labels(agent, process.pid)
    assert {tid: name for tid, (name, _) in labels.items()} == \
        {tid: goroutines.comm(process.pid, tid) for tid in goroutines.tids(process.pid)}


def test_equal_stacks_are_one_sample_in_all_forms(program):
    _, process, agent = program
    count = len(goroutines.tids(process.pid))
    answer = agent.get(f"/pid/{process.pid}/debug/pprof/goroutine")
    profile = pprof_check.load(answer.body)
    pprof_check.check_invariants(profile)
    assert total(profile, "goroutine") == count
    assert len({tuple(sample.location_id) for sample in profile.sample}) == len(profile.sample)
    assert not any(sample.label for sample in profile.sample)
    assert "Type: goroutine" in go_pprof(answer.body, "-top")
    text = agent.get(f"/pid/{process.pid}/debug/pprof/goroutine?debug=1").text
    assert text.splitlines()[0] == f"goroutine profile: total {count}"
    assert sum(map(int, re.findall(r"^(\d+) @(?: 0x[0-9a-f]+)+$", text, re.M))) == count


def test_stacks_are_those_of_gdb(program):
    """Of the threads that stand still; some of a runtime's own wake several times a second."""
    name, process, agent = program
    mappings = goroutines.file_mappings(process.pid)
    waits = goroutines.waits(process.pid)
    before = goroutines.profile_frames(agent.profile("threads", process.pid))
    time.sleep(1.1)
    still = {tid for tid, count in goroutines.waits(process.pid).items() if waits[tid] == count}
    theirs = goroutines.gdb_frames(process.pid)
    after = goroutines.profile_frames(agent.profile("threads", process.pid))
    assert set(before) == set(theirs) == set(after)
    still = {tid for tid in still if before[tid] == after[tid]}
    assert len(still) >= sum(PROGRAMS[name].values())
    different = [(before[tid], theirs[tid]) for tid in still
                 if goroutines.native(before[tid], mappings)
                 != goroutines.native(theirs[tid], mappings)]
    assert not different, different


def test_a_leak_shows_its_stacks_and_its_creator(served):
    process, watcher = served("threads", "12")
    old = goroutines.tids(process.pid)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        asked = [pool.submit(watcher.profile, kind, process.pid, "?seconds=2")
                 for kind in ("goroutine", "threads", "threadcreate")]
        time.sleep(1)
        process.send("grow 7")
        grown, threads, made = (answer.result() for answer in asked)
    new = goroutines.tids(process.pid) - old
    assert len(new) == 7
    assert total(grown, "goroutine") == 7
    assert pprof_check.cumulative(grown, "goroutine")["wait_for_byte"] == 7
    assert {int(pprof_check.labels(sample)["tid"]) for sample in threads.sample
            if "wait_for_byte" in pprof_check.stack(sample)} == new
    assert sites(made, ["leak_threads"], ["threadcreate"]) == {"leak_threads": {"threadcreate": 7}}
    assert total(made, "threadcreate") == 7
    assert total(watcher.profile("threadcreate", process.pid), "threadcreate") == 7

    for tid, one in dump(watcher, process.pid).items():
        if tid in new:
            assert (one.created_by, one.creator) == ("start", process.pid)
            assert one.ancestor[:3] == ["start", "leak_threads", "main"]
        else:
            assert one.created_by == (None if tid == process.pid else OLDER)
    labels = {"pid": process.pid}
    assert watcher.metric("pprofd_target_threads", **labels) == len(old) + 7
    assert watcher.metric("pprofd_target_threads_created_total", **labels) == 7
    assert watcher.metric("pprofd_target_threads_ended_total", **labels) == 0
    watcher.stop()


def test_a_static_program_started_by_the_agent_has_all_creators(start, tmp_path):
    path = compiled(tmp_path, "gcc", "-static", "-D_GNU_SOURCE", "-O1", "-g", "-fno-inline",
                    TARGETS / "threads.c")
    watcher = start(Agent, command=[path, "5"]).ready()
    pid = wait_until(lambda: re.findall(r"/pid/(\d+)/", watcher.get("/debug/pprof/").text), 10,
                     "the command")[0]
    wait_until(lambda: len(goroutines.tids(pid)) == 7, 10, "its threads")
    listed = dump(watcher, pid)
    assert {one.creator for one in listed.values()} == {None, int(pid)}
    assert collections.Counter(one.created_by for one in listed.values()) == {"start": 6, None: 1}
    watcher.stop_command()


def test_a_thread_that_spins_is_caught(served):
    process, watcher = served("odd-threads", "spin")
    spinner, = goroutines.tids(process.pid) - {process.pid}

    def is_running():
        """Now and then it waits for a CPU."""
        one = dump(watcher, process.pid, "threads")[spinner]
        assert one.frames[0] == "spin_here", one.frames
        return one.state == "running"

    wait_until(is_running, 20, "a CPU for it")
    assert thread_labels(watcher, process.pid)[spinner][0] == "spinner"
    watcher.stop()


def test_a_leader_that_ended_is_a_zombie_among_the_living(served):
    process, watcher = served("odd-threads", "leader")
    process.send()
    heir, = wait_until(lambda: goroutines.tids(process.pid) - {process.pid}, 10, "the heir")
    wait_until(lambda: dump(watcher, process.pid)[process.pid].state == "zombie", 10, "the end")
    time.sleep(2)  # the mappings are read again meanwhile
    listed = dump(watcher, process.pid)
    assert listed[process.pid].frames == ["[no stack]"]
    assert listed[heir].state == "read" and "outlive_leader" in listed[heir].frames
    process.close_stdin()
    assert process.wait() == 0
    watcher.stop()


def test_uninterruptible_and_stackless_threads_do_no_harm(served):
    process, watcher = served("odd-threads", "vfork")
    one, = dump(watcher, process.pid).values()
    assert one.state == "wait for child" and one.frames[0] == "vfork"
    watcher.stop()
    process, watcher = served("odd-threads", "unmapped")
    one, = (one for tid, one in dump(watcher, process.pid).items() if tid != process.pid)
    assert one.state == "signal wait" and one.frames[0] == "wait_without_stack"
    assert watcher.metric("pprofd_stacks_total", kind="threads", end="read_fault") >= 1
    assert any("read_fault" in text for text in
               pprof_check.comments(watcher.profile("threads", process.pid)))
    watcher.stop()


def test_a_process_that_nobody_reaps_is_no_target(agent, target):
    parent = target("odd-threads", "zombie")
    pid = parent.truth()["pid"]
    watcher = agent("--pid", pid)
    assert len(dump(watcher, pid)) == 1
    parent.send()
    wait_until(lambda: watcher.metric("pprofd_targets") == 0, 10, "the end")
    assert "zombie" in pathlib.Path(f"/proc/{pid}/status").read_text()
    answer = watcher.get(f"/pid/{pid}/debug/pprof/goroutine", timeout=5)
    assert answer.status == 501 and "has ended" in answer.text
    watcher.stop()
    watcher = agent("--pid", pid)
    assert watcher.get(f"/pid/{pid}/debug/pprof/goroutine", timeout=5).status == 404
    watcher.stop()


def test_a_storm_of_threads_hides_none_that_stay(served):
    process, watcher = served("thread-storm", "5000", "5")
    process.send()
    count = made = 0
    while count < 10 or made < 10000:
        listed = dump(watcher, process.pid)
        steady = [one for one in listed.values() if "stay" in one.frames]
        assert len(steady) == 5 and {one.state for one in steady} == {"signal wait"}
        assert {one.created_by for one in listed.values()} <= {None, OLDER, "main", "make_thread"}
        count += 1
        process.send()
        made = process.truth()["made"]
    labels = {"pid": process.pid}
    lost = watcher.lost(kind="threadcreate")
    seen = wait_until(lambda: watcher.metric("pprofd_target_threads_created_total", **labels)
                      >= made - 5 - lost and
                      watcher.metric("pprofd_target_threads_created_total", **labels), 10, "them")
    assert seen >= made - 5 - lost
    ended = watcher.metric("pprofd_target_threads_ended_total", **labels)
    assert ended >= 0.9 * (made - lost)
    watcher.stop()


@contextlib.contextmanager
def stopped(process):
    process.signal(signal.SIGSTOP)
    wait_until(lambda: all(state == "T" for state in task_states(process.pid)), 10, "the stop")
    yield "stopped"
    process.signal(signal.SIGCONT)


@contextlib.contextmanager
def traced(process):
    """By gdb, which waits for a line that never comes."""
    tracer = Process(["gdb", "-nx", "-q", "-iex", "set debuginfod enabled off", "-p", process.pid])
    wait_until(lambda: all(state == "t" for state in task_states(process.pid)), 60, "gdb")
    yield "traced"
    tracer.close_stdin()
    tracer.wait(30)


@pytest.mark.parametrize("hold", [stopped, traced])
def test_a_process_that_is_held_shows_its_stacks(served, hold):
    process, watcher = served("threads", "9")
    before = dump(watcher, process.pid)
    with hold(process) as state:
        held = dump(watcher, process.pid)
        assert {one.state for one in held.values()} == {state}
    assert {tid: one.frames for tid, one in held.items()} == \
        {tid: one.frames for tid, one in before.items()}
    wait_until(lambda: "read" in {one.state for one in dump(watcher, process.pid).values()}, 10,
               "it to go on")
    watcher.stop()


def test_dumps_at_once_agree_and_share_walks(served):
    process, watcher = served("threads", "1000")
    ends = {"kind": "threads", "end": "complete"}
    watcher.profile("goroutine", process.pid)
    before = watcher.metric("pprofd_stacks_total", **ends)
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: watcher.get("/debug/pprof/goroutine"), range(20)))
    assert watcher.metric("pprofd_stacks_total", **ends) - before < 20 * 1000
    assert {answer.status for answer in answers} == {200}
    for profile in map(pprof_check.load, (answer.body for answer in answers)):
        assert total(profile, "goroutine") == 1002
        counts = pprof_check.cumulative(profile, "goroutine")
        assert [counts[name] for name in ("wait_for_lock", "wait_for_byte", "wait_for_time")] == \
            [334, 333, 333]
    watcher.stop()


def test_a_target_that_is_killed_meanwhile_is_no_harm(served):
    process, watcher = served("threads", "500")
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(watcher.get, f"/debug/pprof/{kind}", timeout=20)
                 for kind in ("goroutine", "goroutine?debug=2", "threads", "goroutine?seconds=1")
                 for _ in range(20)]
        time.sleep(0.05)
        process.signal(signal.SIGKILL)
        statuses = {answer.result().status for answer in asked}
    assert statuses <= {200, 404, 501, 503}, statuses
    assert watcher.get("/-/healthy").status == 200
    watcher.stop()


def test_disabled_threads_say_how_to_enable_them(agent, target):
    process = target("threads", "3")
    watcher = agent("--pid", process.pid, "--disable", "threads")
    for kind in ("goroutine", "goroutine?debug=2", "threads", "threadcreate"):
        answer = watcher.get(f"/debug/pprof/{kind}")
        assert answer.status == 501 and "--enable threads" in answer.text
    names = {name for name, _ in watcher.metrics()}
    assert "pprofd_target_threads" in names
    assert not names & {"pprofd_target_threads_created_total", "pprofd_target_threads_ended_total"}
    watcher.stop()


def test_the_target_is_not_stopped_for_a_dump(served):
    """A thread that is stopped while it waits would wake for that, and then wait anew."""
    process, watcher = served("threads", "300")
    before = goroutines.waits(process.pid)
    for _ in range(20):
        assert len(dump(watcher, process.pid)) == len(before)
        assert not {"t", "T"} & set(task_states(process.pid))
    after = goroutines.waits(process.pid)
    assert len([tid for tid, count in before.items() if after[tid] != count]) <= 1  # the heartbeat
    watcher.stop()
