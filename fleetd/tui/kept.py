"""What is kept of events and output, the last of each; what one reads there stays where it is while it is kept."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from fleetd.tui import happened
from fleetd.tui.model import LONGEST_LINE, MOST_EVENTS, MOST_LINES, Model, Output, Place, Screen
from fleetd.tui.narrowing import concerns
from fleetd.tui.rows import event_matches
from fleetd.views.picture import Document


def with_events(model: Model, events: Sequence[Document]) -> Model:
    """With some that happened, read already."""
    known = replace(
        model, events=(*model.events, *events), notable=(*model.notable, *filter(happened.is_notable, events))
    )
    dropped = replace(known, events=known.events[:-MOST_EVENTS], notable=known.notable[:-MOST_EVENTS])
    places = (
        _scrolled(place, len(shown_events(dropped, place))) if place.screen is Screen.EVENTS else place
        for place in model.places
    )
    return replace(
        model, events=known.events[-MOST_EVENTS:], notable=known.notable[-MOST_EVENTS:], places=tuple(places)
    )


def with_lines(model: Model, output: Output, lines: Sequence[str]) -> Model:
    """With more of the output of the worker that is looked at."""
    before = output.lines if output.error is None else ()  # after an end the last ones come again
    known = (*before, *(line[:LONGEST_LINE] for line in lines))
    place = _scrolled(model.place, len(shown_lines(known[:-MOST_LINES], model.place)))
    return replace(model, output=Output(output.worker, known[-MOST_LINES:]), places=(*model.places[:-1], place))


def shown_events(model: Model, place: Place) -> tuple[Document, ...]:
    """Those that are looked at there, and that the filter and the targets leave."""
    events, targets = model.notable if place.notable else model.events, model.targets
    if not place.filter and not targets:
        return events
    return tuple(event for event in events if event_matches(event, place.filter) and concerns(event, targets))


def shown_lines(lines: tuple[str, ...], place: Place) -> tuple[str, ...]:
    """Those that the filter leaves."""
    wanted = place.filter.casefold()
    return tuple(line for line in lines if wanted in line.casefold()) if wanted else lines


def _scrolled(place: Place, dropped: int) -> Place:
    """After so many lines that stood above are gone."""
    cursor, other = place.cursors
    return replace(place, cursors=(replace(cursor, top=max(0, cursor.top - dropped)), other)) if dropped else place
