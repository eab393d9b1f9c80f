from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bench import process_table
from tests.support.waiting import wait_for

pytestmark = pytest.mark.process

# A name that no encoding knows, and with a parenthesis; then work until it is told, and a rest.
PROGRAM = r"""
import os, signal, sys
open("/proc/self/comm", "wb").write(b"\xff) Z 1 (\xfe")
child = os.fork()
if not child:
    signal.pause()
print(child, flush=True)
sys.stdin.readline()
sum(range(3_000_000))
print("worked", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def process() -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as running:
        yield running
        for pid in process_table.descendants(running.pid):
            subprocess.run(["kill", str(pid)], check=False)
        running.kill()


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_a_process_may_be_called_anything(process: subprocess.Popen[str]) -> None:
    child = int(line(process))
    assert process_table.descendants(process.pid) == [child]
    assert process_table.usage([process.pid])[process.pid].cpu > 0
    assert process_table.memory([process.pid]).rss > 1


def test_what_is_gone_counts_nothing(process: subprocess.Popen[str]) -> None:
    child = int(line(process))
    before = process_table.usage([process.pid, child])
    assert set(before) == {process.pid, child}
    subprocess.run(["kill", "-KILL", str(child)], check=True)
    wait_for(lambda: process_table.descendants(process.pid) == [], "the child to end")
    assert Path(f"/proc/{child}").exists(), "a zombie is no descendant, but it is there"


def test_what_was_used_since_is_the_difference(process: subprocess.Popen[str]) -> None:
    line(process)
    before = process_table.usage([process.pid])
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()
    assert line(process) == "worked"
    spent = process_table.spent(before)
    assert 0 < spent.cpu < process_table.usage([process.pid])[process.pid].cpu
    wait_for(lambda: process_table.spent(before).wakeups >= 1, "the process to rest again")
