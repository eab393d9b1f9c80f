"""Recorded histories: `histories/*.toml` tells what happened and what comes of it (see `tests.support.history`)."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.support.history import Host, pool_spec

FILES = sorted((Path(__file__).parent / "histories").glob("*.toml"))


def histories() -> list[Any]:
    return [
        pytest.param(history, id=f"{path.stem}: {history['about']}")
        for path in FILES
        for history in tomllib.loads(path.read_text())["history"]
    ]


@pytest.mark.parametrize("history", histories())
def test_history(history: dict[str, Any]) -> None:
    host = Host({name: pool_spec(name, values) for name, values in history["pool"].items()})
    for line in history["steps"].strip().splitlines():
        said, _, expected = line.partition("|")
        came = host.play(said)
        assert came == expected.strip(), f"after: {said.strip()}"
    assert host.final() == history["final"]
