"""A row of the table of frameworks: what a run has shown of one of them."""

from __future__ import annotations

from dataclasses import dataclass, fields

Key = tuple[str, str, str]  # the framework, its broker, and what tells of its jobs

UNKNOWN = "-"  # it cannot, or does not tell: a note says why
WHOLE = {"in_hand": "id, name, queue, age", "drain": "no loss", "depth": "3/2/1"}


@dataclass(frozen=True, slots=True)
class Row:
    """A cell for each column.  `framework`, `broker` and `told` name the row; all but `version` must be as it was."""

    framework: str
    version: str
    broker: str
    told: str
    done: str
    failed: str
    runtime: str
    in_hand: str
    drain: str
    pause: str
    max_jobs: str
    job_timeout: str
    depth: str
    age: str

    @property
    def key(self) -> Key:
        """What no other row has."""
        return self.framework, self.broker, self.told

    @property
    def facts(self) -> dict[str, str]:
        """What must not change unnoticed."""
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name != "version"}

    @property
    def lacking(self) -> set[str]:
        """The columns where it does not do or tell all that there is, which need a note."""
        return {
            *(column for column, fact in self.facts.items() if fact == UNKNOWN),
            *(column for column, whole in WHOLE.items() if getattr(self, column) != whole),
        }


COLUMNS = {
    "framework": "framework",
    "version": "version",
    "broker": "broker",
    "told": "jobs told by",
    "done": "done",
    "failed": "failed",
    "runtime": "runtime",
    "in_hand": "job in hand",
    "drain": "drain",
    "pause": "pause",
    "max_jobs": "max-jobs",
    "job_timeout": "job-timeout",
    "depth": "depth",
    "age": "oldest age",
}
