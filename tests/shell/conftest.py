"""Benches for tests of output."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fleetd.shell import output
from fleetd.shell.targets import Surroundings
from tests.support.output_bench import Bench


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Where a bench's logs are; not made yet."""
    return tmp_path / "logs" / "instance"


@pytest.fixture
def whole_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """The beginning of a line waits for its end, also when its writer has no processor for a while."""
    monkeypatch.setattr(output, "UNFINISHED", 60.0)


@pytest.fixture
def benches(directory: Path) -> Iterator[Callable[..., Bench]]:
    """Makes benches; their children do not outlive the test."""
    made: list[Bench] = []

    def make(surroundings: Surroundings | None = None) -> Bench:
        made.append(Bench(directory, surroundings))
        return made[-1]

    yield make
    for bench in made:
        for child in bench.children:
            if child.poll() is None:
                child.kill()
            child.wait()
