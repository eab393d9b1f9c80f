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

BURN = "import sys, time\nwhile time.process_time() < 0.2: pass\nprint(flush=True)\nsys.stdin.read()"


@pytest.fixture
def burnt() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Two processes that have used 0.2 s each, and wait."""
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


def test_cpu_grows_on_over_the_ends_of_workers(
    burnt: list[subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage, "MEASURED_EVERY", 0.0)
    measures = PoolUsage()
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


def test_many_who_ask_cost_one_look(burnt: list[subprocess.Popen[bytes]]) -> None:
    measures, pools = PoolUsage(), {"a": "media", "b": "media"}
    one = measures.measure({"a": burnt[0].pid}, pools, {})
    assert measures.measure({"a": burnt[0].pid, "b": burnt[1].pid}, pools, {}) == one
    wait_for(
        lambda: measures.measure({"a": burnt[0].pid, "b": burnt[1].pid}, pools, {}) != one, "another look", within=5
    )


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
