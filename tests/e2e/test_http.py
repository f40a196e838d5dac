# SPDX-License-Identifier: Apache-2.0
"""The endpoints: every status, header and parameter of the contract."""

import re
import subprocess
import time

import pytest

import pprof_check
from harness import Agent, Target, sample_types, target_path

HEAP = [("alloc_objects", "count"), ("alloc_space", "bytes"),
        ("inuse_objects", "count"), ("inuse_space", "bytes")]
CPU = [("samples", "count"), ("cpu", "nanoseconds")]
OF_THREADS = ("goroutine", "threads", "threadcreate")
OF_STALLS = ("block", "mutex", "pauses")


@pytest.fixture(scope="module")
def served():
    """One busy target and an agent on it, for all tests of this file."""
    process = Target("demo")
    agent = None
    try:
        process.ready()
        agent = Agent("--pid", str(process.pid), "--alloc-interval", "16K").ready()
        time.sleep(1)
        yield agent, process
        agent.stop()
    finally:
        for started in (agent, process):
            if started:
                started.kill()


def assert_is_proto(answer, name):
    assert answer.status == 200, answer.text
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"] == f'attachment; filename="{name}"'
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "content-encoding" not in answer.headers
    assert answer.body[:2] == b"\x1f\x8b"
    profile = pprof_check.load(answer.body)
    pprof_check.check_invariants(profile)
    return profile


def assert_is_text(answer, status=200):
    assert answer.status == status, answer.body
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["x-content-type-options"] == "nosniff"


def assert_is_error(answer, status):
    assert answer.status == status, answer.body
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.headers["x-go-pprof"] == "1"
    assert answer.text.endswith("\n") and answer.text.strip()


@pytest.mark.parametrize("kind", ["heap", "allocs"])
@pytest.mark.parametrize("prefix", ["/debug/pprof", "/pprof", "/pid/{pid}/debug/pprof"])
def test_memory_kinds_are_profiles(served, kind, prefix):
    agent, process = served
    answer = agent.get(f"{prefix.format(pid=process.pid)}/{kind}")
    profile = assert_is_proto(answer, kind)
    assert sample_types(profile) == HEAP
    assert profile.period == 16384
    period = profile.period_type
    assert [profile.string_table[i] for i in (period.type, period.unit)] == ["space", "bytes"]
    assert profile.duration_nanos == 0
    assert profile.time_nanos > 0
    default = profile.string_table[profile.default_sample_type]
    assert default == "alloc_space" if kind == "allocs" else default in ("", "inuse_space")


def test_cpu_is_a_profile(served):
    agent, _ = served
    profile = assert_is_proto(agent.get("/debug/pprof/profile?seconds=1"), "profile")
    assert sample_types(profile) == CPU
    assert profile.period == pytest.approx(1e9 / 99, abs=1)
    assert 0.9e9 < profile.duration_nanos < 3e9
    assert profile.sample


@pytest.mark.parametrize("kind", ["heap", "allocs"])
def test_seconds_gives_the_difference(served, kind):
    agent, _ = served
    answer = agent.get(f"/debug/pprof/{kind}?seconds=1&seconds=1&stray=%20")
    profile = assert_is_proto(answer, f"{kind}-delta")
    assert sample_types(profile) == HEAP
    assert 0.9e9 < profile.duration_nanos < 3e9


@pytest.mark.parametrize("kind", OF_THREADS)
@pytest.mark.parametrize("prefix", ["/debug/pprof", "/pprof", "/pid/{pid}/debug/pprof"])
def test_kinds_of_threads_are_profiles(served, kind, prefix):
    agent, process = served
    path = f"{prefix.format(pid=process.pid)}/{kind}"
    profile = assert_is_proto(agent.get(path), kind)
    assert sample_types(profile) == [(kind, "count")]
    assert profile.duration_nanos == 0 and profile.period == 1
    profile = assert_is_proto(agent.get(f"{path}?seconds=1"), f"{kind}-delta")
    assert sample_types(profile) == [(kind, "count")]
    assert 0.9e9 < profile.duration_nanos < 3e9
    for bad in ("seconds=x", "seconds=1&debug=2"):
        assert_is_error(agent.get(f"{path}?{bad}"), 400)


@pytest.mark.parametrize("kind", OF_THREADS)
def test_text_of_threads_is_gos(served, kind):
    agent, _ = served
    answer = agent.get(f"/debug/pprof/{kind}?debug=1")
    assert_is_text(answer)
    assert re.fullmatch(rf"{kind} profile: total \d+", answer.text.splitlines()[0])
    answer = agent.get(f"/debug/pprof/{kind}?debug=2")
    assert_is_text(answer)
    if kind != "threadcreate":
        assert re.fullmatch(r"goroutine \d+ \[[a-z ]+(, \d+ minutes)?\]:",
                            answer.text.splitlines()[0])


@pytest.mark.parametrize("query", ["seconds=x", "seconds=0", "seconds=-1", "seconds=1&debug=1",
                                   "seconds=99999999999999999999"])
def test_a_difference_over_bad_seconds_is_400(served, query):
    assert_is_error(served[0].get(f"/debug/pprof/heap?{query}"), 400)


def test_gc_is_accepted_and_said_to_be_ignored(served):
    profile = assert_is_proto(served[0].get("/debug/pprof/heap?gc=1"), "heap")
    assert any(re.search(r"\bgc\b|collection", text, re.I)
               for text in pprof_check.comments(profile))


@pytest.mark.parametrize("kind", ["heap", "allocs"])
@pytest.mark.parametrize("debug", [1, 2])
def test_debug_is_gos_text(served, kind, debug):
    answer = served[0].get(f"/debug/pprof/{kind}?debug={debug}")
    assert_is_text(answer)
    lines = answer.text.splitlines()
    assert re.fullmatch(r"heap profile: \d+: \d+ \[\d+: \d+\] @ heap/32768", lines[0])
    assert re.fullmatch(r"\d+: \d+ \[\d+: \d+\] @( 0x[0-9a-f]+)*", lines[1])
    assert re.search(r"^#\t0x[0-9a-f]+\tcache_insert\+0x[0-9a-f]+", answer.text, re.M)
    assert "# runtime.MemStats" in lines


@pytest.mark.parametrize("kind", OF_STALLS)
def test_stalls_in_every_form(served, kind):
    unit = "pauses" if kind == "pauses" else "contentions"
    for query in ("", "?seconds=1"):
        profile = served[0].profile(kind, query=query)
        assert sample_types(profile) == [(unit, "count"), ("delay", "nanoseconds")]
    answer = served[0].get(f"/debug/pprof/{kind}?debug=1")
    assert_is_text(answer)
    assert answer.text.startswith("--- ")


@pytest.mark.parametrize("path", ["/debug/pprof/nosuch", "/pprof/heap2", "/debug/pprof/heap/x",
                                  "/debug/pprof/HEAP"])
def test_an_unknown_kind_is_404(served, path):
    answer = served[0].get(path)
    assert_is_error(answer, 404)
    assert "Unknown profile" in answer.text


@pytest.mark.parametrize("path", ["/nosuch", "/pid/0/debug/pprof/heap", "/pid/x/debug/pprof/heap",
                                  "/pid/4194304/debug/pprof/heap", "/pid/1/debug/pprof/heap",
                                  "/pid/99999999999999999999/debug/pprof/heap", "/pid/"])
def test_what_is_not_there_is_404(served, path):
    assert_is_error(served[0].get(path), 404)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
@pytest.mark.parametrize("path", ["/debug/pprof/heap", "/debug/pprof/", "/metrics"])
def test_other_methods_are_405(served, method, path):
    assert_is_error(served[0].get(path, method=method, body=b""), 405)


@pytest.mark.parametrize("path", ["/debug/pprof/heap", "/debug/pprof/heap?debug=1",
                                  "/debug/pprof/cmdline", "/debug/pprof/symbol",
                                  "/debug/pprof/", "/metrics", "/-/healthy", "/-/ready"])
def test_head_is_get_without_the_body(served, path):
    agent, _ = served
    head, get = agent.get(path, method="HEAD"), agent.get(path)
    assert head.status == get.status == 200
    assert head.body == b""
    assert head.headers["content-type"] == get.headers["content-type"]
    assert head.headers.get("content-disposition") == get.headers.get("content-disposition")


def test_head_of_an_unknown_kind_is_404(served):
    assert served[0].get("/debug/pprof/nosuch", method="HEAD").status == 404


@pytest.mark.parametrize("prefix", ["", "/pid/{pid}"])
def test_cmdline_is_argv(served, prefix):
    agent, process = served
    answer = agent.get(f"{prefix.format(pid=process.pid)}/debug/pprof/cmdline")
    assert_is_text(answer)
    assert answer.body.rstrip(b"\0").split(b"\0") == [target_path("demo").encode()]


def named_location(profile):
    """An address and its name, of the main binary."""
    for location in profile.location:
        if location.line and location.mapping_id == 1:
            function = profile.function[location.line[-1].function_id - 1]
            return location.address, profile.string_table[function.name]
    raise AssertionError("no location has a name")


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_symbol_names_addresses(served, method):
    agent, _ = served
    address, name = named_location(agent.profile("heap"))
    query = f"0x{address:x}+0x{address:x}"
    if method == "GET":
        answer = agent.get(f"/debug/pprof/symbol?{query}")
    else:
        answer = agent.get("/debug/pprof/symbol", method="POST", body=query.encode())
    assert_is_text(answer)
    assert answer.text == f"num_symbols: 1\n0x{address:x} {name}\n0x{address:x} {name}\n"


@pytest.mark.parametrize("query", ["", "?", "?0x1", "?garbage", "?0x", "?+++",
                                   "?0xfffffffffffffffff"])
def test_symbol_leaves_out_what_has_no_name(served, query):
    answer = served[0].get(f"/debug/pprof/symbol{query}")
    assert_is_text(answer)
    assert answer.text == "num_symbols: 1\n"


def test_the_index_names_every_kind_and_target(served):
    agent, process = served
    answer = agent.get("/debug/pprof/")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/html")
    for kind in ("heap", "allocs", "profile", "cmdline", *OF_THREADS, *OF_STALLS):
        assert kind in answer.text
    assert f"/pid/{process.pid}/" in answer.text
    assert "glibc" in answer.text
    assert agent.get(f"/pid/{process.pid}/debug/pprof/").status == 200


def test_metrics_are_prometheus_text(served):
    agent, process = served
    answer = agent.get("/metrics")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.text.endswith("\n")
    version = subprocess.run([str(agent.argv[0]), "--version"], capture_output=True, text=True,
                             check=True).stdout.split()[1]
    assert agent.metric("pprofd_build_info", version=version) == 1
    assert agent.metric("pprofd_targets") == 1
    pid = process.pid
    assert agent.metric("pprofd_samples_total", kind="heap") > 0
    assert agent.metric("pprofd_target_alloc_bytes_total", pid=pid, comm="demo") > 0
    assert agent.metric("pprofd_target_heap_inuse_bytes", pid=pid, comm="demo") > 0
    assert agent.metric("pprofd_target_rss_bytes", pid=pid, comm="demo") > 1 << 20
    assert agent.metric("pprofd_target_source", pid=pid, source="probes") == 1
    assert agent.metric("process_resident_memory_bytes") > 1 << 20
    assert agent.metric("process_cpu_seconds_total") > 0
    for name, _ in agent.metrics():
        assert name.startswith(("pprofd_", "process_"))


@pytest.mark.parametrize("path", ["/-/healthy", "/-/ready"])
def test_it_is_healthy_and_ready(served, path):
    assert_is_text(served[0].get(path))


def test_profiles_say_how_they_came_about(served):
    comments = pprof_check.comments(served[0].profile("heap"))
    assert any("16384" in text or "16 K" in text for text in comments)
    assert any(re.search(r"rss", text, re.I) for text in comments)
    assert not any(text.startswith("executableInfo=") for text in comments)


def test_one_target_has_no_pid_labels(served):
    profile = served[0].profile("heap")
    assert not any("pid" in pprof_check.labels(sample) for sample in profile.sample)
