"""The lines that are recorded in tests/frameworks/lines, one file for each framework."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fleetd.core.spec import LineMeaning
from fleetd.frameworks.lines import LineReport

HERE = Path(__file__).parents[1] / "frameworks" / "lines"


@dataclass(frozen=True, slots=True)
class Recorded:
    """A line of a framework's version, what it means (None: nothing), and where it was recorded or what prints it."""

    framework: str
    text: str
    means: LineReport | None
    version: str
    source: str


def _all() -> Iterator[Recorded]:
    for file in sorted(HERE.glob("*.toml")):
        for line in tomllib.loads(file.read_text("utf-8"))["line"]:
            yield Recorded(file.stem, line["text"], _report(line["means"]), line["version"], line["source"])


def _report(means: str | Mapping[str, Any]) -> LineReport | None:
    if means == "nothing":
        return None
    assert isinstance(means, Mapping)
    fields = dict(means)
    return LineReport(LineMeaning(fields.pop("meaning")), **fields)


RECORDED = tuple(_all())
