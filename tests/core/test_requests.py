from __future__ import annotations

import pytest
from msgspec.structs import replace

from fleetd.core.chance import Chance
from fleetd.core.decide import decide
from fleetd.core.effects import Remember, Signal
from fleetd.core.events import (
    PauseRequested,
    Restored,
    ResumeRequested,
    SpecChanged,
    Target,
)
from fleetd.core.records import PoolMemory, Remembered, RunRecord
from fleetd.core.spec import FleetSpec
from fleetd.core.state import Moment, State
from tests.support.history import UNIX, Host, pool_spec

PAUSABLE = replace(pool_spec("m", {"numprocs": 1}), pause_signal=10, resume_signal=12)


@pytest.mark.parametrize(("autostart", "after_start", "after_stop"), [(True, None, True), (False, False, True)])
def test_only_a_wish_that_differs_from_autostart_is_remembered(
    autostart: bool, after_start: bool | None, after_stop: bool
) -> None:
    host = Host({"m": pool_spec("m", {"autostart": autostart})})
    host.play("0 files")
    host.play("1 start m")
    assert host.state.remembered_now().pools["m"].stopped is after_start
    host.play("2 stop m")
    assert host.state.remembered_now().pools["m"].stopped is after_stop


@pytest.mark.parametrize("line", ["1 stop x", "1 start x", "1 restart x", "1 scale x 3", "1 pause x:0", "1 resume m:9"])
def test_a_target_that_is_gone_meanwhile_changes_nothing(line: str) -> None:
    host = Host({"m": pool_spec("m", {})})
    host.play("0 files")
    before = host.final()
    assert host.play(line) == "@1 healthy m:0"
    assert before["m:0"] == "m:0.1 starting /r/1"
    assert host.final()["m:0"] == "m:0.1 healthy /r/1"


def test_a_pause_is_written_down_before_anybody_is_told() -> None:
    """A daemon that is killed in between leaves it to the next one."""
    host = Host({"m": PAUSABLE})
    host.play("0 files")
    host.play("9 wait")
    for request in (PauseRequested((Target("m"),)), ResumeRequested((Target("m"),))):
        effects = decide(host.state, request, Moment(host.now, UNIX + host.now))
        assert effects[0] == Remember(lazily=False)
        assert any(isinstance(effect, Signal) for effect in effects)


def test_what_was_not_paused_when_the_daemon_was_killed_is_paused_by_the_next() -> None:
    run = RunRecord("a" * 32, "m", 0, 0, UNIX, pid=7, directory="/r", healthy=True)
    now = Moment(0.0, UNIX)
    state = State(Chance(1))
    decide(state, Restored(Remembered(pools={"m": PoolMemory(paused=True)}), (run,)), now)
    effects = decide(state, SpecChanged(FleetSpec({"m": PAUSABLE})), now)
    assert Signal(run.run, 10) in effects
    assert Signal(run.run, 12) in decide(state, ResumeRequested((Target("m"),)), now)
