from __future__ import annotations

import pytest

from fleetd.core.reconcile import gate_is_open, is_wanted, may_stop, unwanted_because
from fleetd.core.state import Reason
from tests.support.history import Host, pool_spec


@pytest.mark.parametrize(
    ("lines", "wanted", "because"),
    [
        ([], True, None),
        (["1 stop m"], False, Reason.STOP),
        (["1 stop m:0"], False, Reason.STOP),
        (["1 stop m", "2 start m:0"], True, None),
        (["1 pause m"], False, Reason.STOP),
        (["1 pause m", "2 resume m"], True, None),
        (["1 scale m 0"], False, Reason.SCALE),
        (["1 reload -m"], False, Reason.STOP),
        (["1 shutdown"], False, Reason.STOP),
        (["1 exit m:0.1 1"], True, None),
    ],
)
def test_whether_a_slot_is_wanted_and_why_its_workers_leave(
    lines: list[str], wanted: bool, because: Reason | None
) -> None:
    host = Host({"m": pool_spec("m", {})})
    for line in ("0 files", *lines):
        host.play(line)
    pool = host.state.pools["m"]
    assert is_wanted(host.state, pool, pool.slots[0]) is wanted
    assert unwanted_because(host.state, pool, pool.slots[0]) is because


def test_gates_open_upward_and_close_downward() -> None:
    host = Host({"base": pool_spec("base", {}), "web": pool_spec("web", {"after": ["base"]})})
    host.play("0 files")
    base, web = host.state.pools["base"], host.state.pools["web"]
    assert not gate_is_open(host.state, web)
    host.play("2 wait")
    assert gate_is_open(host.state, web)
    assert not may_stop(host.state, base)
    assert may_stop(host.state, web)
