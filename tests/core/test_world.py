"""Safety and liveness of the core, against workers, an operator and a daemon that do as they like (P1, P2, P6, P8)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from msgspec.structs import replace

from fleetd.core.decide import decide, next_deadline
from fleetd.core.events import (
    AskedForTime,
    Exited,
    JobReported,
    MemorySampled,
    PauseRequested,
    RestartRequested,
    ResumeRequested,
    SaidAlive,
    SaidReady,
    SaidStopping,
    ScaleRequested,
    ShutdownRequested,
    Source,
    Spawned,
    SpawnFailed,
    SpecChanged,
    StartRequested,
    StopRequested,
    Target,
)
from fleetd.core.spec import Amount, FleetSpec, GiveUp, Launch, LineMeaning, PoolSpec, Ready, Restart
from fleetd.core.state import Moment
from tests.support.requirement import in_ci
from tests.support.world import UNIX, World

MEANINGS = st.sampled_from([LineMeaning.STARTED, LineMeaning.DONE, LineMeaning.FAILED, LineMeaning.RELEASED])


def pools(name: str, *, by_slot: bool) -> st.SearchStrategy[PoolSpec]:
    """A pool with any mix of rules; `by_slot`: one that replaces in place."""
    rest: dict[str, st.SearchStrategy[Any]] = {
        "max_surge": st.just(Amount(0)) if by_slot else st.sampled_from([Amount(1), Amount(2)]),
        "max_unavailable": st.sampled_from([Amount(share=1.0), Amount(1)]) if by_slot else st.just(Amount(0)),
    }
    return st.builds(
        PoolSpec,
        name=st.just(name),
        launch=st.just(Launch(("worker",))),
        numprocs=st.integers(1, 3),
        autostart=st.sampled_from([True, True, False]),
        restart=st.sampled_from([Restart.ALWAYS, Restart.ALWAYS, Restart.ON_FAILURE, Restart.NEVER]),
        give_up=st.sampled_from([None, None, GiveUp(2, 100.0)]),
        max_jobs=st.sampled_from([None, 1, 3]),
        counts_own_jobs=st.booleans(),
        max_memory=st.sampled_from([None, 1000]),
        max_lifetime=st.sampled_from([None, 200.0]),
        job_timeout=st.sampled_from([None, 20.0]),
        ready=st.sampled_from([Ready.AGE, Ready.LINE, Ready.NOTIFY]),
        stop_timeout=st.sampled_from([10.0, 300.0]),
        pause_signal=st.sampled_from([None, 12]),
        resume_signal=st.just(18),
        reports_jobs=st.booleans(),
        jobs_at_once=st.sampled_from([None, 1]),
        **rest,
    )


class Host(RuleBasedStateMachine):
    """One history of a host."""

    world: World

    @initialize(base=pools("base", by_slot=False), web=pools("web", by_slot=False), gpu=pools("gpu", by_slot=True))
    def begin(self, base: PoolSpec, web: PoolSpec, gpu: PoolSpec) -> None:
        self.world = World(FleetSpec({"base": base, "web": replace(web, after=("base",)), "gpu": gpu}))

    # -- workers -----------------------------------------------------------------------------------------------------

    def pick(self, data: st.DataObject, of: Callable[[World], Any], label: str) -> Any:
        return data.draw(st.sampled_from(sorted(of(self.world))), label)

    @precondition(lambda self: self.world.ordered)
    @rule(data=st.data(), error=st.sampled_from([None, None, None, "no such file"]), deaf=st.booleans())
    def a_spawn_is_answered(self, data: st.DataObject, error: str | None, deaf: bool) -> None:
        self.world.answer_spawn(self.pick(data, lambda w: w.ordered, "run"), error=error, deaf=deaf)

    @precondition(lambda self: self.world.ordered)
    @rule()
    def all_spawns_are_answered(self) -> None:
        for run in list(self.world.ordered):
            self.world.answer_spawn(run)

    @precondition(lambda self: self.world.workers)
    @rule(data=st.data(), code=st.sampled_from([0, 0, 1, 12, None]))
    def a_worker_ends_by_itself(self, data: st.DataObject, code: int | None) -> None:
        self.world.exit(self.pick(data, lambda w: w.workers, "run"), code)

    @precondition(lambda self: any(w.told or w.killed for w in self.world.workers.values()))
    @rule(data=st.data())
    def a_worker_obeys(self, data: st.DataObject) -> None:
        run = self.pick(data, lambda w: [r for r, x in w.workers.items() if x.told or x.killed], "run")
        killed = self.world.workers[run].killed
        self.world.exit(run, *((None, 9) if killed else (0, None)))

    @precondition(lambda self: self.world.workers)
    @rule(data=st.data(), what=MEANINGS, job=st.sampled_from("ab"), source=st.sampled_from(Source))
    def a_worker_tells_of_a_job(self, data: st.DataObject, what: LineMeaning, job: str, source: Source) -> None:
        self.world.job(self.pick(data, lambda w: w.workers, "run"), what, job, source)

    @precondition(lambda self: self.world.workers)
    @rule(data=st.data(), what=st.sampled_from([SaidAlive, SaidStopping, SaidReady, AskedForTime]))
    def a_worker_says_something(self, data: st.DataObject, what: Callable[..., Any]) -> None:
        run = self.pick(data, lambda w: w.workers, "run")
        more: dict[Any, tuple[Any, ...]] = {SaidReady: (Source.SOCKET,), AskedForTime: (50.0,)}
        self.world.step(what(run, *more.get(what, ())))

    @precondition(lambda self: self.world.workers)
    @rule(data=st.data())
    def a_worker_grows(self, data: st.DataObject) -> None:
        self.world.step(MemorySampled({self.pick(data, lambda w: w.workers, "run"): 2000}))

    # -- time and accidents ------------------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([0.05, 0.6, 1.0, 3.0, 15.0, 70.0, 250.0]))
    def time_passes(self, seconds: float) -> None:
        self.world.wait(seconds)

    @rule(intents_lost=st.booleans(), exit_is_lost=st.booleans())
    def the_daemon_is_killed(self, intents_lost: bool, exit_is_lost: bool) -> None:
        if not self.world.finished and not self.world.state.is_stopping:
            self.world.die_and_start_again(intents_lost=intents_lost, exit_is_lost=exit_is_lost)

    @rule(late=st.sampled_from([Spawned, SpawnFailed, Exited, JobReported]))
    def news_of_an_unknown_run_change_nothing(self, late: Callable[..., Any]) -> None:
        world, state = self.world, self.world.state
        rest = {
            Spawned: (1, "/"),
            SpawnFailed: ("late",),
            Exited: (1, None),
            JobReported: (LineMeaning.DONE, Source.OUTPUT),
        }[late]
        for run in [*world.forgotten, "unknown"]:
            before = (repr(state.pools), next_deadline(state))
            assert decide(state, late(run, *rest), Moment(world.now, UNIX)) == []
            after = (repr(state.pools), next_deadline(state))
            assert before == after

    # -- the operator ------------------------------------------------------------------------------------------------

    def target(self, data: st.DataObject) -> tuple[Target, ...]:
        pool = data.draw(st.sampled_from(["base", "web", "gpu"]), "pool")
        return (Target(pool, data.draw(st.sampled_from([None, None, 0, 1]), "slot")),)

    @rule(data=st.data(), what=st.sampled_from([StartRequested, StopRequested, PauseRequested, ResumeRequested]))
    def the_operator_starts_or_stops(self, data: st.DataObject, what: Callable[..., Any]) -> None:
        self.world.step(what(self.target(data)))

    @rule(data=st.data(), now=st.sampled_from([False, False, False, True]))
    def the_operator_restarts(self, data: st.DataObject, now: bool) -> None:
        self.world.directory = f"/releases/{self.world.new_roll()}"
        self.world.step(RestartRequested(self.world.rolls, self.target(data), now))

    @rule(data=st.data())
    def the_operator_stops_now(self, data: st.DataObject) -> None:
        self.world.step(StopRequested(self.target(data), now=True))

    @rule(pool=st.sampled_from(["base", "web", "gpu"]), numprocs=st.integers(0, 4))
    def the_operator_scales(self, pool: str, numprocs: int) -> None:
        self.world.step(ScaleRequested(pool, numprocs))

    @rule(pool=st.sampled_from(["base", "web", "gpu"]), changes=st.data())
    def the_operator_reloads(self, pool: str, changes: st.DataObject) -> None:
        spec = self.world.spec.pools.get(pool)
        kept = dict(self.world.spec.pools)
        what = changes.draw(st.sampled_from(["launch", "numprocs", "live", "remove"]), "what")
        if spec is None:
            kept[pool] = PoolSpec(pool, Launch(("added",)), numprocs=2)
        elif what == "remove":
            del kept[pool]
        elif what == "launch":
            kept[pool] = replace(spec, launch=Launch((f"worker-{self.world.new_roll()}",)))
        elif what == "numprocs":
            kept[pool] = replace(spec, numprocs=spec.numprocs % 3 + 1)
        else:
            kept[pool] = replace(spec, max_memory=500 if spec.max_memory is None else None, stop_timeout=33.0)
        self.world.spec = replace(self.world.spec, pools=kept)
        self.world.step(SpecChanged(self.world.spec, self.world.new_roll()))

    # -- what must be true -------------------------------------------------------------------------------------------

    @invariant()
    def a_deadline_lies_ahead(self) -> None:
        due = next_deadline(self.world.state)
        assert due is None or not math.isnan(due)

    def teardown(self) -> None:
        """Liveness: let the world cooperate, and everything that is wanted comes about."""
        if not hasattr(self, "world"):
            return
        world = self.world
        world.cooperate()
        assert not world.unmet(), world.unmet()
        world.shut_down()
        assert world.finished
        assert not world.state.runs
        assert next_deadline(world.state) is None


class Shutdown(Host):
    """The same, with a daemon that may be told to end at any time."""

    @rule(now=st.booleans())
    def the_daemon_is_told_to_end(self, now: bool) -> None:
        self.world.step(ShutdownRequested(now))

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.world.shut_down()
            assert self.world.finished
            assert not self.world.state.runs


SETTINGS = settings(
    max_examples=120 if in_ci() else 50,
    stateful_step_count=40,
    deadline=None,
    derandomize=in_ci(),
    suppress_health_check=list(HealthCheck),
)
AT_LENGTH = settings(SETTINGS, max_examples=1000, derandomize=False)  # and others each time

TestHost = pytest.mark.timeout(300)(Host.TestCase)
TestHost.settings = SETTINGS
TestShutdown = pytest.mark.timeout(300)(Shutdown.TestCase)
TestShutdown.settings = settings(SETTINGS, max_examples=60 if in_ci() else 20)


@pytest.mark.full
@pytest.mark.timeout(900)
@pytest.mark.parametrize("machine", [Host, Shutdown])
def test_at_length(machine: type[RuleBasedStateMachine]) -> None:
    run_state_machine_as_test(machine, settings=AT_LENGTH)  # type: ignore[no-untyped-call]
