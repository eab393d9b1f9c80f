"""The daemon's directories: found as they are, and not made."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fleetd.config.problems import Where
from fleetd.core.spec import DaemonSpec
from fleetd.doctor import places
from fleetd.doctor.places import Seen
from fleetd.doctor.report import Place, Told, Verdict
from tests.support.pool_files import load_text

TABLE = Place(Where("pool.toml", 1), "daemon")
MIB = 1 << 20
OK, WARNING, ERROR = Verdict.OK, Verdict.WARNING, Verdict.ERROR


def told(seen: tuple[Seen, ...] | str, more: str = "") -> list[Told]:
    spec = load_text(f'[pool.media]\ncommand = "worker"\n{more}').spec
    assert spec is not None
    return list(places.judge(spec, seen, TABLE))


def daemon(directory: Path) -> DaemonSpec:
    each = {f"{kind}_directory": str(directory / kind) for kind in ("log", "runtime", "state")}
    return DaemonSpec(**each)


def troubles(directory: Path) -> dict[str, str | None]:
    seen = places.observe("test", daemon(directory))
    assert not isinstance(seen, str)
    return {each.path: each.trouble for each in seen}


@pytest.mark.parametrize(
    ("free", "more", "verdict", "what"),
    [
        (700 * MIB, "", OK, "700.0M free for log-directory /log"),
        (500 * MIB, "", WARNING, "500.0M free for log-directory /log, and the logs of these pools may take 550.0M"),
        (500 * MIB, 'log = { to = "journal" }', OK, "500.0M free"),
        (500 * MIB, "log = { keep = 4 }", OK, "500.0M free"),
        (90 * MIB, 'log = { to = "journal" }', ERROR, "only 90.0M free for log-directory /log"),
    ],
)
def test_room(free: int, more: str, verdict: Verdict, what: str) -> None:
    _, directory, room = told((Seen("log-directory", "/log", None, free),), more)
    assert directory.verdict is OK
    assert (room.check, room.verdict, room.what) == ("disk-room", verdict, what) or room.what.startswith(what)
    assert room.verdict is verdict


def test_a_directory_that_cannot_be_used() -> None:
    _, found = told((Seen("state-directory", "/state", "is no directory", 0),))
    assert (found.check, found.verdict, found.what) == ("directories", ERROR, "state-directory /state: is no directory")
    assert str(found.place) == "pool.toml:1: daemon.state-directory"


def test_paths_of_sockets_that_are_too_long(short_path: Path) -> None:
    seen = places.observe("test", daemon(short_path / ("x" * 80)))
    (found,) = told(seen)
    assert (found.check, found.verdict) == ("socket-paths", ERROR)
    assert "at most 107" in found.what


def test_nothing_is_made(short_path: Path) -> None:
    assert set(troubles(short_path / "new").values()) == {None}
    assert list(short_path.iterdir()) == []


def test_what_is_in_the_way(short_path: Path) -> None:
    (short_path / "log").write_text("")
    (short_path / "runtime").mkdir()
    (short_path / "runtime" / "test").mkdir()
    (short_path / "runtime" / "test").chmod(0o777)
    (short_path / "state").mkdir()
    (short_path / "state" / "test").symlink_to("/tmp")
    assert troubles(short_path) == {
        f"{short_path}/log/test": f"cannot be made: {short_path}/log is no directory",
        f"{short_path}/runtime": None,
        f"{short_path}/runtime/test": "others may write to it",
        f"{short_path}/state/test": "is no directory of its own (a link or a file)",
    }


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_what_may_not_be_written(short_path: Path) -> None:
    (short_path / "log").mkdir(mode=0o500)
    assert troubles(short_path)[f"{short_path}/log/test"] == f"cannot be made: {short_path}/log cannot be written"
    (short_path / "log").chmod(0o700)


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives directories away")
def test_a_directory_of_another_user(short_path: Path) -> None:
    (short_path / "state" / "test").mkdir(parents=True)
    os.chown(short_path / "state" / "test", 65534, 65534)
    assert troubles(short_path)[f"{short_path}/state/test"] == "belongs to user 65534"
