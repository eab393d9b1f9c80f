"""The live view, put together: whether there is one here, how it looks, and running it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from fleetd import garbage

if TYPE_CHECKING:
    from fleetd.views.picture import Source

_LINES_ONLY = frozenset({"", "dumb", "unknown"})  # values of TERM


def can_be_live() -> bool:
    """Whether standard output is a terminal that can show more than lines."""
    return sys.stdout.isatty() and os.environ.get("TERM", "") not in _LINES_ONLY


def is_live_by_default() -> bool:
    """Whether there are keys, too: a view that nobody can leave is for those who ask for it."""
    return can_be_live() and sys.stdin is not None and sys.stdin.isatty()


def live(source: Source, targets: Sequence[str] = ()) -> int:
    """Show a source until the view is left; `targets` are the only pools and workers shown.  Returns the exit code."""
    import asyncio  # noqa: PLC0415 - no command that shows nothing live waits for it

    return asyncio.run(watch(source, targets))


async def watch(
    source: Source,
    targets: Sequence[str] = (),
    on_term: Callable[[], None] | None = None,
    *,
    leaving_drains: bool = False,
) -> int:
    """As `live`, in a loop that runs already.

    With `on_term` SIGTERM calls that and leaves the view; without, it ends the process.  `leaving_drains`: whoever
    leaves it is told that all workers are drained, and asked.
    """
    from fleetd.tui.app import show  # noqa: PLC0415 - rich, and all that draws, is for the live view only
    from fleetd.tui.look import look_of  # noqa: PLC0415

    garbage.look_from_now_on()
    environ = os.environ
    look = look_of(
        environ.get("TERM", ""),
        environ.get("COLORTERM", ""),
        no_color=bool(environ.get("NO_COLOR")),
        unicode=_takes_utf8(),
    )
    sys.stdout.flush()
    return await show(source, look, tuple(targets), on_term, leaving_drains=leaving_drains)


def _takes_utf8() -> bool:
    """By the locale's own word: Python speaks UTF-8, and says so in LC_CTYPE, also where the locale is C."""
    environ = os.environ
    if environ.get("LANG") in {"C", "POSIX"} and environ.get("LC_CTYPE") == "C.UTF-8":
        return False
    names = (environ.get(name) for name in ("LC_ALL", "LC_CTYPE", "LANG"))
    return "utf8" in next(filter(None, names), "").lower().replace("-", "")
