"""What keeps a host out of its fleet, in one line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fleetd.views.control_characters import made_visible


def fleet_trouble(fleet: Mapping[str, Any] | None) -> str | None:
    """Of the `fleet` of a status document; None: there is none, or the host is in it."""
    if fleet is None or (fleet["connected"] and fleet.get("member", True)):
        return None
    name = made_visible(str(fleet["name"]))
    if not fleet["connected"]:
        return f"fleet {name}: its Redis is out of reach, this host takes part in no restart; `fleetd events` says why"
    return f"fleet {name}: another daemon has this one's name, so it takes part in no restart"
