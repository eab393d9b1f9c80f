"""The keys: one table, from which the update, the help screen, the hints and the reference are made."""

from __future__ import annotations

from enum import StrEnum
from itertools import product
from typing import NamedTuple

from fleetd.tui.model import Filtering, Model, Number, Question, Screen
from fleetd.views.picture import Verb


class Mode(StrEnum):
    """What takes the keys while it is there, instead of the screen."""

    CONFIRMING = "confirming"
    TYPING_NUMBER = "typing a number"
    FILTERING = "filtering"


class Action(StrEnum):
    """What a key does."""

    QUIT = "quit"
    DRAIN = "drain"
    INTERRUPT = "interrupt"
    SUSPEND = "suspend"
    REDRAW = "redraw"
    HELP = "help"
    UP = "up"
    DOWN = "down"
    PAGE_UP = "page up"
    PAGE_DOWN = "page down"
    FIRST = "first"
    LAST = "last"
    LEFT = "left"
    RIGHT = "right"
    OPEN = "open"
    BACK = "back"
    OTHER_PANE = "other pane"
    EVENTS = "events"
    NOTABLE = "notable"
    LOOK_AT_HOST = "host"
    FOLLOW = "follow"
    FILTER = "filter"
    SORT = "sort"
    REVERSE = "reverse"
    RESTART = "restart"
    RESTART_NOW = "restart now"
    PAUSE = "pause"
    RESUME = "resume"
    MORE = "more workers"
    FEWER = "fewer workers"
    STOP = "stop"
    START = "start"
    HALT = "halt"
    GO_ON = "go on"
    YES = "yes"
    EVERYWHERE = "everywhere"
    NO = "no"
    ACCEPT = "accept"
    ERASE = "erase"


class Binding(NamedTuple):
    """Keys, where they hold, what they do; `hint` is what the foot of the screen says, where it says it.

    `drains`: it holds only where leaving the view drains all workers, or only where that does not; None: in both.
    """

    keys: tuple[str, ...]
    where: frozenset[Screen | Mode]
    action: Action
    help: str
    hint: str | None = None
    verb: Verb | None = None
    drains: bool | None = None

    @property
    def is_dangerous(self) -> bool:
        """Whether a job in hand may be lost by it, or all may come to a stop: such keys are upper-case."""
        return self.verb in DANGEROUS

    def holds(self, *, drains: bool | None) -> bool:
        """Whether it does where leaving the view drains, or does not; None: somewhere."""
        return None in {drains, self.drains} or self.drains is drains


DANGEROUS = frozenset({Verb.RESTART_NOW, Verb.STOP, Verb.HALT})

_MODES: frozenset[Screen | Mode] = frozenset(Mode)
_SCREENS: frozenset[Screen | Mode] = frozenset(Screen)
_EVERYWHERE = _SCREENS | _MODES
_LISTS: frozenset[Screen | Mode] = frozenset({Screen.OVERVIEW, Screen.HOST, Screen.POOL})
_FILTERED = _LISTS | {Screen.WORKER, Screen.EVENTS}
_ACTING: frozenset[Screen | Mode] = _LISTS | {Screen.WORKER}
_TEXTS: frozenset[Screen | Mode] = frozenset({Screen.WORKER, Screen.EVENTS})
_ASIDE: frozenset[Screen | Mode] = frozenset({Screen.EVENTS, Screen.HELP})
_BELOW = _SCREENS - {Screen.OVERVIEW}
_TYPED: frozenset[Screen | Mode] = frozenset({Mode.TYPING_NUMBER, Mode.FILTERING})
_CONFIRMED: frozenset[Screen | Mode] = frozenset({Mode.CONFIRMING})

BINDINGS: tuple[Binding, ...] = (
    Binding(("up", "k"), _SCREENS, Action.UP, "one line up"),
    Binding(("down", "j"), _SCREENS, Action.DOWN, "one line down"),
    Binding(("page-up", "ctrl-b"), _SCREENS, Action.PAGE_UP, "one page up"),
    Binding(("page-down", "ctrl-f", " "), _SCREENS, Action.PAGE_DOWN, "one page down"),
    Binding(("home", "g"), _SCREENS, Action.FIRST, "to the first line"),
    Binding(("end", "G"), _SCREENS, Action.LAST, "to the last line; output and events then go on with what is new"),
    Binding(("left",), _TEXTS, Action.LEFT, "shift long lines: to their beginning"),
    Binding(("right",), _TEXTS, Action.RIGHT, "shift long lines: to their end"),
    Binding(("enter",), _LISTS, Action.OPEN, "open the host, pool or worker", "open"),
    Binding(("escape", "backspace"), _BELOW, Action.BACK, "back to where you came from", "back"),
    Binding(("escape",), frozenset({Screen.OVERVIEW}), Action.BACK, "show all again, when a filter is set"),
    Binding(
        ("tab",), frozenset({Screen.OVERVIEW}), Action.OTHER_PANE, "to the queues, and back to the pools", "queues"
    ),
    Binding(("r",), _ACTING, Action.RESTART, "restart gracefully", "restart", Verb.RESTART),
    Binding(("R",), _ACTING, Action.RESTART_NOW, "restart now: jobs in hand are lost", "now", Verb.RESTART_NOW),
    Binding(("p",), _ACTING, Action.PAUSE, "pause: take no new jobs", "pause", Verb.PAUSE),
    Binding(("u",), _ACTING, Action.RESUME, "go on after a pause", "resume", Verb.RESUME),
    Binding(("+", "="), _ACTING, Action.MORE, "more workers: asks for a number", "scale", Verb.SCALE),
    Binding(("-",), _ACTING, Action.FEWER, "fewer workers: asks for a number", None, Verb.SCALE),
    Binding(("S",), _ACTING, Action.STOP, "stop, until it is started again", "stop", Verb.STOP),
    Binding(("t",), _ACTING, Action.START, "start what was stopped", "start", Verb.START),
    Binding(("H",), _SCREENS, Action.HALT, "halt the rollout that is under way", None, Verb.HALT),
    Binding(("o",), _SCREENS, Action.GO_ON, "go on with the rollout that is halted", None, Verb.GO_ON),
    Binding(("f",), frozenset({Screen.POOL, Screen.WORKER}), Action.FOLLOW, "follow a worker's output", "follow"),
    Binding(("h",), frozenset({Screen.OVERVIEW, Screen.POOL, Screen.WORKER}), Action.LOOK_AT_HOST, "look at the host"),
    Binding(("e",), _SCREENS - {Screen.EVENTS}, Action.EVENTS, "what happened: the events", "events"),
    Binding(
        *(("n",), frozenset({Screen.EVENTS}), Action.NOTABLE),
        *("only what is notable: no starts and no planned ends; all again", "notable"),
    ),
    Binding(("/",), _FILTERED, Action.FILTER, "show only what holds a text", "filter"),
    Binding(("s",), _LISTS, Action.SORT, "sort by the next column", "sort"),
    Binding(("i",), _LISTS, Action.REVERSE, "sort the other way round"),
    Binding(("?", "f1"), _SCREENS - {Screen.HELP}, Action.HELP, "the keys and the shapes", "help"),
    Binding(("q",), _ASIDE, Action.BACK, "back to where you came from"),
    Binding(("q",), _SCREENS - _ASIDE, Action.QUIT, "leave the view; nothing else ends", "quit", drains=False),
    Binding(
        *(("q",), _SCREENS - _ASIDE, Action.DRAIN, "leave the view and drain all workers: asks first", "drain"),
        drains=True,
    ),
    Binding(("ctrl-c",), _EVERYWHERE, Action.INTERRUPT, "leave the view with exit code 130", drains=False),
    Binding(("ctrl-c",), _EVERYWHERE, Action.INTERRUPT, "leave the view and drain all workers", drains=True),
    Binding(("ctrl-z",), _EVERYWHERE, Action.SUSPEND, "back to the shell; its fg comes back here"),
    Binding(("ctrl-l",), _EVERYWHERE, Action.REDRAW, "draw all anew"),
    Binding(("y",), _CONFIRMED, Action.YES, "do it", "yes"),
    Binding(("A",), _CONFIRMED, Action.EVERYWHERE, "do it on all hosts", "on all hosts"),
    Binding(("n", "escape", "q"), _CONFIRMED, Action.NO, "leave it", "no"),
    Binding(("enter",), _TYPED, Action.ACCEPT, "take what was typed", "accept"),
    Binding(("escape",), _TYPED, Action.NO, "leave it as it was", "leave it"),
    Binding(("backspace",), _TYPED, Action.ERASE, "take back one character"),
)


def mode_of(model: Model) -> Mode | None:
    """What takes the keys now; None: the screen."""
    match model.asking:
        case Question():
            return Mode.CONFIRMING
        case Number():
            return Mode.TYPING_NUMBER
        case Filtering():
            return Mode.FILTERING
        case None:
            return None


def bound(model: Model, key: str) -> Binding | None:
    """What a key does now, None: nothing."""
    return _TABLE.get((mode_of(model) or model.place.screen, key, model.leaving_drains))


def holding(where: Screen | Mode, *, drains: bool | None) -> tuple[Binding, ...]:
    """The bindings that hold there where leaving the view drains, or does not, in the order of the table; None: all."""
    return tuple(binding for binding in BINDINGS if where in binding.where and binding.holds(drains=drains))


def _table() -> dict[tuple[Screen | Mode, str, bool], Binding]:
    table: dict[tuple[Screen | Mode, str, bool], Binding] = {}
    for binding, drains in product(BINDINGS, (False, True)):
        if binding.holds(drains=drains):
            for where, key in product(binding.where, binding.keys):
                assert (where, key, drains) not in table, f"{key!r} is bound twice in {where}"
                table[where, key, drains] = binding
    return table


_TABLE = _table()

_NAMES = {
    " ": "Space", "up": "Up", "down": "Down", "left": "Left", "right": "Right", "page-up": "PgUp", "page-down": "PgDn",
    "home": "Home", "end": "End", "enter": "Enter", "escape": "Esc", "backspace": "Backspace", "tab": "Tab", "f1": "F1",
}  # fmt: skip


def shown(key: str) -> str:
    """A key's name for people."""
    return f"Ctrl-{key[5:].upper()}" if key.startswith("ctrl-") else _NAMES.get(key, key)
