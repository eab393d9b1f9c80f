"""A terminal's screen as SVG: every cell where it was, in the colours that it had."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from itertools import groupby

import pyte
from pyte.screens import Char

_WIDTH, _HEIGHT, _SIZE, _EDGE, _BAR = 8.4, 18, 14, 14, 30  # of a cell, of its text, around the screen, of the title
_GROUND, _TEXT, _DIM = "#16181d", "#d6dae2", "#7d8590"
_COLOURS = {
    "black": "#3a3f4b", "red": "#f2777a", "green": "#8ccf7e", "brown": "#e5c76b", "yellow": "#e5c76b",
    "blue": "#67b0e8", "magenta": "#c47fd5", "cyan": "#6cbfbf", "white": "#d6dae2",
    "brightblack": "#7d8590", "brightred": "#ff8f91", "brightgreen": "#a4e596", "brightbrown": "#f6dc8c",
    "brightyellow": "#f6dc8c", "brightblue": "#8cc8f5", "brightmagenta": "#d89ae6", "brightcyan": "#87d7d7",
    "brightwhite": "#ffffff",
}  # fmt: skip


def svg(screen: pyte.Screen, title: str) -> str:
    """The document."""
    width = round(screen.columns * _WIDTH + 2 * _EDGE)
    height = screen.lines * _HEIGHT + 2 * _EDGE + _BAR
    body = "\n".join(_row(screen, number) for number in range(screen.lines))
    dots = "".join(
        f'<circle cx="{20 + 20 * number}" cy="{_BAR / 2 + 3}" r="6" fill="{colour}"/>'
        for number, colour in enumerate(("#f2777a", "#e5c76b", "#8ccf7e"))
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">\n'
        f"<title>{escape(title)}</title>\n"
        f'<rect width="{width}" height="{height}" rx="10" fill="{_GROUND}" stroke="#3a3f4b"/>\n{dots}\n'
        f'<text x="{width / 2}" y="{_BAR / 2 + 8}" fill="{_DIM}" text-anchor="middle" '
        f'font-family="sans-serif" font-size="13">{escape(title)}</text>\n'
        f"<g font-family=\"'DejaVu Sans Mono','Liberation Mono',Menlo,Consolas,monospace\" "
        f'font-size="{_SIZE}" xml:space="preserve" transform="translate({_EDGE} {_EDGE + _BAR})">\n'
        f"{body}\n</g>\n</svg>\n"
    )


def _row(screen: pyte.Screen, number: int) -> str:
    cells = [screen.buffer[number][column] for column in range(screen.columns)]
    return "".join(_runs(cells, number))


def _runs(cells: list[Char], number: int) -> Iterator[str]:
    column = 0
    for (fore, back, bold, under), group in groupby(cells, key=_look):
        text = "".join(cell.data for cell in group)
        x, y, width = column * _WIDTH, number * _HEIGHT, len(text) * _WIDTH
        column += len(text)
        if back is not None:
            yield f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="{_HEIGHT}" fill="{back}"/>'
        if text.strip() or under:
            style = (' font-weight="bold"' if bold else "") + (' text-decoration="underline"' if under else "")
            yield (
                f'<text x="{x:.1f}" y="{y + _HEIGHT - 5}" textLength="{width:.1f}" lengthAdjust="spacingAndGlyphs" '
                f'fill="{fore}"{style}>{escape(text)}</text>'
            )


def _look(cell: Char) -> tuple[str, str | None, bool, bool]:
    fore = _colour(cell.fg, _TEXT)
    back = None if cell.bg == "default" else _colour(cell.bg, _GROUND)
    if cell.reverse:
        fore, back = back or _GROUND, fore
    return fore, back, cell.bold, cell.underscore


def _colour(name: str, default: str) -> str:
    return default if name == "default" else _COLOURS.get(name, f"#{name}")
