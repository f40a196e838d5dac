# SPDX-License-Identifier: Apache-2.0
"""What a process's memory holds of the files that it maps."""

import re

READ_ONLY, CODE = "r--p", "r-xp"


def mapped_pages(pid, permissions):
    """
    {(file, address): bytes} of all that files are mapped to with these permissions. Nobody writes
    there but the linker, and who places probes or leads calls elsewhere.
    """
    pages = {}
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb") as memory:
        for line in maps:
            found = re.match(rf"(\w+)-(\w+) {permissions} \w+ \S+ [1-9]\d* +(/.*)", line)
            if not found or "libpprofd" in found[3]:
                continue
            begin, end = int(found[1], 16), int(found[2], 16)
            memory.seek(begin)
            pages[found[3], begin] = memory.read(end - begin)
    return pages
