"""What keeps a host out of its fleet."""

from __future__ import annotations

from typing import Any

import pytest

from fleetd.views.fleet_trouble import fleet_trouble


@pytest.mark.parametrize(
    ("fleet", "said"),
    [
        (None, None),
        ({"name": "acme", "connected": True, "member": True}, None),
        ({"name": "acme", "connected": True}, None),  # of an earlier version
        ({"name": "acme", "connected": False, "member": True}, "out of reach"),
        ({"name": "ac\x1b[2Jme", "connected": True, "member": False}, "fleet acme: another daemon"),
    ],
)
def test_one_line(fleet: dict[str, Any] | None, said: str | None) -> None:
    told = fleet_trouble(fleet)
    assert told is None if said is None else said in str(told)
