"""What people are told of an incident: one text that chats show, and the facts beside it for programs."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from fleetd.core.alerts import MEANINGS, Unit
from fleetd.core.incident import Message, Told
from fleetd.views.control_characters import made_visible
from fleetd.views.status_line import duration

LONGEST = 500  # characters of what a worker or a server said
_ONE = re.compile(r"(?<=worker)s|(?<=job)s")
_MEANT = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "@": "@\u200b"}  # by Slack and its like: links, and whom to call


def document(message: Message, *, fleet: str | None, host: str, instance: str) -> dict[str, Any]:
    """What is posted, or given to a command, as plain values; it holds no URL."""
    hosts = sorted({name.partition("/")[0] for name in message.hosts}) or [host]
    told: dict[str, Any] = {
        "event": message.word.value,
        "state": message.told.value,
        "fleet": fleet,
        "host": host,
        "hosts": hosts,
        "instance": instance,
        "pool": shortened(message.pool),
        "queue": shortened(message.queue),
        "broker": shortened(message.broker),
        "epoch": message.epoch,
        "worker": shortened(message.worker),
        "since": message.since,
        "ended": message.ended,
        "value": message.value,
        "threshold": message.threshold,
        "unit": message.unit.value if message.value is not None or message.threshold is not None else None,
        "count": message.count,
        "error": shortened(message.error),
        "incident": made_visible(message.key),
    }
    return {"text": _text(message, fleet, hosts)} | told


def _text(message: Message, fleet: str | None, hosts: list[str]) -> str:
    subject = " ".join(_subjects(message))
    where = f"{fleet}: {', '.join(hosts)}" if fleet else ", ".join(hosts)
    text = f"{message.told.upper()} {message.word}{subject and f' {subject}'} ({where})"
    if message.told is Told.RECOVERED:
        ended = message.since if message.ended is None else message.ended
        return _harmless(f"{text} after {duration(max(0.0, ended - message.since))}")
    how = shown(message)
    return _harmless(text + (how and f": {how}"))


def shown(message: Message) -> str:
    """How it shows: the figure in words, and what a worker or a server said; "" where there is neither."""
    said = ": ".join(part for part in (message.worker, shortened(message.error)) if part)
    return "; ".join(part for part in (_figure(message), said) if part)


def _subjects(message: Message) -> Iterable[str]:
    if message.pool is not None:
        yield message.pool
    if message.queue is not None:
        yield f"queue {message.queue}"
    if message.broker is not None:
        yield f"broker {message.broker}"
    if message.epoch is not None:
        yield f"epoch {message.epoch}"


def _figure(message: Message) -> str:
    """The figure in words; "" where there is none."""
    meaning = MEANINGS[message.word]
    if message.value is None:
        return ""
    if Unit.SECONDS in meaning.units:
        return f"jobs wait for {duration(message.value)}"
    if message.unit is Unit.SHARE:
        return f"{message.value:.0%} of jobs failed"
    words = meaning.figure.partition(",")[0]
    return f"{message.value:g} {words if message.value != 1 else _ONE.sub('', words)}"


def shortened(text: str | None) -> str | None:
    """The text made visible, and not longer than LONGEST."""
    if text is None:
        return None
    shown = made_visible(text)
    return shown if len(shown) <= LONGEST else f"{shown[:LONGEST]}…"


def _harmless(text: str) -> str:
    return "".join(_MEANT.get(each, each) for each in made_visible(text))
