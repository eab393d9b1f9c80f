"""docs/events.md as a table."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "events.md"
_ROW = re.compile(r"^\| `([a-z.-]+)`( !)? \| (.*?) ?\| (.+) \|$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Documented:
    """One row."""

    is_warning: bool
    fields: tuple[str, ...]
    when: str


def documented() -> dict[str, Documented]:
    """The rows by kind."""
    return {
        kind: Documented(bool(mark), tuple(re.findall(r"`(\w+)`", fields)), when)
        for kind, mark, fields, when in _ROW.findall(PAGE.read_text(encoding="utf-8"))
    }
