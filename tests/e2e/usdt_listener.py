# SPDX-License-Identifier: Apache-2.0
"""What the otel_memory probes of a library say in one process, as bpftrace hears them."""

import collections
import json
import re
import subprocess

from harness import Process, wait_until

# Counted for each thread: a sum is no atomic one, and a thread that preempts another in the middle of
# it on the same CPU would be forgotten.
SCRIPT = """
usdt:{library}:otel_memory:alloc {{
    @objects[arg1, tid] = count(); @bytes[arg1, tid] = sum(arg2);
    @size[arg0] = arg1; @weight[arg0] = arg2;
}}
usdt:{library}:otel_memory:free /@weight[arg0]/ {{
    @freed_objects[@size[arg0], tid] = count();
    @freed_bytes[@size[arg0], tid] = sum(@weight[arg0]);
    delete(@size[arg0]); delete(@weight[arg0]);
}}
END {{ clear(@size); clear(@weight); }}
"""
NOP = b"\x90"


def probe_offsets(library):
    """Where the probes stand, as the file's notes say it; addresses and offsets are the same."""
    notes = subprocess.run(["readelf", "-n", library], capture_output=True, text=True, check=True)
    return [int(found, 16) for found in re.findall(r"Location: 0x([0-9a-f]+)", notes.stdout)]


def sum_of_threads(values):
    """size -> value, of values by "size,thread"."""
    found = collections.Counter()
    for key, value in values.items():
        found[int(key.split(",")[0])] += value
    return found


class UsdtListener(Process):
    """bpftrace at both probes of a library in one process."""

    def __init__(self, library, pid):
        self.target = pid
        super().__init__(["bpftrace", "-f", "json", "-p", pid, "-e",
                          SCRIPT.format(library=library)],
                         env={"BPFTRACE_MAP_KEYS_MAX": "200000"})
        wait_until(lambda: self.is_attached(library), 30, "bpftrace to attach")

    def is_attached(self, library):
        assert self.is_running(), self.stderr()
        with open(f"/proc/{self.target}/maps", encoding="ascii") as maps:
            base = next(int(line.split("-")[0], 16) for line in maps if str(library) in line)
        with open(f"/proc/{self.target}/mem", "rb", buffering=0) as memory:
            for offset in probe_offsets(library):
                memory.seek(base + offset)
                if memory.read(1) == NOP:
                    return False
        return True

    def interrupt(self):
        """More than once where need be: bpftrace has moments in which it does not hear."""
        for _ in range(6):
            self.signal(2)
            try:
                self.wait(5)
                return
            except subprocess.TimeoutExpired:
                continue

    def stop(self):
        """name -> size -> value, over all events until now."""
        self.interrupt()
        found = {"@objects": {}, "@bytes": {}, "@freed_objects": {}, "@freed_bytes": {}}
        while (text := self.lines.get(timeout=30)) is not None:
            if text.startswith("{"):
                line = json.loads(text)
                if line["type"] == "map":
                    found.update(line["data"])
        return {name[1:]: sum_of_threads(values) for name, values in found.items()}
