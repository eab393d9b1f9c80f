"""Output of RQ in which the application logs by RQ's own logger: its lines look like starts."""

from __future__ import annotations

import pytest

from fleetd.core.chance import Chance
from fleetd.core.events import JobReported, Source
from fleetd.core.jobs import account
from fleetd.core.roll import Release
from fleetd.core.state import Moment, Pool, Run, State
from fleetd.core.turn import Turn
from fleetd.frameworks.lines import Patterns, Scanner
from tests.support.pool_files import load_text

OUTPUT = b"""\
10:00:00 low: tasks.remind('bob') (one)
10:00:00 mail: sent to bob (250)
10:00:00 db: connected (10ms)
10:00:01 low: Job OK (one)
10:00:01 low: tasks.remind('eve') (two)
10:00:01 mail: sent to eve (250)
"""


@pytest.mark.parametrize("queues", ['["low"]', '["high", "low"]'])
def test_the_job_in_hand_stays_in_hand(queues: str) -> None:
    loaded = load_text(f'[pool.media]\nframework = "rq"\nqueues = {queues}\n')
    assert loaded.spec is not None
    spec = loaded.spec.pools["media"]
    pool, run = Pool(spec, Release(0, spec), 1), Run("r", "media", 0, Release(0, spec), 0.0, 0.0)
    turn = Turn(State(Chance(1)), Moment(1.0, 1.0))

    for told in Scanner(Patterns(spec.patterns)).feed(OUTPUT):
        report = JobReported("r", told.meaning, Source.OUTPUT, id=told.id, name=told.name, queue=told.queue)
        account(turn, pool, run, report)

    assert (run.jobs_done, run.jobs_released, list(run.jobs)) == (1, 0, ["two"])
