# SPDX-License-Identifier: Apache-2.0
"""The command line: exit statuses, one-line errors, clean ends."""

import json
import os
import pathlib
import re
import signal
import socket
import subprocess

import pytest

from harness import AGENT, Agent, NOBODY, Target, children, copy_for_all, is_host_pid_namespace, \
    target_path, wait_until


def run(*args, prefix=(), path=AGENT, timeout=60, **options):
    return subprocess.run([*prefix, path, *map(str, args)], timeout=timeout, text=True,
                          capture_output=True, check=False, stdin=subprocess.DEVNULL, **options)


def assert_one_line_error(result, status, pattern):
    assert result.returncode == status, result.stderr
    assert result.stdout == ""
    assert result.stderr.endswith("\n") and result.stderr.count("\n") == 1, result.stderr
    assert re.search(pattern, result.stderr), result.stderr


def unused_pid():
    child = subprocess.Popen(["true"])
    child.wait()
    return child.pid


@pytest.mark.parametrize("args, names", [
    (["--no-such-option"], "no-such-option"),
    (["--pid"], "pid"),
    (["--pid", "redis"], "redis"),
    (["--pid", "-7"], "-7"),
    (["--alloc-interval", "many"], "many"),
    (["--alloc-interval", "5X"], "5X"),
    (["--cpu-hz", "fast"], "fast"),
    (["--disable", "nosuch"], "nosuch"),
    (["--enable", "nosuch"], "nosuch"),
    (["--listen", "6060x"], "6060x"),
    (["--listen", "127.0.0.1:99999"], "99999"),
    (["--log-level", "loud"], "loud"),
    (["--log-format", "xml"], "xml"),
])
def test_a_bad_argument_ends_with_2_and_is_named(args, names):
    assert_one_line_error(run(*args), 2, re.escape(names))


def test_no_target_on_a_host_says_how_to_choose():
    if not is_host_pid_namespace():
        pytest.skip("in a PID namespace of its own, no target means --all")
    assert_one_line_error(run(), 2, "--pid")


def test_a_pid_that_does_not_exist_is_named():
    pid = unused_pid()
    assert_one_line_error(run("--pid", pid), 1, str(pid))


def test_a_port_in_use_is_named(target):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        result = run("--pid", target("known-counts").pid, "--listen", address)
    assert_one_line_error(result, 1, re.escape(address))


def test_without_privileges_it_says_what_is_missing(start, folder):
    agent, program = copy_for_all(folder, AGENT, target_path("known-counts"))
    process = start(Target, program, prefix=NOBODY).ready()
    result = run("--pid", process.pid, path=agent, prefix=NOBODY)
    assert_one_line_error(result, 1, r"root|CAP_|privilege")


def test_version_names_program_and_version():
    result = run("--version")
    assert result.returncode == 0
    assert re.fullmatch(r"pprofd \d+\.\d+\.\d+\S*\n", result.stdout)


def test_help_names_every_option():
    result = run("--help")
    assert result.returncode == 0
    for option in ("--pid", "--name", "--all", "--children", "--listen", "--alloc-interval",
                   "--cpu-hz", "--disable", "--enable", "--record", "--replay", "--log-level",
                   "--log-format", "--version", "--help"):
        assert option in result.stdout


@pytest.mark.parametrize("script, status", [
    ("exit 0", 0),
    ("exit 7", 7),
    ("kill -TERM $$", 128 + signal.SIGTERM),
    ("kill -KILL $$", 128 + signal.SIGKILL),
])
def test_the_commands_exit_status_is_the_agents(start, script, status):
    agent = start(Agent, command=["sh", "-c", script])
    assert agent.wait() == status, agent.stderr()


def test_a_command_that_cannot_be_started_is_named(start):
    agent = start(Agent, command=["/nonexistent/command"])
    assert agent.wait() in (1, 126, 127)
    assert "/nonexistent/command" in agent.stderr()


def test_a_commands_output_and_arguments_pass_through(start):
    agent = start(Agent, command=["printf", "%s\\n", "--version", "two words"])
    assert agent.line() == "--version"
    assert agent.line() == "two words"
    assert agent.wait() == 0, agent.stderr()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_0_and_the_target_goes_on(agent, target, number):
    process = target("churn")
    agent("--pid", process.pid).stop(number)
    process.skip_lines()
    process.line()
    process.stop()


def libc_code(pid):
    """The bytes of libc's executable mapping, as they are in the target's memory."""
    maps = pathlib.Path(f"/proc/{pid}/maps").read_text()
    start, end = re.search(r"^(\w+)-(\w+) r-xp .*/libc\.so\.6$", maps, re.M).groups()
    with open(f"/proc/{pid}/mem", "rb") as memory:
        memory.seek(int(start, 16))
        return memory.read(int(end, 16) - int(start, 16))


def test_nothing_is_left_in_the_targets_code(agent, target):
    process = target("churn")
    before = libc_code(process.pid)
    watcher = agent("--pid", process.pid)
    assert libc_code(process.pid) != before
    watcher.stop()
    wait_until(lambda: libc_code(process.pid) == before, 5, "the probes to be gone")


def test_json_logs_are_json(agent, target):
    watcher = agent("--pid", target("known-counts").pid, "--log-format", "json",
                    "--log-level", "debug")
    lines = watcher.stop().splitlines()
    assert lines
    for line in lines:
        assert isinstance(json.loads(line), dict)


def test_logfmt_is_pairs(agent, target):
    watcher = agent("--pid", target("known-counts").pid, "--log-level", "debug")
    lines = watcher.stop().splitlines()
    assert lines
    for line in lines:
        assert re.match(r"\w+=\S", line), line


def test_disabled_collectors_are_not_attached(agent, target):
    process = target("churn")
    before = libc_code(process.pid)
    watcher = agent("--pid", process.pid, "--disable", "heap,alloc")
    assert libc_code(process.pid) == before
    assert watcher.get("/debug/pprof/heap").status == 501
    watcher.profile("profile", query="?seconds=1")
    watcher.stop()


def test_a_command_sees_its_own_environment_and_folder(start):
    agent = start(Agent, command=["sh", "-c", "pwd; echo $PPROFD_E2E"], env={"PPROFD_E2E": "x y"})
    assert agent.line() == os.getcwd()
    assert agent.line() == "x y"
    assert agent.wait() == 0, agent.stderr()


def test_the_command_is_the_agents_own_child(start):
    agent = start(Agent, command=[target_path("known-counts")])
    agent.expect("ready")
    assert len(agent.commands()) == 1
    agent.stop_command()
