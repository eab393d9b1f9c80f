"""The table as it stands in docs/frameworks-tested.md."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.field.row import COLUMNS, Key, Row

PAGE = Path(__file__).parents[2] / "docs" / "frameworks-tested.md"
BEGIN = "<!-- Made by `make field` from a run of tests/field: do not edit. -->"
END = "<!-- End of what `make field` made. -->"

Notes = Mapping[Key, Mapping[str, str]]  # column: why it is as it is


def rendered(rows: Iterable[Row], notes: Notes) -> str:
    """The table, and the notes below it; a note that stands at several cells is told once."""
    numbers: dict[str, int] = {}
    lines = [_line(COLUMNS.values()), "|---" * len(COLUMNS) + "|"]
    for row in rows:
        cells = []
        for column in COLUMNS:
            note = notes.get(row.key, {}).get(column)
            mark = "" if note is None else f" [^{numbers.setdefault(note, len(numbers) + 1)}]"
            cells.append(getattr(row, column) + mark)
        lines.append(_line(cells))
    told = [f"[^{number}]: {note}" for note, number in numbers.items()]
    return "\n".join([*lines, "", *told, ""]) if told else "\n".join([*lines, ""])


def parsed(text: str) -> list[Row]:
    """The rows of a rendered table."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[re.sub(r" \[\^\d+\]$", "", cell.strip()) for cell in line.strip("|").split("|")] for line in lines[2:]]
    return [Row(**dict(zip(COLUMNS, row, strict=True))) for row in cells]


def between_markers(text: str) -> str:
    """The generated part of the page."""
    _, _, rest = text.partition(BEGIN + "\n\n")
    part, end, _ = rest.partition("\n" + END)
    assert end, f"{PAGE.name} has lost its markers"
    return part


def written_rows() -> dict[Key, Row]:
    """The rows that stand in the page, by their keys."""
    return {row.key: row for row in parsed(between_markers(PAGE.read_text(encoding="utf-8")))}


def write(table: str) -> None:
    """Puts a rendered table in the place of the one that stands in the page."""
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(text.replace(between_markers(text), table), encoding="utf-8")


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
