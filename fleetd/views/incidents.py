"""The incidents that are open on a host, as its picture shows them."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from fleetd.core.incident import Stage, Subject, Told
from fleetd.core.incidents import message
from fleetd.core.state import State
from fleetd.views.alert_text import shortened, shown

MOST = 50  # that a picture shows: those that are open for longest


class IncidentView(Struct, frozen=True):
    """Something that an alert is on, and that lasts since `since` (Unix seconds); the names are an alert's.

    `text` says how it shows.  `told`: people were told, by an `[[alert]]`.
    """

    event: str
    pool: str | None
    queue: str | None
    broker: str | None
    epoch: int | None
    worker: str | None
    since: float
    count: int
    text: str
    told: bool


def open_incidents(state: State) -> tuple[IncidentView, ...]:
    """Of each subject one, whatever alerts are on it: the one that people were told of, else the oldest."""
    found: dict[Subject, IncidentView] = {}
    for subject, view in sorted(_views(state), key=lambda each: (not each[1].told, each[1].since)):
        found.setdefault(subject, view)
    return tuple(sorted(found.values(), key=lambda each: each.since)[:MOST])


def _views(state: State) -> Iterator[tuple[Subject, IncidentView]]:
    for incident in state.alerts.incidents.values():
        if incident.stage in (Stage.OPEN, Stage.ENDING):
            told = message(state, incident, Told.OPENED)
            yield (
                incident.subject,
                IncidentView(
                    event=told.word.value,
                    pool=told.pool,
                    queue=shortened(told.queue),
                    broker=shortened(told.broker),
                    epoch=told.epoch,
                    worker=told.worker,
                    since=told.since,
                    count=told.count,
                    text=shown(told),
                    told=incident.alert.is_told and incident.told is Told.OPENED,
                ),
            )
