"""A host: its daemon, what it reaches, and its pools."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fleetd.tui.figures import clock, since
from fleetd.tui.lines import Line, Span, Tone
from fleetd.tui.look import Look
from fleetd.tui.model import Model
from fleetd.tui.rows import POOLS, Row, rows
from fleetd.tui.scene import Host
from fleetd.tui.screens.pieces import POOL_COLUMNS, Listing, crew_row, facts, listed, state_tone
from fleetd.tui.table import Placed

_MOST_FACTS = 6  # lines


def heights(model: Model, room: int) -> tuple[int, int]:
    """Rows of the pools."""
    return max(0, room - len(_facts(model, room)) - 1), 0


def draw(model: Model, look: Look, room: int, _top: int) -> list[Line]:
    """Facts, and a list."""
    found = rows(model)

    def of_pools(at: Row, placed: Sequence[Placed], is_selected: bool) -> Line:  # noqa: FBT001 - as `listed` calls it
        return crew_row(look, at, placed, is_selected=is_selected, indent="")

    height = heights(model, room)[0]
    listing = Listing(POOL_COLUMNS, found, POOLS, model.place.cursor, of_pools)
    lines = listed(model, look, listing, height)
    return _facts(model, room) + lines


def _facts(model: Model, room: int) -> list[Line]:
    host = None if model.scene is None else model.scene.host(model.place.host)
    if host is None:
        return [Line([Span("  this host is gone; Esc goes back", Tone.WORRYING)])]
    return facts(_of(model, host), model.columns, min(_MOST_FACTS, max(1, room // 3)))


def _of(model: Model, host: Host) -> Iterator[tuple[str, str, Tone]]:
    document = host.document
    yield "host", host.name, Tone.STRONG
    if not host.live:
        yield "gone, last seen", f"{since(host.last_seen, model.now)} ago", Tone.BAD
    elif document is None:
        yield "is of another version?", "nothing that it published can be read", Tone.BAD
    if document is None:
        return
    yield "instance", document.instance, Tone.PLAIN
    yield "state", document.state, state_tone(document.state)
    yield "pid", str(document.pid), Tone.PLAIN
    yield "fleetd", document.version, Tone.PLAIN
    yield "up", since(document.started_at, model.now), Tone.PLAIN
    if host.last_seen is not None and host.live:
        yield "seen", f"{since(host.last_seen, model.now)} ago", Tone.PLAIN
    if document.fleet is not None:
        fleet = document.fleet
        yield "fleet", fleet.name, Tone.PLAIN
        yield "epoch", "-" if fleet.epoch is None else str(fleet.epoch), Tone.PLAIN
        told = "reached" if fleet.connected else "out of reach"
        yield "Redis", f"{told} since {clock(fleet.since)}", Tone.GOOD if fleet.connected else Tone.BAD
    for broker in document.brokers:
        if broker.reachable is not None:
            told = "reached" if broker.reachable else broker.error or "out of reach"
            yield f"broker {broker.name[:40]}", told, Tone.GOOD if broker.reachable else Tone.BAD
