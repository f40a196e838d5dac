# SPDX-License-Identifier: Apache-2.0
"""What the end-to-end tests stand on: processes that always end, and the agent behind HTTP."""

import http.client
import json
import os
import pathlib
import queue
import re
import shutil
import signal
import socket
import statistics
import subprocess
import tempfile
import threading
import time

import pprof_check

BUILD = pathlib.Path(os.environ.get("PPROFD_BUILD", "build")).resolve()
AGENT = BUILD / "pprofd"
HEAP_TYPES = ("alloc_objects", "alloc_space", "inuse_objects", "inuse_space")
NOBODY = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups")


def target_path(name):
    return str(BUILD / "targets" / name)


def wait_until(condition, seconds, what):
    """Polls until condition() is true and returns what it returned."""
    deadline = time.monotonic() + seconds
    while True:
        result = condition()
        if result:
            return result
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(0.05)


class Process:
    """A child with lines on stdin and stdout, which stop() or kill() ends by its pid."""

    def __init__(self, argv, env=None, stdin=subprocess.PIPE, stdout=subprocess.PIPE):
        self.argv = [str(arg) for arg in argv]
        self.errors = tempfile.TemporaryFile()
        self.child = subprocess.Popen(self.argv, stdin=stdin, stdout=stdout, stderr=self.errors,
                                      env={**os.environ, **(env or {})})
        self.pid = self.child.pid
        self.lines = queue.Queue()
        if self.child.stdout:
            threading.Thread(target=self._read_lines, daemon=True).start()

    def _read_lines(self):
        for line in self.child.stdout:
            self.lines.put(line.decode(errors="replace").rstrip("\n"))
        self.lines.put(None)

    def line(self, timeout=30):
        """The next line of stdout."""
        text = self.lines.get(timeout=timeout)
        assert text is not None, f"{self.argv} ended: {self.stderr()}"
        return text

    def expect(self, wanted, timeout=30):
        while self.line(timeout) != wanted:
            pass

    def skip_lines(self):
        """Forgets what was printed so far."""
        while not self.lines.empty():
            self.line()

    def send(self, text="go"):
        self.child.stdin.write(text.encode() + b"\n")
        self.child.stdin.flush()

    def stderr(self):
        self.errors.seek(0)
        return self.errors.read().decode(errors="replace")

    def close_stdin(self):
        if self.child.stdin and not self.child.stdin.closed:
            try:
                self.child.stdin.close()
            except BrokenPipeError:
                pass

    def wait(self, timeout=30):
        return self.child.wait(timeout)

    def signal(self, number):
        self.child.send_signal(number)

    def is_running(self):
        return self.child.poll() is None

    def kill(self):
        """The last resort, and what fixtures do to all that a test left running."""
        self.close_stdin()
        if self.is_running():
            self.child.kill()
        self.child.wait()


class Target(Process):
    """A program of tests/targets, or another; stop() ends it by the end of its stdin."""

    def __init__(self, name, *args, prefix=(), **options):
        path = name if "/" in str(name) else target_path(name)
        super().__init__([*prefix, path, *args], **options)

    def ready(self):
        self.expect("ready")
        return self

    def truth(self, timeout=60):
        """What the target printed as JSON."""
        while True:
            text = self.line(timeout)
            if text.startswith("{"):
                return json.loads(text)

    def rate(self, seconds):
        """churn: the median of what it reports over so many seconds from now."""
        self.skip_lines()
        end = time.monotonic() + seconds
        values = []
        while time.monotonic() < end or len(values) < 3:
            values.append(int(self.line()))
        return statistics.median(values[1:])

    def stop(self):
        self.close_stdin()
        assert self.wait() == 0


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def text(self):
        return self.body.decode()


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def free_port(host="127.0.0.1"):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.bind((host, 0))
        return probe.getsockname()[1]


def ask(listen, path, method="GET", body=None, timeout=60):
    """One request to host:port, [v6]:port or unix:/path. Header names come in lower case."""
    if listen.startswith("unix:"):
        connection = UnixConnection(listen[5:], timeout)
    else:
        host, port = listen.rsplit(":", 1)
        connection = http.client.HTTPConnection(host.strip("[]"), int(port), timeout=timeout)
    try:
        connection.request(method, path, body)
        response = connection.getresponse()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, headers, response.read())
    finally:
        connection.close()


class Agent(Process):
    """build/pprofd on a loopback port of its own. With command, it runs that after `--`."""

    def __init__(self, *args, command=None, listen=None, path=AGENT, prefix=(), budget=True,
                 **options):
        self.listen = listen or f"127.0.0.1:{free_port()}"
        # What most tests look at is what probes see, and not what they may cost.
        no_limit = ("--budget", "100") if budget and "--budget" not in args else ()
        argv = [*prefix, path, "--listen", self.listen, *no_limit, *args]
        if command:
            argv += ["--", *command]
        super().__init__(argv, **options)

    def ready(self, timeout=60):
        def is_ready():
            assert self.is_running(), f"the agent ended {self.child.poll()}: {self.stderr()}"
            try:
                return self.get("/-/ready").status == 200
            except OSError:
                return False
        wait_until(is_ready, timeout, "the agent to be ready")
        return self

    def get(self, path, **options):
        return ask(self.listen, path, **options)

    def profile(self, kind, pid=None, query="", timeout=90):
        """A profile that holds to the contract's invariants."""
        prefix = f"/pid/{pid}" if pid else ""
        answer = self.get(f"{prefix}/debug/pprof/{kind}{query}", timeout=timeout)
        assert answer.status == 200, answer.text
        profile = pprof_check.load(answer.body)
        pprof_check.check_invariants(profile)
        return profile

    def metrics(self):
        """Every sample of /metrics: (name, its labels) -> value."""
        values = {}
        for line in self.get("/metrics").text.splitlines():
            if line and not line.startswith("#"):
                name, labels, value = re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line).groups()
                pairs = tuple(sorted(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', labels or "")))
                values[name, pairs] = float(value)
        return values

    def metric(self, name, **labels):
        """The sum over all samples of this name that carry these labels."""
        wanted = {(key, str(value)) for key, value in labels.items()}
        return sum(value for (other, pairs), value in self.metrics().items()
                   if other == name and wanted <= set(pairs))

    def lost(self, **labels):
        return self.metric("pprofd_samples_lost_total", **labels)

    def spans(self, seconds):
        """How many requests with so many seconds wait for their end: in poll(), by its timeout."""
        count = 0
        for task in pathlib.Path(f"/proc/{self.pid}/task").iterdir():
            try:
                call, *arguments = (task / "syscall").read_text().split()
            except OSError:  # the thread has ended
                continue
            count += call == "7" and arguments[1] == "0x2" and \
                (seconds - 1) * 1000 < int(arguments[2], 16) <= seconds * 1000
        return count

    def stop(self, signal_number=signal.SIGTERM):
        """Ends it as an operator would: status 0, and nothing that a sanitizer would print."""
        self.signal(signal_number)
        status = self.wait(30)
        assert status == 0, f"ended with {status}: {self.stderr()}"
        return self.stderr()

    def commands(self):
        """The pids of its children but for the keeper, which ends by itself."""
        return [pid for pid in children(self.pid) if comm(pid) != "uprobe-keeper"]

    def keeper(self):
        """The pid of the process that places its probes."""
        pid, = (pid for pid in children(self.pid) if comm(pid) == "uprobe-keeper")
        return pid

    def kill(self):
        """Its command too, which a killed agent would leave behind."""
        commands = self.commands() if self.is_running() else []
        super().kill()
        for pid in commands:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def stop_command(self):
        """Ends the command that it runs by the end of its stdin; its status is the agent's."""
        self.close_stdin()
        assert self.wait(30) == 0, self.stderr()


def sites(profile, names, types=HEAP_TYPES):
    """What a profile shows for these functions, in the form of a target's truth."""
    totals = {name: pprof_check.cumulative(profile, name) for name in types}
    return {site: {kind: totals[kind].get(site, 0) for kind in types} for site in names}


def settled_sites(agent, truth, pid=None, seconds=10):
    """The sites of the heap once they equal the truth, or as they are after so many seconds."""
    deadline = time.monotonic() + seconds
    while True:
        found = sites(agent.profile("heap", pid), truth)
        if found == truth or time.monotonic() > deadline:
            return found
        time.sleep(0.2)


def sample_types(profile):
    text = profile.string_table
    return [(text[kind.type], text[kind.unit]) for kind in profile.sample_type]


def total(profile, value_type):
    """The sum of one value over all samples."""
    index = [kind for kind, _ in sample_types(profile)].index(value_type)
    return sum(sample.value[index] for sample in profile.sample)


def go_pprof(body, *options):
    """What `go tool pprof` makes of these bytes."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "profile.pb.gz")
        path.write_bytes(body)
        result = subprocess.run(["go", "tool", "pprof", *options, path], timeout=120,
                                capture_output=True, text=True, check=False,
                                env={**os.environ, "HOME": folder, "PPROF_TMPDIR": folder})
    assert result.returncode == 0, result.stderr
    return result.stdout


def comm(pid):
    """A process's name, "" if it is gone."""
    try:
        return pathlib.Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def children(pid):
    """The pids of a process's children."""
    found = []
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found.append(int(stat.parent.name))
    return found


def task_states(pid):
    """Of each thread of a process the letter of its state, as in ps."""
    return [stat.read_text().rsplit(")", 1)[1].split()[0]
            for stat in pathlib.Path(f"/proc/{pid}/task").glob("*/stat")]


def cpu_seconds(pid):
    """User and system time that a process has used."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss_bytes(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) * 1024


def is_host_pid_namespace():
    return os.readlink("/proc/self/ns/pid") == "pid:[4026531836]"


def copy_for_all(folder, *paths):
    """Copies programs to where an unprivileged user may run them."""
    os.chmod(folder, 0o755)
    copies = []
    for path in paths:
        copies.append(str(shutil.copy(path, folder)))
        os.chmod(copies[-1], 0o755)
    return copies
