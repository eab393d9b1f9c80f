"""What a daemon keeps of what is over: nothing that grows."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.fleetd_cli import Fleetd
from tests.support.worker_pools import SLEEPING

pytestmark = pytest.mark.process


def anonymous(pid: int) -> int:
    """A process's own memory, in kilobytes."""
    return int(Path(f"/proc/{pid}/smaps_rollup").read_text().partition("Anonymous:")[2].split()[0])


def test_questions_that_are_answered_cost_no_memory(fleetd: Fleetd) -> None:
    fleetd.configure({"media": {**SLEEPING, "numprocs": 5}})
    fleetd.start()
    daemon = fleetd.status()["pid"]
    for _ in range(500):
        fleetd.control.call("status")
    before = anonymous(daemon)
    for _ in range(3000):
        fleetd.control.call("status")
    assert anonymous(daemon) < before + 1024
