# SPDX-License-Identifier: Apache-2.0
"""The comparison with a Go program's own profiles: the oracle agrees with itself, and one count,
line or label that is not the same is seen. No agent takes part."""

import itertools
import re

import pytest

import golang
from golang import GoTarget, bracketed, check_equal, differences, dump, rows, text_rows


def test_toolchains_are_there():
    found = golang.versions()
    assert len(found) >= 4, f"of Go there is only {found}: run tests/go-versions"
    assert "1.19" in found


@pytest.fixture(scope="module", params=golang.versions()[:1] + golang.versions()[-1:])
def service(request):
    process = GoTarget("service", request.param, rate=4096)
    try:
        yield process.ready()
    finally:
        process.kill()


def changed(found):
    """The same rows with one thing changed, in every way that counts."""
    (stack, labels), values = next(item for item in found.items() if len(item[0][0]) > 2)
    rest = {key: value for key, value in found.items() if key != (stack, labels)}
    name, file, line = stack[1]
    yield rest
    yield {**found, (stack[1:], ("more",)): values}
    yield {**rest, (stack, labels): (values[0] + 1, *values[1:])}
    yield {**rest, (stack, labels): (*values[:-1], values[-1] - 1)}
    yield {**rest, ((stack[0], (name, file, line + 1), *stack[2:]), labels): values}
    yield {**rest, ((stack[0], (name + "x", file, line), *stack[2:]), labels): values}
    yield {**rest, (stack[:-1], labels): values}
    yield {**rest, ((stack[1], stack[0], *stack[2:]), labels): values}
    yield {**rest, (stack, ("other",)): values}


@pytest.mark.parametrize("kind", ("heap", "goroutine"))
@pytest.mark.parametrize("form", ("proto", "text"))
def test_any_change_is_seen(service, kind, form):
    def own():
        if form == "text":
            return text_rows(service.own_text(kind), keep)
        return rows(service.own(kind), keep)

    keep = golang.is_program
    theirs, again = bracketed(own, own)
    assert len(theirs) > 20
    check_equal(theirs, again)
    for other in changed(theirs):
        assert differences(theirs, other)
        with pytest.raises(AssertionError):
            check_equal(theirs, other)
    with pytest.raises(AssertionError):
        check_equal({}, {})


def test_hidden_frames_excuse_nothing_else():
    one, two, three = ("a", "a.go", 1), ("b", "b.go", 2), ("c", "c.go", 3)
    label = (("bytes", 8),)
    theirs = {((two, three), label): (1, 8, 1, 8)}
    assert golang.without_hidden(theirs, {((one, two, three), label): (1, 8, 1, 8)}, 0) == ({}, {})
    for other in ({((one, two, three), label): (2, 16, 1, 8)},
                  {((one, three), label): (1, 8, 1, 8)}, {((one, two, three), ()): (1, 8, 1, 8)}, {((two,), label): (1, 8, 1, 8)},
                  {((one,) * 4 + (two, three), label): (1, 8, 1, 8)}, {}):
        assert golang.without_hidden(theirs, other, 0) == (theirs, other)


def short(frame):
    return (re.sub(r"\[.*\]", "[...]", frame[0]), *frame[1:])


def test_proto_and_text_of_the_oracle_agree(service):
    """Proof that both forms are read right: text names no leading runtime frames, nothing else."""
    def own():
        return (rows(service.own("goroutine"), golang.is_program),
                text_rows(service.own_text("goroutine"), golang.is_program))

    (proto, text), _ = bracketed(own, own)
    assert sum(values[0] for values in proto.values()) == \
        sum(values[0] for values in text.values()) > 60
    # From Go 1.21 the text leaves out what a generic function was made for.
    assert {short(stack[-1]) for stack, _ in proto} == {short(stack[-1]) for stack, _ in text}


def test_every_goroutine_is_in_the_dump(service):
    def own():
        return {number: one for number, one in dump(service.own_text("goroutine", 2)).items()
                if not golang.is_asking(one[1])}

    theirs, again = bracketed(own, own)
    assert theirs == again and len(theirs) > 60
    states = {state for state, _, _ in theirs.values()}
    assert {"chan receive", "chan send", "select", "sleep", "IO wait", "syscall",
            "chan receive, locked to thread", "select (no cases)"} <= states
    assert {number for number, one in theirs.items() if one[2] is None} == {1}


def test_a_moving_target_has_no_answer():
    numbers = itertools.count()
    with pytest.raises(AssertionError, match="hold still"):
        bracketed(lambda: next(numbers), lambda: None, seconds=0.1)
    answers = iter([1, 2, 3, 3])
    assert bracketed(lambda: next(answers), lambda: "ours") == (3, "ours")
