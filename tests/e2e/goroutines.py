# SPDX-License-Identifier: Apache-2.0
"""Reads Go's goroutine?debug=2 as strictly as Go writes it, and asks gdb for the same stacks."""

import json
import os
import pathlib
import re
import subprocess

HEADER = re.compile(r"goroutine (\d+) \[([^\],]+)(?:, (\d+) minutes)?\]:")
CREATED = re.compile(r"created by (.+?)(?: in goroutine (\d+))?")
ANCESTOR = re.compile(r"\[originating from goroutine (\d+)\]:")
FUNCTION = re.compile(r"(.+)\(\.\.\.\)")
FILE = re.compile(r"\t(.+):(\d+) \+0x([0-9a-f]+)")
ELIDED = "...additional frames elided..."
GDB_SCRIPT = pathlib.Path(__file__).parent / "gdb_frames.py"


class Goroutine:
    """frames and ancestor: functions, innermost first. created_by: None where no line says it."""

    def __init__(self, block):
        lines = block.split("\n")
        match = HEADER.fullmatch(lines[0])
        assert match, lines[0]
        self.tid, self.state = int(match[1]), match[2]
        self.minutes = int(match[3] or 0)
        self.frames, self.ancestor = [], []
        self.created_by = self.creator = None
        reading = self.frames
        for line, after in zip(lines[1:], lines[2:] + [""]):
            if FILE.fullmatch(line) or line == ELIDED:
                continue
            ancestor, created = ANCESTOR.fullmatch(line), CREATED.fullmatch(line)
            if ancestor:
                assert self.created_by and int(ancestor[1]) == self.creator, block
                reading = self.ancestor
                continue
            assert FILE.fullmatch(after), f"no file follows {line!r}"
            if created:
                assert self.created_by is None, block
                self.created_by = created[1]
                self.creator = int(created[2]) if created[2] else None
            else:
                reading.append(FUNCTION.fullmatch(line)[1])
        assert self.frames, block


def parse(text):
    """tid -> Goroutine."""
    assert text.endswith("\n\n")
    found = [Goroutine(block) for block in text[:-2].split("\n\n")]
    assert len({one.tid for one in found}) == len(found)
    return {one.tid: one for one in found}


def tids(pid):
    return {int(name) for name in os.listdir(f"/proc/{pid}/task")}


def comm(pid, tid):
    return pathlib.Path(f"/proc/{pid}/task/{tid}/comm").read_text().rstrip("\n")


def waits(pid):
    """tid -> how often each thread has begun to wait."""
    return {tid: int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)$", pathlib.Path(
        f"/proc/{pid}/task/{tid}/status").read_text(), re.M)[1]) for tid in tids(pid)}


def gdb_frames(pid):
    """tid -> addresses of all frames that are none of inlined calls, innermost first."""
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    environment.pop("DEBUGINFOD_URLS", None)
    run = subprocess.run(["gdb", "-nx", "-q", "-batch", "-iex", "set debuginfod enabled off",
                          "-p", str(pid), "-x", GDB_SCRIPT], env=environment, timeout=300,
                         capture_output=True, text=True, check=False)
    found = [line for line in run.stdout.splitlines() if line.startswith("frames: ")]
    assert found, run.stdout + run.stderr
    return {int(tid): frames for tid, frames in json.loads(found[0][8:]).items()}


def file_mappings(pid):
    """The address ranges in which files or the vDSO are mapped."""
    ranges = []
    for line in pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines():
        fields = line.split(maxsplit=5)
        if len(fields) == 6 and fields[5][0] in "/[":
            ranges.append(tuple(int(part, 16) for part in fields[0].split("-")))
    return ranges


def native(frames, mappings):
    """The frames before the first that a just-in-time compiler made."""
    for index, address in enumerate(frames):
        if not any(start <= address < limit for start, limit in mappings):
            return frames[:index]
    return frames


def profile_frames(profile):
    """tid -> addresses as gdb gives them, of a profile of the kind threads."""
    found = {}
    for sample in profile.sample:
        text = {profile.text(label.key): profile.text(label.str) for label in sample.label}
        addresses = [profile.location[number - 1].address for number in sample.location_id]
        found[int(text["tid"])] = addresses[:1] + [address + 1 for address in addresses[1:]]
    return found
