from __future__ import annotations

import pytest
from msgspec.structs import replace

from fleetd.config.keys import DAEMON, FLEET
from fleetd.config.tables import Apply
from fleetd.core.plan import LIVE_OF_DAEMON, LIVE_OF_FLEET, Change, PoolChange, as_it_runs, diff, diff_of_tables
from fleetd.core.spec import Amount, BrokerSpec, DaemonSpec, FleetSpec, Launch, LogFormat, LogSpec, MemberSpec, PoolSpec

OLD = PoolSpec("m", Launch(("worker",), shown_command=("worker",)))


@pytest.mark.parametrize(
    ("new", "change", "keys"),
    [
        (OLD, Change.UNCHANGED, ()),
        (replace(OLD, launch=replace(OLD.launch, shown_command=("${X}",))), Change.UNCHANGED, ()),
        (replace(OLD, numprocs=5, max_surge=Amount(2)), Change.LIVE, ("max-surge", "numprocs")),
        (replace(OLD, log=LogSpec(format=LogFormat.RAW)), Change.LIVE, ("log",)),
        (replace(OLD, launch=replace(OLD.launch, command=("v2",))), Change.ROLLED, ("command",)),
        (replace(OLD, launch=replace(OLD.launch, env={"A": "1"})), Change.ROLLED, ("env",)),
        (
            replace(OLD, max_jobs=3, launch=replace(OLD.launch, max_jobs=3), stop_timeout=9.0),
            Change.ROLLED,
            ("max-jobs", "stop-timeout"),
        ),
    ],
)
def test_what_a_reload_does_to_a_pool(new: PoolSpec, change: Change, keys: tuple[str, ...]) -> None:
    assert diff({"m": OLD}, {"m": new}) == (PoolChange("m", change, keys),)


def test_pools_that_come_and_go() -> None:
    other = replace(OLD, name="n")
    assert diff({"m": OLD}, {"n": other}) == (PoolChange("n", Change.ADDED), PoolChange("m", Change.REMOVED))


ALONE = FleetSpec({})
MEMBER = FleetSpec({}, member=MemberSpec("acme", "redis://a"))


@pytest.mark.parametrize(
    ("old", "new", "changes"),
    [
        (MEMBER, MEMBER, ()),
        (
            ALONE,
            replace(ALONE, daemon=DaemonSpec(metrics_listen=":9", log_level="debug", socket_group="ops")),
            (
                PoolChange("daemon", Change.LIVE, ("metrics-listen",)),
                PoolChange("daemon", Change.LATER, ("log-level", "socket-group")),
            ),
        ),
        (
            MEMBER,
            FleetSpec({}, member=MemberSpec("acme", "redis://b", Amount(2)), host="web-1"),
            (
                PoolChange("fleet", Change.LIVE, ("max-parallel-hosts",)),
                PoolChange("fleet", Change.LATER, ("host", "redis")),
            ),
        ),
        (ALONE, MEMBER, (PoolChange("fleet", Change.LATER, ("name", "redis")),)),
        (MEMBER, ALONE, (PoolChange("fleet", Change.LATER, ("name", "redis")),)),
        (
            ALONE,
            replace(ALONE, brokers={"my_jobs": BrokerSpec("my_jobs", "redis://c")}),
            (PoolChange("broker", Change.LIVE, ("my_jobs",)),),
        ),
    ],
)
def test_what_a_reload_does_to_other_tables(old: FleetSpec, new: FleetSpec, changes: tuple[PoolChange, ...]) -> None:
    assert diff_of_tables(old, new) == changes


def test_a_daemon_that_goes_on_stays_in_its_fleet() -> None:
    new = FleetSpec({"m": OLD}, member=MemberSpec("other", "redis://b", Amount(2)), host="web-1")
    assert as_it_runs(MEMBER, new) == FleetSpec({"m": OLD}, member=MemberSpec("acme", "redis://a", Amount(2)))
    assert as_it_runs(ALONE, new).member is None


def test_what_is_for_the_next_start_is_told_until_then_and_not_when_it_is_taken_back() -> None:
    new = replace(ALONE, daemon=DaemonSpec(metrics_listen=":9", log_level="debug"))
    running = as_it_runs(ALONE, new)
    assert running.daemon == DaemonSpec(metrics_listen=":9")
    assert diff_of_tables(running, new) == (PoolChange("daemon", Change.LATER, ("log-level",)),)
    assert diff_of_tables(running, running) == ()


def test_the_tables_of_keys_say_the_same_of_what_is_applied_live() -> None:
    for table, live in ((DAEMON, LIVE_OF_DAEMON), (FLEET, LIVE_OF_FLEET)):
        assert {key.name for key in table.keys if key.apply is not Apply.START} == live
