"""The keys and shapes of the live view as tables of Markdown, from what the view itself goes by."""

from __future__ import annotations

from collections.abc import Iterator

from fleetd.tui.bindings import Binding, Mode, shown
from fleetd.tui.look import ASCII, UNICODE
from fleetd.tui.model import Screen
from fleetd.tui.screens.help import MEANINGS, bindings

BEGIN, END = "<!-- {} begin: written by make docs -->", "<!-- {} end -->"


def filled(page: str) -> str:
    """The page with its tables of shapes and keys as they are now; what stands around them stays."""
    for name, lines in (("shapes", _shapes()), ("keys", _keys())):
        before, begin, rest = page.partition(BEGIN.format(name))
        _, end, after = rest.partition(END.format(name))
        page = "\n".join([before + begin, *lines, end + after])
    return page


def _shapes() -> Iterator[str]:
    yield "| shape | without UTF-8 | the worker |"
    yield "|---|---|---|"
    for shape, meaning in MEANINGS.items():
        yield f"| `{UNICODE.shapes[shape]}` {shape} | `{ASCII.shapes[shape]}` | {meaning} |"


def _keys() -> Iterator[str]:
    yield "| key | where | what it does |"
    yield "|---|---|---|"
    for binding in bindings(drains=None):
        keys = " ".join(f"`{shown(key)}`" for key in binding.keys)
        which = ", in `fleetd start --view`" if binding.drains else ""
        yield f"| {keys} | {_where(binding)}{which} | {binding.help} |"


def _where(binding: Binding) -> str:
    screens, modes = ([each for each in kind if each in binding.where] for kind in (Screen, Mode))
    if len(screens) == len(Screen):
        return "everywhere" if modes else "every screen"
    return ", ".join([*screens, *(f"while {mode}" for mode in modes)])
