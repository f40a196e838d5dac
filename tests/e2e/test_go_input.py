# SPDX-License-Identifier: Apache-2.0
"""Go programs that are not as the agent knows them: layouts of another release or broken on
purpose, and programs that end while they are being read. Refused with a reason, or right, and
never wrong."""

import contextlib
import os
import pathlib
import shutil
import signal
import struct
import subprocess
import threading
import time

import pytest

import golang
import pprof_check
from golang import (GoTarget, bracketed, built, check_equal, differences, rows,
                    without_hidden)
from harness import Agent, wait_until

OLDEST, NEWEST = (golang.versions() or [""])[0], (golang.versions() or [""])[-1]
ENDS = pytest.mark.parametrize("version", (OLDEST, NEWEST))
RATE = 4096
KINDS = ("heap", "goroutine")


def shown(profile, kind):
    """What is the same as long as nothing but questions happens to the program."""
    if kind == "heap":
        return rows(profile, lambda stack: golang.is_program(stack) and not any(
            name.startswith("net/http.") for name, _, _ in stack))
    return rows(profile, lambda stack: not golang.is_asking(stack), 32)


def refused(answer):
    return answer.status in (404, 410, 500, 501, 503) and len(answer.text.strip()) > 10


def check_right_or_refused(agent, target, own, kind):
    """own is what the program showed when it was whole. Returns whether it was refused."""
    answer = agent.get(f"/pid/{target.pid}/debug/pprof/{kind}", timeout=30)
    if refused(answer):
        return True
    assert answer.status == 200, answer.text
    lines = differences(*without_hidden(own, shown(pprof_check.load(answer.body), kind), 1), 1)
    assert not lines, "\n".join(lines[:40])
    return False


@pytest.fixture
def changed(folder, start):
    """changed(VERSION, FLAVOUR, CHANGE): the service, started of a copy whose bytes CHANGE made."""
    def make(version, flavour, change):
        path = folder / "service"
        path.write_bytes(change(pathlib.Path(built("service", version, flavour)).read_bytes()))
        path.chmod(0o755)
        return start(GoTarget, "service", version, rate=RATE, path=str(path)).ready()
    return make


def release(version, as_version):
    """A change that renames one release to another wherever the file names it."""
    def change(data):
        assert data.count(f"go{version}.".encode()) >= 1
        return data.replace(f"go{version}.".encode(), f"go{as_version}.".encode())
    return change


@ENDS
def test_a_newer_release_is_refused(changed, agent, version):
    target = changed(version, "default", release(version, "1.99"))
    watcher = agent("--pid", target.pid)
    for kind in ("heap", "allocs", "goroutine"):
        answer = watcher.get(f"/pid/{target.pid}/debug/pprof/{kind}")
        assert answer.status == 501, answer.body[:200]
        assert "1.99" in answer.text and answer.headers["x-go-pprof"] == "1"
    assert "1.99" in watcher.get("/debug/pprof/").text
    assert watcher.get("/-/healthy").status == 200
    target.get("/memstats")
    watcher.stop()


@pytest.mark.parametrize("version, lie", [("1.19", "1.27"), ("1.21", "1.26"), ("1.22", "1.25"),
                                          ("1.24", "1.19"), ("1.26", "1.22"), ("1.27", "1.24")])
def test_a_release_that_lies(changed, agent, version, lie):
    if version not in golang.versions():
        pytest.skip(f"there is no Go {version}")
    target = changed(version, "stripped", release(version, lie))
    check_changed(target, agent)


def check_changed(target, agent):
    watcher = agent("--pid", target.pid)
    for kind in KINDS:
        own, _ = bracketed(lambda kind=kind: shown(target.own(kind), kind), lambda: None)
        check_right_or_refused(watcher, target, own, kind)
    assert watcher.get("/-/healthy").status == 200
    target.get("/memstats")
    watcher.stop()


def without_sections(data):
    """As sstrip leaves a file: the loader needs no section."""
    data = bytearray(data)
    struct.pack_into("<Q", data, 40, 0)
    struct.pack_into("<HHH", data, 58, 0, 0, 0)
    return bytes(data)


def without_type_names(data):
    """The descriptors of the runtime's types, by which their offsets could be found, renamed."""
    for name in (b"\x0a*runtime.g", b"\x0a*runtime.m"):
        assert name in data
        data = data.replace(name, name.replace(b"runtime", b"xuntime"))
    return data


@ENDS
@pytest.mark.parametrize("flavour", ("stripped", "pie"))
@pytest.mark.parametrize("change", (without_sections, without_type_names))
def test_a_file_without_what_helps(changed, agent, version, flavour, change):
    check_changed(changed(version, flavour, change), agent)


class Memory:
    """A stopped program's memory, as it was again when the block is left."""

    def __init__(self, target):
        self.target, self.saved = target, {}
        output = subprocess.run(["nm", target.argv[0]], check=True, capture_output=True, text=True)
        self.symbols = {fields[2]: int(fields[0], 16) for fields in
                        map(str.split, output.stdout.splitlines()) if len(fields) == 3}

    def __enter__(self):
        self.target.signal(signal.SIGSTOP)
        stat = pathlib.Path(f"/proc/{self.target.pid}/stat")
        wait_until(lambda: stat.read_text().rsplit(")", 1)[1].split()[0] == "T", 5, "the stop")
        self.file = os.open(f"/proc/{self.target.pid}/mem", os.O_RDWR)
        return self

    def word(self, address):
        return struct.unpack("<Q", os.pread(self.file, 8, address))[0]

    def set(self, address, value):
        self.saved.setdefault(address, self.word(address))
        os.pwrite(self.file, struct.pack("<Q", value & (1 << 64) - 1), address)

    def __exit__(self, *_):
        for address, value in self.saved.items():
            os.pwrite(self.file, struct.pack("<Q", value), address)
        os.close(self.file)
        self.target.signal(signal.SIGCONT)


NEXT, TYPE, HASH, DEPTH = 8, 16, 24, 40  # offsets in runtime.bucket


def bucket(memory):
    """The third of all, so that a reader is under way when it comes upon it."""
    first = memory.word(memory.symbols["runtime.mbuckets"])
    return memory.word(memory.word(first + NEXT) + NEXT)


def set_symbol(name, value):
    return lambda memory: memory.set(memory.symbols[name], value)


def set_goroutines(offset, name, value):
    """In the slice of all goroutines, and in the runtime's copy of it that is read unlocked."""
    def apply(memory):
        memory.set(memory.symbols["runtime.allgs"] + offset, value)
        memory.set(memory.symbols[name], value)
    return apply


def set_field(offset, value):
    return lambda memory: memory.set(bucket(memory) + offset, value)


DAMAGES = {
    "buckets at no address": ("heap", set_symbol("runtime.mbuckets", 16)),
    "buckets off the stack": ("heap", set_symbol("runtime.mbuckets", 1 << 63)),
    "a bucket that is its own next": ("heap", lambda memory: memory.set(
        bucket(memory) + NEXT, bucket(memory))),
    "a next bucket at no address": ("heap", set_field(NEXT, 0xdead0000)),
    "a bucket of another type": ("heap", set_field(TYPE, 77)),
    "a bucket of another hash": ("heap", set_field(HASH, 1)),
    "a bucket of endless depth": ("heap", set_field(DEPTH, 1 << 62)),
    "endless goroutines": ("goroutine", set_goroutines(8, "runtime.allglen", 1 << 40)),
    "fewer goroutines than none": ("goroutine", set_goroutines(8, "runtime.allglen", -1)),
    "goroutines at no address": ("goroutine", set_goroutines(0, "runtime.allgptr", 4096)),
}


@pytest.fixture(scope="module", params=(OLDEST, NEWEST))
def whole(request):
    """(program, agent that has read it)"""
    target, watcher = GoTarget("service", request.param, rate=RATE), None
    try:
        target.ready()
        watcher = Agent("--pid", target.pid).ready()
        yield target, watcher
        watcher.stop()
    finally:
        for process in (watcher, target):
            if process:
                process.kill()


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("is_warm", (False, True), ids=("cold", "warm"))
def test_damaged_memory(whole, agent, damage, is_warm):
    """Before an agent first reads the program, and after; then the program is whole again."""
    target, watcher = whole
    kind, apply = DAMAGES[damage]
    if not is_warm:
        watcher = agent("--pid", target.pid)
    own, _ = bracketed(lambda: shown(target.own(kind), kind), lambda: None)
    if is_warm:
        assert not check_right_or_refused(watcher, target, own, kind)
    with Memory(target) as memory:
        apply(memory)
        check_right_or_refused(watcher, target, own, kind)
    theirs, ours = bracketed(lambda: shown(target.own(kind), kind),
                             lambda: shown(watcher.profile(kind, target.pid), kind))
    check_equal(*without_hidden(theirs, ours, 1), 1)
    if not is_warm:
        watcher.stop()


def describe_g(memory):
    """Where the type descriptor of runtime.g lies, whose first word is its size."""
    first, end = (memory.symbols[name] for name in ("runtime.types", "runtime.etypes"))
    data = os.pread(memory.file, end - first, first)
    name = data.index(b"\x0a*runtime.g") - 1
    return next(first + at for at in range(0, len(data) - 48, 8) if data[at + 23] & 31 == 25
                and struct.unpack_from("<i", data, at + 40) == (name,))


@ENDS
def test_a_program_that_has_only_begun(start, agent, version):
    """Its descriptors are not yet what they will be: it is refused, and looked at again."""
    target = start(GoTarget, "service", version, rate=RATE).ready()
    with Memory(target) as memory:
        memory.set(describe_g(memory), 8)
        watcher = agent("--pid", target.pid)
        for kind in KINDS:
            answer = watcher.get(f"/pid/{target.pid}/debug/pprof/{kind}")
            assert answer.status == 501 and "runtime.g" in answer.text
    for kind in KINDS:
        theirs, ours = bracketed(lambda kind=kind: shown(target.own(kind), kind),
                                 lambda kind=kind: shown(watcher.profile(kind, target.pid), kind))
        check_equal(*without_hidden(theirs, ours, 1), 1)
    watcher.stop()


SCHED_SP, GOID = 56, 152  # offsets in runtime.g of both versions


def find_g(memory, number):
    """Where the goroutine of this number lies."""
    list_address, count = (memory.word(memory.symbols["runtime.allgs"] + at) for at in (0, 8))
    addresses = [memory.word(list_address + 8 * index) for index in range(count)]
    return next(address for address in addresses if memory.word(address + GOID) == number)


def test_a_goroutine_that_cannot_be_read_whole(whole):
    """Its stack pointer is nowhere: it is shown where it was made, and said to be cut."""
    target, watcher = whole
    path = f"/pid/{target.pid}/debug/pprof/goroutine?debug=2"
    number, created = next((number, created) for number, (state, _, created) in
                           golang.dump(watcher.get(path).text).items()
                           if state == "chan receive" and created)
    cut = watcher.metric("pprofd_stacks_total", kind="goroutine", end="cut")
    with Memory(target) as memory:
        memory.set(find_g(memory, number) + SCHED_SP, 8)
        shown_frames = golang.dump(watcher.get(path).text)[number][1]
        profile = watcher.profile("goroutine", target.pid)
    assert [name for name, _, _ in shown_frames] == [created[0], "[cut]"]
    stacks = [profile.stack(sample) for sample in profile.sample]
    assert [created[0], "[cut]"] in stacks
    # Another one has more frames than fit.
    assert [stack[0] for stack in stacks if len(stack) > 2 and "[cut]" in stack] == \
        ["runtime.gopark"]
    comments = " ".join(map(profile.text, profile.comment))
    assert "1 goroutines moved" in comments and "1 goroutines have stacks of more" in comments
    assert watcher.metric("pprofd_stacks_total", kind="goroutine", end="cut") == cut + 4
    assert watcher.metric("pprofd_stacks_total", kind="goroutine", end="complete") > 100


@contextlib.contextmanager
def ended_after(target, seconds):
    timer = threading.Timer(seconds, lambda: (target.child.kill(), target.child.wait()))
    timer.start()
    try:
        yield
    finally:
        timer.join()


GOROUTINES, BUCKETS = 30000, 2000


def check_all_is_there(body, kind):
    """Of the program that has so many of each: a part of them would be a wrong profile."""
    profile = pprof_check.load(body)
    pprof_check.check_invariants(profile)
    found = rows(profile, lambda stack: any(name in ("main.allocate", "main.wait")
                                            for name, _, _ in stack))
    if kind == "heap":
        # The list that keeps the blocks grows beside them.
        assert len([key for key in found if dict(key[1])["bytes"] == 32]) == BUCKETS
    else:
        assert sum(values[0] for values in found.values()) == GOROUTINES


def test_a_program_that_ends_while_it_is_read(start, agent, folder):
    """Then it is refused, or what was known last is shown; never a part."""
    path = shutil.copy(built("many", NEWEST, "default"), folder / f"ending-{os.getpid()}")
    watcher = agent("--name", os.path.basename(path))
    whole = 0
    for turn in range(10):
        kind = KINDS[turn % 2]
        target = start(GoTarget, "many", NEWEST, path=path,
                       arguments=(str(GOROUTINES), str(BUCKETS))).ready()
        url = f"/pid/{target.pid}/debug/pprof/{kind}"
        wait_until(lambda url=url: watcher.get(url).status == 200, 10, "the program to be seen")
        seconds = 0.005 + turn * 0.02
        with ended_after(target, seconds):
            deadline = time.monotonic() + seconds + 0.3
            while time.monotonic() < deadline:
                answer = watcher.get(url)
                if answer.status == 200:
                    check_all_is_there(answer.body, kind)
                    whole += 1
                else:
                    assert refused(answer), answer.status
        target.kill()
    assert whole
    assert watcher.get("/-/healthy").status == 200
    watcher.stop()
