# SPDX-License-Identifier: Apache-2.0
"""Go of every version and flavour: what the agent reads equals what net/http/pprof in the program
itself says, stack by stack and count by count."""

import re

import pytest

import golang
import pprof_check
from golang import GoTarget, bracketed, check_equal, dump, is_load, is_program, rows, text_rows
from harness import Agent, go_pprof, sample_types

VERSIONS = golang.versions()
MATRIX = [(version, flavour) for version in VERSIONS for flavour in golang.FLAVOURS]
RATE = 4096
# Where Go cuts each bucket to integers, ours are cut when those of one stack have been summed; and
# Go's exp() and the C library's differ in the last bit.
SCALE_SLACK = 4
HEAP_INDEXES = ("alloc_objects", "alloc_space", "inuse_objects", "inuse_space")
WORKERS = 12
CONTENDED = 40
# What of the program can stand on a worker's stack, innermost first; the end may be cut off.
LOAD_SHAPE = re.compile(r"(?:main\.load(?:Send|Receive|Allocate|Spin) )?(?:main\.descend )*"
                        r"(?:main\.loadWorker )?(?:main\.setLoad\.gowrap\d )?")


def count_of(found):
    return sum(values[0] for values in found.values())


class Pair:
    """A Go program and an agent on it; theirs and ours are one kind as both of them give it."""

    def __init__(self, target, agent):
        self.target, self.agent = target, agent

    def text(self, kind, debug=1):
        answer = self.agent.get(f"/pid/{self.target.pid}/debug/pprof/{kind}?debug={debug}")
        assert answer.status == 200, answer.text
        return answer.text

    def equal_heap(self, kind="heap"):
        theirs, ours = bracketed(lambda: rows(self.target.own(kind)),
                                 lambda: rows(self.agent.profile(kind, self.target.pid)))
        check_equal(*golang.without_hidden(theirs, ours, SCALE_SLACK), SCALE_SLACK)
        return theirs

    def equal_goroutines(self):
        """Of stacks that its own profile cuts, as much as that shows."""
        depth = golang.depth(self.target.version)
        theirs, ours = bracketed(
            lambda: rows(self.target.own("goroutine"), is_standing, depth),
            lambda: rows(self.agent.profile("goroutine", self.target.pid), is_standing, depth))
        check_equal(theirs, ours)
        return theirs

    def equal_text(self, kind, keep=lambda stack: True, depth=None):
        theirs, ours = bracketed(lambda: text_rows(self.target.own_text(kind), keep, depth),
                                 lambda: text_rows(self.text(kind), keep, depth))
        check_equal(theirs, ours)
        return theirs


@pytest.fixture(scope="module", params=MATRIX, ids=["-".join(pair) for pair in MATRIX])
def pair(request):
    version, flavour = request.param
    target = agent = None
    try:
        target = GoTarget("service", version, flavour, rate=RATE).ready()
        agent = Agent("--pid", target.pid).ready()
        yield Pair(target, agent)
        agent.stop()
        target.stop()
    finally:
        for process in (agent, target):
            if process:
                process.kill()


def is_standing(stack):
    """Of goroutines: none that asks for the oracle, none of the load."""
    return not golang.is_asking(stack) and not is_load(stack)


def test_heap(pair):
    assert len(pair.equal_heap()) > 30
    assert len(pair.equal_text("heap")) > 25
    theirs, ours = bracketed(lambda: pair.target.own_text("heap").splitlines()[0],
                             lambda: pair.text("heap").splitlines()[0])
    assert theirs == ours


def test_allocs(pair):
    pair.equal_heap("allocs")
    profile = pair.agent.profile("allocs", pair.target.pid)
    assert profile.text(profile.default_sample_type) == "alloc_space"
    assert profile.period == pair.target.own("allocs").period == RATE


def test_goroutine(pair):
    assert len(pair.equal_goroutines()) > 25
    # Short of where its own text is cut, which counts the unnamed frames of the runtime too.
    depth = golang.depth(pair.target.version) - 8
    assert len(pair.equal_text("goroutine", is_standing, depth)) > 25


def test_goroutines_are_as_many(pair):
    """All that the program counts but those that ask by its own profile."""
    own = rows(pair.target.own("goroutine"), is_standing)
    ours = rows(pair.agent.profile("goroutine", pair.target.pid), is_standing)
    assert count_of(own) == count_of(ours) > 60
    head = pair.text("goroutine").splitlines()[0]
    count = int(re.fullmatch(r"goroutine profile: total (\d+)", head)[1])
    assert count_of(own) <= count <= count_of(own) + 4


def test_goroutine_dump(pair):
    def standing(text):
        return {number: one for number, one in dump(text).items() if is_standing(one[1])}

    theirs, ours = bracketed(lambda: standing(pair.target.own_text("goroutine", 2)),
                             lambda: standing(pair.text("goroutine", 2)))
    assert len(theirs) > 60
    lines = golang.dump_differences(theirs, ours)
    assert not lines, "\n".join(lines[:60])


def test_offsets_in_a_goroutine_dump(pair):
    """Of standing goroutines; a function whose wrapper is left out has one in ours alone."""
    theirs, ours = (golang.dump_offsets(text) for text in (pair.target.own_text("goroutine", 2),
                                                           pair.text("goroutine", 2)))
    common = [key for key in theirs if key in ours and key[0].startswith("main.wait")]
    assert len(common) > 15
    assert {key: theirs[key] for key in common} == {key: ours[key] for key in common}


def test_threads_were_created_where_the_runtime_says(pair):
    pair.target.get("/threads?count=3")

    theirs, ours = bracketed(
        lambda: rows(pair.target.own("threadcreate"), bool),
        lambda: rows(pair.agent.profile("threadcreate", pair.target.pid), bool))
    check_equal(theirs, ours)


def test_under_load(pair):
    """Heap and standing goroutines as ever; a worker's stack is whole, wherever it was caught."""
    whole = 0
    pair.target.get(f"/load?workers={WORKERS}")
    try:
        pair.equal_goroutines()
        pair.equal_heap()
        pair.equal_text("heap")
        seen = 0
        for _ in range(20):
            profile = pair.agent.profile("goroutine", pair.target.pid)
            found = rows(profile, is_load)
            for stack, _ in found:
                names = [name for name, _, _ in stack if name.startswith("main.")]
                assert LOAD_SHAPE.fullmatch("".join(name + " " for name in names)), stack
            seen += count_of(found)
            whole += count_of({key: values for key, values in found.items()
                               if key[0][-1][0] == "main.loadWorker"})
        # Those that run just then may be missing or cut, and no more than the machine has cores.
        assert 20 * (WORKERS - 2) * 0.9 < seen <= 20 * WORKERS
        assert whole > seen * 0.97
    finally:
        pair.target.get("/load?workers=0")


def test_block_and_mutex(pair):
    # The rates stay as they are: Go 1.19 multiplies by the mutex rate of the moment of asking.
    pair.target.get("/rates?block=1&mutex=1")
    pair.target.get(f"/contend?count={CONTENDED}")
    # For a channel, a lock and a WaitGroup each time; unlocked once each time.
    for kind, count in (("block", 3 * CONTENDED), ("mutex", CONTENDED)):
        theirs, ours = bracketed(
            lambda kind=kind: rows(pair.target.own(kind), is_program),
            lambda kind=kind: rows(pair.agent.profile(kind, pair.target.pid), is_program))
        assert {key: values[0] for key, values in theirs.items()} == \
            {key: values[0] for key, values in ours.items()}
        assert sum(values[0] for values in ours.values()) >= count * 0.9
        for key, values in theirs.items():
            assert ours[key][1] == pytest.approx(values[1], rel=0.01), key
        # As text, with the runtime's own frames. Records are only added.
        before, named, after = (golang.text_frames(text) for text in (
            pair.target.own_text(kind), pair.text(kind), pair.target.own_text(kind)))
        assert before <= named <= after and len(before) > 5


def top(body, *options):
    """The table of `go tool pprof -top` without its head, and without who asks for profiles."""
    text = go_pprof(body, "-top", r"-ignore=^net/http\.\(\*conn\)",
                    "-tagignore=allocator=^(?:[^g]|g[^o])", *options)
    return text[text.index("Showing nodes"):]


def test_pprof_shows_the_same_table(pair):
    """At a rate of 1, where nothing is scaled: in a table, slack would spread."""
    pair.target.get("/rates?memory=1")
    path = f"/pid/{pair.target.pid}/debug/pprof/heap"
    theirs, ours = bracketed(lambda: pair.target.get("/debug/pprof/heap").body,
                             lambda: pair.agent.get(path).body,
                             same=lambda body: rows(pprof_check.load(body)))
    indexes = HEAP_INDEXES if pair.target.version == VERSIONS[-1] else HEAP_INDEXES[-1:]
    for index in indexes:
        assert top(theirs, f"-sample_index={index}") == top(ours, f"-sample_index={index}")
    pair.target.get(f"/rates?memory={RATE}")


def test_types_are_those_of_the_oracle(pair):
    for kind in ("heap", "allocs", "goroutine", "threadcreate", "block", "mutex"):
        own = pair.target.own(kind)
        ours = pair.agent.profile(kind, pair.target.pid)
        assert sample_types(ours) == sample_types(own)
        assert ours.pair(ours.period_type) == own.pair(own.period_type)
