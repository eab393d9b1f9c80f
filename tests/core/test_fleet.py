"""What a member makes of the coordinator's answers, and what it reports (over several hosts: tests/coordination)."""

from __future__ import annotations

from typing import Any

import pytest

from fleetd.core import fleet, progress
from fleetd.core.epochs import Epochs
from fleetd.core.events import FleetLost, FleetObserved, RestartRequested, SaidReady, Source, Target
from fleetd.core.membership import Membership
from fleetd.core.roll import RollState
from fleetd.core.rollout import HostState, Intent, Rollout, RolloutState
from fleetd.core.scope import Scope
from fleetd.core.spec import FleetSpec, Launch, PoolSpec, Ready
from tests.support.world import UNIX, World

E1, E2 = 1_790_000_100, 1_790_000_200


def member_of(world: World) -> Membership:
    assert world.state.fleet is not None
    return world.state.fleet


@pytest.fixture
def world() -> World:
    """A host with two workers that are healthy, and that has not heard of its fleet yet."""
    spec = FleetSpec({"media": PoolSpec("media", Launch(("w",)), numprocs=2, ready=Ready.LINE)})
    host = World(spec, membership=lambda: Membership("acme", "h1", "h1/app", "machine"))
    let_act(host)
    return host


def let_act(world: World) -> None:
    for run in list(world.ordered):
        world.answer_spawn(run)
        world.step(SaidReady(run, Source.SOCKET))
    world.wait(1.5)
    for run, worker in list(world.workers.items()):
        if worker.told:
            world.exit(run)


def see(world: World, *, turn: bool = False, **shown: Any) -> None:
    world.step(FleetObserved(clock=UNIX + world.now, turn_until=world.now + 9 if turn else None, **shown))


def rollout(epoch: int, state: RolloutState = RolloutState.RUNNING, **fields: Any) -> Rollout:
    return Rollout(epoch, state, Intent("ci", "v2", Scope()), UNIX, 1, **fields)


def test_an_epoch_waits_for_the_turn_and_pins_what_is_not_rolled(world: World) -> None:
    see(world)
    see(world, epochs={"": str(E1)})
    roll = world.state.pools["media"].roll
    assert roll is not None
    assert roll.state is RollState.WAITING
    assert fleet.wants_turn(world.state) == (E1,)
    assert progress.reports(world.state)[E1].progress.state is HostState.WAITING
    world.directory = "/releases/2"
    world.exit(next(iter(world.workers)), 0)
    let_act(world)
    assert {worker.directory for worker in world.workers.values()} == {"/releases/1"}
    see(world, epochs={"": str(E1)}, turn=True)
    assert roll.is_running
    for _ in range(3):
        let_act(world)
        see(world, epochs={"": str(E1)}, turn=True)
    report = progress.reports(world.state)[E1].progress
    assert (report.state, report.done, report.total) == (HostState.DONE, 2, 2)
    assert fleet.wants_turn(world.state) == ()
    assert not member_of(world).has_turn(world.now), "given back at once"


def test_no_replacement_is_started_when_the_lease_of_the_turn_is_over(world: World) -> None:
    see(world)
    see(world, epochs={"": str(E1)})
    see(world, epochs={"": str(E1)}, turn=True)
    let_act(world)
    world.step(FleetLost("cut"))
    world.wait(20)
    let_act(world)
    let_act(world)
    started = [slot.starts for slot in world.state.pools["media"].slots.values()]
    assert sum(started) == 4
    see(world, epochs={"": str(E2)})
    assert not any(run in world.ordered for run in world.state.runs), "stale again, and no turn"


def test_first_contact_names_what_was_not_known(world: World) -> None:
    assert {run.release.epochs for run in world.state.runs.values()} == {None}
    see(world)
    assert {run.release.epochs for run in world.state.runs.values()} == {Epochs()}
    assert {record.epochs for record in world.journal.values()} == {Epochs()}, "for a later daemon, too"


def test_first_contact_with_a_greater_epoch_makes_stale(world: World) -> None:
    see(world, epochs={"": str(E1)})
    assert fleet.wants_turn(world.state) == (E1,)


def test_memory_is_of_one_fleet_on_one_machine() -> None:
    told = Membership("acme", "h1", "h1/app", "machine", epochs={"": E1}, paused=frozenset({"host:h1"})).memory()
    for name, machine, knows in (("acme", "machine", True), ("other", "machine", False), ("acme", "clone", False)):
        membership = Membership(name, "h1", "h1/app", machine)
        membership.remember(told)
        assert bool(membership.epochs) is bool(membership.paused) is knows


def test_a_rollout_that_is_halted_elsewhere_is_held_and_not_called_our_failure(world: World) -> None:
    see(world)
    see(world, epochs={"": str(E1)}, rollouts=(rollout(E1, RolloutState.HALTED, halted_by="h2/app"),))
    roll = world.state.pools["media"].roll
    assert roll is not None
    assert roll.state is RollState.HALTED
    report = progress.reports(world.state)[E1].progress
    assert (report.state, report.error) == (HostState.WAITING, None)
    see(world, epochs={"": str(E1)}, rollouts=(rollout(E1),))
    assert roll.state is RollState.HALTED, "an answer from before is no resumption"
    see(world, epochs={"": str(E1)}, rollouts=(rollout(E1, resumes=1),))
    assert roll.state is RollState.WAITING


def test_an_old_failure_is_not_told_of_a_new_request(world: World) -> None:
    see(world)
    see(world, epochs={"": str(E1)})
    see(world, epochs={"": str(E1)}, turn=True)
    run = next(iter(world.ordered))
    world.answer_spawn(run)
    world.exit(run, 1)
    failed = progress.reports(world.state)[E1].progress
    assert failed.state is HostState.HALTED
    assert failed.error is not None
    see(world, epochs={"": str(E2)})
    report = progress.reports(world.state)[E2].progress
    assert (report.state, report.error) == (HostState.WAITING, None)


def test_a_new_worker_that_crashes_after_its_pool_was_done_halts_what_is_still_rolling() -> None:
    pools = {name: PoolSpec(name, Launch(("w",)), ready=Ready.LINE) for name in ("mail", "media")}
    world = World(FleetSpec(pools), membership=lambda: Membership("acme", "h1", "h1/app"))
    let_act(world)
    see(world)
    see(world, epochs={"": str(E1)})
    see(world, epochs={"": str(E1)}, turn=True)
    mail = next(run for run, spawn in world.ordered.items() if spawn.pool == "mail")
    world.answer_spawn(mail)
    world.step(SaidReady(mail, Source.SOCKET))
    world.wait(1.5)
    world.exit(next(run for run, worker in world.workers.items() if worker.told))
    assert world.state.pools["mail"].roll.state is RollState.DONE  # type: ignore[union-attr]
    world.exit(mail, 1)
    assert world.state.pools["media"].roll.state is RollState.HALTED  # type: ignore[union-attr]
    assert progress.reports(world.state)[E1].progress.state is HostState.HALTED


def test_the_name_that_another_has_keeps_out_and_changes_nothing(world: World) -> None:
    see(world, held_by_other=True)
    assert member_of(world).held_by_other
    assert not member_of(world).is_known
    assert progress.reports(world.state) == {}
    see(world)
    assert not member_of(world).held_by_other


def test_a_pause_by_the_fleet_is_not_lifted_by_the_operator_nor_the_other_way_round(world: World) -> None:
    see(world)
    see(world, paused=frozenset({"pool:media"}))
    let_act(world)
    pool = world.state.pools["media"]
    assert (pool.is_paused, pool.is_empty) == (True, True)
    see(world, paused=frozenset({"host:h2", "host:h2:pool:media", "pool:mail"}))
    let_act(world)
    assert len(world.workers) == 2


def test_a_restart_of_this_host_alone_is_under_the_epochs_that_are_known(world: World) -> None:
    see(world)
    see(world, epochs={"": str(E1)})
    world.step(RestartRequested(7, (Target("media"),)))
    for _ in range(4):
        let_act(world)
        see(world, epochs={"": str(E1)})
    assert {run.release.epoch for run in world.state.runs.values()} == {E1}
    assert progress.reports(world.state)[E1].progress.state is HostState.DONE


def test_the_scope_of_a_rollout_that_nobody_announced() -> None:
    membership = Membership("acme", "h1", "h1/app", epochs={"": 1, "pool:a": 2, "pool:b": 2, "host:h1": 3})
    scopes = [intent and intent.scope for intent in (fleet.intent_of(membership, epoch) for epoch in (1, 2, 3, 4))]
    assert scopes == [Scope(), Scope(pools=("a", "b")), Scope(hosts=("h1",)), None]
