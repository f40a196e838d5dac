# SPDX-License-Identifier: Apache-2.0
"""The in-process sampler: what it reports, and that programs do not notice it."""

import os
import pathlib
import re
import shutil
import subprocess

import pytest

from harness import (Agent, BUILD, HEAP_TYPES, Process, Target, free_port, settled_sites, sites,
                     target_path, wait_until)
from usdt_listener import UsdtListener

LIBRARY = BUILD / "libpprofd.so"
MUSL_LIBRARY = BUILD / "libpprofd-musl.so"
TARGETS = pathlib.Path(__file__).resolve().parent.parent / "targets"
ALLOCATORS = ("", "libjemalloc.so.2", "libtcmalloc_minimal.so.4", "libmimalloc.so.2")
RATE, SECONDS = "50000", "1"
INTERVALS = ("524288", "1")
# The sizes that known-counts asks for; a realloc chain has three of them.
SITE_SIZES = {"site_malloc": [100], "site_keep": [64], "site_zero": [0], "site_calloc": [150],
              "site_realloc": [40, 400, 4000], "site_realloc_fails": [80],
              "site_reallocarray": [77], "site_posix_memalign": [200],
              "site_aligned_alloc": [256], "site_memalign": [96], "site_hand_over": [48],
              "site_large": [1000000]}
SHARE_SIZES = {"site_forty": 100000, "site_twenty_five": 4000, "site_fifteen": 1000,
               "site_ten": 32000, "site_eight": 500, "site_two": 400}

needs_bpftrace = pytest.mark.skipif(not shutil.which("bpftrace"), reason="bpftrace is missing")


def sampled(interval="1", allocator="", library=LIBRARY):
    preload = f"{library}:{allocator}" if allocator else str(library)
    return {"LD_PRELOAD": preload, "PPROFD_ALLOC_INTERVAL": interval}


def built(folder, name, compiler, *arguments):
    out = folder / name
    subprocess.run([*compiler.split(), "-D_GNU_SOURCE", f"-I{TARGETS.parent.parent}/agent", "-o",
                    out, *arguments], check=True)
    return str(out)


def musl_built(folder, name):
    return built(folder, name, "musl-gcc -std=gnu17 -O1 -g -fno-builtin", TARGETS / f"{name}.c")


def site_sum(values, name):
    return sum(values.get(size, 0) for size in SITE_SIZES[name])


def assert_exact(listener, process):
    """Every block of every site was reported, once, and every free."""
    process.send()
    truth = process.truth()
    heard = listener.stop()
    assert sum(site["alloc_objects"] for site in truth.values()) > 30000
    for name, site in truth.items():
        allocs = site_sum(heard["objects"], name)
        assert allocs == site["alloc_objects"], name
        assert allocs - site_sum(heard["freed_objects"], name) == site["inuse_objects"], name
        if name != "site_zero":
            assert site_sum(heard["bytes"], name) == site["alloc_space"], name
    process.stop()


@needs_bpftrace
@pytest.mark.parametrize("threads", ["1", "4"])
@pytest.mark.parametrize("allocator", ALLOCATORS)
def test_every_block_is_reported_at_interval_one(start, target, allocator, threads):
    process = target("known-counts", threads, RATE, SECONDS, env=sampled("1", allocator))
    assert_exact(start(UsdtListener, LIBRARY, process.pid), process)


@needs_bpftrace
@pytest.mark.parametrize("threads", ["1", "4"])
def test_every_block_is_reported_with_musl(start, folder, threads):
    process = start(Target, musl_built(folder, "known-counts"), threads, RATE, SECONDS,
                    env=sampled("1", library=MUSL_LIBRARY)).ready()
    assert_exact(start(UsdtListener, MUSL_LIBRARY, process.pid), process)


@needs_bpftrace
@pytest.mark.parametrize("allocator", ALLOCATORS)
def test_every_form_of_operator_new_counts_once(start, folder, allocator):
    program = built(folder, "operators", "g++ -std=c++17 -O0", TARGETS / "operators.cc")
    process = start(Target, program, "gentle", env=sampled("1", allocator)).ready()
    listener = start(UsdtListener, LIBRARY, process.pid)
    process.send()
    rounds = process.truth()["rounds"]
    heard = listener.stop()
    for size in (*range(1001, 1007), *range(1088, 1409, 64)):
        assert heard["objects"].get(size) == rounds, size
        assert heard["freed_objects"].get(size) == rounds, size
    process.stop()


@pytest.fixture(scope="module")
def shares_heard():
    """The program shares at the default interval: its truth, and what the probes said."""
    process = Target("shares", env=sampled("512K"))
    listener = None
    try:
        process.ready()
        listener = UsdtListener(LIBRARY, process.pid)
        process.send()
        truth = process.truth(300)
        yield truth, listener.stop()
    finally:
        for started in (listener, process):
            if started:
                started.kill()


@needs_bpftrace
def test_estimates_of_large_sites_are_within_10_percent(shares_heard):
    truth, heard = shares_heard
    whole = sum(site["alloc_space"] for site in truth.values())
    for name, site in truth.items():
        size = SHARE_SIZES[name]
        if site["alloc_space"] <= whole * 0.05:
            continue
        allocated = heard["bytes"][size]
        live = allocated - heard["freed_bytes"].get(size, 0)
        assert allocated == pytest.approx(site["alloc_space"], rel=0.1), name
        assert live == pytest.approx(site["inuse_space"], rel=0.1), name


@needs_bpftrace
def test_the_estimate_of_all_is_within_5_percent(shares_heard):
    truth, heard = shares_heard
    whole = sum(site["alloc_space"] for site in truth.values())
    assert sum(heard["bytes"].values()) == pytest.approx(whole, rel=0.05)


@pytest.mark.parametrize("allocator, interval", [
    ("", "524288"), *((allocator, "1") for allocator in ALLOCATORS)])
@pytest.mark.parametrize("mode", ["fork", "threads", "spawn"])
def test_a_storm_ends_as_without_the_sampler(mode, allocator, interval):
    result = run([target_path("alloc-storm"), mode], sampled(interval, allocator))
    assert re.fullmatch(rf"{mode}: \d+\n", result[1]) and result[0] == 0


@pytest.mark.parametrize("interval", INTERVALS)
@pytest.mark.parametrize("mode", ["fork", "threads"])
def test_a_storm_ends_as_without_the_sampler_with_musl(folder, mode, interval):
    program = musl_built(folder, "alloc-storm")
    result = run([program, mode], sampled(interval, library=MUSL_LIBRARY))
    assert re.fullmatch(rf"{mode}: \d+\n", result[1]) and result[0] == 0


@pytest.mark.parametrize("interval", [*INTERVALS, "100"])
def test_signal_handlers_may_come_in_at_any_point(folder, interval):
    """The allocator behind the sampler is one that handlers may call."""
    bump = built(folder, "bump.so", "gcc -O2 -fno-builtin -shared -fPIC",
                 TARGETS / "preload" / "bump.c")
    assert run([target_path("alloc-storm"), "signals"], sampled(interval, bump)) == \
        (0, "signals: 2000\n", "")


def test_a_program_with_an_allocator_of_its_own_keeps_it(folder):
    program = built(folder, "own", "gcc -O1 -fno-builtin -rdynamic", TARGETS / "alloc-storm.c",
                    TARGETS / "preload" / "bump.c")
    assert run([program, "signals"], sampled()) == (0, "signals: 2000\n", "")


@pytest.mark.parametrize("allocator", ["libjemalloc.so.2", "libtcmalloc_minimal.so.4"])
def test_an_allocator_before_the_library_keeps_its_blocks(target, allocator):
    """It has no reallocarray, so that this one of malloc's kin comes by the library."""
    environment = sampled("1")
    environment["LD_PRELOAD"] = f"{allocator} {environment['LD_PRELOAD']}"
    process = target("known-counts", "1", "500", "1", env=environment)
    process.send()
    assert process.truth()["site_reallocarray"]["alloc_objects"] > 0
    process.stop()


def run(command, environment=None):
    result = subprocess.run(command, env={**os.environ, **(environment or {})}, timeout=300,
                            capture_output=True, text=True, check=False)
    return result.returncode, result.stdout, result.stderr


@pytest.mark.parametrize("interval", INTERVALS)
@pytest.mark.parametrize("allocator", ["", "libjemalloc.so.2", "libtcmalloc_minimal.so.4"])
def test_what_an_allocator_refuses_stays_as_it_is(allocator, interval):
    program = [target_path("alloc-edges")]
    alone = run(program, {"LD_PRELOAD": allocator} if allocator else None)
    assert alone[0] == 0 and "aligned" in alone[1]
    assert run(program, sampled(interval, allocator)) == alone


def test_what_musl_refuses_stays_as_it_is(folder):
    program = musl_built(folder, "alloc-edges")
    alone = run([program])
    assert alone[0] == 0 and "aligned" in alone[1]
    assert run([program], sampled(library=MUSL_LIBRARY)) == alone


@pytest.mark.parametrize("kind", ["glibc", "musl"])
def test_a_library_opened_late_serves_blocks_from_before_and_after(folder, kind):
    if kind == "glibc":
        command = [target_path("alloc-edges"), LIBRARY]
    else:
        command = [musl_built(folder, "alloc-edges"), MUSL_LIBRARY]
    status, out, errors = run(command, {"PPROFD_ALLOC_INTERVAL": "1"})
    assert status == 0, out + errors
    assert "late: freed at most what was sampled: 1\n" in out
    # Two threads, each 19,999 times a malloc and a realloc.
    assert "late: sampled 79996\n" in out


@pytest.mark.parametrize("interval", INTERVALS)
@pytest.mark.parametrize("allocator", ["", "libjemalloc.so.2", "libtcmalloc_minimal.so.4"])
def test_a_plugin_in_cxx_finds_its_operators_in_a_c_program(folder, allocator, interval):
    plugin = built(folder, "plugin.so", "g++ -std=c++17 -O0 -shared -fPIC",
                   TARGETS / "operators.cc")
    host = ["/usr/bin/python3", "-c", f"import ctypes; print(ctypes.CDLL('{plugin}').use_operators())"]
    assert run(host, sampled(interval, allocator)) == (0, "1000\n", "")


TLS_HOG = """
__thread char hog[BYTES] __attribute__((tls_model("initial-exec")));
char *get(void) { return hog; }
"""
TLS_HOST = """
import ctypes, sys
for path in sys.argv[2:]:
    try:
        ctypes.CDLL(path)
    except OSError:
        pass
try:
    ctypes.CDLL(sys.argv[1])
    print("loaded")
except OSError as error:
    print("static TLS" in str(error))
print(len([bytearray(1000) for _ in range(1000)]))
"""


@pytest.mark.parametrize("hogs, wanted", [(0, "loaded"), (4, "loaded"), (60, "True")])
def test_scarce_static_tls_is_an_error_at_most(folder, hogs, wanted):
    """Large hogs take most of what the process has left, small ones the rest."""
    source = folder / "hog.c"
    source.write_text(TLS_HOG)
    paths = [folder / f"hog{index}.so" for index in range(hogs)]
    for kind, size in enumerate((64, 8)):
        for index in range(kind, hogs, 2):
            if index == kind:
                built(folder, paths[index].name, f"gcc -shared -fPIC -DBYTES={size}", source)
            else:
                shutil.copy(paths[kind], paths[index])
    status, out, errors = run(["/usr/bin/python3", "-c", TLS_HOST, LIBRARY,
                               *paths[0::2], *paths[1::2]])
    assert (status, out) == (0, f"{wanted}\n1000\n"), errors


CXX_SOURCE = """#include <map>
#include <string>
int main() { std::map<int, std::string> m; m[1] = "a"; return m[0].size(); }
"""
PROGRAMS = {
    "bash": ["bash", "-c", "for i in $(seq 300); do (echo $i | cat); done; exec ls /"],
    "python3": ["/usr/bin/python3", "-c", """
import hashlib, json, subprocess, threading
print(hashlib.md5(json.dumps(list(range(100000))).encode()).hexdigest())
many = [threading.Thread(target=lambda: [bytearray(999) for _ in range(9999)]) for _ in range(8)]
[one.start() for one in many]; [one.join() for one in many]
print(subprocess.check_output(["echo", "from a child"]))"""],
    "sqlite3": ["sqlite3", ":memory:", """create table t(a, b);
with recursive c(x) as (select 1 union all select x + 1 from c where x < 50000)
insert into t select x, hex(x * x) from c; create index i on t(b);
select sum(length(b)), count(distinct b) from t;"""],
    "clang": ["sh", "-c", f"echo '{CXX_SOURCE}' | clang++-14 -O2 -xc++ -c -o - - | md5sum"],
    "gcc": ["sh", "-c", f"echo '{CXX_SOURCE}' | g++ -O2 -xc++ -S -o - - | md5sum"],
    "java": ["java", "-version"],
    "node": ["node", "-e", """
let all = []; for (let i = 0; i < 300000; i++) all.push(String(i));
console.log(all.length, require("zlib").gzipSync(all.join("")).length)"""],
    "perl": ["perl", "-e", "my %h; $h{$_} = $_ x 10 for 1..50000; print scalar(keys %h), qq(\\n)"],
    "xz": ["sh", "-c", "seq 100000 | xz -T2 | xz -d | md5sum"],
    "go": ["go", "version"],
}


@pytest.mark.parametrize("interval", INTERVALS)
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_gives_the_same_output(name, interval):
    command = PROGRAMS[name]
    if not shutil.which(command[0]):
        pytest.skip(f"{command[0]} is missing")
    alone = run(command)
    assert alone[0] == 0, alone[2]
    assert run(command, sampled(interval)) == alone


@pytest.mark.parametrize("interval", INTERVALS)
def test_redis_serves_under_load(start, folder, interval):
    port = str(free_port())
    server = start(Process, ["redis-server", "--port", port, "--dir", folder, "--save", "",
                             "--appendonly", "no"], env=sampled(interval))
    client = ["redis-cli", "-p", port]
    wait_until(lambda: run([*client, "ping"])[1] == "PONG\n", 20, "redis-server")
    status, out, errors = run(["redis-benchmark", "-p", port, "-q", "-n", "20000", "-c", "20", "-r",
                               "1000", "-t", "set,get,lpush,lpop,sadd,hset,zadd,mset"])
    assert status == 0 and "error" not in (out + errors).lower()
    assert run([*client, "set", "a key", "a value"])[1] == "OK\n"
    assert run([*client, "bgsave"])[0] == 0
    assert run([*client, "get", "a key"])[1] == "a value\n"
    run([*client, "shutdown", "nosave"])
    assert server.wait() == 0


def read_elf(*options):
    return subprocess.run(["readelf", "-W", *options], capture_output=True, text=True,
                          check=True).stdout


@pytest.mark.parametrize("library", [LIBRARY, MUSL_LIBRARY])
def test_the_library_asks_for_little(library):
    dynamic = read_elf("-d", library)
    assert len(re.findall(r"\(NEEDED\)", dynamic)) == 1 and "[libc.so" in dynamic
    assert "NODELETE" in dynamic
    versions = {tuple(map(int, found)) for found in
                re.findall(r"Name: GLIBC_(\d+)\.(\d+)", read_elf("-V", library))}
    assert all(version <= (2, 4) for version in versions)
    tls = re.search(r"^ +TLS .*", read_elf("-l", library), re.M)[0].split()
    assert int(tls[5], 16) <= 32


@pytest.mark.parametrize("library", [LIBRARY, MUSL_LIBRARY])
def test_the_notes_follow_the_contract(library):
    notes = read_elf("-n", library)
    found = re.findall(r"Provider: (\w+)\s+Name: (\w+)\s+.*Semaphore: 0x0+\s+Arguments: (.*)",
                       notes)
    assert [(name, len(arguments.split())) for _, name, arguments in found] == \
        [("alloc", 3), ("free", 1)]
    assert {provider for provider, _, _ in found} == {"otel_memory"}


@pytest.fixture
def reading_agent(start):
    """reading_agent(PROCESS, ...): an agent that reads the probes of this process."""
    def make(process, *options):
        watcher = start(Agent, "--pid", process.pid, *options).ready()
        sources = {dict(labels).get("source") for name, labels in watcher.metrics()
                   if name == "pprofd_target_source"}
        assert sources == {"sampler"}
        return watcher
    return make


@pytest.mark.parametrize("threads", ["1", "4"])
def test_the_agent_shows_every_block_at_interval_one(target, reading_agent, threads):
    process = target("known-counts", threads, RATE, SECONDS, env=sampled())
    watcher = reading_agent(process, "--alloc-interval", "1")
    process.send()
    truth = process.truth()
    assert settled_sites(watcher, truth) == truth
    assert watcher.lost() == 0
    watcher.stop()
    process.stop()


def test_the_agent_estimates_large_sites_within_10_percent(target, reading_agent):
    process = target("shares", env=sampled("512K"))
    watcher = reading_agent(process)
    process.send()
    truth = process.truth(300)
    settled_sites(watcher, truth, seconds=2)
    found = sites(watcher.profile("heap"), truth)
    whole = sum(site["alloc_space"] for site in truth.values())
    for name, site in truth.items():
        if site["alloc_space"] <= whole * 0.05:
            continue
        for kind in HEAP_TYPES:
            assert found[name][kind] == pytest.approx(site[kind], rel=0.1), (name, kind)
    watcher.stop()
    process.stop()
