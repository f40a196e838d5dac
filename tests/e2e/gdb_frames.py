# SPDX-License-Identifier: Apache-2.0
"""Runs inside gdb, attached to a process: prints the frames' addresses of all its threads."""

import json

import gdb

MOST_FRAMES = 600
PHYSICAL = (gdb.NORMAL_FRAME, gdb.SIGTRAMP_FRAME, gdb.ARCH_FRAME)


def frames_of(thread):
    thread.switch()
    frames = []
    frame = gdb.newest_frame()
    while frame and len(frames) < MOST_FRAMES:
        if frame.type() in PHYSICAL:
            frames.append(frame.pc())
        try:
            frame = frame.older()
        except gdb.error:
            break
    return frames


gdb.execute("set backtrace past-main on")
print("frames: " + json.dumps({thread.ptid[1]: frames_of(thread)
                               for thread in gdb.selected_inferior().threads()}))
