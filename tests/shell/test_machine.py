"""The id that an instance is known by in its fleet."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fleetd.errors import FleetdError
from fleetd.shell import machine
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


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_directory_that_cannot_be_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(FleetdError, match="cannot be written"):
        instance_id(tmp_path / "id.json")


def test_a_directory_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FleetdError, match=r"id\.json: cannot be written"):
        machine.instance_id(tmp_path / "none" / "id.json")
