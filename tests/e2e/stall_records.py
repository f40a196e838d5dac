# SPDX-License-Identifier: Apache-2.0
"""Pauses of runtimes as a recording has them: what the probes sent, verbatim."""

import collections
import struct

EVENT_STALL, EVENT_STALL_END = 6, 10
HEAD = struct.Struct("<IHHIIQ")
SAMPLE = struct.Struct("<QQQII")
END = struct.Struct("<QQQIIIiII32s")
CAUSE_GC = 2
RUNTIMES = ("", "hotspot", "cpython", "go", "v8", "ruby")

Pause = collections.namedtuple("Pause", "runtime cause seconds frames time_ns tid")


def records(path):
    data = path.read_bytes()
    at = 0
    while at + HEAD.size <= len(data):
        length, kind, _, _, tid, time_ns = HEAD.unpack_from(data, at)
        if length < HEAD.size or at + length > len(data):
            return
        yield kind, tid, time_ns, data[at + HEAD.size:at + length]
        at += length


def gc_pauses(path):
    """The pauses that a recording shows, each with its stack; an end without its stack fails."""
    stacks, found = {}, []
    for kind, tid, time_ns, body in records(path):
        if kind == EVENT_STALL:
            identity, _, _, count, _ = SAMPLE.unpack_from(body)
            stacks[identity] = struct.unpack_from(f"<{count}Q", body, SAMPLE.size)
        elif kind == EVENT_STALL_END:
            end = END.unpack_from(body)
            if end[4] != CAUSE_GC:
                continue
            found.append(Pause(RUNTIMES[end[5]], end[9].rstrip(b"\0").decode(), end[1] / 1e9,
                               stacks.pop(end[0]), time_ns, tid))
    return found
