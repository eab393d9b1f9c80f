"""`fleetd doctor` beside the instance's unit: its limits are those that count."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.systemd_unit import Unit

pytestmark = [pytest.mark.process, pytest.mark.root]


def told(unit: Unit, code: int) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(unit.fleetd("doctor", "--json", code=code).stdout)
    of = [*document["passed"], *document["findings"]]
    return {each["check"]: each["what"] for each in of if each["subject"] == "host"}


def test_a_unit_that_was_written_for_other_pools(unit: Unit) -> None:
    unit.configure_workers(stop_timeout="10s")
    assert "unit-stop-timeout" not in told(unit, 0), "no unit, nothing to say of it"

    unit.systemd("install")
    assert told(unit, 0)["unit-stop-timeout"] == f"{unit.unit} waits 1m30s for a stop, and these pools may take 15s"

    unit.configure_workers(stop_timeout="1h", numprocs=10)
    unit.drop_in(LimitNOFILE="100", TasksMax="30")
    unit.machine.systemctl("daemon-reload")
    found = told(unit, 1)
    assert found["unit-stop-timeout"] == f"{unit.unit} waits 1m30s for a stop, and these pools may take 1h5s"
    assert found["descriptors"] == f"100 files may be open in {unit.unit}, and these pools need 224"
    assert found["processes"] == f"{unit.unit} may have 30 processes, and these pools need at least 36"
