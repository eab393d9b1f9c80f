"""The daemon's side of what workers tell."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.listening import Daemon


@pytest.fixture
def daemon(short_path: Path) -> Iterator[Daemon]:
    """The receiving side of one run's socket, listening."""
    daemon = Daemon(short_path / "r1.sock")
    daemon.start()
    yield daemon
    if daemon.socket is not None:
        daemon.die()
