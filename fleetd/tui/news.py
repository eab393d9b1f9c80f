"""What the live view is told, and what it asks for in answer."""

from __future__ import annotations

from msgspec import Struct

from fleetd.errors import ExitCode
from fleetd.views.picture import Document, Picture, Request


class Pressed(Struct, frozen=True):
    """A key, by its name: "a", "enter", "ctrl-c"."""

    key: str


class Resized(Struct, frozen=True):
    """The terminal has this size now."""

    columns: int
    rows: int


class Passed(Struct, frozen=True):
    """It is this late: Unix seconds."""

    now: float


class Seen(Struct, frozen=True):
    """A newer picture."""

    picture: Picture


class Happened(Struct, frozen=True):
    """Events, oldest first."""

    events: tuple[Document, ...]


class Printed(Struct, frozen=True):
    """Lines of a worker's output."""

    worker: str
    lines: tuple[str, ...]


class OutputEnded(Struct, frozen=True):
    """No more lines come, and why."""

    worker: str
    why: str


class Answered(Struct, frozen=True):
    """What came of a request."""

    request: Request
    text: str
    is_bad: bool = False


News = Pressed | Resized | Passed | Seen | Happened | Printed | OutputEnded | Answered


class Do(Struct, frozen=True):
    """Carry out what was confirmed."""

    request: Request


class Leave(Struct, frozen=True):
    """End the view."""

    code: ExitCode = ExitCode.DONE


class Suspend(Struct, frozen=True):
    """Give the terminal back to the shell for a while."""


class Redraw(Struct, frozen=True):
    """Draw everything anew."""


Wish = Do | Leave | Suspend | Redraw
