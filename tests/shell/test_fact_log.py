"""What people are told, and what they are not made to read."""

from __future__ import annotations

import logging

import pytest

from fleetd.core.facts import Fact, Kind
from fleetd.shell.fact_log import FactLog, Told


def test_a_label_from_elsewhere_cannot_forge_lines_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="fleetd")
    label = "v2\n2026-01-01 error \x1b[31mall is lost"
    FactLog().tell(Fact(Kind.ROLLOUT_STARTED, "media", fields={"rollout": 1, "slots": 2, "label": label}))
    (record,) = caplog.records
    assert record.getMessage() == "media: rollout started: 2 slot(s), v2\\x0a2026-01-01 error all is lost"


def test_facts_are_forwarded_from_then_on() -> None:
    log = FactLog()
    log.tell(Fact(Kind.POOL_REMOVED, "a"))
    forwarded: list[Told] = []
    log.forward(forwarded.append)
    log.tell(Fact(Kind.POOL_REMOVED, "b"))
    assert [told.fact.pool for told in forwarded] == ["b"]
    assert [told.fact.pool for told in log.last(9)] == ["a", "b"]
