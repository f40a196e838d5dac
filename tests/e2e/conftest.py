# SPDX-License-Identifier: Apache-2.0
"""Fixtures: whatever a test starts has ended when the next one begins."""

import os
import pathlib
import subprocess
import sys
import tempfile

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import harness  # noqa: E402


def pytest_collection_modifyitems(items):
    if os.geteuid() == 0:
        return
    for item in items:
        item.add_marker(pytest.mark.skip(reason="the end-to-end tests need root"))


@pytest.fixture
def start():
    """start(PROCESS_CLASS, ...) makes a process that the fixture ends at the latest."""
    started = []

    def start_one(make, *args, **options):
        started.append(make(*args, **options))
        return started[-1]

    yield start_one
    for process in reversed(started):
        process.kill()


@pytest.fixture
def target(start):
    """target(NAME, ...): a program of tests/targets that has said it is ready."""
    def make(*args, **options):
        return start(harness.Target, *args, **options).ready()
    return make


@pytest.fixture
def agent(start):
    """agent(OPTION, ...): an agent whose collectors are all attached."""
    def make(*args, **options):
        return start(harness.Agent, *args, **options).ready()
    return make


@pytest.fixture
def folder():
    """A folder that everybody may enter, gone after the test."""
    with tempfile.TemporaryDirectory(prefix="pprofd-e2e-") as path:
        os.chmod(path, 0o755)
        yield pathlib.Path(path)


@pytest.fixture
def tracefs(folder):
    """The trace's file system, which may be mounted nowhere else."""
    mount = subprocess.run(["mount", "-t", "tracefs", "nodev", folder], capture_output=True,
                           text=True, check=False)
    if mount.returncode:
        pytest.skip(f"no tracefs: {mount.stderr.strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)
