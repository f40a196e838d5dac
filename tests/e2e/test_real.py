# SPDX-License-Identifier: Apache-2.0
"""Programs that nobody wrote for this: redis, sqlite3, python3, xz, and a static musl binary."""

import os
import re
import subprocess
import time

import pytest

import pprof_check
from harness import Agent, Process, Target, children, go_pprof, total, wait_until

SQL = """WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 1000000000)
SELECT sum(length(hex(randomblob(x % 20000)))) FROM c;"""
PYTHON = """
import zlib
kept = []
while True:
    kept.append(zlib.compress(bytes(200000)) + bytes(50000))
    kept[:] = kept[-100:]
"""


class Redis:
    """A redis-server on a unix socket of its own."""

    def __init__(self, start, folder):
        self.start, self.socket = start, str(folder / "redis.sock")
        self.server = start(Process, ["redis-server", "--port", "0", "--unixsocket", self.socket,
                                      "--save", "", "--appendonly", "no", "--dir", str(folder)])
        self.pid = self.server.pid
        wait_until(lambda: os.path.exists(self.socket), 20, "redis' socket")

    def cli(self, *args, data=None):
        return subprocess.run(["redis-cli", "-s", self.socket, *args], input=data, timeout=120,
                              capture_output=True, check=True).stdout

    def used_memory(self):
        return int(re.search(rb"^used_memory:(\d+)", self.cli("INFO", "memory"), re.M)[1])

    def fill(self, count, size):
        """Stores so many values of this size."""
        value = b"v" * size
        data = b"".join(b"*3\r\n$3\r\nSET\r\n$12\r\nkey:%08d\r\n$%d\r\n%b\r\n" % (i, size, value)
                        for i in range(count))
        assert b"errors: 0" in self.cli("--pipe", data=data)

    def benchmark(self):
        return self.start(Process, ["redis-benchmark", "-s", self.socket, "-t", "set,get,lpush",
                                    "-r", "100000", "-d", "500", "-n", "100000000", "-q"],
                          stdout=subprocess.DEVNULL)


@pytest.fixture
def redis(start, folder):
    return Redis(start, folder)


def watch_redis(start, folder):
    server = Redis(start, folder)
    server.benchmark()
    return start(Agent, "--pid", str(server.pid), "--alloc-interval", "64K").ready(), server.pid


def watch_python(start, _):
    process = start(Process, ["/usr/bin/python3", "-c", PYTHON])
    watcher = start(Agent, "--pid", str(process.pid), "--alloc-interval", "64K").ready()
    return watcher, process.pid


def watch_sqlite(start, _):
    process = start(Process, ["sqlite3", ":memory:"])
    watcher = start(Agent, "--pid", str(process.pid), "--alloc-interval", "64K").ready()
    process.send(SQL)
    return watcher, process.pid


def watch_xz(start, _):
    """It allocates once, at its start: so it runs as the agent's command."""
    with open("/dev/urandom", "rb") as noise:
        watcher = start(Agent, "--alloc-interval", "64K", command=["xz", "-9", "-T1", "-c"],
                        stdin=noise, stdout=subprocess.DEVNULL).ready()
    pid, = wait_until(lambda: watcher.commands(), 10, "xz")
    return watcher, pid


def watch_musl(start, _):
    process = start(Target, "static-musl", "2", "20000", "60").ready()
    watcher = start(Agent, "--pid", str(process.pid), "--alloc-interval", "64K").ready()
    process.send()
    return watcher, process.pid


PROGRAMS = {"redis": (watch_redis, "jemalloc"), "python3": (watch_python, "glibc"),
            "sqlite3": (watch_sqlite, "glibc"), "xz": (watch_xz, "glibc"),
            "static-musl": (watch_musl, "musl")}


def build_id(path):
    notes = subprocess.run(["readelf", "-n", path], capture_output=True, text=True, check=False)
    found = re.search(r"Build ID: (\w+)", notes.stdout)
    return found[1] if found else ""


def assert_mappings_are_true(profile, pid):
    files = 0
    for mapping in profile.mapping:
        name = profile.string_table[mapping.filename]
        if os.path.isfile(name):
            assert profile.string_table[mapping.build_id] == build_id(name), name
            files += 1
    assert files
    main = profile.string_table[profile.mapping[0].filename]
    assert main == os.readlink(f"/proc/{pid}/exe")


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_real_program_can_be_profiled(start, folder, name):
    watch, allocator = PROGRAMS[name]
    watcher, pid = watch(start, folder)
    wait_until(lambda: total(watcher.profile("heap"), "alloc_space"), 20, "a sample")
    for kind, query, value in (("heap", "", "alloc_space"), ("allocs", "", "alloc_space"),
                               ("profile", "?seconds=2", "cpu")):
        profile = watcher.profile(kind, query=query)
        assert total(profile, value) > 0, kind
        assert_mappings_are_true(profile, pid)
        assert pprof_check.by_function(profile, value), kind
        body = watcher.get(f"/pid/{pid}/debug/pprof/{kind}{query}").body
        assert "Samples:" in go_pprof(body, "-raw")
        assert "flat%" in go_pprof(body, "-top")
    assert allocator in watcher.get("/debug/pprof/").text
    if name == "xz":
        os.kill(pid, 15)
        assert watcher.wait() == 128 + 15
    else:
        watcher.stop()


def test_what_redis_stores_is_what_the_heap_grows_by(redis, agent):
    watcher = agent("--pid", redis.pid, "--alloc-interval", "128K")
    before = redis.used_memory()
    redis.fill(200000, 1000)
    grown = redis.used_memory() - before
    assert grown > 200e6
    time.sleep(1)
    found = total(watcher.profile("heap"), "inuse_space")
    assert found == pytest.approx(grown, rel=0.15)
    redis.cli("FLUSHALL", "SYNC")
    time.sleep(1)
    assert total(watcher.profile("heap"), "inuse_space") < grown * 0.15
    watcher.stop()


def test_xz_shows_its_dictionary(start):
    """xz -9 takes 674 MiB, most of it at once: its manual's figure."""
    with open("/dev/urandom", "rb") as noise:
        watcher = start(Agent, command=["xz", "-9", "-T1", "-c"], stdin=noise,
                        stdout=subprocess.DEVNULL).ready()
    time.sleep(2)
    assert total(watcher.profile("heap"), "inuse_space") == pytest.approx(674 << 20, rel=0.05)
    pid, = watcher.commands()
    os.kill(pid, 15)
    assert watcher.wait() == 128 + 15
