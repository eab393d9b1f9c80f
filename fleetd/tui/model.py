"""Everything that the live view knows and has been told: one frozen value, from which every frame is drawn."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from fleetd.tui.scene import Scene
from fleetd.views.picture import Document, Request, Verb

LEAST_COLUMNS, LEAST_ROWS = 60, 15
MOST_EVENTS = 1000  # the last ones are kept
MOST_LINES = 1000  # of a worker's output
LONGEST_LINE = 4000  # characters of one that are kept

Key = tuple[str, ...]  # what a row stands for


class Screen(StrEnum):
    """What is shown."""

    OVERVIEW = "overview"
    HOST = "host"
    POOL = "pool"
    WORKER = "worker"
    EVENTS = "events"
    HELP = "help"


LISTED = frozenset({Screen.OVERVIEW, Screen.HOST, Screen.POOL})  # screens with a list that has a cursor


class Cursor(Struct, frozen=True):
    """Where one is in a list, and its order: the row, by what it stands for and by its place, and the first one shown.

    `sort` is the place of an order in `rows.orders`.
    """

    key: Key | None = None
    index: int = 0
    top: int = 0
    sort: int = 0
    reverse: bool = False


class Place(Struct, frozen=True):
    """A screen, what it is about, and where one is in it; `at_end`: it goes on with what is new."""

    screen: Screen = Screen.OVERVIEW
    host: str | None = None  # its name
    pool: str | None = None
    worker: Key | None = None
    pane: int = 0
    cursors: tuple[Cursor, Cursor] = (Cursor(), Cursor())
    filter: str = ""
    at_end: bool = False
    shift: int = 0  # columns that are left out on the left
    notable: bool = False  # only these events

    @property
    def cursor(self) -> Cursor:
        """Of the pane that has the keys."""
        return self.cursors[self.pane]


class Question(Struct, frozen=True):
    """An act that waits for a yes; `wide` is the same on all hosts, where that is something else."""

    request: Request | None  # None: to leave the view, which drains
    text: str
    counted: str = ""
    wide: Request | None = None
    counted_wide: str = ""
    is_dangerous: bool = False


class Number(Struct, frozen=True):
    """The number of workers that is being typed; `is_proposed`: nobody has typed anything yet."""

    request: Request  # without `change`
    what: str
    typed: str = ""
    is_proposed: bool = False


class Filtering(Struct, frozen=True):
    """The filter is being typed; `before` is what it was."""

    before: str = ""


class Message(Struct, frozen=True):
    """One line for the person, at the bottom."""

    text: str
    is_bad: bool = False
    until: float | None = None  # Unix seconds


class Output(Struct, frozen=True):
    """The last lines of the worker that is looked at."""

    worker: str
    lines: tuple[str, ...] = ()
    error: str | None = None


class Model(Struct, frozen=True):
    """The live view."""

    can: frozenset[Verb]
    columns: int
    rows: int
    now: float  # Unix seconds
    places: tuple[Place, ...] = (Place(),)
    scene: Scene | None = None
    events: tuple[Document, ...] = ()
    notable: tuple[Document, ...] = ()  # events, as many, which last longer
    output: Output | None = None
    asking: Question | Number | Filtering | None = None
    message: Message | None = None
    under_way: tuple[Request, ...] = ()  # confirmed, and not yet answered
    targets: tuple[str, ...] = ()  # the only pools and workers to show; none: all
    leaving_drains: bool = False  # the daemon ends with the view

    @property
    def place(self) -> Place:
        """What is shown."""
        return self.places[-1]

    @property
    def is_too_small(self) -> bool:
        """Whether nothing fits."""
        return self.columns < LEAST_COLUMNS or self.rows < LEAST_ROWS


class Wanted(Struct, frozen=True):
    """What is to run beside the view as long as this model stands."""

    lines: str | None = None  # the worker whose output is looked at
    measured: frozenset[str] = frozenset()  # pools
