# SPDX-License-Identifier: Apache-2.0
"""Go programs of every version as targets, and the comparison with what they say of themselves."""

import collections
import functools
import json
import os
import pathlib
import re
import subprocess
import time

import pprof_check
from harness import BUILD, Target, ask

TESTS = pathlib.Path(__file__).parent.parent
TOOLCHAINS = BUILD / "go"
FLAVOURS = ("default", "stripped", "pie")
# The connection that asks for the oracle, and the goroutine that watches it meanwhile.
SERVING = re.compile(r"net/http\.\(\*(conn|connReader)\)\.")
LOAD = ("main.loadWorker", "main.descend")
# Labels that only the agent gives.
OURS = {"allocator", "source"}


def versions():
    """Of the toolchains that tests/go-versions made, oldest first."""
    names = [path.name[2:] for path in TOOLCHAINS.glob("go1.*")]
    wanted = os.environ.get("GO_MINORS", "").split()
    if wanted:
        names = [name for name in names if name.split(".")[1] in ("19", *wanted)]
    return sorted(names, key=lambda name: int(name.split(".")[1]))


def minor(version):
    return int(version.split(".")[1])


def depth(version):
    """How many frames of a goroutine its own profile shows at most."""
    return 32 if minor(version) <= 22 else 128


@functools.lru_cache(maxsize=None)
def built(program, version, flavour):
    """The path of a program, built if it is not there yet."""
    run = subprocess.run([TESTS / "build-go", BUILD, program, version, flavour], check=False,
                         capture_output=True, text=True, timeout=600)
    assert run.returncode == 0, run.stderr
    return run.stdout.rstrip("\n")


class GoTarget(Target):
    """A program of tests/targets/go that serves requests; own() is its own net/http/pprof."""

    def __init__(self, program, version, flavour="default", rate=None, path=None, arguments=(),
                 env=None):
        env = {**(env or {}), **({} if rate is None else {"SERVICE_RATE": str(rate)})}
        super().__init__(path or built(program, version, flavour), *arguments, env=env)
        self.version, self.address = version, None

    def ready(self):
        while (line := self.line()) != "ready":
            if line.startswith("listening "):
                self.address = line.split()[1]
        return self

    def get(self, path, timeout=60):
        answer = ask(self.address, path, timeout=timeout)
        assert answer.status == 200, answer.text
        return answer

    def own(self, kind, query=""):
        return pprof_check.load(self.get(f"/debug/pprof/{kind}{query}").body)

    def own_text(self, kind, debug=1):
        return self.get(f"/debug/pprof/{kind}?debug={debug}").text

    def memstats(self):
        return json.loads(self.get("/memstats").text.splitlines()[0])


def frames_by_location(profile):
    """Of every location: (function, file, line) of its frames, innermost first."""
    def place(line):
        function = profile.function[line.function_id - 1]
        name, file = profile.text(function.name), profile.text(function.filename)
        # One init stands for the variables of all files; Go's encoder names one of these for all.
        return name, "" if name.endswith(".init") else file, line.line

    # Where a thread's record is not filled, Go itself writes frames without a name.
    return {location.id: tuple(frame for frame in map(place, location.line) if frame[0])
            for location in profile.location}


def is_serving(stack):
    return any(SERVING.match(frame[0]) for frame in stack)


def is_load(stack):
    return any(frame[0] in LOAD for frame in stack)


def is_asking(stack):
    """Of goroutines: a connection's, or one so new that it has no frame of its own yet."""
    return not stack or is_serving(stack)


def is_program(stack):
    """A frame of the program's own is on it."""
    return any(frame[0].startswith("main.") for frame in stack)


def kept_labels(labels):
    return tuple(sorted(pair for pair in labels.items() if pair[0] not in OURS))


def is_of_c(labels):
    """C's allocations beside Go's: Go's own profile does not know them."""
    return labels.get("allocator", "go") != "go"


def rows(profile, keep=lambda stack: True, depth=None):
    """
    {(stack, labels): values} of a profile, of so many innermost frames. What nobody counts is left
    out: all values 0.
    """
    places = frames_by_location(profile)
    found = collections.defaultdict(lambda: (0,) * len(profile.types))
    for sample in profile.sample:
        stack = tuple(frame for number in sample.location_id for frame in places[number])[:depth]
        if any(sample.value) and keep(stack) and not is_of_c(pprof_check.labels(sample)):
            key = stack, kept_labels(pprof_check.labels(sample))
            found[key] = tuple(map(sum, zip(found[key], sample.value)))
    return dict(found)


COUNT_LINE = re.compile(r"(\d+) @((?: 0x[0-9a-f]+)*) ?")
HEAP_LINE = re.compile(r"(\d+): (\d+) \[(\d+): (\d+)\] @((?: 0x[0-9a-f]+)*)")
FRAME_LINE = re.compile(r"#\t0x[0-9a-f]+(?:\t(.+)\+0x[0-9a-f]+(?:\t+(.+):(\d+))?)?")


def text_blocks(text):
    """(values, labels, stack) of every sample of a profile in the form debug=1."""
    blocks = []
    for line in text.splitlines()[1:]:
        if line.startswith("# runtime.MemStats"):
            break
        counts = COUNT_LINE.fullmatch(line) or HEAP_LINE.fullmatch(line)
        frame = FRAME_LINE.fullmatch(line)
        if counts:
            blocks.append((tuple(map(int, counts.groups()[:-1])), {}, []))
        elif line.startswith("# labels: "):
            blocks[-1][1].update(json.loads(line[len("# labels: "):]))
        elif frame:
            blocks[-1][2].append((frame[1], frame[2], int(frame[3] or 0)))
        else:
            assert not line or line.startswith("# "), line
    return blocks


def text_frames(text):
    """All frames that the form debug=1 names."""
    return {match.groups() for match in map(FRAME_LINE.fullmatch, text.splitlines()) if match}


def text_rows(text, keep=lambda stack: True, depth=None):
    """As rows(), of the form debug=1, where leading runtime frames are not named."""
    found = {}
    for values, labels, stack in text_blocks(text):
        if any(values) and keep(stack) and not is_of_c(labels):
            key = tuple(stack[:depth]), kept_labels(labels)
            found[key] = tuple(map(sum, zip(found.get(key, (0,) * len(values)), values)))
    return found


def is_near(one, other, slack):
    return bool(one and other) and all(abs(a - b) <= slack for a, b in zip(one, other))


def same_heap_stack(one, other):
    """
    Which leading frames of the runtime a heap's text hides is told by the call, and which its
    binary form hides by what stands behind the call: these may be a few more, or fewer.
    """
    shorter, longer = sorted((one, other), key=len)
    return 0 < len(longer) - len(shorter) <= 3 and longer[-len(shorter):] == shorter


def without_hidden(theirs, ours, slack):
    """Both without the rows of a heap that differ in hidden frames alone."""
    theirs, ours = dict(theirs), dict(ours)
    for key in set(theirs) - set(ours):
        for other in set(ours) - set(theirs):
            if key[1] == other[1] and same_heap_stack(key[0], other[0]) and \
                    is_near(theirs[key], ours[other], slack):
                del theirs[key], ours[other]
                break
    return theirs, ours


def differences(theirs, ours, slack=0):
    """What a person wants to read where the two are not the same."""
    lines = []
    for key in sorted(set(theirs) | set(ours), key=repr):
        mine, own = ours.get(key), theirs.get(key)
        if mine == own or is_near(mine, own, slack):
            continue
        stack, labels = key
        lines.append(f"own {own} ours {mine} {labels}:")
        lines += [f"    {name} {os.path.basename(file or '')}:{line}" for name, file, line in stack]
    return lines


def dump_differences(theirs, ours):
    lines = []
    for number in sorted(set(theirs) | set(ours)):
        own, mine = theirs.get(number), ours.get(number)
        if own != mine:
            lines.append(f"goroutine {number}")
            for one, other in zip(own or ("-",) * 3, mine or ("-",) * 3):
                if one != other:
                    lines.append(f"    own  {one}\n    ours {other}")
    return lines


def check_equal(theirs, ours, slack=0):
    assert theirs, "the oracle shows nothing"
    lines = differences(theirs, ours, slack)
    assert not lines, "\n".join([f"{len(theirs)} rows in theirs, {len(ours)} in ours", *lines[:60]])


def bracketed(own, ours, seconds=20, same=lambda answer: answer):
    """
    (what own() says, what ours() says) of one state: own() is the same before and after it, as far
    as same() looks.
    """
    deadline = time.monotonic() + seconds
    before = own()
    while True:
        found = ours()
        after = own()
        if same(before) == same(after):
            return before, found
        assert time.monotonic() < deadline, f"the target did not hold still for {seconds} s"
        before = after


DUMP_HEADER = re.compile(r"goroutine (\d+) \[([^\]]+)\]:(?: ?\{.*\})?")
DUMP_CREATED = re.compile(r"created by (.+?)(?: in goroutine (\d+))?")
DUMP_FILE = re.compile(r"\t(.+):(\d+)( \+0x[0-9a-f]+)?")
DUMP_ELIDED = re.compile(r"\.\.\.(?:\d+|additional) frames elided\.\.\.")
DUMP_WHOLE_FRAMES = 50  # so many stand before an elision


def dump(text):
    """{goroutine: (state, frames, the go statement that began it)} of the form debug=2."""
    found = {}
    for block in text.rstrip("\n").split("\n\n"):
        head, *lines = (line for line in block.split("\n") if not DUMP_ELIDED.fullmatch(line))
        header = DUMP_HEADER.fullmatch(head)
        assert header, head
        stack, created = [], None
        for line, after in zip(lines[0::2], lines[1::2]):
            place = DUMP_FILE.fullmatch(after)
            assert place and created is None, block
            match = DUMP_CREATED.fullmatch(line)
            if match:
                created = match[1], match[2], place[1], int(place[2])
            else:
                name = re.sub(r"\([^()]*\)$", "", line)
                stack.append((name, place[1], int(place[2])))
        found[int(header[1])] = header[2], tuple(stack[:DUMP_WHOLE_FRAMES]), created
    return found


def dump_offsets(text):
    """
    {(function, file, line): offsets} of the form debug=2. Without functions that panicked: there
    nothing was called, and nothing is moved back.
    """
    found = collections.defaultdict(set)
    panicked = False
    for line, after in zip(text.split("\n"), text.split("\n")[1:]):
        place = DUMP_FILE.fullmatch(after)
        if place and not panicked and place[3]:
            found[re.sub(r"\([^()]*\)$", "", line), place[1], place[2]].add(place[3])
        if place:
            panicked = line.startswith("panic(")
    return found
