"""The id that an instance is known by in its fleet."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleetd.shell.documents import encode
from fleetd.shell.machine import InstanceId, instance_id


def test_it_is_drawn_once(tmp_path: Path) -> None:
    first = instance_id(tmp_path / "id.json")
    assert len(first.id) == 32
    assert instance_id(tmp_path / "id.json") == first
    assert instance_id(tmp_path / "other.json").id != first.id


@pytest.mark.parametrize("kept", [b"", b"{", b"[]", encode(InstanceId("1" * 32, "another machine"))])
def test_one_that_is_damaged_or_from_another_machine_is_drawn_anew(tmp_path: Path, kept: bytes) -> None:
    path = tmp_path / "id.json"
    path.write_bytes(kept)
    fresh = instance_id(path)
    assert fresh.id != "1" * 32
    assert instance_id(path) == fresh


def test_one_that_cannot_be_kept_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert len(instance_id(tmp_path / "none" / "id.json").id) == 32
    assert "cannot be written" in caplog.text
