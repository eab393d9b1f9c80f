"""Lines of a screen as plain values: spans of text with a tone, cut and padded by the columns that they take.

Every text that came from elsewhere passes `clip` or `shown`, which make it safe for a terminal.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import NamedTuple

from rich.cells import cell_len, set_cell_size

from fleetd.views.control_characters import made_visible

_MOST_CHARACTERS = 4  # in a column: more are marks upon marks


class Tone(StrEnum):
    """What a text is, which a look gives a colour."""

    PLAIN = "plain"
    DIM = "dim"
    STRONG = "strong"
    TITLE = "title"
    HEAD = "head"
    KEY = "key"
    GOOD = "good"
    WORRYING = "worrying"
    BAD = "bad"
    ALARM = "alarm"
    ASKING = "asking"
    FIGURE = "figure"
    BUSY = "busy"
    IDLE = "idle"
    RUNNING = "running"
    STARTING = "starting"
    DRAINING = "draining"
    BACKOFF = "backoff"
    WAITING = "waiting"
    STOPPED = "stopped"
    GIVEN_UP = "given up"
    UNKNOWN = "unknown"


class Span(NamedTuple):
    """Text in one tone, which is safe for a terminal."""

    text: str
    tone: Tone = Tone.PLAIN


Spans = Sequence[Span]
Cell = Spans | Callable[[int], Spans]  # of a table: what stands there, or what does in so many columns


class Line(NamedTuple):
    """One line of the screen; `ground` is the tone of a line that is filled to its end."""

    spans: Spans = ()
    ground: Tone | None = None
    is_selected: bool = False


def visible(text: str) -> str:
    """The text, safe for a terminal and on one line."""
    return made_visible(text).replace("\t", " ")


def columns(text: str) -> int:
    """How many columns it takes."""
    return len(text) if text.isascii() else cell_len(text)


def clip(text: str, width: int, *, right: bool = False, more: str = "…") -> str:
    """The text made safe, in exactly `width` columns; what is cut off is told by `more`."""
    if width <= 0:
        return ""
    text = visible(text[: width * _MOST_CHARACTERS + 1])
    taken = columns(text)
    if taken > width:
        return _cut(text, width - 1) + more
    return " " * (width - taken) + text if right else text + " " * (width - taken)


def clip_left(text: str, width: int, *, more: str = "…") -> str:
    """As `clip`, but the end is what is shown: of names that begin alike."""
    text = visible(text[-width * _MOST_CHARACTERS - 1 :]) if width > 0 else ""
    if columns(text) <= width:
        return clip(text, width)
    starts = (at for at in range(1, len(text)) if columns(text[at:]) < width and columns(text[at]))  # no mark first
    return clip(more + text[next(starts, len(text)) :], width)


def _cut(text: str, width: int) -> str:
    return text[:width] if text.isascii() else set_cell_size(text, width)


def fitted(spans: Spans, width: int, *, right: bool = False) -> list[Span]:
    """Spans cut or padded to exactly `width` columns; "…" tells that something is cut off."""
    is_cut = columns("".join(span.text for span in spans).rstrip()) > width > 0
    left = width - 1 if is_cut else width
    found: list[Span] = []
    for span in spans:
        taken = columns(span.text)
        if taken > left:
            found.append(Span(_cut(span.text, left) + ("…" if is_cut else ""), span.tone))
            return found
        found.append(span)
        left -= taken
    if left > 0:
        found.insert(0 if right else len(found), Span(" " * left))
    return found


def width_of(spans: Spans) -> int:
    """How many columns they take."""
    return sum(columns(span.text) for span in spans)


def beside(left: Spans, right: Spans, width: int) -> list[Span]:
    """One at the left end, one at the right end of a line; the left one is cut first."""
    taken = width_of(right)
    if taken >= width:
        return fitted(left, width)
    return [*fitted(left, width - taken), *right]
