# SPDX-License-Identifier: Apache-2.0
"""Runs inside gdb, attached to a process: stops it at random moments and walks it in both ways.

bench/gdb-stacks starts it and says by PPROFD_STOPS (JSON) what to do: how often, the walk-driver,
and the file to write to, one line of JSON a stop.
"""

import json
import os
import random
import subprocess

import gdb

MOST_FRAMES = 600
PHYSICAL = {gdb.NORMAL_FRAME: "normal", gdb.SIGTRAMP_FRAME: "signal", gdb.ARCH_FRAME: "arch"}


class Stops:
    def __init__(self, options):
        self.rng = random.Random(options["seed"])
        self.pid = gdb.selected_inferior().pid
        self.driver = subprocess.Popen([options["driver"], str(self.pid)], text=True,
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def run_a_while(self):
        """A program of its own sends the signal, since gdb must not have threads of ours."""
        delay = self.rng.uniform(0.002, 0.06)
        timer = subprocess.Popen(["/bin/sh", "-c", f"sleep {delay}; kill -INT {self.pid}"])
        try:
            gdb.execute("continue", to_string=True)
        finally:
            timer.wait()
        self.rng.choice(gdb.selected_inferior().threads()).switch()

    def gdb_frames(self):
        """[address, kind] of every frame that is none of an inlined or a tail call."""
        frames = []
        frame = gdb.newest_frame()
        while frame and len(frames) < MOST_FRAMES:
            if frame.type() in PHYSICAL:
                frames.append([frame.pc(), PHYSICAL[frame.type()]])
            last, frame = frame, frame.older()
        return frames, gdb.frame_stop_reason_string(last.unwind_stop_reason())

    def walk(self):
        frame = gdb.newest_frame()
        registers = [int(frame.read_register(name)) % 2**64 for name in ("rip", "rsp", "rbp")]
        self.driver.stdin.write(" ".join(f"{value:x}" for value in registers) + "\n")
        self.driver.stdin.flush()
        end, *frames = self.driver.stdout.readline().split()
        return int(end), [int(address, 16) for address in frames]

    def take(self):
        self.run_a_while()
        frames, reason = self.gdb_frames()
        end, ours = self.walk()
        return {"gdb": frames, "reason": reason, "end": end, "ours": ours}

    def names(self, stop):
        """For a stop that differs: what gdb calls these addresses."""
        def name(address):
            text = gdb.execute(f"info symbol {address:#x}", to_string=True)
            return text.strip().replace(" in section .text of", "")
        return {f"{address:#x}": name(address)
                for address in [pc for pc, _ in stop["gdb"]] + stop["ours"]}


def is_equal(stop):
    """The walker notes the byte before a return address, but not where a signal came."""
    wanted = []
    before = "signal"
    for address, kind in stop["gdb"]:
        wanted.append(address if "signal" in (kind, before) else address - 1)
        before = kind
    return stop["ours"] == wanted


def main():
    options = json.loads(os.environ["PPROFD_STOPS"])
    for setting in ("pagination off", "confirm off", "backtrace past-main on",
                    "debuginfod enabled off", "print thread-events off"):
        gdb.execute("set " + setting)
    stops = Stops(options)
    with open(options["out"], "w") as out:
        for _ in range(options["count"]):
            try:
                stop = stops.take()
            except gdb.error as error:
                print(f"gdb: {error}")
                break
            stop["equal"] = is_equal(stop)
            if not stop["equal"]:
                stop["names"] = stops.names(stop)
            out.write(json.dumps(stop) + "\n")
            out.flush()
    stops.driver.stdin.close()
    stops.driver.wait()
    gdb.execute("detach")


main()
