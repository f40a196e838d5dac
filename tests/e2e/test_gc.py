# SPDX-License-Identifier: Apache-2.0
"""Pauses of runtimes: as many and as long as the runtimes themselves say."""

import collections
import glob
import json
import os
import pathlib
import re
import subprocess
import time

import pytest

import pprof_check
from golang import bracketed
from harness import BUILD, Agent, Target, wait_until

TARGETS = os.path.join(os.path.dirname(__file__), "..", "targets")

LIBPYTHON = glob.glob("/usr/lib/x86_64-linux-gnu/libpython3.*[0-9].so.1.0")

PYTHON = """
import gc, json, sys
print("ready", flush=True)
for line in sys.stdin:
    before = [generation["collections"] for generation in gc.get_stats()]
    kept = []
    for i in range(200000):
        ring = [i]
        ring.append([ring])
        if i % 100 == 0:
            kept.append([ring])
    gc.collect()
    gc.collect(0)
    after = [generation["collections"] for generation in gc.get_stats()]
    print(json.dumps([before, after]), flush=True)
"""

# Of so many collections that take so many ms in all, a thread that has to wait for a CPU between
# a pause's end and the moment in which its length is taken lengthens the sum by little.
COLLECTIONS, MILLISECONDS = 100, 1000

NODE = """
let kept = [], i = 0, count = 0, length = 0;
const { PerformanceObserver, constants } = require("perf_hooks");
new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
        if (entry.detail.kind !== constants.NODE_PERFORMANCE_GC_MINOR)
            continue; // parts of the others are traced as none of their own
        count++;
        length += entry.duration;
    }
}).observe({ entryTypes: ["gc"] });
function makeGarbage() {
    for (let j = 0; j < 100000; j++)
        kept[i++ % 100000] = { a: i, b: [i, i + 1] };
    if (count < COLLECTIONS || length < MILLISECONDS)
        setImmediate(makeGarbage);
}
console.log("ready");
process.stdin.once("data", makeGarbage);
process.stdin.on("data", () => {}); // until the end, and with it the program's
"""


class Watched:
    """A target and an agent that sees its pauses."""

    def __init__(self, start, process, **options):
        self.process = process
        self.agent = start(Agent, "--pid", process.pid, **options).ready()

    def pauses(self, runtime):
        """What the runtime's own probes tell: cause -> (count, seconds). Of them all are there."""
        time.sleep(0.5) # the agent looks several times a second
        profile = self.agent.profile("pauses", self.process.pid)
        found = {}
        for sample in profile.sample:
            labels = pprof_check.labels(sample)
            if "runtime" not in labels:
                continue
            assert labels["runtime"] == runtime
            assert pprof_check.stack(sample)
            count, length = found.get(labels["cause"], (0, 0))
            found[labels["cause"]] = (count + sample.value[0], length + sample.value[1] / 1e9)
        assert f"gc pauses: {runtime}" in pprof_check.comments(profile)
        # A wait that a thread never came back from is no loss of a pause.
        assert all(self.agent.lost(kind="block", reason=reason) == 0
                   for reason in ("ring_full", "scratch_full", "thread_state_full", "argument"))
        return found


def counts(pauses):
    return {cause: count for cause, (count, _) in pauses.items()}


def seconds(pauses):
    return sum(length for _, length in pauses.values())


@pytest.fixture(scope="module")
def garbage(tmp_path_factory):
    """The folder of the compiled Java program."""
    folder = tmp_path_factory.mktemp("java")
    subprocess.run(["javac", "-d", folder, os.path.join(TARGETS, "java", "Garbage.java")],
                   check=True)
    return folder


def needs(program):
    found = subprocess.run(["which", program], capture_output=True, check=False).returncode == 0
    return pytest.mark.skipif(not found, reason=f"there is no {program} here")


def pauses_of_log(log):
    """The length of each in seconds."""
    return [float(ms) / 1000 for ms in re.findall(r"Pause .* ([0-9.]+)ms$", log.read_text(), re.M)]


def safepoints_of_log(log):
    """(operation, seconds): how long all threads were held for it, which is more than its pause."""
    return [(operation, int(ns) / 1e9) for operation, ns in
            re.findall(r'Safepoint "(\w+)".* Total: +(\d+) ns', log.read_text())]


# Cycles that run beside the program are no pauses: G1's are there for the second case.
@needs("javac")
@pytest.mark.parametrize("collector", ["Serial", "G1", "Parallel"])
@pytest.mark.parametrize("heap", ["256m", "64m"])
def test_java_pauses_are_those_of_the_log(start, folder, garbage, collector, heap):
    log = folder / "gc.log"
    java = start(Target, "/usr/bin/java", f"-XX:+Use{collector}GC", f"-Xmx{heap}",
                 f"-Xlog:gc,safepoint:file={log}", "-cp", garbage, "Garbage",
                 COLLECTIONS, MILLISECONDS).ready()
    before, safepoints_before = pauses_of_log(log), safepoints_of_log(log)
    watched = Watched(start, java)
    java.send()
    java.expect("done", 120)
    java.stop() # a cycle that had begun may end with two pauses more
    pauses = {cause: sums for cause, sums in watched.pauses("hotspot").items()
              if re.search("Collect|GC|G1", cause)}
    logged = pauses_of_log(log)[len(before):]
    safepoints = safepoints_of_log(log)[len(safepoints_before):]
    assert len(logged) >= COLLECTIONS
    assert sum(counts(pauses).values()) == len(logged)
    assert seconds(pauses) == pytest.approx(sum(logged), rel=0.1)
    assert set(pauses) <= {operation for operation, _ in safepoints}
    # The log cuts each pause to microseconds.
    assert sum(logged) - 1e-6 * len(logged) <= seconds(pauses) <= \
        sum(length for operation, length in safepoints if operation in pauses)


def reached_of_log(log):
    """Seconds until all threads stood at each safepoint."""
    return [int(ns) / 1e9 for ns in re.findall(r"Reaching safepoint: +(\d+) ns", log.read_text())]


@needs("javac")
def test_the_way_to_a_safepoint_is_a_pause(start, folder):
    """Some threads stand already, and wait for one that is late."""
    log = folder / "safepoints.log"
    subprocess.run(["javac", "-d", folder, os.path.join(TARGETS, "java", "Late.java")], check=True)
    java = start(Target, "/usr/bin/java", "-XX:+UseSerialGC", "-XX:LoopStripMiningIter=0",
                 "-XX:-UseCountedLoopSafepoints", "-XX:+UnlockDiagnosticVMOptions",
                 "-XX:GuaranteedSafepointInterval=0", f"-Xlog:safepoint:file={log}",
                 "-cp", folder, "Late", "12").ready()
    watched = Watched(start, java)
    before = reached_of_log(log)
    java.send()
    java.expect("done", 120)
    # Before its end, of which the log says nothing.
    logged, pauses = bracketed(lambda: reached_of_log(log)[len(before):],
                               lambda: watched.pauses("hotspot"))
    count, length = pauses["reaching safepoint"]
    java.stop()
    assert count == len(logged) >= 12
    assert length == pytest.approx(sum(logged), rel=0.1)
    assert length > 12 * 0.005


def test_java_collections_on_demand_are_pauses(start, folder, garbage):
    java = start(Target, "/usr/bin/java", "-XX:+UseSerialGC", "-cp", garbage, "Garbage",
                 "0", "0").ready()
    watched = Watched(start, java)
    for _ in range(3):
        subprocess.run(["jcmd", str(java.pid), "GC.run"], check=True, capture_output=True)
    assert counts(watched.pauses("hotspot"))["GenCollectFull"] == 3
    java.kill()


def semaphores(pid, path):
    """The counters that say how many listen to a probe of the process, as its memory has them."""
    notes = subprocess.run(["readelf", "-nW", path], capture_output=True, text=True,
                           check=True).stdout
    maps = pathlib.Path(f"/proc/{pid}/maps").read_text()
    # A library lies from its first mapping on, a program where its file says.
    bias = int(re.search(rf"^(\w+)-.*{re.escape(path)}$", maps, re.M)[1], 16) \
        if ".so" in path else 0
    addresses = [bias + int(found, 16) for found in
                 re.findall(r"Name: gc__\w+\n.*Semaphore: (0x[0-9a-f]+)", notes)]
    with open(f"/proc/{pid}/mem", "rb") as memory:
        return [int.from_bytes(os.pread(memory.fileno(), 2, address), "little")
                for address in addresses]


@pytest.mark.parametrize("mode", ["best", "multi", "single"])
def test_python_collections_are_counted_by_generation(start, folder, mode):
    python = start(Target, "/usr/bin/python3", "-c", PYTHON).ready()
    watched = Watched(start, python,
                      env={} if mode == "best" else {"PPROFD_UPROBES": mode})
    assert semaphores(python.pid, "/usr/bin/python3") == [1, 1]
    python.send()
    before, after = json.loads(python.line())
    truth = {f"generation {i}": new - old for i, (old, new) in enumerate(zip(before, after))}
    pauses = watched.pauses("cpython")
    watched.agent.stop()
    # Nothing is left behind.
    assert semaphores(python.pid, "/usr/bin/python3") == [0, 0]
    python.stop()
    assert sum(truth.values()) > 100
    assert counts(pauses) == truth
    assert 0 < seconds(pauses) < 30


@pytest.mark.skipif(not LIBPYTHON, reason="there is no libpython here")
def test_a_runtime_that_is_opened_later_is_seen(start, folder):
    process = start(Target, "late-runtime", LIBPYTHON[0], PYTHON).ready()
    watched = Watched(start, process)
    process.send()
    process.expect("open")
    wait_until(lambda: max(semaphores(process.pid, LIBPYTHON[0])) == 1, 10, "the probes")
    process.send()
    process.expect("ready")
    process.send()
    before, after = json.loads(process.line())
    causes = counts(watched.pauses("cpython"))
    process.stop()
    # What it collected while it began was seen only in part.
    for i, (old, new) in enumerate(zip(before, after)):
        assert new - old <= causes[f"generation {i}"] <= new


@needs("node")
def test_node_pauses_are_those_of_its_own_trace(start, folder):
    node = start(Target, "/usr/bin/node", "--trace-gc", "-e", NODE.replace(
        "COLLECTIONS", str(COLLECTIONS)).replace("MILLISECONDS", str(MILLISECONDS))).ready()
    watched = Watched(start, node)
    node.send()
    node.close_stdin()
    assert node.wait(120) == 0 # marking that has begun may end with a pause after the loop
    lines = []
    while (line := node.lines.get(timeout=30)) is not None:
        lines.append(line)
    pauses = watched.pauses("v8")
    traced = re.findall(r" ms: ([A-Z][\w -]*?) (?:\(\w+\) )?[0-9.]+ \(.*? MB, ([0-9.]+) /",
                        "\n".join(lines))
    assert len(traced) >= COLLECTIONS
    assert counts(pauses) == collections.Counter(name.lower() for name, _ in traced)
    assert seconds(pauses) == pytest.approx(sum(float(ms) for _, ms in traced) / 1000, rel=0.1)


def go_roots():
    """The Go toolchains that there are: the system's, and what tests/go-versions has fetched."""
    return ["system", *sorted(path.name for path in BUILD.glob("go/go1.*"))]


def build_go(folder, name):
    environment = {**os.environ, "GO111MODULE": "off", "GOTOOLCHAIN": "local", "GOFLAGS": "",
                   "GOCACHE": str(BUILD / "go-cache")}
    program = "go"
    if name != "system":
        root = (BUILD / "go" / name).resolve()
        environment["GOROOT"] = str(root)
        program = str(root / "bin" / "go")
    path = folder / "garbage"
    subprocess.run([program, "build", "-ldflags", "-s -w", "-o", path,
                    os.path.abspath(os.path.join(TARGETS, "go", "garbage.go"))],
                   check=True, env=environment, cwd=folder)
    return path


@needs("go")
@pytest.mark.parametrize("name", go_roots())
def test_go_pauses_are_those_of_the_runtime(start, folder, name):
    path = build_go(folder, name)
    version = subprocess.run(["go", "version", path], capture_output=True, text=True,
                             check=True).stdout
    minor = int(re.search(r"go1\.(\d+)", version)[1])
    go = start(Target, str(path)).ready()
    watched = Watched(start, go)
    go.send()
    before, after = go.truth(), go.truth()
    go.stop()
    pauses = watched.pauses("go")
    causes = counts(pauses)
    cycles = after["cycles"] - before["cycles"]
    assert cycles > 5
    assert causes["GC sweep termination"] == cycles
    assert causes["GC mark termination"] >= cycles # it may have to be tried again
    assert causes["read mem stats"] == 2
    collecting = {cause: sums for cause, sums in pauses.items() if cause.startswith("GC ")}
    # To 1.21 the runtime does not tell the probed functions when a pause began.
    assert seconds(collecting) == pytest.approx((after["pause_ns"] - before["pause_ns"]) / 1e9,
                                                rel=0.001 if minor >= 22 else 0.15)
