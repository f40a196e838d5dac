# SPDX-License-Identifier: Apache-2.0
"""The injector: what it loads works, what it borrows goes on, and what it cannot do it refuses."""

import errno
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest

from harness import Process, Target, wait_until
from injecting import LIBRARIES, TARGETS, Driver, Server
from memory import CODE, READ_ONLY, mapped_pages

# Of tests/targets/waits.c.
KINDS = ("registers", "nanosleep", "poll", "select", "read", "epoll", "epoll-timeout", "semaphore",
         "condition", "signal")
# Without those that signal(7) says end with EINTR when their thread is stopped.
KINDS_TO_KILL = ("registers", "select", "read", "semaphore", "condition", "signal")
BORROWS = 10
LOADS = 20
KILLS = 8


@pytest.fixture
def driver(start):
    return start(Driver, interval=1)


def borrow(driver, pid, times):
    for _ in range(times):
        assert driver.do(f"borrow {pid}")["stopped_ns"] > 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_borrowed_thread_notices_nothing(driver, target, kind):
    process = target("waits", kind)
    borrow(driver, process.pid, BORROWS)
    time.sleep(0.1)
    process.close_stdin()
    truth = process.truth()
    assert truth["waits"] > 0 and truth["wrong"] == 0, truth
    assert process.wait() == 0


def test_one_that_waits_for_all_of_its_bytes_is_not_borrowed(driver, target):
    process = target("waits", "all")
    answer = driver.ask(f"borrow {process.pid}")
    assert answer["err"] == errno.EBUSY and answer["stopped_ns"] == 0, answer
    process.close_stdin()
    truth = process.truth()
    # The last one ends with what it has.
    assert truth["waits"] > 1 and truth["wrong"] <= 1, truth
    assert process.wait() == 0


def test_a_list_that_changes_is_no_refusal(driver, target):
    """Another thread loads, so that the list of objects is in pieces much of the time."""
    for _ in range(LOADS):
        process = target("loads", "libm.so.6")
        driver.do(f"load {process.pid}")
        driver.do("undo")
        process.stop()


def musl_built(folder, name):
    program = folder / name
    subprocess.run(["musl-gcc", "-O1", "-D_GNU_SOURCE", "-o", program, TARGETS / f"{name}.c"],
                   check=True)
    return str(program)


@pytest.mark.parametrize("libc", ["glibc", "musl"])
def test_what_all_threads_must_answer_is_answered_meanwhile(driver, start, folder, libc):
    """setuid() has a lock that dlopen() takes, and waits for the thread that is borrowed."""
    program = "set-ids" if libc == "glibc" else musl_built(folder, "set-ids")
    for _ in range(LOADS):
        process = start(Target, program).ready()
        driver.do(f"load {process.pid}")
        driver.do("undo")
        borrow(driver, process.pid, 3)
        process.close_stdin()
        truth = process.truth()
        assert truth["calls"] > 0 and truth["wrong"] == 0, truth
        assert process.wait() == 0


@pytest.mark.parametrize("kind", KINDS_TO_KILL)
def test_a_thread_goes_on_when_its_borrower_is_killed(start, target, kind):
    process = target("waits", kind)
    lottery = random.Random(kind)
    for _ in range(KILLS):
        victim = start(Driver)
        for _ in range(20):
            victim.send(f"borrow {process.pid}")
        victim.line()
        time.sleep(lottery.uniform(0, 0.03))
        victim.kill()
    process.close_stdin()
    truth = process.truth()
    assert truth["waits"] > 0 and truth["wrong"] == 0, truth
    assert process.wait() == 0


NEEDED = {"java": "javac", "c++": "g++"}


@pytest.mark.parametrize("name", Server.NAMES)
def test_a_server_under_load_loses_no_request(driver, folder, name):
    if not shutil.which(NEEDED.get(name, name)):
        pytest.skip(f"{name} is not on this machine")
    server = Server(name, folder)
    try:
        for _ in range(5):
            driver.do(f"load {server.pid}")
            driver.do("follow")
            driver.do("undo")
            driver.do(f"borrow {server.pid}")
        assert server.stop() > 0
    finally:
        server.kill()


def test_a_server_survives_an_injector_that_is_killed_at_any_moment(start, folder):
    server = Server("c++", folder)
    lottery = random.Random(7)
    try:
        for _ in range(15):
            victim = start(Driver, interval=4096)
            for _ in range(10):
                for text in (f"borrow {server.pid}", f"load {server.pid}", "undo"):
                    victim.send(text)
            time.sleep(lottery.uniform(0, 0.12))
            victim.kill()
        before = server.answers()
        wait_until(lambda: server.answers() > before + 100, 10, "answers after the last kill")
        with_undo = start(Driver)
        with_undo.do(f"load {server.pid}")
        with_undo.do("undo")
        with_undo.stop()
        assert server.stop() > 0
    finally:
        server.kill()


@pytest.mark.parametrize("binding", ["lazy", "now"])
@pytest.mark.parametrize("position", ["-pie", "-no-pie"])
def test_every_call_is_seen(driver, start, folder, binding, position):
    program = folder / "known-counts"
    source = pathlib.Path(__file__).parent.parent / "targets" / "known-counts.c"
    subprocess.run(["gcc", "-O1", "-fno-builtin", "-D_GNU_SOURCE", "-fPIE", position,
                    f"-Wl,-z,{binding}", "-o", program, source, "-lpthread"], check=True)
    process = start(Target, str(program), "2", "5000", "2").ready()
    before = driver.do(f"load {process.pid}")
    assert before["redirected"] > 0
    process.send()
    wanted = sum(site["alloc_objects"] for site in process.truth().values())
    found = driver.do("follow")["sampled"] - before["sampled"]
    # The C library allocates for the thread stacks and for printing, too.
    assert wanted <= found <= wanted + 20
    driver.do("undo")
    process.send()
    process.stop()


PLUGIN = r"""
#include <stdint.h>
#include <stdlib.h>
static char arena[4096];
static size_t used;
void *NEW(size_t size)
{
	used += (size + 15) & ~15UL;
	return arena + used - ((size + 15) & ~15UL);
}
void DELETE(void *block)
{
	if ((uintptr_t)block - (uintptr_t)arena >= sizeof(arena))
		abort();
}
void *take(void) { return NEW(100); }
void give(void *block) { DELETE(block); }
"""

HOST = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
int main(int argc, char **argv)
{
	void *(*take[2])(void), *blocks[2];
	void (*give[2])(void *);
	for (int i = 0; i < 2; i++) {
		void *plugin = dlopen(argv[1 + i], RTLD_LAZY | (argc > 3 ? RTLD_DEEPBIND : 0));
		if (!plugin)
			return 2;
		take[i] = dlsym(plugin, "take");
		give[i] = dlsym(plugin, "give");
		blocks[i] = take[i]();
	}
	puts("ready");
	fflush(stdout);
	while (getchar() == '\n') {
		for (int i = 0; i < 2; i++) {
			give[i](blocks[i]);
			blocks[i] = take[i]();
		}
		puts("done");
		fflush(stdout);
	}
	return 0;
}
"""


@pytest.mark.parametrize("names", ["operators", "functions"])
def test_what_plugins_define_for_themselves_is_left_to_them(driver, start, folder, names):
    """Each has blocks of its own, and its free is not bound yet when it is injected."""
    new, delete = ("_Znwm", "_ZdlPv") if names == "operators" else ("malloc", "free")
    (folder / "plugin.c").write_text(PLUGIN)
    (folder / "host.c").write_text(HOST)
    for name in ("one", "two"):
        subprocess.run(["gcc", "-O1", "-fno-builtin", "-shared", "-fPIC", "-Wl,-z,lazy",
                        f"-DNEW={new}", f"-DDELETE={delete}", "-o", folder / f"{name}.so",
                        folder / "plugin.c"], check=True)
    subprocess.run(["gcc", "-O1", "-o", folder / "host", folder / "host.c"], check=True)
    process = start(Process, [folder / "host", folder / "one.so", folder / "two.so",
                              *(["deep"] if names == "functions" else [])])
    process.expect("ready")
    driver.do(f"load {process.pid}")
    for text in ("follow", "undo", None):
        process.send("")
        process.expect("done")
        if text:
            driver.do(text)
    process.close_stdin()
    assert process.wait() == 0


def test_objects_that_come_later_are_led_to_the_sampler(driver, start):
    process = start(Process, ["/usr/bin/python3", "-c",
                              "import sys, time; print('ready', flush=True); sys.stdin.readline();"
                              "import sqlite3; base = sqlite3.connect(':memory:');"
                              "print('imported', flush=True); sys.stdin.readline();"
                              "base.execute('create table t(a)');"
                              "print('done', flush=True); sys.stdin.readline()"])
    process.expect("ready")
    first = driver.do(f"load {process.pid}")
    process.send()
    process.expect("imported")
    later = driver.do("follow")
    assert later["redirected"] > first["redirected"]
    process.send()
    process.expect("done")
    assert driver.do("follow")["sampled"] > later["sampled"]
    driver.do("undo")
    process.send()
    assert process.wait() == 0


def test_undo_leaves_every_word_as_it_was(driver, start, target):
    for process in (target("churn"),
                    start(Process, ["/usr/bin/python3", "-c", "input(print('ready', flush=True))"])):
        if not isinstance(process, Target):
            process.expect("ready")
        words, code = (mapped_pages(process.pid, kind) for kind in (READ_ONLY, CODE))
        driver.do(f"load {process.pid}")
        assert mapped_pages(process.pid, READ_ONLY) != words
        driver.do("undo")
        assert mapped_pages(process.pid, READ_ONLY) == words
        assert mapped_pages(process.pid, CODE) == code
        process.kill()


def test_the_library_stays_and_is_used_again(driver, target):
    process = target("churn")
    assert driver.do(f"load {process.pid}")["stopped_ns"] > 0
    driver.do("undo")
    maps = pathlib.Path(f"/proc/{process.pid}/maps").read_text()
    assert maps.count("memfd:libpprofd.so") > 0
    assert driver.do(f"load {process.pid}")["stopped_ns"] == 0
    assert pathlib.Path(f"/proc/{process.pid}/maps").read_text().count(
        "memfd:libpprofd.so") == maps.count("memfd:libpprofd.so")
    driver.do("undo")
    process.stop()


FORKS_AND_ALLOCATES = """
import os, sys
print("ready", flush=True)
while sys.stdin.readline():
    pid = os.fork()
    if pid == 0:
        kept = [bytearray(2000) for _ in range(1000)]
        print(os.getpid(), flush=True)
        sys.stdin.readline()
        os._exit(0)
    os.waitpid(pid, 0)
    print("done", flush=True)
"""


def test_a_child_does_not_go_on_sampling_for_its_parents_agent(driver, start):
    process = start(Process, ["/usr/bin/python3", "-c", FORKS_AND_ALLOCATES])
    process.expect("ready")
    driver.do(f"load {process.pid}")
    process.send()
    child = int(process.line())
    before = driver.do("follow")["sampled"]
    other = start(Driver)
    assert other.do(f"load {child}")["sampled"] < before + 1000
    other.do("undo")
    process.send()
    process.expect("done")
    driver.do("undo")
    process.close_stdin()
    assert process.wait() == 0


def refused(driver, pid, wanted, reason):
    answer = driver.ask(f"load {pid}")
    assert answer["err"] == wanted and re.search(reason, answer["reason"]), answer


def start_python(start, code):
    process = start(Process, [sys.executable, "-c", "import ctypes, os, sys, time\n"
                              "libc = ctypes.CDLL(None, use_errno=True)\n" + code])
    process.expect("ready")
    return process


READY = "print('ready', flush=True); sys.stdin.readline()\n"


def test_what_cannot_be_injected_is_refused_with_the_reason(driver, start, target):
    refused(driver, 2 ** 22 + 1, errno.ESRCH, "no such process")
    refused(driver, target("static-musl").pid, errno.ENOTSUP, "static")
    stopped = target("churn")
    stopped.signal(signal.SIGSTOP)
    wait_until(lambda: "T (stopped)" in pathlib.Path(f"/proc/{stopped.pid}/status").read_text(),
               5, "the stop")
    refused(driver, stopped.pid, errno.EBUSY, "stopped")
    traced = target("churn")
    # SEIZE, which does not stop it.
    tracer = start_python(start, f"assert libc.ptrace(0x4206, {traced.pid}, 0, 0) == 0\n" + READY)
    refused(driver, traced.pid, errno.EBUSY, "traced")
    tracer.kill()
    driver.do(f"load {traced.pid}")
    driver.do("undo")
    filtered = start_python(start, """
class Filter(ctypes.Structure):
    _fields_ = [("len", ctypes.c_ushort), ("code", ctypes.c_void_p)]
allow = ctypes.create_string_buffer(bytes([6, 0, 0, 0, 0, 0, 0xff, 0x7f]))
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, ctypes.byref(Filter(1, ctypes.addressof(allow)))) == 0
""" + READY)
    refused(driver, filtered.pid, errno.ENOTSUP, "seccomp")
    busy = start_python(start, "print('ready', flush=True)\nwhile True: pass\n")
    refused(driver, busy.pid, errno.EBUSY, "borrowed")


def test_an_allocator_in_the_program_itself_is_left_alone(driver, start, folder):
    """Its own calls go where the linker has bound them, past every word."""
    bump = pathlib.Path(__file__).resolve().parent.parent / "targets" / "preload" / "bump.c"
    (folder / "main.c").write_text("""
#include <stdio.h>
int main(void)
{
	puts("ready");
	fflush(stdout);
	return getchar() != EOF;
}
""")
    subprocess.run(["gcc", "-O1", "-rdynamic", "-o", folder / "own", folder / "main.c", bump],
                   check=True)
    process = start(Target, str(folder / "own")).ready()
    refused(driver, process.pid, errno.ENOTSUP, "part of the program itself")
    process.stop()


def test_a_preloaded_sampler_is_left_alone(driver, target):
    process = target("churn", env={"LD_PRELOAD": str(LIBRARIES[0])})
    refused(driver, process.pid, errno.EALREADY, "preloaded, nothing")
    process.stop()


def test_a_sampler_preloaded_behind_an_allocator_is_left_alone(driver, target):
    process = target("churn", env={"LD_PRELOAD": f"libjemalloc.so.2:{LIBRARIES[0]}"})
    refused(driver, process.pid, errno.EALREADY, "behind another allocator")
    process.stop()


def test_without_the_right_library_nothing_happens(start, target, folder):
    process = target("churn")
    refused(start(Driver, glibc=None), process.pid, errno.ENOTSUP, "no build .* glibc")
    refused(start(Driver, glibc=folder / "nowhere"), process.pid, errno.ENOENT, "nowhere.*read")
    text = folder / "text.so"
    text.write_text("no library at all")
    refused(start(Driver, glibc=text), process.pid, errno.ENOEXEC, "refused the library")
    # For another C library: its linker finds no libc of that name.
    refused(start(Driver, glibc=LIBRARIES[1]), process.pid, errno.ENOEXEC, "refused the library")
    start(Driver).do(f"load {process.pid}")
    assert process.rate(1) > 0
    process.stop()


def test_a_musl_program_is_injected(driver, start, folder):
    source = folder / "program.c"
    source.write_text("""
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
static void *volatile kept;
static void *run(void *arg)
{
	for (;;) {
		kept = malloc(100);
		free(kept);
		usleep(3000);
	}
	return arg;
}
int main(void)
{
	pthread_t thread;
	char byte;
	pthread_create(&thread, NULL, run, NULL);
	puts("ready");
	fflush(stdout);
	while (read(0, &byte, 1) > 0)
		;
	return 0;
}
""")
    program = folder / "program"
    subprocess.run(["musl-gcc", "-O1", "-o", program, source], check=True)
    process = start(Target, str(program)).ready()
    driver.do(f"load {process.pid}")
    time.sleep(0.5)
    assert driver.do("follow")["sampled"] > 20
    driver.do("undo")
    borrow(driver, process.pid, 3)
    process.stop()


EXECS = """
import os, sys, time, threading
left = int(sys.argv[1])
threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
time.sleep(0.02)
if left > 0:
    os.execv(sys.executable, [sys.executable, "-S", "-c", sys.argv[2], str(left - 1), sys.argv[2]])
print("done", flush=True)
"""

FORKS = """
import os, sys, threading, time
threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
wrong = 0
for i in range(60):
    pid = os.fork()
    if pid == 0:
        kept = [bytearray(1000) for _ in range(100)]
        os._exit(7)
    wrong += os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) != 7
    time.sleep(0.01)
print("done" if wrong == 0 else "wrong", flush=True)
"""

ENDS = """
import sys, threading, time
threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
time.sleep(float(sys.argv[1]))
"""


@pytest.mark.parametrize("code", [EXECS, FORKS], ids=["execs", "forks"])
def test_a_target_may_exec_or_fork_meanwhile(driver, start, code):
    process = start(Process, ["/usr/bin/python3", "-S", "-c", code, "30", code])
    while process.is_running():
        answer = driver.ask(f"load {process.pid}")
        if answer["err"] == 0:
            assert driver.ask("follow")["err"] in (0, errno.ESRCH, errno.EAGAIN)
            driver.do("undo")
        assert answer["err"] in (0, errno.ESRCH, errno.EBUSY, errno.ENOTSUP, errno.EFAULT), answer
    process.expect("done")
    assert process.wait() == 0, process.stderr()


def test_a_target_may_end_meanwhile(driver, start):
    lottery = random.Random(3)
    for _ in range(10):
        seconds = lottery.uniform(0, 0.05)
        process = start(Process, ["/usr/bin/python3", "-S", "-c", ENDS, str(seconds)])
        while process.is_running():
            if driver.ask(f"load {process.pid}")["err"] == 0:
                driver.ask("undo")
        assert process.wait() == 0, process.stderr()


def test_no_descriptor_is_left_open(driver, target):
    process = target("waits", "condition")
    before = len(os.listdir(f"/proc/{process.pid}/fd"))
    borrow(driver, process.pid, 5)
    assert len(os.listdir(f"/proc/{process.pid}/fd")) == before
    process.close_stdin()
    assert process.wait() == 0
