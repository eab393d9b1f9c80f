"""Lines as Laravel, Sidekiq and Solid Queue write them, each read as what it means; and whole outputs, counted once."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from fleetd.core.chance import Chance
from fleetd.core.events import JobReported, Source
from fleetd.core.jobs import account
from fleetd.core.roll import Release
from fleetd.core.spec import Launch, LineMeaning, PoolSpec
from fleetd.core.state import Moment, Pool, Run, State
from fleetd.core.turn import Turn
from fleetd.frameworks.framework import Framework, builtin
from fleetd.frameworks.lines import LineReport, Patterns, Scanner

HERE = Path(__file__).parent / "lines"
NAMES = ("laravel", "sidekiq", "solid_queue")


def lines(name: str) -> list[dict[str, Any]]:
    recorded: list[dict[str, Any]] = tomllib.loads((HERE / f"{name}.toml").read_text("utf-8"))["line"]
    return recorded


def framework(name: str) -> Framework:
    found = builtin(name)
    assert found is not None
    return found


def report(means: Any) -> list[LineReport]:
    if means == "nothing":
        return []
    fields = dict(means)
    return [LineReport(LineMeaning(fields.pop("meaning")), **fields)]


CASES = [
    pytest.param(name, line, id=f"{name}-{at}-{line['version']}")
    for name in NAMES
    for at, line in enumerate(lines(name))
]


@pytest.mark.parametrize(("name", "line"), CASES)
def test_a_line_is_read_as_what_it_means(name: str, line: dict[str, Any]) -> None:
    assert line["source"]

    reports = Scanner(Patterns(framework(name).patterns)).feed(line["text"].encode() + b"\n")

    assert reports == report(line["means"])


@pytest.mark.parametrize("name", NAMES)
def test_every_pattern_reads_a_line_that_is_recorded(name: str) -> None:
    texts = [line["text"].encode() for line in lines(name)]

    def first_to_match(text: bytes) -> int | None:
        patterns = framework(name).patterns
        for at in range(len(patterns)):
            if Patterns(patterns[: at + 1]).read(text):
                return at
        return None

    assert {first_to_match(text) for text in texts} - {None} == set(range(len(framework(name).patterns)))


@pytest.mark.parametrize("output", sorted(path.name for path in HERE.glob("sidekiq-*.log")))
def test_a_job_of_active_job_in_sidekiq_counts_once(output: str) -> None:
    """Two jobs, one of which fails; ActiveJob's lines tell of them beside Sidekiq's, by ids of its own."""
    text = (HERE / output).read_bytes()
    assert text.count(b"Performing RailsJob") == 2
    spec = PoolSpec("media", Launch(("sidekiq",)))
    pool, run = Pool(spec, Release(0, spec), 1), Run("r", "media", 0, Release(0, spec), 0.0, 0.0)
    turn = Turn(State(Chance(1)), Moment(1.0, 1.0))

    for told in Scanner(Patterns(framework("sidekiq").patterns)).feed(text):
        if told.meaning is not LineMeaning.READY:
            account(turn, pool, run, JobReported("r", told.meaning, Source.OUTPUT, id=told.id, name=told.name))

    assert (run.jobs_done, run.jobs_failed, run.jobs_released, run.jobs) == (1, 1, 0, {})
