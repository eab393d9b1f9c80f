"""Hosts that follow restart epochs, in virtual time: P4, P5 and P6 over several hosts."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from fleetd.coordination.port import HostState, RolloutState
from fleetd.core.epochs import EpochKey
from fleetd.core.events import RestartRequested, SpecChanged, Target
from fleetd.core.facts import Kind
from fleetd.core.records import Remembered
from fleetd.core.spec import Amount
from tests.support.fleet_world import BROKEN, FleetWorld, Host, answered
from tests.support.world import UNIX

SIX = tuple(f"h{number}" for number in range(1, 7))
LONG = 60.0


@pytest.fixture
def fleet() -> FleetWorld:
    world = FleetWorld()
    world.add("h1", "h2", "h3")
    return world


def test_p5_a_request_replaces_each_worker_once(fleet: FleetWorld) -> None:
    fleet.deploy("/releases/2")
    epoch = fleet.request().epoch
    fleet.advance(LONG)
    for host in fleet.hosts.values():
        assert host.epochs() == {epoch}
        assert host.directories() == {"/releases/2"}
        assert host.starts() == [2, 2]
    rollout = fleet.rollout(epoch)
    assert rollout.state is RolloutState.DONE
    assert {progress.state for progress in rollout.hosts.values()} == {HostState.DONE}
    assert {(progress.done, progress.total) for progress in rollout.hosts.values()} == {(2, 2)}


def test_never_more_hosts_roll_than_may() -> None:
    fleet = FleetWorld({"media": 3}, max_parallel=Amount(2))
    fleet.add(*SIX)
    epoch = fleet.request().epoch
    fleet.advance(LONG)
    assert fleet.rollout(epoch).state is RolloutState.DONE
    assert fleet.most_rolling == 2
    assert all(
        host.kinds().count(Kind.TURN_TAKEN) == 1 == host.kinds().count(Kind.TURN_ENDED) for host in fleet.hosts.values()
    )


def test_p6_a_broken_release_on_one_host_holds_all(fleet: FleetWorld) -> None:
    fleet.deploy("/releases/2")
    fleet.deploy(BROKEN, "h1")
    epoch = fleet.request(most=1).epoch
    fleet.advance(LONG)
    rollout = fleet.rollout(epoch)
    assert rollout.state is RolloutState.HALTED
    assert rollout.halted_by == "h1/app"
    failed = rollout.hosts["h1/app"]
    assert failed.error is not None
    assert failed.error.worker.startswith("media:")
    assert "code 1" in failed.error.reason
    for host in fleet.hosts.values():
        assert host.directories() == {"/releases/1"}
        assert len(host.runs()) == 2
    fleet.deploy("/releases/3")
    mended = fleet.request(most=1).epoch
    fleet.advance(LONG)
    assert fleet.rollout(mended).state is RolloutState.DONE
    assert fleet.rollout(epoch).state is RolloutState.SUPERSEDED
    assert all(host.directories() == {"/releases/3"} for host in fleet.hosts.values())


def test_a_halted_rollout_can_go_on(fleet: FleetWorld) -> None:
    fleet.deploy(BROKEN, "h2")
    epoch = fleet.request(most=1).epoch
    fleet.advance(LONG)
    assert fleet.rollout(epoch).state is RolloutState.HALTED
    fleet.deploy("/releases/2")
    answered(fleet.coordinator().resume(epoch, "test"))
    fleet.advance(LONG)
    assert fleet.rollout(epoch).state is RolloutState.DONE
    assert all(host.epochs() == {epoch} for host in fleet.hosts.values())


def test_an_operator_can_halt_it(fleet: FleetWorld) -> None:
    epoch = fleet.request(most=1).epoch
    answered(fleet.coordinator().halt(epoch, "alice"))
    fleet.advance(LONG)
    assert fleet.rollout(epoch).state is RolloutState.HALTED
    assert all(host.starts() == [1, 1] for host in fleet.hosts.values())
    answered(fleet.coordinator().resume(epoch, "alice"))
    fleet.advance(LONG)
    assert all(host.starts() == [2, 2] for host in fleet.hosts.values())


@pytest.mark.parametrize("after", [0.5, 3.0, 5.0])
def test_p5_a_flush_neither_loses_nor_repeats_a_request(fleet: FleetWorld, after: float) -> None:
    """Once one member has seen it; before that, its requester would have to raise it again."""
    fleet["h1"].beat_at = 0.0
    epoch = fleet.request(most=1).epoch
    fleet.advance(after)
    fleet.memory.flush()
    fleet.advance(LONG)
    for host in fleet.hosts.values():
        assert host.epochs() == {epoch}
        assert host.starts() == [2, 2]
    assert fleet.rollout(epoch).state is RolloutState.DONE
    fleet.memory.flush()
    fleet.advance(LONG)
    assert all(host.starts() == [2, 2] for host in fleet.hosts.values())


def test_p4_a_flush_restarts_nothing(fleet: FleetWorld) -> None:
    fleet.memory.flush()
    fleet.advance(LONG)
    assert all(host.starts() == [1, 1] for host in fleet.hosts.values())


def test_p5_a_rollback_to_an_older_replica_is_raised_again(fleet: FleetWorld) -> None:
    first = fleet.request().epoch
    fleet.advance(LONG)
    second = fleet.request().epoch
    fleet.advance(LONG)
    fleet.memory.epochs[""] = str(first)
    fleet.memory.last = str(first)
    fleet.advance(4)
    assert fleet.memory.epochs[""] == str(second)
    assert all(host.starts() == [3, 3] for host in fleet.hosts.values())
    assert fleet.request().epoch > second


def test_a_cut_host_goes_on_and_follows_after_the_heal(fleet: FleetWorld) -> None:
    fleet["h2"].reachable = False
    fleet.advance(LONG)
    assert fleet["h2"].starts() == [1, 1]
    assert Kind.FLEET_LOST in fleet["h2"].kinds()
    new = fleet.request().epoch
    fleet.advance(LONG)
    assert fleet["h1"].epochs() == {new}
    assert fleet["h2"].epochs() == {None}
    fleet["h2"].reachable = True
    fleet.advance(LONG)
    assert fleet["h2"].epochs() == {new}
    assert fleet["h2"].starts() == [2, 2]


def test_a_host_that_loses_its_turn_starts_no_more_replacements() -> None:
    fleet = FleetWorld({"media": 30})
    fleet.add("h1", "h2")
    epoch = fleet.request(most=1).epoch
    fleet.advance(8)
    rolling = next(host for host in fleet.hosts.values() if host.is_rolling())
    other = next(host for host in fleet.hosts.values() if host is not rolling)
    rolling.reachable = False
    fleet.advance(12)
    started = sum(rolling.starts())
    fleet.advance(LONG)
    assert sum(rolling.starts()) == started < 60
    assert len(rolling.runs()) == 30
    assert other.epochs() == {epoch}, "its turn came when the lease of the other had ended"
    rolling.reachable = True
    fleet.advance(2 * LONG)
    assert rolling.epochs() == {epoch}
    assert rolling.starts() == [2] * 30
    assert fleet.most_rolling == 1


@pytest.mark.parametrize("poison", ["soon", "-1", "1e3", str(2**53), str(int(UNIX) + 500_000), "", "9" * 400])
def test_p5_a_poisoned_value_is_refused_and_does_no_lasting_harm(fleet: FleetWorld, poison: str) -> None:
    fleet.memory.epochs[""] = poison
    fleet.advance(LONG)
    for host in fleet.hosts.values():
        assert host.starts() == [1, 1]
        assert host.kinds().count(Kind.EPOCH_REFUSED) == 1
    assert fleet.memory.epochs[""] == poison
    fleet.advance(3)
    epoch = fleet.request().epoch
    assert epoch <= UNIX + fleet.now
    fleet.advance(LONG)
    assert all(host.epochs() == {epoch} and host.starts() == [2, 2] for host in fleet.hosts.values())


def test_p5_what_was_refused_is_not_followed_later(fleet: FleetWorld) -> None:
    fleet.memory.epochs[""] = str(int(UNIX + fleet.now) + 86_400 + 20)
    fleet.advance(4)
    fleet["h1"].die_and_start_again(intents_lost=False)
    fleet.advance(LONG)
    assert all(sum(host.starts()) <= 4 and len(host.runs()) == 2 for host in fleet.hosts.values())
    assert all(Kind.ROLLOUT_STARTED not in host.kinds() for host in fleet.hosts.values())


def test_a_plain_incr_restarts_the_fleet(fleet: FleetWorld) -> None:
    fleet.memory.epochs[""] = "1"
    fleet.advance(LONG)
    assert all(host.starts() == [2, 2] and host.epochs() == {1} for host in fleet.hosts.values())
    assert fleet.rollout(1).state is RolloutState.DONE
    fleet.memory.epochs[""] = "2"
    fleet.advance(LONG)
    assert all(host.starts() == [3, 3] for host in fleet.hosts.values())


def test_narrowed_keys_are_compared_each_by_itself() -> None:
    fleet = FleetWorld({"media": 1, "mail": 1})
    fleet.add("h1", "h2")
    everywhere = fleet.request().epoch
    fleet.advance(LONG)
    fleet.memory.epochs["host:h1:pool:mail"] = "1"  # lower than the fleet's, and new for this key
    fleet.advance(LONG)
    assert fleet["h1"].starts("mail") == [3]
    assert fleet["h1"].starts("media") == [2]
    assert fleet["h2"].starts("mail") == [2]
    pool = fleet.request(pools=("media",)).epoch
    fleet.advance(LONG)
    assert (fleet["h1"].epochs("media"), fleet["h2"].epochs("media")) == ({pool}, {pool})
    assert fleet["h2"].epochs("mail") == {everywhere}
    host = fleet.request(hosts=("h2",)).epoch
    fleet.advance(LONG)
    assert (fleet["h2"].epochs("media"), fleet["h2"].epochs("mail")) == ({host}, {host})
    assert fleet["h1"].epochs("media") == {pool}


def test_two_requests_that_do_not_cover_each_other_share_the_turns() -> None:
    fleet = FleetWorld({"media": 2, "mail": 2})
    fleet.add("h1", "h2", "h3")
    one, two = fleet.request(pools=("media",), most=1).epoch, fleet.request(pools=("mail",), most=1).epoch
    fleet.advance(LONG)
    assert fleet.rollout(one).state is fleet.rollout(two).state is RolloutState.DONE
    assert fleet.most_rolling == 1
    assert all(host.starts("media") == host.starts("mail") == [2, 2] for host in fleet.hosts.values())


def test_a_request_that_covers_a_running_one_takes_its_place(fleet: FleetWorld) -> None:
    first = fleet.request(hosts=("h1",)).epoch
    second = fleet.request().epoch
    fleet.advance(LONG)
    assert fleet.rollout(first).state is RolloutState.SUPERSEDED
    assert fleet.rollout(first).superseded_by == second
    assert fleet.rollout(second).state is RolloutState.DONE
    assert all(host.starts() == [2, 2] for host in fleet.hosts.values())


def test_p5_several_epochs_within_ten_seconds_are_followed_together(fleet: FleetWorld) -> None:
    for value in range(1, 6):
        fleet.memory.epochs[""] = str(value)
        fleet.advance(1.75)
    fleet.advance(LONG)
    for host in fleet.hosts.values():
        assert host.epochs() == {5}
        assert max(host.starts()) <= 3, "replaced at once, and then for all that came meanwhile"


def test_p4_workers_started_without_the_coordinator_are_replaced_once() -> None:
    fleet = FleetWorld()
    fleet.add("h1")
    epoch = fleet.request().epoch
    fleet.advance(LONG)
    fleet.add("h2", reachable=False)
    assert fleet["h2"].epochs() == {None}
    fleet["h2"].reachable = True
    fleet.advance(LONG)
    assert fleet["h2"].epochs() == {epoch}
    assert fleet["h2"].starts() == [2, 2]


def test_p4_but_not_if_the_epoch_is_the_one_on_disk(fleet: FleetWorld) -> None:
    epoch = fleet.request().epoch
    fleet.advance(LONG)
    host = fleet["h1"]
    host.reachable = False
    for run in list(host.workers):
        del host.workers[run], host.journal[run]
    host.die_and_start_again(intents_lost=True)
    fleet.advance(8)
    assert len(host.runs()) == 2
    host.reachable = True
    fleet.advance(LONG)
    assert host.epochs() == {epoch}
    assert host.starts() == [1, 1]


def test_a_worker_that_is_started_in_a_cut_belongs_to_the_epoch_that_is_known(fleet: FleetWorld) -> None:
    epoch = fleet.request().epoch
    fleet.advance(LONG)
    host = fleet["h1"]
    host.reachable = False
    fleet.advance(4)
    host.exit(next(iter(host.workers)), 0)
    fleet.advance(8)
    assert host.epochs() == {epoch}


def test_a_daemon_that_dies_in_its_turn_goes_on(fleet: FleetWorld) -> None:
    fleet.deploy("/releases/2")
    epoch = fleet.request(most=1).epoch
    while not fleet["h1"].is_rolling():
        fleet.advance(0.25)
    fleet["h1"].die_and_start_again(intents_lost=False)
    fleet.advance(LONG)
    assert fleet.rollout(epoch).state is RolloutState.DONE
    assert all(host.epochs() == {epoch} and host.directories() == {"/releases/2"} for host in fleet.hosts.values())
    assert fleet.most_rolling == 1


def test_p3_a_halted_rollout_stays_halted_over_a_restart_of_the_daemon(fleet: FleetWorld) -> None:
    fleet.deploy(BROKEN, "h1")
    epoch = fleet.request().epoch
    fleet.advance(LONG)
    assert fleet.rollout(epoch).state is RolloutState.HALTED
    for host in fleet.hosts.values():
        host.die_and_start_again(intents_lost=False)
    fleet.advance(LONG)
    assert fleet.rollout(epoch).state is RolloutState.HALTED
    assert fleet["h1"].directories() == {"/releases/1"}


def test_pauses_are_level_triggered_and_outlive_a_flush_and_the_daemon(fleet: FleetWorld) -> None:
    answered(fleet.coordinator().pause(("host:h1",), paused=True))
    fleet.advance(10)
    assert (len(fleet["h1"].runs()), len(fleet["h2"].runs())) == (0, 2)
    fleet.memory.flush()
    fleet["h1"].reachable = False
    fleet["h1"].die_and_start_again(intents_lost=False)
    fleet.advance(10)
    fleet["h1"].reachable = True
    fleet.advance(10)
    assert len(fleet["h1"].runs()) == 0
    answered(fleet.coordinator().pause(("host:h1",), paused=False))
    fleet.advance(10)
    assert len(fleet["h1"].runs()) == 2


def test_a_local_restart_satisfies_the_epoch_that_waits(fleet: FleetWorld) -> None:
    fleet.deploy("/releases/2")
    epoch = fleet.request(most=1).epoch
    fleet.advance(2.5)
    waiting = next(host for host in fleet.hosts.values() if not host.is_rolling())
    waiting.step(RestartRequested(99, (Target("media"),)))
    fleet.advance(LONG)
    assert waiting.starts() == [2, 2]
    assert waiting.epochs() == {epoch}
    assert fleet.rollout(epoch).state is RolloutState.DONE


@pytest.mark.parametrize("how", ["reboot", "stop and start"])
def test_p6_a_new_start_does_not_let_a_halted_release_in(fleet: FleetWorld, how: str) -> None:
    fleet.deploy(BROKEN, "h1")
    epoch = fleet.request().epoch
    fleet.advance(LONG)
    assert fleet.rollout(epoch).state is RolloutState.HALTED
    host = fleet["h1"]
    begin_anew(host, how)
    fleet.advance(LONG)
    assert host.directories() == {"/releases/1"}
    assert len(host.runs()) == 2
    assert fleet.rollout(epoch).state is RolloutState.HALTED
    fleet.deploy("/releases/2")
    answered(fleet.coordinator().resume(epoch, "test"))
    fleet.advance(LONG)
    assert fleet.rollout(epoch).state is RolloutState.DONE
    assert host.directories() == {"/releases/2"}


def begin_anew(host: Host, how: str) -> None:
    if how == "reboot":
        host.reboot()
    else:
        host.stop_and_start()


@pytest.mark.parametrize("how", ["reboot", "stop and start"])
@pytest.mark.parametrize("reachable", [True, False])
def test_p6_a_new_start_does_not_jump_the_queue(fleet: FleetWorld, how: str, reachable: bool) -> None:
    epoch = fleet.request(most=1).epoch
    while not any(host.is_rolling() for host in fleet.hosts.values()):
        fleet.advance(0.25)
    waiting = next(host for host in fleet.hosts.values() if not host.is_rolling())
    waiting.directory = BROKEN
    waiting.reachable = reachable
    begin_anew(waiting, how)
    fleet.advance(1.5)
    waiting.reachable = True
    fleet.advance(LONG)
    rollout = fleet.rollout(epoch)
    assert (rollout.state, rollout.halted_by) == (RolloutState.HALTED, f"{waiting.name}/app")
    assert waiting.directories() == {"/releases/1"}, "old code is not called new"
    assert len(waiting.runs()) == 2


def test_p5_workers_keep_their_epoch_when_what_is_remembered_is_lost(fleet: FleetWorld) -> None:
    host = fleet["h1"]
    host.reachable = False
    fleet.advance(4)
    epoch = fleet.request().epoch
    fleet.advance(LONG)
    host.disk = Remembered()
    host.reachable = True
    host.die_and_start_again(intents_lost=False)
    fleet.advance(LONG)
    assert (host.epochs(), host.starts()) == ({epoch}, [2, 2])


def test_p5_nor_does_a_disk_that_was_full_repeat_a_request(fleet: FleetWorld) -> None:
    host = fleet["h1"]
    before = host.disk
    epoch = fleet.request().epoch
    fleet.advance(LONG)
    host.disk = before
    host.die_and_start_again(intents_lost=False)
    fleet.advance(LONG)
    assert (host.epochs(), host.starts()) == ({epoch}, [1, 1]), "those that were taken over, and no others"


def test_a_halt_is_written_down_at_once() -> None:
    fleet = FleetWorld()
    fleet.add("h1")
    fleet.deploy(BROKEN)
    fleet.request()
    while Kind.ROLLOUT_HALTED not in fleet["h1"].kinds():
        fleet.advance(0.25)
    memory = fleet["h1"].disk.pools["media"].roll
    assert memory is not None
    assert memory.halted


def test_epochs_of_another_fleet_mean_nothing(fleet: FleetWorld) -> None:
    fleet.request()
    fleet.advance(LONG)
    host = fleet["h1"]
    assert host.spec.member is not None
    host.spec = replace(host.spec, member=replace(host.spec.member, fleet="another"))
    fleet.memory.flush()
    host.die_and_start_again(intents_lost=False)
    fleet.advance(4)
    assert host.epochs() == {None}


def test_nobody_waits_for_a_host_that_has_nothing_to_do() -> None:
    fleet = FleetWorld({"media": 2, "mail": 1})
    fleet.add("h1", "h2", "h3")
    fleet["h2"].spec = replace(fleet["h2"].spec, pools={"mail": fleet.spec.pools["mail"]})
    epoch = fleet.request(pools=("media",)).epoch
    fleet["h2"].step(SpecChanged(fleet["h2"].spec))
    fleet["h3"].spec = replace(fleet["h3"].spec, pools={})
    fleet["h3"].step(SpecChanged(fleet["h3"].spec))
    fleet.advance(LONG)
    assert fleet.rollout(epoch).state is RolloutState.DONE


def test_a_wider_limit_of_another_request_does_not_break_the_stricter_one() -> None:
    fleet = FleetWorld({"media": 4})
    fleet.add("h1", "h2", "h3")
    one = fleet.request(most=1).epoch
    fleet.advance(3)
    two = fleet.request(hosts=("h3",), most=3).epoch
    fleet.advance(2 * LONG)
    assert fleet.rollout(one).state is fleet.rollout(two).state is RolloutState.DONE
    assert fleet.most_rolling == 1


def test_a_turn_has_a_beginning_and_an_end(fleet: FleetWorld) -> None:
    fleet.request(most=1)
    while not any(host.is_rolling() for host in fleet.hosts.values()):
        fleet.advance(0.25)
    rolling = next(host for host in fleet.hosts.values() if host.is_rolling())
    rolling.reachable = False
    fleet.advance(15)
    rolling.reachable = True
    fleet.advance(LONG)
    turns = [kind for kind in rolling.kinds() if kind.startswith("turn.")]
    assert turns[::2] == [Kind.TURN_TAKEN] * (len(turns) // 2)
    assert turns[1::2] == [Kind.TURN_ENDED] * (len(turns) // 2)


@pytest.mark.parametrize("second", ["pool:media", "host:h2", "host:h1:pool:media"])
@pytest.mark.parametrize("pause", [1.0, 30.0])
def test_two_plain_incrs_that_give_the_same_number_are_both_followed(second: str, pause: float) -> None:
    fleet = FleetWorld({"mail": 2, "media": 2})
    fleet.add("h1", "h2")
    fleet.memory.epochs["pool:mail"] = "1"
    fleet.advance(pause)
    fleet.memory.epochs[second] = "1"
    fleet.advance(2 * LONG)
    for host in fleet.hosts.values():
        for pool in ("mail", "media"):
            key = EpochKey.parse(second)
            meant = pool == "mail" or (key.host in (None, host.name) and key.pool in (None, pool))
            assert host.epochs(pool) == ({1} if meant else {None}), (host.name, pool)
    assert fleet.rollout(1).state is RolloutState.DONE
