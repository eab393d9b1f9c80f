"""The JSON Schema of a pool file, for editors and CI (`fleetd schema`)."""

from __future__ import annotations

from typing import Any

from fleetd.config.files import TOP_LEVEL
from fleetd.config.keys import ALERT, BROKER, DAEMON, FLEET, POOL
from fleetd.config.kinds import NAME_PATTERN

_ID = "https://json-schema.org/draft/2020-12/schema"


def schema() -> dict[str, Any]:
    """The schema, in draft 2020-12.

    It cannot say what needs more than one key to judge (that a key is not spelled twice, that pools in `after` exist):
    `fleetd check` does.
    """
    tables: dict[str, dict[str, Any]] = {
        "include": {
            "description": "Further pool files; paths and patterns relative to this file.",
            "type": "array",
            "items": {"type": "string"},
        },
        "fleet": _described("What this host shares with others.", FLEET.schema()),
        "daemon": _described("The daemon itself.", DAEMON.schema()),
        "defaults": _described("Any key of a pool: what pools have that do not set it.", POOL.schema()),
        "broker": _by_name("Where queues are.", BROKER.schema()),
        "pool": _by_name("Identical workers for the same queues.", POOL.schema()),
        "framework": _by_name("Frameworks beside the shipped ones.", {"type": "object"}),
        "alert": {"description": "Whom to tell of what.", "type": "array", "items": ALERT.schema()},
    }
    return {
        "$schema": _ID,
        "title": "fleetd pool file",
        "type": "object",
        "properties": {name: tables[name] for name in TOP_LEVEL},
        "additionalProperties": False,
    }


def _described(description: str, of: dict[str, Any]) -> dict[str, Any]:
    return {"description": description} | of


def _by_name(description: str, each: dict[str, Any]) -> dict[str, Any]:
    return {
        "description": description,
        "type": "object",
        "propertyNames": {"pattern": f"^(?:{NAME_PATTERN})$"},
        "additionalProperties": each,
    }
