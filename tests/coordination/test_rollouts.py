"""How a rollout begins, goes on, and ends."""

from __future__ import annotations

import pytest

from fleetd.coordination.port import HostProgress, HostState, Intent, Report, RollError, Rollout, RolloutState
from fleetd.core.scope import Scope
from fleetd.core.spec import Amount
from fleetd.errors import FleetdError
from tests.support.coordination import FleetUnderTest

ASKED = HostProgress(HostState.ASKED)


def state_of(fleet: FleetUnderTest, rollout: Rollout) -> str:
    return {found.epoch: found for found in fleet.rollouts()}[rollout.epoch].state.value


def test_a_request_lists_who_is_live_and_in_scope(fleet: FleetUnderTest) -> None:
    for member in ("a/x", "a/y", "b/x", "c/x"):
        fleet.beat(member)
    fleet.beat("d/x", pools=("other",))
    fleet.world.expire("c/x")
    everyone = fleet.request()
    assert everyone.hosts == dict.fromkeys(("a/x", "a/y", "b/x", "d/x"), ASKED)
    assert (everyone.intent.who, everyone.intent.label, everyone.intent.mode) == ("someone", "v2", "graceful")
    assert abs(everyone.at - fleet.world.clock()) < 5
    assert fleet.request(Scope(hosts=("a", "c"))).hosts.keys() == {"a/x", "a/y"}
    assert fleet.request(Scope(pools=("other", "none"))).hosts.keys() == {"d/x"}
    assert fleet.request(Scope(("a", "b"), ("media",))).hosts.keys() == {"a/x", "a/y", "b/x"}


@pytest.mark.parametrize("scope", [Scope(), Scope(hosts=("c",)), Scope(pools=("none",)), Scope(("a",), ("other",))])
def test_a_request_that_no_live_member_is_in_scope_of_writes_nothing(fleet: FleetUnderTest, scope: Scope) -> None:
    if scope != Scope():
        fleet.beat("a/x")
        fleet.beat("d/x", pools=("other",))
    assert fleet.ask(scope) is None
    assert fleet.rollouts() == []
    assert fleet.world.read_epoch("last") is None
    assert all(fleet.world.read_epoch(str(key)) is None for key in scope.keys())  # noqa: SIM118 - no mapping


def test_a_request_that_comes_twice_is_one(fleet: FleetUnderTest) -> None:
    fleet.beat()
    first = fleet.request(identity="r")
    fleet.report(first, "a/x", "done", total=2, done=2)
    again = fleet.request(identity="r")
    assert again.epoch == first.epoch
    assert again.state is RolloutState.DONE
    assert fleet.request(identity="s").epoch > first.epoch


@pytest.mark.parametrize(
    ("amounts", "most"),
    [
        ((Amount(share=1), Amount(share=1), Amount(share=1), Amount(share=1)), 4),
        ((Amount(share=1), Amount(share=0.25), Amount(3), Amount(share=1)), 1),
        ((Amount(share=0.75), Amount(share=0.5), Amount(5), Amount(7)), 2),
        ((Amount(share=0.1), Amount(5), Amount(5), Amount(5)), 1),
        ((Amount(3), Amount(5), Amount(5), Amount(5)), 3),
    ],
)
def test_the_strictest_live_member_says_how_many_at_once(
    fleet: FleetUnderTest, amounts: tuple[Amount, ...], most: int
) -> None:
    for number, amount in enumerate(amounts):
        fleet.beat(f"h{number}/x", max_parallel_hosts=amount)
    fleet.beat("gone/x", max_parallel_hosts=Amount(1))
    fleet.world.expire("gone/x")
    assert fleet.request().max_parallel_hosts == most
    assert fleet.request(most=9).max_parallel_hosts == 9


def test_shares_are_of_the_live_members_and_exact(fleet: FleetUnderTest) -> None:
    for number in range(100):
        fleet.beat(f"h{number}/x", max_parallel_hosts=Amount(share=0.29))
    assert fleet.request().max_parallel_hosts == 29


def test_a_report_is_kept_as_it_is(fleet: FleetUnderTest) -> None:
    fleet.beat("a/x")
    fleet.beat("b/x")
    rollout = fleet.request()
    error = RollError("media:0", "start-failed", ("boom", 'a "b" \\ ä', ""))
    told = HostProgress(HostState.WAITING, total=4, done=1, error=error, longest_drain=12.25, resumes=0)
    seen = fleet.beat("a/x", reports={rollout.epoch: Report(rollout.intent, told)})
    assert seen.rollouts[0].hosts == {"a/x": told}
    assert fleet.rollouts()[0].hosts == {"a/x": told, "b/x": ASKED}
    bare = HostProgress(HostState.ROLLING, error=RollError("media:0", "x"))
    fleet.beat("a/x", reports={rollout.epoch: Report(rollout.intent, bare)})
    assert fleet.rollouts()[0].hosts["a/x"] == bare


def test_it_is_done_when_every_host_is(fleet: FleetUnderTest) -> None:
    fleet.beat("a/x")
    fleet.beat("b/x")
    rollout = fleet.request()
    assert fleet.report(rollout, "a/x", "done").rollouts[0].state is RolloutState.RUNNING
    fleet.report(rollout, "a/x", "done")
    seen = fleet.report(rollout, "b/x", "done").rollouts[0]
    assert seen.state is RolloutState.DONE
    assert seen.ended is not None
    assert abs(seen.ended - fleet.world.clock()) < 5
    assert fleet.beat("b/x").rollouts == ()
    assert fleet.rollouts()[0].ended is not None


def test_it_goes_on_when_a_host_is_not_done_any_more(fleet: FleetUnderTest) -> None:
    fleet.beat("a/x")
    rollout = fleet.request()
    fleet.report(rollout, "a/x", "done")
    late = fleet.report(rollout, "b/x", "waiting").rollouts[0]
    assert (late.state, late.ended) == (RolloutState.RUNNING, None)
    assert [found.epoch for found in fleet.beat("a/x").rollouts] == [rollout.epoch]
    fleet.report(rollout, "b/x", "done")
    assert state_of(fleet, rollout) == "done"


def test_a_host_that_failed_halts_it(fleet: FleetUnderTest) -> None:
    fleet.beat("a/x")
    fleet.beat("b/x")
    rollout = fleet.request()
    seen = fleet.report(rollout, "a/x", "halted").rollouts[0]
    assert (seen.state, seen.halted_by) == (RolloutState.HALTED, "a/x")
    fleet.report(rollout, "b/x", "halted")
    assert fleet.rollouts()[0].halted_by == "a/x"
    fleet.report(rollout, "a/x", "waiting")
    assert state_of(fleet, rollout) == "halted", "reports never lift a halt"


def test_it_goes_on_after_a_resumption_until_a_new_failure(fleet: FleetUnderTest) -> None:
    fleet.beat("a/x")
    rollout = fleet.request()
    fleet.report(rollout, "a/x", "halted", resumes=0)
    resumed = fleet.resume(rollout.epoch)
    assert resumed is not None
    assert (resumed.state, resumed.resumes, resumed.halted_by) == (RolloutState.RUNNING, 1, None)
    fleet.report(rollout, "a/x", "halted", resumes=0)
    assert state_of(fleet, rollout) == "running", "that failure is an old one"
    fleet.report(rollout, "a/x", "halted", resumes=1)
    assert state_of(fleet, rollout) == "halted"


def test_a_resumption_outlives_that_all_was_forgotten(fleet: FleetUnderTest) -> None:
    for member in ("a/x", "b/x"):
        fleet.beat(member)
    rollout = fleet.request()
    fleet.world.flush()
    assert fleet.report(rollout, "b/x", "waiting", resumes=2).rollouts[0].resumes == 2
    fleet.report(rollout, "a/x", "halted", resumes=1)
    assert state_of(fleet, rollout) == "running", "that failure is an old one"
    fleet.report(rollout, "a/x", "halted", resumes=2)
    assert state_of(fleet, rollout) == "halted"


def test_an_old_failure_that_is_heard_of_first_is_lifted(fleet: FleetUnderTest) -> None:
    for member in ("a/x", "b/x"):
        fleet.beat(member)
    rollout = fleet.request()
    fleet.world.flush()
    fleet.report(rollout, "a/x", "halted", resumes=0)
    assert fleet.report(rollout, "b/x", "waiting", resumes=0).rollouts[0].state is RolloutState.HALTED
    seen = fleet.report(rollout, "b/x", "waiting", resumes=1).rollouts[0]
    assert (seen.state, seen.resumes, seen.halted_by) == (RolloutState.RUNNING, 1, None)


def test_an_order_to_halt_is_not_lifted_by_reports(fleet: FleetUnderTest) -> None:
    fleet.beat("a/x")
    rollout = fleet.request()
    fleet.world.flush()
    fleet.report(rollout, "a/x", "waiting")
    fleet.halt(rollout.epoch, "ops")
    seen = fleet.report(rollout, "a/x", "waiting", resumes=1).rollouts[0]
    assert (seen.state, seen.resumes, seen.halted_by) == (RolloutState.HALTED, 1, "ops")


def test_it_is_halted_and_resumed_by_order(fleet: FleetUnderTest) -> None:
    fleet.beat("a/x")
    rollout = fleet.request()
    halted = fleet.halt(rollout.epoch, "ops")
    assert halted is not None
    assert (halted.state, halted.halted_by) == (RolloutState.HALTED, "ops")
    assert fleet.halt(rollout.epoch, "else") == halted
    resumed = fleet.resume(rollout.epoch)
    assert resumed is not None
    assert fleet.resume(rollout.epoch) == resumed
    fleet.report(rollout, "a/x", "done")
    assert fleet.halt(rollout.epoch) == fleet.resume(rollout.epoch) == fleet.rollouts()[0]
    assert state_of(fleet, rollout) == "done"
    assert fleet.halt(4711) is None
    assert fleet.resume(4711) is None


def test_a_halted_rollout_is_done_when_every_host_is(fleet: FleetUnderTest) -> None:
    fleet.beat("a/x")
    rollout = fleet.request()
    fleet.halt(rollout.epoch)
    seen = fleet.report(rollout, "a/x", "done").rollouts[0]
    assert (seen.state, seen.halted_by) == (RolloutState.DONE, None)


@pytest.mark.parametrize(
    ("older", "newer", "gives_way"),
    [
        (Scope(), Scope(), True),
        (Scope(pools=("media",)), Scope(), True),
        (Scope(), Scope(pools=("media",)), False),
        (Scope(("a",), ("media",)), Scope(hosts=("a", "b")), True),
        (Scope(hosts=("a", "b")), Scope(hosts=("a",)), False),
        (Scope(pools=("media",)), Scope(pools=("mail", "media")), True),
        (Scope(pools=("media",)), Scope(hosts=("a",)), False),
    ],
)
def test_a_request_supersedes_what_its_scope_covers(
    fleet: FleetUnderTest, older: Scope, newer: Scope, *, gives_way: bool
) -> None:
    fleet.beat("a/x")
    fleet.beat("b/x")
    first = fleet.request(older)
    second = fleet.request(newer)
    found = fleet.rollouts()
    assert [rollout.epoch for rollout in found] == [second.epoch, first.epoch]
    assert found[0].state is RolloutState.RUNNING
    if gives_way:
        assert (found[1].state, found[1].superseded_by) == (RolloutState.SUPERSEDED, second.epoch)
        assert found[1].ended is not None
    else:
        assert (found[1].state, found[1].superseded_by, found[1].ended) == (RolloutState.RUNNING, None, None)


def test_one_that_is_superseded_stays_so_and_still_takes_reports(fleet: FleetUnderTest) -> None:
    fleet.beat("a/x")
    first = fleet.request()
    fleet.halt(first.epoch)
    second = fleet.request()
    assert state_of(fleet, first) == "superseded"
    for state in ("waiting", "halted", "done"):
        seen = fleet.report(first, "a/x", state).rollouts
        assert [(rollout.epoch, rollout.state.value) for rollout in seen] == [
            (first.epoch, "superseded"),
            (second.epoch, "running"),
        ]
        assert seen[0].hosts["a/x"].state.value == state
    assert fleet.resume(first.epoch) == fleet.rollouts()[1]


def test_one_that_is_done_is_not_superseded(fleet: FleetUnderTest) -> None:
    fleet.beat("a/x")
    first = fleet.request()
    fleet.report(first, "a/x", "done")
    fleet.request()
    assert state_of(fleet, first) == "done"


def test_a_rollout_that_nobody_knows_begins_with_the_first_report(fleet: FleetUnderTest) -> None:
    fleet.beat("a/x", max_parallel_hosts=Amount(2))
    fleet.beat("b/x")
    intent = Intent(who="b/x", label=None, scope=Scope(pools=("media",)), mode="now")
    told = HostProgress(HostState.WAITING, total=2)
    seen = fleet.beat("b/x", reports={77: Report(intent, told)}).rollouts
    assert len(seen) == 1
    assert seen == tuple(fleet.rollouts())
    assert (seen[0].epoch, seen[0].state, seen[0].intent) == (77, RolloutState.RUNNING, intent)
    assert (seen[0].max_parallel_hosts, seen[0].resumes) == (2, 0)
    assert abs(seen[0].at - fleet.world.clock()) < 5
    assert seen[0].hosts == {"b/x": told}


POOL_A, POOL_B = Scope(pools=("a",)), Scope(pools=("b",))


@pytest.mark.parametrize("state", ["running", "done", "superseded", "halted"])
def test_two_plain_increments_of_different_keys_are_one_rollout(fleet: FleetUnderTest, state: str) -> None:
    """Both keys had none, so both give 1."""
    fleet.beat("a/x", pools=("a",))
    fleet.beat("b/x", pools=("b",))
    progress = HostProgress(HostState.DONE if state == "done" else HostState.WAITING)
    first = fleet.beat("a/x", pools=("a",), reports={1: Report(Intent(scope=POOL_A), progress)}).rollouts[0]
    if state == "superseded":
        fleet.request(POOL_A)
    elif state == "halted":
        fleet.halt(1)
    assert state_of(fleet, first) == state
    waiting = Report(Intent(scope=POOL_B), HostProgress(HostState.WAITING))
    seen = fleet.beat("b/x", pools=("b",), epochs={"pool:b": 1}, reports={1: waiting}, wants_turn=(1,))
    found = seen.rollouts[0]
    assert found.intent.scope == Scope(pools=("a", "b"))
    assert (found.superseded_by, found.ended) == (None, None)
    assert fleet.rollouts()[-1].hosts["a/x"] == progress
    if state == "halted":
        assert (found.state, seen.has_turn) == (RolloutState.HALTED, False)
    else:
        assert (found.state, seen.has_turn) == (RolloutState.RUNNING, True)
    assert 1 in {rollout.epoch for rollout in fleet.beat("a/x").rollouts}
    narrower = Report(Intent(scope=POOL_A), HostProgress(HostState.DONE))
    assert fleet.beat("a/x", epochs={"pool:a": 1}, reports={1: narrower}).rollouts[0].intent == found.intent


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        (Scope(hosts=("a",)), Scope(hosts=("b", "a")), Scope(hosts=("a", "b"))),
        (Scope(("a",), ("media",)), Scope(("a",), ("mail",)), Scope(("a",), ("media", "mail"))),
        (Scope(hosts=("a",)), Scope(pools=("media",)), Scope()),
        (Scope(("a",), ("media",)), Scope(pools=("media",)), Scope(pools=("media",))),
        (Scope(pools=("media",)), Scope(("a",), ("media",)), Scope(pools=("media",))),
        (Scope(pools=("media",)), Scope(), Scope()),
    ],
)
def test_it_is_for_all_that_reports_are_for(fleet: FleetUnderTest, one: Scope, other: Scope, both: Scope) -> None:
    for scope in (one, other):
        report = Report(Intent(scope=scope), HostProgress(HostState.WAITING))
        seen = fleet.beat("a/x", epochs={"host:a": 1}, reports={1: report})
    assert seen.rollouts[0].intent.scope == both
    report = Report(Intent(scope=both), HostProgress(HostState.WAITING))
    again = fleet.beat("a/x", epochs={"host:a": 1}, reports={1: report})
    assert again.rollouts == seen.rollouts


def test_one_that_gave_way_stays_so_for_what_it_was_for(fleet: FleetUnderTest) -> None:
    fleet.beat("a/x")
    rollout = fleet.request(Scope(pools=("a", "media")))
    fleet.request()
    for scope, key in ((POOL_A, "pool:a"), (Scope(pools=("media", "a")), "pool:media")):
        report = Report(Intent(scope=scope), HostProgress(HostState.WAITING))
        seen = fleet.beat("a/x", epochs={key: rollout.epoch}, reports={rollout.epoch: report})
        assert (seen.rollouts[0].state, seen.rollouts[0].intent) == (RolloutState.SUPERSEDED, rollout.intent)


def test_a_member_without_a_key_of_the_epoch_does_not_widen_it(fleet: FleetUnderTest) -> None:
    """It cannot know what the rollout is for: it has forgotten it, and the keys hold newer ones."""
    fleet.beat("a/x")
    rollout = fleet.request(POOL_A.with_all_of(Scope(pools=("media",))))
    newer = fleet.request(Scope(pools=("a", "media")))
    report = Report(Intent(), HostProgress(HostState.WAITING))
    seen = fleet.beat("a/x", epochs={"pool:media": newer.epoch}, reports={rollout.epoch: report})
    assert (seen.rollouts[0].state, seen.rollouts[0].intent) == (RolloutState.SUPERSEDED, rollout.intent)


def test_a_limit_that_was_set_outlives_that_all_was_forgotten(fleet: FleetUnderTest) -> None:
    for member in ("a/x", "b/x", "c/x", "d/x"):
        fleet.beat(member, max_parallel_hosts=Amount(3))
    rollout = fleet.request(most=2, identity="r")
    assert (rollout.intent.max_parallel_hosts, rollout.intent.request) == (2, "r")
    fleet.world.flush()
    seen = fleet.report(rollout, "a/x", "waiting", wants=True).rollouts[0]
    assert (seen.max_parallel_hosts, seen.intent) == (2, rollout.intent)
    for member in ("b/x", "c/x", "d/x"):
        fleet.report(rollout, member, "waiting", wants=True)
    assert fleet.watch(rollout).max_parallel_hosts == 2


@pytest.mark.parametrize("most", [None, 2])
def test_a_watch_brings_the_limit_back(fleet: FleetUnderTest, most: int | None) -> None:
    fleet.beat("a/x", max_parallel_hosts=Amount(2))
    rollout = fleet.request(most=most)
    fleet.world.flush()
    fleet.beat("a/x", max_parallel_hosts=Amount(5))
    told = {rollout.epoch: Report(Intent(), HostProgress(HostState.WAITING))}
    seen = fleet.beat("a/x", max_parallel_hosts=Amount(5), reports=told)
    assert seen.rollouts[0].max_parallel_hosts == 5
    watched = fleet.watch(rollout)
    assert (watched.max_parallel_hosts, watched.intent.max_parallel_hosts) == (2, most)
    fleet.beat("b/x", max_parallel_hosts=Amount(4), reports=told, wants_turn=(rollout.epoch,))
    assert fleet.rollouts()[0].max_parallel_hosts == (4 if most is None else 2)


def test_a_limit_that_nobody_set_grows_with_those_who_come_back(fleet: FleetUnderTest) -> None:
    half = Amount(share=0.5)
    for name in "abcd":
        fleet.beat(f"{name}/x", max_parallel_hosts=half)
    rollout = fleet.request()
    fleet.world.flush()
    told = {rollout.epoch: Report(rollout.intent, HostProgress(HostState.WAITING))}

    def has_turn(name: str) -> bool:
        step = fleet.beat(f"{name}/x", max_parallel_hosts=half, reports=told, wants_turn=(rollout.epoch,))
        return step.has_turn

    assert [has_turn(name) for name in "abcd"] == [True, False, False, True]
    assert fleet.rollouts()[0].max_parallel_hosts == 2
    assert [has_turn(name) for name in "abcd"] == [True, False, False, True]


def test_a_request_that_only_members_remember_is_found_again(fleet: FleetUnderTest) -> None:
    fleet.beat("a/x")
    rollout = fleet.request(identity="r")
    fleet.world.flush()
    fleet.beat("a/x", epochs={"": rollout.epoch})
    fleet.report(rollout, "a/x", "waiting")
    assert fleet.request(identity="r").epoch == rollout.epoch
    assert fleet.request(identity="s").epoch > rollout.epoch


def test_it_comes_back_by_reports_after_all_was_forgotten(fleet: FleetUnderTest) -> None:
    for member in ("a/x", "b/x", "c/x"):
        fleet.beat(member)
    rollout = fleet.request()
    fleet.world.flush()
    assert fleet.report(rollout, "a/x", "done").rollouts[0].state is RolloutState.DONE
    assert fleet.report(rollout, "b/x", "rolling").rollouts[0].state is RolloutState.RUNNING
    watched = fleet.watch(rollout)
    assert watched.hosts.keys() == {"a/x", "b/x", "c/x"}
    assert watched.hosts["c/x"] == ASKED
    fleet.report(rollout, "b/x", "done")
    assert state_of(fleet, rollout) == "running", "c was asked"
    fleet.report(rollout, "c/x", "done")
    assert state_of(fleet, rollout) == "done"


def test_a_watch_opens_it_again_when_hosts_were_forgotten(fleet: FleetUnderTest) -> None:
    fleet.beat("a/x")
    fleet.beat("b/x")
    rollout = fleet.request()
    fleet.world.flush()
    fleet.report(rollout, "a/x", "done")
    assert fleet.watch(rollout).state is RolloutState.RUNNING
    assert [found.epoch for found in fleet.beat("b/x").rollouts] == [rollout.epoch]


def test_a_watch_sets_everything_again(fleet: FleetUnderTest) -> None:
    fleet.beat("a/x")
    fleet.beat("b/x")
    asked = fleet.request()
    fleet.report(asked, "a/x", "halted", total=3, error=RollError("media:0", "exit", ("a", "b")))
    fleet.resume(asked.epoch)
    rollout = fleet.halt(asked.epoch)
    assert rollout is not None
    fleet.world.flush()
    assert fleet.watch(rollout) == rollout
    assert fleet.rollouts() == [rollout]
    assert fleet.world.read_epoch("") == str(rollout.epoch)
    assert fleet.beat("a/x").rollouts[0].state is RolloutState.HALTED


def test_a_watch_sees_what_there_is(fleet: FleetUnderTest) -> None:
    fleet.beat("a/x")
    rollout = fleet.request()
    fleet.report(rollout, "a/x", "done", total=1, done=1)
    assert fleet.watch(rollout) == fleet.rollouts()[0]
    assert state_of(fleet, rollout) == "done"


def test_one_rollout(fleet: FleetUnderTest) -> None:
    fleet.beat("a/x")
    first, second = fleet.request(), fleet.request()
    assert fleet.rollout(second.epoch) == second
    assert [fleet.rollout(first.epoch), fleet.rollout(4711)] == [fleet.rollouts()[1], None]


def test_the_last_hundred_are_kept(fleet: FleetUnderTest) -> None:
    fleet.beat("a/x")
    first, *others = [fleet.request(Scope(hosts=("a",)), identity=f"{n}") for n in range(101)]
    kept = [rollout.epoch for rollout in fleet.rollouts()]
    assert kept == [rollout.epoch for rollout in reversed(others)]
    with pytest.raises(FleetdError, match=f"rollout {first.epoch} is no longer kept"):
        fleet.ask(Scope(hosts=("a",)), identity="0")
    with pytest.raises(FleetdError, match=f"rollout {first.epoch} is no longer kept"):
        fleet.watch(first)
    seen = fleet.report(first, "a/x", "waiting", wants=True)
    assert (seen.has_turn, [rollout.epoch for rollout in seen.rollouts]) == (False, kept[:1])
    assert [rollout.epoch for rollout in fleet.rollouts()] == kept
