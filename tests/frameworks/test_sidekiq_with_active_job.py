"""Recorded output of Sidekiq beside ActiveJob's: both tell of the same jobs, by ids of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleetd.core.chance import Chance
from fleetd.core.events import JobReported, Source
from fleetd.core.jobs import account
from fleetd.core.roll import Release
from fleetd.core.spec import Launch, LineMeaning, PoolSpec
from fleetd.core.state import Moment, Pool, Run, State
from fleetd.core.turn import Turn
from fleetd.frameworks.framework import builtin
from fleetd.frameworks.lines import Patterns, Scanner

RECORDED = Path(__file__).parent / "lines"


@pytest.mark.parametrize("output", sorted(path.name for path in RECORDED.glob("sidekiq-*.log")))
def test_a_job_counts_once(output: str) -> None:
    """Two jobs, one of which fails."""
    text = (RECORDED / output).read_bytes()
    assert text.count(b"Performing RailsJob") == 2
    sidekiq = builtin("sidekiq")
    assert sidekiq is not None
    spec = PoolSpec("media", Launch(("sidekiq",)))
    pool, run = Pool(spec, Release(0, spec), 1), Run("r", "media", 0, Release(0, spec), 0.0, 0.0)
    turn = Turn(State(Chance(1)), Moment(1.0, 1.0))

    for told in Scanner(Patterns(sidekiq.patterns)).feed(text):
        if told.meaning is not LineMeaning.READY:
            account(turn, pool, run, JobReported("r", told.meaning, Source.OUTPUT, id=told.id, name=told.name))

    assert (run.jobs_done, run.jobs_failed, run.jobs_released, run.jobs) == (1, 1, 0, {})
