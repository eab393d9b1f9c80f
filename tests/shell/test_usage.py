"""What processes use, added up by pool."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from fleetd.shell import usage
from fleetd.shell.proc import usage_of
from fleetd.shell.usage import PoolUsage, own
from tests.support.waiting import wait_for

pytestmark = pytest.mark.process

BURN = """
import sys, time
for goal in (0.2, 0.4):
    while time.process_time() < goal: pass
    print(flush=True)
    if not sys.stdin.readline(): break
"""


@pytest.fixture
def measures(monkeypatch: pytest.MonkeyPatch) -> PoolUsage:
    """Measures that are taken anew each time somebody asks."""
    monkeypatch.setattr(usage, "MEASURED_EVERY", 0.0)
    return PoolUsage()


@pytest.fixture
def burnt(measures: PoolUsage) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Two that are younger than the measures, have used 0.2 s each, and wait; told a line, they use as much again."""
    assert measures is not None
    both = [
        subprocess.Popen([sys.executable, "-S", "-c", BURN], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for _ in range(2)
    ]
    for each in both:
        assert each.stdout is not None
        assert each.stdout.readline() == b"\n"
    yield both
    for each in both:
        each.communicate()


def test_cpu_grows_on_over_the_ends_of_workers(burnt: list[subprocess.Popen[bytes]], measures: PoolUsage) -> None:
    first, second = burnt
    pools = {"a": "media", "b": "media", "c": "mail"}
    one = measures.measure({"a": first.pid}, pools, {})["media"]
    assert 0.15 <= one.cpu < 2
    assert one.resident > 1_000_000
    again = measures.measure({"a": first.pid}, pools, {})["media"]
    assert again.cpu == pytest.approx(one.cpu, abs=0.05), "what was counted is not counted again"
    both = measures.measure({"a": first.pid, "b": second.pid}, pools, {})["media"]
    assert both.cpu >= one.cpu + 0.15
    assert both.resident > one.resident * 1.5
    left = measures.measure({"b": second.pid}, pools, {"media": 7, "mail": 9})
    assert left["media"].cpu == pytest.approx(both.cpu, abs=0.05), "of one that has ended, too"
    assert left["media"].resident < both.resident
    assert (left["media"].output_dropped, left["mail"].output_dropped) == (7, 9)
    nobody = measures.measure({}, pools, {})["media"]
    assert (nobody.resident, nobody.cpu) == (0, left["media"].cpu)


def test_what_workers_had_used_under_an_earlier_daemon_is_not_counted_again(
    burnt: list[subprocess.Popen[bytes]],
) -> None:
    later, first = PoolUsage(), burnt[0]
    taken_over = later.measure({"a": first.pid}, {"a": "media"}, {})["media"]
    assert taken_over.cpu == 0
    assert taken_over.resident > 1_000_000
    assert first.stdin is not None
    assert first.stdout is not None
    first.stdin.write(b"\n")
    first.stdin.flush()
    assert first.stdout.readline() == b"\n"
    assert 0.15 <= later.measure({"a": first.pid}, {"a": "media"}, {})["media"].cpu < 0.35


def test_many_who_ask_cost_one_look(
    burnt: list[subprocess.Popen[bytes]], measures: PoolUsage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage, "MEASURED_EVERY", 30.0)
    pools = {"a": "media", "b": "media"}
    one = measures.measure({"a": burnt[0].pid}, pools, {})
    assert measures.measure({"a": burnt[0].pid, "b": burnt[1].pid}, pools, {}) == one
    monkeypatch.setattr(usage, "MEASURED_EVERY", 0.5)
    wait_for(lambda: measures.measure({"a": burnt[0].pid, "b": burnt[1].pid}, pools, {}) != one, "another look")


def test_what_this_process_uses() -> None:
    found = own()
    used = usage_of(os.getpid())
    assert used is not None
    assert found.python == sys.version.split()[0]
    assert found.resident == pytest.approx(used.resident, rel=0.1)
    assert found.cpu <= used.cpu
    assert time.time() - 3600 * 24 < found.started < time.time()
    assert found.most_files == resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    with open(os.devnull) as _, open(os.devnull) as _:  # noqa: PTH123
        assert own().open_files == found.open_files + 2
