# SPDX-License-Identifier: Apache-2.0
"""The kernel's own trace of tracepoint pairs, in an instance of its own, as a second opinion."""

import collections
import os
import re

LINE = re.compile(r"-(\d+)\s+\[\d+\] \S+\s+(\d+)\.(\d+): (\w+):")


class Trace:
    """with Trace(tracefs, pid, begin, end) as trace: ...; trace.durations() in nanoseconds."""

    def __init__(self, root, pid, begin, end):
        self.pid = pid
        self.begin, self.end = begin, end
        self.folder = root / "instances" / f"pprofd-e2e-{os.getpid()}"

    def _switch(self, value):
        for event in (self.begin, self.end):
            (self.folder / "events" / event / "enable").write_text(value)

    def __enter__(self):
        self.folder.mkdir()
        (self.folder / "buffer_size_kb").write_text("16384")
        (self.folder / "options/event-fork").write_text("1")
        tids = " ".join(os.listdir(f"/proc/{self.pid}/task"))
        (self.folder / "set_event_pid").write_text(tids)
        self._switch("1")
        return self

    def __exit__(self, *_):
        self._switch("0")
        self.folder.rmdir()

    def durations(self):
        """The time between each begin and the end that follows it in the same thread."""
        self._switch("0")
        open_since = collections.defaultdict(lambda: None)
        found = []
        for line in (self.folder / "trace").read_text().splitlines():
            match = LINE.search(line)
            if not match:
                assert line.startswith("#") or "LOST" not in line, line
                continue
            tid, name = match[1], match[4]
            now = int(match[2]) * 10**9 + int(match[3].ljust(9, "0"))
            if name == self.begin.split("/")[1]:
                open_since[tid] = now
            elif open_since[tid] is not None:
                found.append(now - open_since[tid])
                open_since[tid] = None
        return found
