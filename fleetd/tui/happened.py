"""An event as anybody may have written it, read with care: what is drawn of it, each of its type and within bounds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fleetd.core.facts import Kind
from fleetd.tui.documents import MOST
from fleetd.views.picture import Document
from fleetd.views.wording import ROUTINE

_ROUTINE = frozenset(map(str, ROUTINE))
_TEXTS = ("kind", "text", "host", "pool", "worker")


def read(event: Document) -> Document:
    """The event without what makes no sense; its texts are as they came."""
    found: dict[str, Any] = {name: event[name] for name in _TEXTS if isinstance(event.get(name), str)}
    at, fields = event.get("at"), event.get("fields")
    if _is_number(at):
        found["at"] = at
    if isinstance(fields, Mapping):
        found["fields"] = {name: value for name, value in fields.items() if _is_plain(value)}
    return found


def is_notable(event: Document) -> bool:
    """Whether a person would want to know of it, unless they follow one worker: it is no start and no planned end."""
    kind, fields = event.get("kind"), event.get("fields", {})
    is_planned_end = kind == Kind.WORKER_EXITED and bool(fields.get("planned"))
    return kind not in _ROUTINE and not is_planned_end


def _is_plain(value: object) -> bool:
    """Text, a number, or lines of text."""
    if isinstance(value, (list, tuple)):
        return all(isinstance(each, str) for each in value)
    return isinstance(value, str) or _is_number(value)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and abs(value) <= MOST
