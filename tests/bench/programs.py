# SPDX-License-Identifier: Apache-2.0
"""Real programs with work to do, whose stacks the benches take."""

import contextlib
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))

from harness import Process, wait_until  # noqa: E402

TARGETS = HERE.parent / "targets"
LIBRARIES = ["-lbpf", "-ldw", "-lelf", "-lz", "-llzma", "-lprotobuf-c", "-lmicrohttpd", "-lZydis",
             "-liberty", "-lpthread", "-lm"]
LIBC = "/lib/x86_64-linux-gnu/libc.so.6"
BIG_FILE = "/usr/lib/x86_64-linux-gnu/libLLVM-14.so.1"

SQL = """
CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT, c REAL);
CREATE INDEX i ON t(b, c);
WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 20000)
INSERT INTO t SELECT x, printf('%d-%x', x % 97, x * 7919), x / 3.0 FROM n;
SELECT count(*), group_concat(b) FROM t JOIN (SELECT b AS d FROM t WHERE a % 7 = 0) ON b = d
WHERE b LIKE '%9%' ORDER BY c;
SELECT b, sum(c) OVER (PARTITION BY a % 10 ORDER BY b) FROM t ORDER BY c DESC LIMIT 3;
UPDATE t SET b = upper(b) || a WHERE a % 3 = 0;
DROP TABLE t;
"""

PYTHON = """
import json, re, random
class Tree:
    def __init__(self, depth): self.children = [Tree(depth - 1) for _ in range(2)] if depth else []
    def walk(self): return 1 + sum(child.walk() for child in self.children)
while True:
    Tree(7).walk()
    text = json.dumps([{"a": [i, str(i)] * 3, "b": None} for i in range(200)], indent=1)
    json.loads(text)
    re.sub(r"(\\w+)\\s*:", lambda m: m.group(1).upper(), text)
    sorted((random.random() for _ in range(500)), key=lambda x: -x)
"""

CXX_HEAD = """
#include <algorithm>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <regex>
#include <string>
#include <unordered_map>
#include <vector>
"""

CXX_PART = """
namespace part{n} {{
struct key {{ int a; std::string b; bool operator<(const key &o) const {{ return b < o.b; }} }};
int run(int argc, char **argv)
{{
    std::map<key, std::vector<std::unique_ptr<key>>> all;
    std::unordered_map<int, std::function<int(key &)>> calls;
    for (int i = 0; i < argc; i++) {{
        calls[i] = [=](key &k) {{ return k.a + i + {n}; }};
        all[key{{ i, argv[i] }}].push_back(std::make_unique<key>(key{{ i, "x" }}));
    }}
    std::vector<key> keys;
    for (auto &pair : all) keys.push_back(pair.first);
    std::stable_sort(keys.begin(), keys.end());
    std::basic_regex<char> expression("(a|b)*c[0-9]+");
    return std::regex_search(argv[0], expression) + calls[1](keys[0]);
}}
}}
"""


class Running:
    """A program at work: pid is the one to look at."""

    def __init__(self, pid, *processes):
        self.pid, self.processes = pid, processes

    def is_running(self):
        return self.processes[0].is_running()

    def kill(self):
        for process in self.processes:
            process.kill()


def compile_c(source, out, *options, libraries=("-lpthread",)):
    subprocess.run(["gcc", "-std=gnu17", "-O2", "-g", "-D_GNU_SOURCE", *options, "-o", out, source,
                    *libraries], check=True)
    return out


def build_tool(build, source, out):
    """A program that uses parts of the agent."""
    top = HERE.parent.parent
    return compile_c(source, out, f"-I{top}/agent", f"-I{top}", "-isystem", build,
                     libraries=(f"{build}/libagent.a", *LIBRARIES))


class Programs:
    """Starts programs by name; a folder of files they need goes with it."""

    NAMES = ("sqlite3", "redis-server", "python3", "xz", "clang", "rust", "mixed-c")

    def __init__(self):
        self.files = tempfile.TemporaryDirectory()
        self.folder = pathlib.Path(self.files.name)
        self.starts = {"sqlite3": self.sqlite3, "redis-server": self.redis,
                       "python3": self.python3, "xz": self.xz, "clang": self.clang,
                       "rust": self.rust, "mixed-c": self.mixed_c, "java": self.java}

    def close(self):
        self.files.cleanup()

    @contextlib.contextmanager
    def running(self, name):
        program = self.starts[name]()
        try:
            yield program
        finally:
            program.kill()

    def environment(self):
        """
        A copy of the C library: a probe on a file is met by all who map it, and another agent's
        probe for another process makes the kernel replace return addresses in this one.
        """
        folder = self.once("lib", lambda path: path.mkdir() or shutil.copy(LIBC, path))
        return {"LD_LIBRARY_PATH": str(folder)}

    def start(self, *argv, stdin=None, stdout=subprocess.DEVNULL):
        return Process(argv, stdin=stdin or subprocess.PIPE, stdout=stdout,
                       env=self.environment())

    def alone(self, *argv, stdin=None):
        process = self.start(*argv, stdin=stdin)
        return Running(process.pid, process)

    def once(self, name, make):
        """The file of this name, made on the first call."""
        path = self.folder / name
        if not path.exists():
            make(path)
        return path

    def sqlite3(self):
        path = self.once("work.sql", lambda path: path.write_text(SQL * 1000))
        with path.open() as stdin:
            return self.alone("sqlite3", ":memory:", stdin=stdin)

    def redis(self):
        path = self.folder / "redis.sock"
        server = self.start("redis-server", "--port", "0", "--unixsocket", path, "--save", "",
                            "--appendonly", "no")
        wait_until(path.exists, 10, "redis-server")
        load = Process(["redis-benchmark", "-s", path, "-l", "-q", "-c", "4", "-r", "10000", "-t",
                        "set,get,incr,lpush,rpop,sadd,hset,zadd,zpopmin,lrange_100,mset"],
                       stdout=subprocess.DEVNULL)
        return Running(server.pid, server, load)

    def python3(self):
        return self.alone("/usr/bin/python3", "-c", PYTHON)

    def xz(self):
        return self.alone("xz", "-6", "-T1", "-k", "-c", BIG_FILE)

    def clang(self):
        text = CXX_HEAD + "".join(CXX_PART.format(n=n) for n in range(150))
        path = self.once("parts.cc", lambda path: path.write_text(text))
        return self.alone("clang++-14", "-std=c++17", "-O2", "-c", "-o", "/dev/null", path)

    def rust(self):
        def make(path):
            subprocess.run(["rustc", "-O", "-o", path, TARGETS / "mixed_stacks.rs"], check=True)
        return self.alone(self.once("mixed-rs", make))

    def mixed_c(self):
        return self.alone(self.once("mixed-c", lambda path: compile_c(
            TARGETS / "mixed-stacks.c", path, "-fomit-frame-pointer")))

    def java(self):
        def make(path):
            path.mkdir()
            subprocess.run(["javac", "-d", path, TARGETS / "Churn.java"], check=True)
        process = self.start("java", "-cp", self.once("java", make), "Churn",
                             stdout=subprocess.PIPE)
        process.expect("ready")
        time.sleep(1)
        return Running(process.pid, process)
