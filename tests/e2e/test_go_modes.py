# SPDX-License-Identifier: Apache-2.0
"""Go programs as their owners run them: at any rate, without a collector, without net/http/pprof,
with C beside Go, and with leaks to be found."""

import concurrent.futures
import datetime
import pathlib
import re
import sys
import time

import pytest

import golang
import pprof_check
from golang import GoTarget, bracketed, check_equal, is_program, rows, text_rows
from harness import Agent, Process, ask, total, wait_until

VERSIONS = golang.versions()
ENDS = pytest.mark.parametrize("version", VERSIONS[:1] + VERSIONS[-1:])
EACH = pytest.mark.parametrize("version", VERSIONS)
# Where Go cuts each bucket to integers, ours are cut when those of one stack have been summed.
SLACK = 4
MIB = 1 << 20
SOURCES = golang.TESTS / "targets" / "go"
GC_CAUSE = re.compile(r"(GC )?(sweep|mark) termination")


@pytest.fixture
def service(start):
    """service(VERSION, ...): a Go program that is ready."""
    def make(*args, program="service", **options):
        return start(GoTarget, program, *args, **options).ready()
    return make


def equal_heap(agent, target, slack=SLACK):
    """A rate of 0 is a period of 0, as Go has it, which no other profile may have."""
    path = f"/pid/{target.pid}/debug/pprof/heap"
    theirs, ours = bracketed(lambda: rows(target.own("heap")),
                             lambda: rows(pprof_check.load(agent.get(path).body)))
    check_equal(*golang.without_hidden(theirs, ours, slack), slack)
    return theirs


@ENDS
def test_rates_that_change(service, agent, version):
    target = service(version, rate=1)
    watcher = agent("--pid", target.pid)
    exact = equal_heap(watcher, target, slack=0)
    for rate in (512, 65536, 524288, 1):
        target.get(f"/rates?memory={rate}")
        target.get("/alloc?count=50&size=30000")
        target.get("/gc")
        equal_heap(watcher, target)
        own, ours = target.own("heap"), watcher.profile("heap", target.pid)
        assert ours.period == own.period == rate
    target.get("/rates?memory=0")
    target.get("/alloc?count=50&size=30000")
    target.get("/gc")
    answer = watcher.get(f"/pid/{target.pid}/debug/pprof/heap")
    if answer.status == 200:
        equal_heap(watcher, target)
    else:
        assert answer.status == 501 and "MemProfileRate" in answer.text
    target.get("/rates?memory=1")
    target.get("/alloc?count=7&size=12345")
    target.get("/gc")
    assert len(equal_heap(watcher, target)) >= len(exact)
    watcher.stop()


@EACH
def test_every_allocation(service, agent, version):
    """As proto and as text. To Go 1.24 one block has no stack but where its goroutine would end."""
    target = service(version, rate=1)
    watcher = agent("--pid", target.pid)
    found = equal_heap(watcher, target, slack=0)
    assert golang.minor(version) > 24 or () in {stack for stack, _ in found}
    check_equal(*bracketed(
        lambda: text_rows(target.own_text("heap")),
        lambda: text_rows(watcher.get(f"/pid/{target.pid}/debug/pprof/heap?debug=1").text)))
    watcher.stop()


@ENDS
def test_a_rate_of_zero_from_the_start(service, agent, version):
    target = service(version, rate=0)
    watcher = agent("--pid", target.pid)
    answer = watcher.get(f"/pid/{target.pid}/debug/pprof/heap")
    if answer.status == 200:
        equal_heap(watcher, target)  # what was allocated before the rate was set
    else:
        assert answer.status == 501 and "MemProfileRate" in answer.text
    target.get("/rates?memory=1")
    target.get("/alloc?count=10&size=5000")
    target.get("/gc")
    equal_heap(watcher, target)
    watcher.stop()


@ENDS
def test_without_collections(service, agent, version):
    """GOGC=off: what was recorded is published only at the collections that are asked for."""
    target = service(version, rate=4096, env={"GOGC": "off"})
    watcher = agent("--pid", target.pid)
    equal_heap(watcher, target)
    target.get("/drop?count=300&size=10000")
    before = equal_heap(watcher, target)
    target.get("/gc")
    assert equal_heap(watcher, target) != before
    watcher.stop()


def of_program(found):
    """The goroutines that the program itself began."""
    return {key: values for key, values in found.items() if is_program(key[0])
            and key[0][-1][0] != "runtime.main"}


@EACH
def test_a_program_without_pprof(service, start, version):
    """Static, stripped, its memory profile switched off by the linker: as the same with pprof."""
    depth = golang.depth(version)
    other, target = service(version), service(version, "bare")
    other.get("/rates?block=1&mutex=1")
    target.get("/rates?block=1&mutex=1")
    watcher = start(Agent, "--pid", target.pid).ready()
    for kind in ("heap", "allocs"):
        answer = watcher.get(f"/pid/{target.pid}/debug/pprof/{kind}")
        assert answer.status == 501
        assert "--go-memprofile" in answer.text and "linker" in answer.text
    check_equal(of_program(rows(other.own("goroutine"), depth=depth)),
                of_program(rows(watcher.profile("goroutine", target.pid), depth=depth)))
    watcher.stop()


@ENDS
def test_switching_the_memory_profile_on(service, agent, version):
    target = service(version, "bare")
    watcher = agent("--pid", target.pid, "--go-memprofile")
    target.get(f"/alloc?count=400&size={MIB}")
    target.get(f"/drop?count=600&size={MIB}")
    target.get("/gc")
    profile = watcher.profile("heap", target.pid)
    kept, all_bytes = (pprof_check.cumulative(profile, kind)
                       for kind in ("inuse_space", "alloc_space"))
    assert kept["main.allocKnown"] == pytest.approx(400 * MIB, rel=0.1)
    assert all_bytes["main.allocAndDrop"] == pytest.approx(600 * MIB, rel=0.1)
    assert kept.get("main.allocAndDrop", 0) <= 10 * MIB
    watcher.stop()


def comments(profile):
    return [profile.text(index) for index in profile.comment]


@pytest.fixture
def command(start):
    """command(OPTION..., PROGRAM): the agent that began it, and the address that it serves."""
    def make(*options):
        watcher = start(Agent, *options[:-1], command=options[-1:]).ready()
        while not (line := watcher.line()).startswith("listening "):
            pass
        return watcher, line.split()[1]
    return make


@ENDS
def test_switching_the_memory_profile_of_a_command_on(command, version):
    """Seen from its first instruction, before its runtime switches it off itself."""
    watcher, address = command("--go-memprofile", golang.built("service", version, "bare"))
    wait_until(lambda: watcher.get("/debug/pprof/heap").status == 200, 5, "the heap")
    asked = time.time()
    assert ask(address, f"/alloc?count=400&size={MIB}").status == 200
    for _ in range(2):
        ask(address, "/gc")
    profile = watcher.profile("heap")
    kept = pprof_check.cumulative(profile, "inuse_space")
    assert kept["main.allocKnown"] == pytest.approx(400 * MIB, rel=0.1)
    since = [re.search(r"since (\S+), when it was switched on", text) for text in comments(profile)]
    moment = datetime.datetime.fromisoformat(next(filter(None, since))[1].replace("Z", "+00:00"))
    assert asked - 10 < moment.timestamp() <= asked
    watcher.stop_command()


@ENDS
def test_a_heap_that_was_switched_on_before(service, agent, version):
    """By an agent that has ended: the next one does not know when."""
    target = service(version, "bare")
    agent("--pid", target.pid, "--go-memprofile").stop()
    watcher = agent("--pid", target.pid)
    target.get(f"/alloc?count=40&size={MIB}")
    target.get("/gc")
    source = next(text for text in comments(watcher.profile("heap", target.pid))
                  if text.startswith("source: go-runtime"))
    assert "switched on, nobody knows when" in source and "process's start" not in source
    watcher.stop()


def pauses_of_gc(agent, target):
    """(how many, how long in ns) as the agent counts them."""
    profile = agent.profile("pauses", target.pid)
    found = [sample for sample in profile.sample
             if GC_CAUSE.fullmatch(pprof_check.labels(sample)["cause"])]
    return sum(sample.value[0] for sample in found), sum(sample.value[1] for sample in found)


@EACH
def test_pauses_are_as_long_as_the_runtime_says(service, agent, version):
    target = service(version)
    watcher = agent("--pid", target.pid)
    count, length = pauses_of_gc(watcher, target)
    before = target.memstats()
    target.get("/load?workers=12")
    for _ in range(12):
        time.sleep(0.1)
        target.get("/gc")
    target.get("/load?workers=0")
    after = target.memstats()
    new_count, new_length = pauses_of_gc(watcher, target)
    assert new_count - count == 2 * (after["NumGC"] - before["NumGC"]) >= 32
    if golang.minor(version) >= 22:
        assert new_length - length == \
            pytest.approx(after["PauseTotalNs"] - before["PauseTotalNs"], rel=0.15)
    watcher.stop()


def is_standing(stack):
    return not golang.is_asking(stack)


@ENDS
def test_c_beside_go(service, agent, version):
    target = service(version, program="cgo", rate=4096)
    watcher = agent("--pid", target.pid, "--alloc-interval", "1")
    depth = golang.depth(version)
    theirs, ours = bracketed(
        lambda: rows(target.own("goroutine"), is_standing, depth),
        lambda: rows(watcher.profile("goroutine", target.pid), is_standing, depth))
    check_equal(theirs, ours)
    functions = {frame[0] for stack, _ in ours for frame in stack}
    assert {"main.waitInC", "main.waitBehindC", "main.goCallback", "runtime.cgocall"} <= functions

    target.get("/malloc?count=1000&size=5000")
    profile = watcher.profile("heap", target.pid)
    kept = [sample for sample in profile.sample if "c_keep" in profile.stack(sample)]
    assert sum(sample.value[3] for sample in kept) == 1000 * 5000
    assert all(pprof_check.labels(sample).get("allocator") != "go" for sample in kept)
    assert all("main.keepInC" in profile.stack(sample) for sample in kept)
    theirs, ours = bracketed(lambda: rows(target.own("heap")),
                             lambda: go_rows(watcher.profile("heap", target.pid)))
    check_equal(*golang.without_hidden(theirs, ours, SLACK), SLACK)
    watcher.stop()


def go_rows(profile):
    """Of a heap with C in it: what Go's runtime has recorded."""
    profile.sample = [sample for sample in profile.sample
                      if pprof_check.labels(sample).get("allocator") == "go"]
    return rows(profile)


@ENDS
def test_cpu_from_c_into_go_and_back(service, agent, version):
    target = service(version, program="cgo")
    watcher = agent("--pid", target.pid, "--cpu-hz", "999")
    with concurrent.futures.ThreadPoolExecutor() as pool:
        asked = pool.submit(watcher.profile, "profile", target.pid, "?seconds=5")
        while not asked.done():
            target.get("/burn?count=5")
        profile = asked.result()
    stacks = [(profile.stack(sample), sample.value[0]) for sample in profile.sample]
    burnt = [(stack, count) for stack, count in stacks if stack[0] == "c_burn"]
    everything = sum(count for _, count in burnt)
    assert everything > 200
    for wanted in (["main.burnInC"], ["main.burnInC", "main.goCallback", "c_call_back",
                                      "main.burnBehindC"]):
        whole = sum(count for stack, count in burnt if is_in_order(wanted, stack))
        assert whole > everything * (0.95 if len(wanted) == 1 else 0.35), wanted
    watcher.stop()


def is_in_order(wanted, stack):
    rest = iter(stack)
    return all(any(name == frame for frame in rest) for name in wanted)


def marked_lines(path, word):
    """The lines that carry a mark of this word."""
    text = pathlib.Path(path).read_text()
    return {number for number, line in enumerate(text.splitlines(), 1)
            if re.search(rf"// {word}:", line)}


@ENDS
@pytest.mark.parametrize("turn_us, least", ((300, 0), (20000, 15)))
def test_a_running_goroutine_has_no_stack_of_another(service, agent, version, turn_us, least):
    """Of workers that take turns on one thread: what one is labelled by, it alone calls."""
    target = service(version, program="turns", arguments=(str(turn_us),))
    watcher = agent("--pid", target.pid)
    caught = 0
    for _ in range(60):
        profile = watcher.profile("goroutine", target.pid)
        for sample in profile.sample:
            called = {name for name in profile.stack(sample) if name.startswith("main.spin")}
            mine = {"main.spin" + pprof_check.labels(sample).get("spin", "")}
            assert called <= mine, (mine, profile.stack(sample))
            caught += len(called)
    assert caught >= least
    watcher.stop()


@ENDS
def test_a_program_with_plugins_is_refused(service, agent, version):
    """From when it has loaded one on: what stands in the plugin could not be named."""
    extra = golang.built("extra", version, "plugin")
    target = service(version, program="plugged", arguments=(extra,))
    watcher = agent("--pid", target.pid)
    path = f"/pid/{target.pid}/debug/pprof/"
    for kind in ("goroutine", "threadcreate"):
        assert watcher.get(path + kind).status == 200
    target.send()
    target.expect("loaded")
    for kind in ("heap", "allocs", "goroutine"):
        answer = watcher.get(path + kind)
        assert answer.status == 501 and "plugins" in answer.text
    for kind in ("threads", "threadcreate"):  # as seen from outside
        assert watcher.get(path + kind).status == 200
    watcher.stop()


HOST = """import ctypes, sys
ctypes.CDLL(sys.argv[1]).Begin()
print("ready", flush=True)
sys.stdin.read()"""


@ENDS
def test_a_library_of_go_is_told_of(start, agent, version):
    """In a C program: what is C's is shown, and said not to be all."""
    extra = golang.built("extra", version, "shared")
    target = start(Process, (sys.executable, "-c", HOST, extra))
    target.expect("ready")
    watcher = agent("--pid", target.pid)
    for kind in ("heap", "allocs", "goroutine"):
        profile = watcher.profile(kind, target.pid)
        assert any(profile.text(index).startswith(f"Go code in {pathlib.Path(extra).name} is not")
                   for index in profile.comment)
    profile = watcher.profile("threads", target.pid)
    assert not any("Go code" in profile.text(index) for index in profile.comment)
    watcher.stop()


# The mark of the lines, and how much they must have grown.
LEAKS = {"goroutine": ("waits", 200), "heap": ("kept", 5 * MIB)}


def leaked(profile, kind):
    """line -> what the profile shows for it, of the two lines that leak."""
    found = dict.fromkeys(marked_lines(SOURCES / "leak" / "leak.go", LEAKS[kind][0]), 0)
    assert len(found) == 2
    for (stack, _), values in rows(profile).items():
        for _, file, line in set(stack):
            if file.endswith("/leak.go") and line in found:
                found[line] += values[-1]
    return found


def have_leaked(target, before):
    """Whether the program's own profiles say that enough was leaked since."""
    return all(now - before[kind][line] >= least for kind, (_, least) in LEAKS.items()
               for line, now in leaked(target.own(kind), kind).items())


def test_leaks_are_named(service, agent):
    """What somebody sees who asks for ten seconds' difference: both lines, as growing."""
    target = service(VERSIONS[-1], program="leak")
    watcher = agent("--pid", target.pid)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        asked = {kind: pool.submit(watcher.profile, kind, target.pid, "?seconds=10", timeout=90)
                 for kind in LEAKS}
        wait_until(lambda: watcher.spans(10) == 2, 60, "the spans to begin")
        before = {kind: leaked(target.own(kind), kind) for kind in LEAKS}
        while not have_leaked(target, before) and not asked["goroutine"].done():
            for _ in range(20):  # beside those that come in steadily
                ask(target.address, "/order")
        assert not any(one.done() for one in asked.values())
        profiles = {kind: one.result() for kind, one in asked.items()}
    for kind, (_, least) in LEAKS.items():
        growth = leaked(profiles[kind], kind)
        assert all(value >= least for value in growth.values()), growth
    assert total(profiles["goroutine"], "goroutine") > 800
    watcher.stop()
