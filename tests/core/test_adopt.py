from __future__ import annotations

import pytest
from msgspec.structs import replace

from fleetd.core.adopt import UNDATED, dated
from fleetd.core.chance import Chance
from fleetd.core.decide import decide
from fleetd.core.effects import KillTree, Record, Signal, Spawn
from fleetd.core.events import (
    Exited,
    JobReported,
    RestartRequested,
    Restored,
    Source,
    SpecChanged,
    StopRequested,
    Target,
    Tick,
)
from fleetd.core.records import Counters, JobRecord, PoolMemory, Remembered, RollRecord, RunRecord
from fleetd.core.roll import RollError
from fleetd.core.spec import Amount, FleetSpec, LineMeaning, Restart
from fleetd.core.state import Moment, Reason, State
from tests.support.history import UNIX, Host, pool_spec
from tests.support.world import World


@pytest.mark.parametrize(
    ("line", "remembered"),
    [
        ("1 stop m", {"stopped": True, "stopped_slots": ()}),
        ("1 stop m:1", {"stopped": None, "stopped_slots": (1,)}),
        ("1 pause m", {"paused": True, "paused_slots": ()}),
        ("1 pause m:1", {"paused": False, "paused_slots": (1,)}),
        ("1 scale m 3", {"scaled_to": 3, "scaled_from": 2, "slots": (0, 1, 2)}),
        ("1 start m", {"stopped": None, "started_slots": ()}),
        ("1 restart m", {"generation": 1}),
    ],
)
def test_what_the_operator_said_comes_back_as_it_was(line: str, remembered: dict[str, object]) -> None:
    host = Host({"m": pool_spec("m", {"numprocs": 2})})
    host.play("0 files")
    host.play(line)
    for _ in range(2):
        memory = host.state.remembered_now().pools["m"]
        assert isinstance(memory, PoolMemory)
        assert {key: getattr(memory, key) for key in remembered} == remembered
        host.play("1 daemon-killed")


@pytest.mark.parametrize(
    ("counted", "expected"),
    [
        ({"m": Counters((7, 1), {"a": (7, 0)})}, Counters((7, 1), {"a": (7, 0), "b": (1, 1)}, {"Encode": (9, 2)})),
        ({}, Counters((9, 2), {"a": (8, 1), "b": (1, 1)}, {"Encode": (9, 2)})),
    ],
)
def test_the_journals_counters_belong_to_what_is_yet_to_be_read(
    counted: dict[str, Counters], expected: Counters
) -> None:
    """What is remembered may have been written a moment later: those jobs will be read, and counted, again."""
    state = State(Chance(1))
    memory = Remembered({"m": PoolMemory(counters=Counters((9, 2), {"a": (8, 1), "b": (1, 1)}, {"Encode": (9, 2)}))})
    decide(state, Restored(memory, (), counted), Moment(0.0, UNIX))
    decide(state, SpecChanged(FleetSpec({"m": pool_spec("m", {})})), Moment(0.0, UNIX))
    assert state.pools["m"].ledger.counters() == expected


def test_a_run_whose_record_was_lost_has_the_release_that_its_slot_had() -> None:
    """One that a rollout had not come to is not taken for a new one: the rollout would leave it out (P5)."""
    pools = {"m": PoolMemory(generation=4, roll=RollRecord(4, pending=(1,))), "n": PoolMemory(generation=2)}
    runs = tuple(
        RunRecord(f"{pool}{slot}", pool, slot, generation, 0.0)
        for pool, slot, generation in (
            ("m", 0, UNDATED),
            ("m", 1, UNDATED),
            ("m", 2, 3),
            ("n", 0, UNDATED),
            ("x", 0, UNDATED),
        )
    )
    assert [run.generation for run in dated(pools, runs)] == [4, 3, 3, 2, 0]


def test_a_rollout_is_known_to_be_halted_by_the_worker_that_failed() -> None:
    """It may be one of another pool, which is the one to look at."""
    record = RollRecord(1, (0,), halted=True, error="exited with code 3", failed="n:0", lines=("no such file",))
    state, now = State(Chance(1)), Moment(100.0, UNIX)
    decide(state, Restored(Remembered({"m": PoolMemory(slots=(0,), generation=1, roll=record)}), ()), now)
    decide(state, SpecChanged(FleetSpec({"m": pool_spec("m", {})})), now)
    roll, remembered = state.pools["m"].roll, state.remembered_now().pools["m"].roll
    assert roll is not None
    assert roll.error == RollError("n:0", "exited with code 3", ("no such file",))
    assert remembered is not None
    assert (remembered.error, remembered.failed, remembered.lines) == (record.error, record.failed, record.lines)


@pytest.mark.parametrize("order", [slice(None), slice(None, None, -1)])
def test_the_end_of_a_run_that_was_not_written_down_leaves_the_next_one_alone(order: slice) -> None:
    """Its slot had been filled again when the daemon was killed: that is no replacement that came too early (P1)."""
    state, now = State(Chance(1)), Moment(100.0, UNIX)
    over = RunRecord("a" * 32, "m", 0, 0, UNIX - 9, pid=7, directory="/r", healthy=True, ended=True)
    living = RunRecord("b" * 32, "m", 0, 0, UNIX - 1, pid=8, directory="/r", healthy=True)
    decide(state, Restored(Remembered(), (over, living)[order]), now)
    effects = decide(state, SpecChanged(FleetSpec({"m": pool_spec("m", {})})), now)
    effects += decide(state, Exited(over.run, 1, None), now)
    slot = state.pools["m"].slots[0]
    assert [run.id for run in slot.runs()] == [living.run]
    assert slot.last_exit is not None
    assert slot.last_exit.reason is Reason.EXIT
    assert not [effect for effect in effects if isinstance(effect, Signal | Spawn)]


def test_of_two_runs_that_began_at_once_the_one_that_is_over_was_the_first() -> None:
    surge = {"max_surge": Amount(0), "max_unavailable": Amount(share=1.0)}
    spec = replace(pool_spec("m", {"numprocs": 2}), restart=Restart.ON_FAILURE, **surge)
    world = World(FleetSpec({"m": spec}))
    for run in list(world.ordered):
        world.answer_spawn(run)
    world.exit(next(iter(world.workers)), 0)
    world.step(RestartRequested(world.new_roll(), (Target("m"),), False, None))
    world.die_and_start_again(intents_lost=False, exit_is_lost=True)  # checks every promise, as each step does
    assert not world.state.pools["m"].surging


def test_jobs_without_ids_are_taken_over_one_by_one() -> None:
    host = Host({"m": pool_spec("m", {})})
    host.play("0 files")
    for meaning in ("started", "started", "started", "done"):
        host.play(f"2 job m:0.1 {meaning} ''")
    host.play("3 daemon-killed")
    [run] = host.state.runs.values()
    assert (len(run.jobs), run.tells_starts) == (2, True)
    for _ in range(3):
        host.play("4 job m:0.1 done ''")
    assert (run.jobs_done, len(run.jobs)) == (3, 0)


UNTOLD = RunRecord(
    "a" * 32, "m", 0, 0, UNIX - 9, pid=7, directory="/r", healthy=True, ending="restart", told_to_end=False
)
IN_HAND = JobRecord("old", None, None, UNIX - 5)


@pytest.mark.parametrize(
    ("record", "job", "is_told"),
    [
        (UNTOLD, "new", True),
        (replace(UNTOLD, jobs_in_hand=(IN_HAND,)), "new", True),
        (replace(UNTOLD, jobs_in_hand=(IN_HAND,)), "old", False),  # told once more of the one that it has
        (replace(UNTOLD, told_to_end=True), "new", False),  # a second signal may end the job
        (replace(UNTOLD, told_to_end=None), "new", False),  # by a version that told, and did not write that down
    ],
)
def test_p2_a_worker_that_the_earlier_daemon_only_meant_to_drain_is_told_when_it_begins_a_job(
    record: RunRecord, job: str, is_told: bool
) -> None:
    """That daemon was killed after it had written that it would, and before it did, as far as anybody knows."""
    state = State(Chance(1))
    decide(state, Restored(Remembered(), (record,)), Moment(100.0, UNIX))
    taken = decide(state, SpecChanged(FleetSpec({"m": pool_spec("m", {"stop-timeout": 60})})), Moment(100.0, UNIX))
    begun = decide(state, JobReported(record.run, LineMeaning.STARTED, Source.OUTPUT, id=job), Moment(130.0, UNIX))
    assert [effect for effect in taken if isinstance(effect, Signal)] == []
    assert [effect for effect in begun if isinstance(effect, Signal)] == ([Signal(record.run, 15)] if is_told else [])
    assert state.runs[record.run].kill_at == (190 if is_told else 160)


def test_p2_a_daemon_killed_between_what_it_writes_and_the_signal() -> None:
    world = World(FleetSpec({"m": pool_spec("m", {})}))
    (run,) = world.ordered
    world.answer_spawn(run)
    world.wait(60)
    world.die_in(StopRequested((Target("m"),)), lambda effect: isinstance(effect, Record))
    assert (world.journal[run].ending, world.workers[run].told) == ("stop", False)
    world.job(run, LineMeaning.STARTED, "new")
    assert world.workers[run].told


def test_that_a_worker_was_told_is_written_down_after_it_was() -> None:
    host = Host({"m": pool_spec("m", {})})
    host.play("0 files")
    host.play("1 wait")
    (run,) = host.state.runs
    effects = decide(host.state, RestartRequested(1, (Target("m"),), now=True), Moment(2.0, UNIX))
    order = [
        effect.record.told_to_end if isinstance(effect, Record) else "told"
        for effect in effects
        if (isinstance(effect, Record) and effect.record.run == run) or isinstance(effect, Signal)
    ]
    assert order == [False, "told", True]


@pytest.mark.parametrize("step", [3600.0, -3600.0])
def test_p3_a_clock_that_was_set_makes_no_job_older_and_no_worker(step: float) -> None:
    """The time of day of what was taken over says nothing of how long ago it was."""
    keys = {"job_timeout": 60.0, "max_lifetime": 600.0}
    host = Host({"m": pool_spec("m", keys)})
    host.play("0 files")
    host.play("10 job m:0.1 started one")
    (before,) = host.state.runs.values()
    state, now = State(Chance(1)), Moment(20.0, UNIX + 20.0 + step)
    decide(state, Restored(Remembered(), (before.record(),)), now)
    effects = decide(state, SpecChanged(FleetSpec({"m": pool_spec("m", keys)})), now)
    effects += decide(state, Tick(), now)
    (run,) = state.runs.values()
    (job,) = run.jobs.values()
    assert (run.spawned, job.started) == (before.spawned, 10.0)
    assert not [effect for effect in effects if isinstance(effect, Signal | Spawn | KillTree)]


def test_what_the_record_of_an_earlier_version_lacks_is_written_down_when_it_is_taken_over() -> None:
    """Else its age would be reckoned by the time of day again by the daemon after this one."""
    job = JobRecord("old", None, None, UNIX - 5)
    record = RunRecord("a" * 32, "m", 0, 0, UNIX - 9, pid=7, directory="/r", healthy=True, jobs_in_hand=(job,))
    state, now = State(Chance(1)), Moment(100.0, UNIX)
    decide(state, Restored(Remembered(), (record,)), now)
    effects = decide(state, SpecChanged(FleetSpec({"m": pool_spec("m", {})})), now)
    (written,) = {effect.record for effect in effects if isinstance(effect, Record)}
    assert (written.spawned, written.jobs_in_hand[0].started) == (91.0, 95.0)
