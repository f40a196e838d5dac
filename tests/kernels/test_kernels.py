# SPDX-License-Identifier: Apache-2.0
"""Other kernels than the machine's, in a virtual machine without hardware support: the programs load
there, and what they say is the truth. How long things take says nothing there."""

import base64
import json
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))

from harness import AGENT, BUILD, HEAP_TYPES, sites, target_path, total  # noqa: E402
import pprof_check  # noqa: E402

GUEST = pathlib.Path(__file__).with_name("guest")
TARGETS = ("known-counts", "stalls", "cpu-split")
SHARES = ("burn_seventy", "burn_twenty", "burn_ten")
SECONDS = 600


def libraries(program):
    listed = subprocess.run(["ldd", program], check=True, capture_output=True, text=True).stdout
    return set(re.findall(r"(/\S+) \(0x", listed))


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A file system of the agent, its targets and what they are linked with, as the kernel unpacks it."""
    folder = tmp_path_factory.mktemp("guest")
    for name in ("bin", "dev", "proc", "sys", "tmp"):
        (folder / name).mkdir()
    shutil.copy("/bin/busybox", folder / "bin/busybox")
    shutil.copy(GUEST, folder / "init")
    for program in (AGENT, *map(target_path, TARGETS)):
        shutil.copy(program, folder / "bin")
        for library in libraries(program):
            place = folder / library.lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(library, place)
    archive = folder.with_suffix(".cpio")
    with archive.open("wb") as output:
        names = subprocess.run(["find", "."], cwd=folder, check=True, capture_output=True).stdout
        subprocess.run(["busybox", "cpio", "-o", "-H", "newc"], cwd=folder, check=True, input=names,
                       stdout=output)
    return archive


class Guest:
    """What a virtual machine printed."""

    def __init__(self, image, archive):
        done = subprocess.run(
            ["qemu-system-x86_64", "-machine", "pc,accel=tcg", "-cpu", "max", "-smp", "2", "-m", "2048",
             "-nographic", "-no-reboot", "-kernel", image, "-initrd", archive, "-append",
             "console=ttyS0 quiet panic=-1"], stdin=subprocess.DEVNULL, capture_output=True,
            timeout=SECONDS, check=True)
        self.output = done.stdout.decode(errors="replace")
        self.said = dict((tuple(line.split(" ", 2)[:2]), line.split(" ", 2)[2].strip())
                         for line in self.output.splitlines()
                         if re.match(r"(truth|profile|text|status) \S+ \S", line))

    def text(self, name):
        return base64.b64decode(self.said["text", name]).decode()

    def truth(self, name):
        return json.loads(self.said["truth", name])

    def profile(self, name):
        assert ("profile", name) in self.said, self.explain()
        profile = pprof_check.load(base64.b64decode(self.said["profile", name]))
        pprof_check.check_invariants(profile)
        return profile

    def explain(self):
        logs = [self.text(name) for kind, name in self.said if kind == "text" and "-log" in name]
        return self.output[-2000:] + "\n".join(logs)[-4000:]

    def lost(self, name):
        return re.findall(r"^pprofd_samples_lost_total.* [1-9]\d*$", self.text(name), re.M)


def images():
    found = sorted((BUILD / "kernels").glob("*/vmlinuz"))
    assert found, "no kernels: tests/kernels/images fetches them"
    return found


@pytest.fixture(scope="module", params=images(), ids=lambda image: image.parent.name)
def guest(request, root):
    return Guest(request.param, root)


def test_it_ran_to_the_end(guest):
    assert "finished" in guest.output, guest.explain()
    assert [guest.said["status", name] for name in ("heap", "block", "profile")] == ["0"] * 3


def test_every_allocation_is_counted(guest):
    truth = guest.truth("heap")
    assert sites(guest.profile("heap"), truth, HEAP_TYPES) == truth
    assert not guest.lost("heap")


def test_every_wait_is_counted(guest):
    truth = guest.truth("block")
    found = sites(guest.profile("block"), truth, ("contentions",))
    assert {name: site["contentions"] for name, site in found.items()} == \
        {name: site["count"] for name, site in truth.items()}
    assert not guest.lost("block")


def test_threads_have_their_stacks(guest):
    profile = guest.profile("goroutine")
    assert total(profile, "goroutine") == 1
    assert pprof_check.cumulative(profile, "goroutine")["target_wait_end"] == 1


def test_cpu_time_is_where_it_was_spent(guest):
    truth, profile = guest.truth("profile"), guest.profile("profile")
    found = pprof_check.cumulative(profile, "cpu")
    assert total(profile, "samples") > 100
    for name in SHARES:
        assert found[name] / total(profile, "cpu") == pytest.approx(truth[name], abs=0.12)
