"""The pool file of the soak: small programs of every kind that a daemon can be killed over."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WRITER = Path(__file__).parent / "programs" / "writer.py"
REPOSITORY = Path(__file__).parents[2]
Table = dict[str, Any]

BY_LINES: Table = {
    "patterns": [
        {"meaning": "started", "literal": " start job-", "regex": r"^\w+ \d+ start (?P<id>job-\S+)$"},
        {"meaning": "done", "literal": " done job-", "regex": r"^\w+ \d+ done (?P<id>job-\S+)$"},
        {"meaning": "failed", "literal": " failed job-", "regex": r"^\w+ \d+ failed (?P<id>job-\S+)$"},
    ]
}


@dataclass(frozen=True, slots=True)
class Kind:
    """One pool: how many of 20 workers it has, and what its workers are like."""

    name: str
    share: int
    modes: tuple[str, ...]
    form: str = "raw"
    max_jobs: int | None = None
    stop_timeout: str = "60s"

    @property
    def is_raw(self) -> bool:
        """Whether each line is in the log once."""
        return self.form == "raw"

    @property
    def leaves(self) -> bool:
        """Whether its workers end by themselves."""
        return "leaves" in self.modes

    @property
    def by_socket(self) -> bool:
        """Whether they tell of their jobs by messages that are counted once."""
        return "socket" in self.modes


KINDS = (
    Kind("raw", 4, ("bursts",)),
    Kind("prefix", 3, (), form="prefix"),
    Kind("json", 3, (), form="json"),
    Kind("socket", 3, ("socket",)),
    Kind("recycled", 2, ("socket",), form="prefix", max_jobs=40),
    Kind("leaving", 2, ("leaves",)),
    Kind("deaf", 1, ("deaf",), stop_timeout="2s"),
    Kind("family", 2, ("family",)),
)
BY_NAME = {kind.name: kind for kind in KINDS}


def numprocs(workers: int) -> dict[str, int]:
    """How many workers each pool has of so many in all."""
    return {kind.name: max(1, round(kind.share * workers / 20)) for kind in KINDS}


def tables(ledgers: Path, counts: dict[str, int], releases: dict[str, int]) -> dict[str, Table]:
    """The pools; `releases` stands in their environment, so that another number rolls them."""
    return {
        kind.name: {
            "command": [sys.executable, "-I", "-S", str(WRITER), str(ledgers), str(REPOSITORY), *kind.modes],
            "numprocs": counts[kind.name],
            "env": {"RELEASE": str(releases[kind.name])},
            "healthy-after": "50ms",
            "stop-timeout": kind.stop_timeout,
            "max-surge": 2,
            "backoff": {"first": "50ms", "max": "200ms"},
            "log": {"format": kind.form, "max-size": "1MiB", "keep": 1000},
            **({} if kind.by_socket else {"framework": "numbered"}),
            **({} if kind.max_jobs is None else {"max-jobs": kind.max_jobs}),
        }
        for kind in KINDS
    }
