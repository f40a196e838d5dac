# SPDX-License-Identifier: Apache-2.0
"""A control group for a test, of the first version of the interface or the second."""

import os
import pathlib
import time

ROOT = pathlib.Path("/sys/fs/cgroup")


def find(controller):
    """The folder under which groups with this controller are made, or None."""
    if (ROOT / controller / "cgroup.procs").exists():
        return ROOT / controller
    controllers = ROOT / "cgroup.controllers"
    if not controllers.exists():
        return None
    if controller == "freezer":
        return ROOT
    if controller not in (ROOT / "cgroup.subtree_control").read_text().split():
        return None
    return ROOT


class Group:
    """with Group(controller) as group: group.set(...); group.add(pid)."""

    def __init__(self, controller):
        self.parent = find(controller)
        self.is_first = self.parent != ROOT
        self.folder = self.parent / f"pprofd-e2e-{os.getpid()}"

    def __enter__(self):
        self.folder.mkdir()
        return self

    def __exit__(self, *_):
        for pid in (self.folder / "cgroup.procs").read_text().split():
            (self.parent / "cgroup.procs").write_text(pid)
        for _ in range(50):
            try:
                self.folder.rmdir()
                return
            except OSError:
                time.sleep(0.1)

    def set(self, name, value):
        (self.folder / name).write_text(str(value))

    def add(self, pid):
        self.set("cgroup.procs", pid)

    def limit_cpu(self, percent):
        if self.is_first:
            self.set("cpu.cfs_period_us", 100000)
            self.set("cpu.cfs_quota_us", percent * 1000)
        else:
            self.set("cpu.max", f"{percent * 1000} 100000")

    def throttled_ns(self):
        lines = (self.folder / "cpu.stat").read_text().splitlines()
        stat = dict(line.split() for line in lines)
        if self.is_first:
            return int(stat["throttled_time"])
        return int(stat["throttled_usec"]) * 1000

    def limit_memory(self, size):
        self.set("memory.limit_in_bytes" if self.is_first else "memory.max", size)

    def freeze(self, is_frozen):
        if self.is_first:
            self.set("freezer.state", "FROZEN" if is_frozen else "THAWED")
        else:
            self.set("cgroup.freeze", int(is_frozen))
