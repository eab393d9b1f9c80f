"""What preloading is for: many workers at once, and a fraction of the memory.

The bounds are generous, as the machine may be busy; `tests/support/preload_cost.py` prints the figures.
"""

from __future__ import annotations

import asyncio
import sys

import pytest

from tests.support.preload_cost import both

pytestmark = [pytest.mark.process, pytest.mark.timeout(300)]

HEAVY = ("rq.cli", "rich.console", "psutil", "jsonschema", "hypothesis")


def test_fifty_preloaded_workers_start_at_once_in_a_third_of_the_memory() -> None:
    by_exec, by_fork, cold = asyncio.run(both(HEAVY, 50, sys.executable))
    assert by_fork.spawned < by_exec.at_work / 3, "0.2 s on a machine that has nothing else to do"
    assert by_fork.at_work < by_exec.at_work / 3
    assert by_fork.fresh < by_exec.fresh / 3
    assert by_fork.used < by_exec.used / 2
    assert cold < by_exec.at_work
