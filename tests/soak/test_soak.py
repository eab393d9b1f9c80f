"""P1 and P3 under load: 30 rounds of what `make soak` does by the thousand."""

from __future__ import annotations

import random

import pytest

from tests.soak.__main__ import soak

pytestmark = [pytest.mark.process, pytest.mark.timeout(300)]


@pytest.mark.parametrize(("kind", "rounds"), [("daemon", 12), ("keeper", 6), ("both", 6), ("upgrade", 6)])
def test_nothing_comes_of_it(kind: str, rounds: int) -> None:
    result = soak(kind, rounds, seed=random.randrange(10**6))  # repeated by --randomly-seed
    assert not result.losses, "\n".join(result.losses)
    assert result.rounds == rounds
    assert result.runs > rounds
    assert result.jobs > 100
