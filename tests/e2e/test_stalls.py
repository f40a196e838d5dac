# SPDX-License-Identifier: Apache-2.0
"""Why programs stand still: block, mutex and pauses against what the program or kernel measured."""

import glob
import json
import math
import os
import pathlib
import re
import resource
import shutil
import signal
import subprocess
import time

import pytest

import cgroups
import pprof_check
from harness import Agent, Target, sites, target_path, total, wait_until
from tracefs import Trace

TARGETS = pathlib.Path(__file__).parent.parent / "targets"
OURS = ("--disable", "alloc,heap,cpu,threads")
TYPES = ("contentions", "delay")
LOCKS = ("wait_for_mutex", "wait_for_reading", "wait_for_writing")
STATES = {"wait_for_byte": "read", "wait_for_time": "sleep", "wait_for_condition": "futex",
          "wait_for_epoll": "epoll", "wait_for_mutex": "futex", "wait_for_reading": "futex",
          "wait_for_writing": "futex", "wait_for_join": "futex"}


def by_cause(profile, value_type="delay"):
    index = pprof_check.value_index(profile, value_type)
    sums = {}
    for sample in profile.sample:
        cause = pprof_check.labels(sample)["cause"]
        sums[cause] = sums.get(cause, 0) + sample.value[index]
    return sums


def near(part, absolute=0):
    return lambda truth: pytest.approx(truth, rel=part, abs=absolute)


def assert_waits(profile, truth, names, part=0.1):
    found = sites(profile, names, TYPES)
    for name in names:
        assert found[name]["delay"] == near(part)(truth[name]["ns"]), (name, found, truth)
        assert found[name]["contentions"] == near(part)(truth[name]["count"]), (name, found)


@pytest.fixture(scope="module")
def waited():
    """An agent on stalls, whose waits are over, and what it measured itself."""
    process = Target("stalls", "waits")
    agent = None
    try:
        process.ready()
        agent = Agent("--pid", process.pid, *OURS).ready()
        process.send()
        truth = process.truth()
        time.sleep(0.3)
        yield agent, truth
        agent.stop()
    finally:
        process.kill()
        if agent:
            agent.kill()


def test_block_is_what_the_program_measured(waited):
    agent, truth = waited
    profile = agent.profile("block")
    assert_waits(profile, truth, STATES)
    for sample in profile.sample:
        for name in set(pprof_check.stack(sample)) & set(STATES):
            assert pprof_check.labels(sample) == {"state": STATES[name]}


def test_mutex_is_the_waits_for_locks_alone(waited):
    agent, truth = waited
    profile = agent.profile("mutex")
    assert_waits(profile, truth, LOCKS)
    assert total(profile, "delay") == near(0.1)(sum(truth[name]["ns"] for name in LOCKS))
    assert not any(pprof_check.labels(sample) for sample in profile.sample)


def test_the_numbers_say_how_they_came_about(waited):
    agent, _ = waited
    for kind in ("block", "mutex", "pauses"):
        text = "\n".join(pprof_check.comments(agent.profile(kind)))
        assert "source: tracepoint" in text and "sampling: " in text, text
        assert ("threshold: waits for a CPU (run_queue) of less than 1000 us" in text) == \
            (kind == "pauses")
    assert agent.lost() == 0
    stacks = agent.metric("pprofd_stacks_total", kind="block")
    assert agent.metric("pprofd_stacks_total", kind="block", end="complete") >= 0.99 * stacks > 0


def test_the_text_form_is_gos(waited):
    agent, _ = waited
    block = agent.get("/debug/pprof/block?debug=1").text
    assert block.startswith("--- contention:\ncycles/second=1000000000\n")
    assert re.search(r"^\d+ \d+ @( 0x[0-9a-f]+)+$", block, re.M)
    assert "\twait_for_time+0x" in block
    mutex = agent.get("/debug/pprof/mutex?debug=1").text
    assert mutex.startswith("--- mutex:\ncycles/second=1000000000\nsampling period=1\n")


def test_locks_are_labelled_where_asked_for(target, agent):
    process = target("stalls", "waits", "30")
    watcher = agent("--pid", process.pid, "--lock-labels", *OURS)
    process.send()
    process.truth()
    time.sleep(0.3)
    mutex = watcher.profile("mutex")
    locks = {name: set() for name in LOCKS}
    for sample in mutex.sample:
        for name in set(pprof_check.stack(sample)) & set(LOCKS):
            locks[name].add(int(pprof_check.labels(sample)["lock"], 16))
    stack = next(line for line in pathlib.Path(f"/proc/{process.pid}/maps").read_text().split("\n")
                 if line.endswith("[stack]"))
    low, high = (int(word, 16) for word in stack.split()[0].split("-"))
    for name in LOCKS:  # where the program has its locks; a rwlock has several futexes
        assert locks[name] and all(low <= lock < high for lock in locks[name]), (name, locks)
    assert not locks["wait_for_mutex"] & (locks["wait_for_reading"] | locks["wait_for_writing"])
    assert not any("lock" in pprof_check.labels(sample)
                   for sample in watcher.profile("block").sample)
    watcher.stop()
    process.stop()


def test_seconds_is_the_difference(target, agent):
    process = target("stalls", "waits", "40")
    watcher = agent("--pid", process.pid, *OURS)
    process.send()
    process.truth()
    assert sites(watcher.profile("block"), ["wait_for_time"], TYPES)["wait_for_time"]["delay"] > 0
    later = watcher.profile("block", query="?seconds=1")
    assert sites(later, STATES, TYPES) == {name: dict.fromkeys(TYPES, 0) for name in STATES}
    watcher.stop()
    process.stop()


def nap_often(target, agent):
    """(truth, found, sampled) of a program's short naps."""
    process = target("stalls", "fast", "10000")
    watcher = agent("--pid", process.pid, *OURS)
    process.send()
    truth = process.truth()
    time.sleep(0.3)
    found = sites(watcher.profile("block"), truth, TYPES)
    sampled = watcher.metric("pprofd_stacks_total", kind="block")
    watcher.stop()
    process.stop()
    return truth, found, sampled


def added(truth, key):
    return sum(site[key] for site in truth.values())


def test_many_short_waits_are_sampled_without_bias(target, agent):
    """Where the machine held the program up, a few naps were so long that samples tell nothing."""
    for _ in range(6):
        truth, found, sampled = nap_often(target, agent)
        sigma = math.sqrt(added(truth, "count") / sampled * added(truth, "squares"))
        if 4.5 * sigma < 0.15 * added(truth, "ns"):
            break
    else:
        pytest.fail(f"of six runs none was calm: {truth}")
    for name in truth:
        assert found[name]["contentions"] == near(0.1)(truth[name]["count"]), (found, truth)
    # Between readings of the clock there is also the work of the program itself.
    assert sum(site["delay"] for site in found.values()) == near(0.15)(added(truth, "ns")), \
        (found, truth)
    assert sampled < added(truth, "count") / 5


def compile_or_skip(folder, compiler, *argv):
    if not shutil.which(compiler):
        pytest.skip(f"there is no {compiler}")
    subprocess.run([compiler, *argv, "-o", folder / "program"], check=True, capture_output=True)
    return folder / "program"


def waits_of(path, args, target, agent):
    """(the truth, the profile mutex) of a program that waits."""
    process = target(str(path), *args)
    watcher = agent("--pid", process.pid, *OURS)
    process.send()
    truth = process.truth()
    time.sleep(0.3)
    mutex = watcher.profile("mutex")
    watcher.stop()
    process.stop()
    return truth, mutex


def test_locks_of_musl(folder, target, agent):
    path = compile_or_skip(folder, "musl-gcc", "-static", "-std=gnu17", "-O1", "-g",
                           "-D_GNU_SOURCE", TARGETS / "stalls.c")
    truth, mutex = waits_of(path, ("waits", "50"), target, agent)
    # Its system calls have neither unwind tables nor frame pointers: the totals have to do.
    assert total(mutex, "contentions") == near(0.1)(sum(truth[name]["count"] for name in LOCKS))
    assert total(mutex, "delay") == near(0.1)(sum(truth[name]["ns"] for name in LOCKS))


def test_locks_of_rust(folder, target, agent):
    path = compile_or_skip(folder, "rustc", "-O", "-g", TARGETS / "locks.rs")
    truth, mutex = waits_of(path, (), target, agent)
    found = {name: sum(sample.value[1] for sample in mutex.sample
                       if any(name in frame for frame in pprof_check.stack(sample)))
             for name in truth}
    for name in ("wait_for_mutex", "wait_for_reading"):
        assert found[name] == near(0.1)(truth[name]["ns"]), (found, truth)
    # The condition's counter never has a lock's value, since nobody notifies.
    assert found["wait_for_condition"] == 0


def test_two_spinners_on_one_cpu_wait_in_its_queue(target, agent):
    def kernels_figure():
        return sum(int(pathlib.Path(path).read_text().split()[1])
                   for path in glob.glob(f"/proc/{process.pid}/task/*/schedstat"))

    process = target("stalls", "spin", "2", prefix=("taskset", "-c", "0"))
    watcher = agent("--pid", process.pid, *OURS)
    process.send()
    time.sleep(0.3)
    watcher.profile("pauses")
    before, kernel_before = by_cause(watcher.profile("pauses")), kernels_figure()
    time.sleep(5)
    kernel_after, profile = kernels_figure(), watcher.profile("pauses")
    ours = by_cause(profile)["run_queue"] - before.get("run_queue", 0)
    assert ours == near(0.15)(kernel_after - kernel_before)
    assert sites(profile, ["spin_here"], ("delay",))["spin_here"]["delay"] > 0.9 * ours
    watcher.stop()
    process.kill()


@pytest.mark.skipif(not cgroups.find("cpu"), reason="no cgroup with the cpu controller")
def test_a_group_beyond_its_share_is_throttled(target, agent):
    process = target("stalls", "spin", "1")
    watcher = agent("--pid", process.pid, *OURS)
    with cgroups.Group("cpu") as group:
        group.limit_cpu(20)
        group.add(process.pid)
        process.send()
        time.sleep(0.5)
        watcher.profile("pauses")
        before, kernel_before = by_cause(watcher.profile("pauses")), group.throttled_ns()
        time.sleep(6)
        kernel_after, after = group.throttled_ns(), by_cause(watcher.profile("pauses"))
        process.kill()
    ours = after["throttled"] - before.get("throttled", 0)
    assert ours == near(0.15)(kernel_after - kernel_before)
    watcher.stop()


def halted(watcher, halt, resume):
    """Ten halts of 100 ms; by which cause they came, and how long they were altogether."""
    before = by_cause(watcher.profile("pauses")), by_cause(watcher.profile("pauses"), "pauses")
    truth = 0
    for _ in range(10):
        begin = time.monotonic_ns()
        halt()
        time.sleep(0.1)
        resume()
        truth += time.monotonic_ns() - begin
        time.sleep(0.1)
    after = by_cause(watcher.profile("pauses")), by_cause(watcher.profile("pauses"), "pauses")
    return before, after, truth


def test_stops_by_signals_are_pauses(target, agent):
    process = target("stalls", "spin", "1")  # two threads: the first one reads
    watcher = agent("--pid", process.pid, *OURS)
    process.send()
    time.sleep(0.3)
    before, after, truth = halted(watcher, lambda: process.signal(signal.SIGSTOP),
                                  lambda: process.signal(signal.SIGCONT))
    assert "stopped" not in before[0] and after[1]["stopped"] == 20
    assert after[0]["stopped"] == near(0.1)(2 * truth)
    text = watcher.get("/debug/pprof/pauses?debug=1").text
    lines = [line.split("\t")[1:] for line in text.splitlines() if line.startswith("#\t20")]
    stops = [line for line in lines if line[2] == "stopped"]
    assert len(stops) == 20 and lines == sorted(lines)
    assert sum(float(line[1]) for line in stops) == pytest.approx(after[0]["stopped"] / 1e9,
                                                                 abs=1e-4)
    assert sum(line[5].startswith("spin_here ") for line in stops) == 10
    assert all(line[4] == str(process.pid) for line in lines)
    labels = {"pid": process.pid, "comm": "stalls", "cause": "stopped"}
    assert watcher.metric("pprofd_pause_seconds_count", **labels) == 20
    for bound in ("0.05", "0.1", "0.25"):
        assert watcher.metric("pprofd_pause_seconds_bucket", le=bound, **labels) == \
            sum(float(line[1]) <= float(bound) for line in stops)
    assert watcher.metric("pprofd_pause_seconds_bucket", le="+Inf", **labels) == 20
    assert watcher.metric("pprofd_pause_seconds_sum", **labels) == \
        pytest.approx(after[0]["stopped"] / 1e9, abs=1e-6)
    watcher.stop()
    process.kill()


@pytest.mark.skipif(not cgroups.find("freezer"), reason="no cgroup with a freezer")
def test_the_freezer_is_a_pause(target, agent):
    process = target("stalls", "spin", "1")
    watcher = agent("--pid", process.pid, *OURS)
    with cgroups.Group("freezer") as group:
        group.add(process.pid)
        process.send()
        time.sleep(0.3)
        try:
            before, after, truth = halted(watcher, lambda: group.freeze(True),
                                          lambda: group.freeze(False))
        finally:
            group.freeze(False)
        process.kill()
    assert "frozen" not in before[0] and after[0]["frozen"] == near(0.15)(2 * truth)
    watcher.stop()


def test_major_faults_are_pauses(folder, target, agent):
    path = folder / "data"
    with open(path, "wb") as file:
        file.write(os.urandom(24 << 20))
        file.flush()
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    process = target("stalls", "faults", path)
    watcher = agent("--pid", process.pid, *OURS)
    process.send()
    faults = process.truth()["majflt"]
    if faults < 100:
        pytest.skip("the file system of the temporary folder has no major faults")
    time.sleep(0.3)
    counts = by_cause(watcher.profile("pauses"), "pauses")
    assert counts["major_fault"] == near(0.15)(faults)
    states = {pprof_check.labels(sample)["state"] for sample in watcher.profile("block").sample
              if "touch_pages" in pprof_check.stack(sample)}
    assert "disk" in states
    watcher.stop()
    process.stop()


def test_waits_for_the_address_space_are_pauses(target, agent, tracefs):
    process = target("stalls", "maps")
    watcher = agent("--pid", process.pid, *OURS)
    with Trace(tracefs, process.pid, "mmap_lock/mmap_lock_start_locking",
               "mmap_lock/mmap_lock_acquire_returned") as trace:
        process.send()
        process.truth()
        truth = sum(length for length in trace.durations() if length > 50_000)
    time.sleep(0.3)
    ours = by_cause(watcher.profile("pauses")).get("mmap_lock", 0)
    assert truth > 100_000_000 and ours == near(0.15)(truth)
    watcher.stop()
    process.stop()


@pytest.mark.skipif(not cgroups.find("memory"), reason="no cgroup with the memory controller")
def test_reclaim_is_a_pause(target, agent, tracefs):
    process = target("stalls", "fill", "/var/tmp/pprofd-e2e-fill", "192")
    watcher = agent("--pid", process.pid, *OURS)
    try:
        with cgroups.Group("memory") as group, \
                Trace(tracefs, process.pid, "vmscan/mm_vmscan_memcg_reclaim_begin",
                      "vmscan/mm_vmscan_memcg_reclaim_end") as trace:
            group.limit_memory(128 << 20)
            group.add(process.pid)
            process.send()
            process.truth()
            durations = trace.durations()
            process.kill()
    finally:
        pathlib.Path("/var/tmp/pprofd-e2e-fill").unlink(missing_ok=True)
    time.sleep(0.3)
    assert sum(durations) > 10_000_000
    assert by_cause(watcher.profile("pauses"))["reclaim"] == near(0.2)(sum(durations))
    watcher.stop()


def test_a_missing_tracepoint_takes_its_cause_alone(target, agent):
    process = target("stalls", "spin", "1")
    watcher = agent("--pid", process.pid, *OURS,
                    env={"PPROFD_WITHOUT_TRACEPOINT": "mm_compaction_begin"})
    process.send()
    time.sleep(0.2)
    process.signal(signal.SIGSTOP)
    time.sleep(0.1)
    process.signal(signal.SIGCONT)
    profile = wait_until(lambda: (p := watcher.profile("pauses")).sample and p, 10, "a pause")
    missing = "compaction: the kernel has no tracepoint mm_compaction_begin"
    assert f"unsupported: {missing}" in pprof_check.comments(profile)
    assert f"without {missing}" in watcher.get("/debug/pprof/").text
    watcher.stop()
    process.kill()


def follows_switches(agent):
    for path in glob.glob(f"/proc/{agent.pid}/fdinfo/*"):
        try:
            if "sched_switch" in pathlib.Path(path).read_text():
                return True
        except FileNotFoundError:
            pass
    return False


def test_programs_are_attached_only_for_targets(folder, target, agent):
    path = shutil.copy(target_path("stalls"), folder / "only-target")
    watcher = agent("--name", "only-target", *OURS)
    assert not follows_switches(watcher)
    process = target(str(path), "spin", "1")
    wait_until(lambda: follows_switches(watcher), 10, "the programs to be attached")
    process.stop()
    wait_until(lambda: not follows_switches(watcher), 10, "the programs to be detached")
    watcher.stop()


def test_what_could_not_be_attached_is_refused_and_tried_again(folder, target, agent):
    path = shutil.copy(target_path("stalls"), folder / "only-target")
    watcher = agent("--name", "only-target", *OURS)
    opened = len(os.listdir(f"/proc/{watcher.pid}/fd"))
    most = resource.prlimit(watcher.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(watcher.pid, resource.RLIMIT_NOFILE, (opened + 10, most[1]))
    process = target(str(path), "waits", "20")
    wait_until(lambda: watcher.metric("pprofd_targets") == 1, 10, "the target")
    answer = watcher.get("/debug/pprof/block")
    assert answer.status == 501 and b"cannot be watched" in answer.body
    resource.prlimit(watcher.pid, resource.RLIMIT_NOFILE, most)
    wait_until(lambda: watcher.get("/debug/pprof/block").status == 200, 10, "the programs")
    process.send()
    truth = process.truth()
    time.sleep(0.3)
    assert_waits(watcher.profile("block"), truth, STATES)
    watcher.stop()
    process.stop()


def test_collectors_that_are_off_say_so(target, agent):
    process = target("stalls", "spin", "1")
    watcher = agent("--pid", process.pid, "--disable", "block,mutex,pauses")
    assert not follows_switches(watcher)
    for kind in ("block", "mutex", "pauses"):
        answer = watcher.get(f"/debug/pprof/{kind}")
        assert answer.status == 501 and f"--enable {kind}" in answer.text
    watcher.stop()
    process.stop()


def test_a_command_is_watched_from_its_beginning(start):
    watcher = start(Agent, *OURS, command=[target_path("stalls"), "waits", "20"])
    watcher.expect("ready")
    watcher.send()
    truth = json.loads(watcher.line())
    watcher.ready()
    time.sleep(0.3)
    assert_waits(watcher.profile("block"), truth, STATES)
    watcher.stop_command()


def test_lost_records_are_counted(target, agent):
    process = target("stalls", "waits", "100")
    watcher = agent("--pid", process.pid, *OURS, env={"PPROFD_RING_BYTES": "4096"})
    watcher.signal(signal.SIGSTOP)
    process.send()
    truth = process.truth()
    watcher.signal(signal.SIGCONT)
    time.sleep(1.5)
    assert watcher.lost(kind="block", reason="ring_full") > 0
    profile = watcher.profile("block")
    assert total(profile, "contentions") < sum(site["count"] for site in truth.values())
    watcher.stop()
    process.stop()


def test_a_recording_shows_the_same(folder, target, agent, start):
    process = target("stalls", "waits", "30")
    watcher = agent("--pid", process.pid, *OURS, "--record", folder / "events")
    process.send()
    truth = process.truth()
    time.sleep(0.3)
    watcher.stop()
    process.stop()
    replay = start(Agent, "--replay", folder / "events").ready()
    assert_waits(replay.profile("block"), truth, STATES)
    assert_waits(replay.profile("mutex"), truth, LOCKS)
    replay.stop()
