"""What the daemon writes for itself, when there is no room: it goes on, and makes up for it later.

A limit on the size of files (RLIMIT_FSIZE) stands for the end of the disk.
"""

from __future__ import annotations

import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fleetd.core.records import PoolMemory, Remembered, RunRecord
from fleetd.shell import journal as journal_module
from fleetd.shell import memory
from fleetd.shell.journal import Entry, Journal, News

BOOT = "this-boot"


@contextmanager
def room_for(size: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    heeded = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, heeded)


def news(run: str) -> News:
    return News((Entry(RunRecord(run=run, pool="media", slot=0, generation=1, started_at=0.0)),))


def read(path: Path) -> set[str]:
    journal = Journal(path, BOOT)
    try:
        return set(journal.open())
    finally:
        journal.close()


@pytest.mark.parametrize("room", range(0, 80, 20))
def test_the_journal_of_runs_lacks_nothing_once_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    monkeypatch.setattr(journal_module, "TRY_EVERY", 0.0)
    path = tmp_path / "runs.journal"
    journal = Journal(path, BOOT)
    journal.open()
    journal.write(news("before"))
    with room_for(path.stat().st_size + room):
        for run in ("a", "b"):
            with pytest.raises(OSError, match=r"File too large|No space"):
                journal.write(news(run))
        with pytest.raises(OSError, match=r"File too large|No space"):
            journal.write(News(over=("b",)))
        assert read(path) == {"before"}, "what was written before is still whole"
        assert [file.name for file in tmp_path.iterdir()] == ["runs.journal"]
    journal.write(news("c"))
    journal.close()
    assert read(path) == {"before", "a", "c"}


def test_it_is_not_tried_for_every_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(tmp_path / "runs.journal", BOOT)
    journal.open()
    tries: list[Path] = []
    written = journal_module._written

    def counted(path: Path, data: bytes) -> int:
        tries.append(path)
        return written(path, data)

    monkeypatch.setattr(journal_module, "_written", counted)
    with room_for(10):
        for n in range(100):
            with pytest.raises(OSError, match=r"File too large|No space"):
                journal.write(news(f"r{n}"))
    journal.close()
    assert len(tries) <= 2


def test_a_daemon_begins_with_a_journal_that_cannot_be_written(tmp_path: Path) -> None:
    path = tmp_path / "runs.journal"
    first = Journal(path, BOOT)
    first.open()
    first.write(news("a"))
    first.close()
    second = Journal(path, BOOT)
    with room_for(10):
        assert set(second.open()) == {"a"}
        assert [file.name for file in tmp_path.iterdir()] == ["runs.journal"]
    second._try_at = 0.0
    second.write(news("b"))
    second.close()
    assert read(path) == {"a", "b"}


def test_the_state_is_old_or_new(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    old = Remembered({"media": PoolMemory(scaled_to=3)})
    memory.save(path, old)
    with room_for(20), pytest.raises(OSError, match="File too large"):
        memory.save(path, Remembered({"media": PoolMemory(scaled_to=4)}))
    assert memory.load(path) == old
    assert [file.name for file in tmp_path.iterdir()] == ["state.json"]
