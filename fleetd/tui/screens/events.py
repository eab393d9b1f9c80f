"""What happened."""

from __future__ import annotations

from msgspec.structs import replace

from fleetd.tui.figures import clock, moment
from fleetd.tui.kept import shown_events
from fleetd.tui.lines import Line, Span, Tone, clip
from fleetd.tui.look import Look
from fleetd.tui.model import Model
from fleetd.views.picture import Document
from fleetd.views.wording import WARNINGS

_KIND = 21  # columns
_WARNINGS = frozenset(map(str, WARNINGS))
_LEAST = 3  # lines: fewer tell nothing
_WIDE = 120  # columns: there is room for the day


def heights(_model: Model, room: int) -> tuple[int, int]:
    """Events in sight."""
    return max(1, room - 1), 0


def length(model: Model) -> int:
    """Events that the filter and the targets leave."""
    return len(_events(model))


def draw(model: Model, _look: Look, room: int, top: int) -> list[Line]:
    """A title, and the events from `top` on."""
    found = _events(model)
    shown = found[top : top + heights(model, room)[0]]
    following = "goes on with what is new" if model.place.at_end else "End goes on with what is new"
    which = " that are notable" if model.place.notable else ""
    told = f" EVENTS{which}  {top + len(shown)} of {len(found)}, {following}" if found else f" EVENTS{which}"
    title = Line([Span(clip(told, model.columns), Tone.HEAD)], ground=Tone.HEAD)
    return [title, *(_event(model, event) for event in shown)] if shown else [title, _none(model)]


def newest(model: Model, room: int) -> list[Line]:
    """The last notable ones in so many lines, with a title, where there is room for some."""
    found = shown_events(model, replace(model.place, notable=True))
    if room < _LEAST or not found:
        return []
    title = Line([Span(clip("  EVENTS", model.columns), Tone.HEAD)], ground=Tone.HEAD)
    return [title, *(_event(model, event) for event in found[-(room - 1) :])]


def _none(model: Model) -> Line:
    return Line([Span("  none of that kind" if model.place.filter else "  none yet", Tone.DIM)])


def _events(model: Model) -> tuple[Document, ...]:
    return shown_events(model, model.place)


def _event(model: Model, event: Document) -> Line:
    at, kind = event.get("at"), str(event.get("kind", ""))
    told = at if isinstance(at, (int, float)) else None
    when = moment(told) if model.columns >= _WIDE else clock(told)
    spans = [Span(f" {when}  ", Tone.DIM), Span(clip(kind, _KIND), Tone.BAD if kind in _WARNINGS else Tone.FIGURE)]
    left = model.columns - len(when) - 3 - _KIND - 2
    if event.get("host"):
        host = min(20, left // 3)
        spans += [Span("  "), Span(clip(str(event["host"]), host), Tone.DIM)]
        left -= host + 2
    text = str(event.get("text", ""))[: model.place.shift + 4 * model.columns][model.place.shift :]
    return Line([*spans, Span("  "), Span(clip(text, left).rstrip())])
