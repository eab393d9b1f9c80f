from __future__ import annotations

import pytest
from msgspec.structs import replace

from fleetd.core.plan import Change, PoolChange, diff
from fleetd.core.spec import Amount, Launch, LogFormat, LogSpec, PoolSpec

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
