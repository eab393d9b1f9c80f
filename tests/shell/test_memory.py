"""What is remembered comes back as it was; a file that is damaged is refused, never taken for empty."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fleetd.core.records import Counters, PoolMemory, Remembered, RollRecord
from fleetd.errors import FleetdError
from fleetd.shell import memory

FULL = Remembered(
    {
        "media": PoolMemory(
            stopped=True,
            slots=(0, 1, 3),
            paused_slots=(3,),
            started_slots=(1, 3),
            paused=True,
            scaled_to=4,
            scaled_from=2,
            counters=Counters((10, 1), {"high": (10, 0), "low": (0, 1)}, {"Encode": (10, 1)}),
            generation=7,
            roll=RollRecord(7, (0, 2), halted=True, error="exited with code 1", directories=("/srv/r1", None)),
        ),
        "mail": PoolMemory(stopped_slots=(0,)),
    }
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.json"


def test_everything_comes_back(path: Path) -> None:
    memory.save(path, FULL)
    assert memory.load(path) == FULL
    memory.save(path, Remembered())
    assert memory.load(path) == Remembered()


def test_a_missing_file_remembers_nothing(path: Path) -> None:
    assert memory.load(path) == Remembered()


def test_it_is_private_and_no_other_file_is_left(path: Path) -> None:
    memory.save(path, FULL)
    assert path.stat().st_mode & 0o077 == 0
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"schema": 1}', '{"schema": 1, "pools": {"media": 3}}', "\x00" * 40]
)
def test_a_damaged_file_is_refused(path: Path, text: str) -> None:
    path.write_text(text)
    with pytest.raises(FleetdError, match=r"state\.json: is damaged; move it away"):
        memory.load(path)


def test_another_versions_file_is_refused(path: Path) -> None:
    path.write_text('{"schema": 99, "pools": {}}')
    with pytest.raises(FleetdError, match="another version of fleetd"):
        memory.load(path)


def test_fields_of_a_later_version_are_left_out(path: Path) -> None:
    path.write_text('{"schema": 1, "pools": {"media": {"stopped": true, "of_the_future": 1}}}')
    assert memory.load(path).pools["media"].stopped is True


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_refused(path: Path) -> None:
    path.touch(mode=0)
    with pytest.raises(FleetdError, match="cannot be read"):
        memory.load(path)


def test_a_symlink_in_the_way_is_not_followed(path: Path) -> None:
    victim = path.with_name("victim")
    victim.write_text("untouched")
    path.with_suffix(".new").symlink_to(victim)
    with pytest.raises(OSError):  # noqa: PT011 - ELOOP has no class of its own
        memory.save(path, FULL)
    assert victim.read_text() == "untouched"
