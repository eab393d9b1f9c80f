"""Tables that fit: which columns are shown in how many columns of the terminal, and one line of cells."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from fleetd.tui.lines import Cell, Line, Span, Tone, clip, fitted

_GAP = 2


class Column(NamedTuple):
    """A column: how narrow and how wide it may be; those of the greatest `rank` are left out first."""

    title: str
    least: int
    most: int
    rank: int
    right: bool = False


class Placed(NamedTuple):
    """A column that is shown, by its place in the table."""

    place: int
    width: int
    column: Column


@lru_cache(maxsize=64)
def arranged(table: tuple[Column, ...], width: int) -> tuple[Placed, ...]:
    """The columns that fit into `width`, from left to right, and how wide each is."""
    chosen: list[int] = []
    taken = -_GAP
    for index in sorted(range(len(table)), key=lambda each: table[each].rank):
        needed = table[index].least + _GAP
        if taken + needed > width:
            break
        chosen.append(index)
        taken += needed
    widths = {index: table[index].least for index in sorted(chosen)}
    left = width - taken
    while left > 0:
        growing = [index for index in widths if widths[index] < table[index].most]
        if not growing:
            break
        for index in growing[:left]:
            step = min(max(1, left // len(growing)), table[index].most - widths[index])
            widths[index] += step
            left -= step
    return tuple(Placed(index, wide, table[index]) for index, wide in widths.items())


def header(placed: Sequence[Placed], sorted_by: str | None = None, mark: str = "") -> Line:
    """The titles; the one that the rows are sorted by bears a mark."""
    spans: list[Span] = []
    for _, wide, column in placed:
        title = column.title + (mark if column.title == sorted_by else "")
        spans.append(Span(clip(title, wide, right=column.right), Tone.HEAD))
        spans.append(Span(" " * _GAP, Tone.HEAD))
    return Line(spans[:-1], ground=Tone.HEAD)


def row(placed: Sequence[Placed], cells: Sequence[Cell], *, is_selected: bool = False) -> Line:
    """One line."""
    spans: list[Span] = []
    gap = Span(" " * _GAP)
    for place, wide, column in placed:
        cell = cells[place]
        spans.extend(fitted(cell(wide) if callable(cell) else cell, wide, right=column.right))
        spans.append(gap)
    return Line(spans[:-1], is_selected=is_selected)
