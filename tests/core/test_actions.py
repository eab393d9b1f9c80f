from __future__ import annotations

from fleetd.core import actions
from fleetd.core.effects import KillTree, Record, Signal
from fleetd.core.state import Moment, Phase, Reason
from fleetd.core.turn import Turn
from tests.support.history import Host, pool_spec


def test_what_is_done_to_a_run_is_written_down_before_it_is_done_and_done_once() -> None:
    host = Host({"m": pool_spec("m", {"stop-timeout": 30})})
    host.play("0 files")
    host.play("5 wait")
    (run,), pool = host.state.runs.values(), host.state.pools["m"]
    turn = Turn(host.state, Moment(5.0, 5.0))
    actions.drain(turn, pool, run, Reason.STOP)
    actions.drain(turn, pool, run, Reason.RESTART, 3.0)
    actions.kill(turn, run, Reason.WATCHDOG)
    actions.drain(turn, pool, run, Reason.SCALE)
    done = [effect for effect in turn.effects if isinstance(effect, Record | Signal | KillTree)]
    assert [type(effect) for effect in done] == [Record, Signal, Record, Record, KillTree]
    assert [effect.record.told_to_end for effect in done if isinstance(effect, Record)] == [False, True, True]
    assert (run.ending, run.kill_at, run.phase) == (Reason.STOP, 8.0, Phase.KILLED)
