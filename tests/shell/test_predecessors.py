"""Rotated files and their compressed forms: numbers, kills in between, and who owns what."""

from __future__ import annotations

import asyncio
import gzip
import os
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from fleetd.shell import compression
from fleetd.shell.compression import Compressor
from fleetd.shell.logfile import LogFile
from fleetd.shell.predecessors import Compressing, Predecessors
from tests.support.output_bench import until


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "media-0.log"


def numbered(path: Path, number: int, ending: str = "") -> Path:
    return path.with_name(f"{path.name}.{number}{ending}")


def names(path: Path) -> set[str]:
    return {file.name.removeprefix(path.name) for file in path.parent.iterdir()}


def compress(*files: Predecessors) -> None:
    """Compresses all that is not, as the daemon does."""

    async def scene() -> None:
        with closing(Compressor()) as compressor:
            for each in files:
                compressor.add(each)
            await until(lambda: compressor._thread is None and not compressor._waiting)

    asyncio.run(scene())


def test_compressed_ones_keep_content_time_mode_and_number(path: Path) -> None:
    for number, age in ((1, 50), (2, 100)):
        numbered(path, number).write_bytes(b"line of %d\n" % number * 100_000)
        numbered(path, number).chmod(0o604)
        os.utime(numbered(path, number), ns=(10**18, 10**18 - age))
    path.write_bytes(b"in use\n")
    compress(Predecessors(path))
    assert names(path) == {"", ".1.gz", ".2.gz"}
    for number, age in ((1, 50), (2, 100)):
        packed = numbered(path, number, ".gz")
        assert gzip.decompress(packed.read_bytes()) == b"line of %d\n" % number * 100_000
        assert packed.stat().st_mtime_ns == 10**18 - age
        assert oct(packed.stat().st_mode)[-3:] == "604"
    assert path.read_bytes() == b"in use\n"


def test_numbers_may_change_while_one_is_compressed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    going, may_end = threading.Event(), threading.Event()
    copy: Callable[[Compressing, threading.Event], None] = compression._copy

    def slowly(work: Compressing, closed: threading.Event) -> None:
        going.set()
        assert may_end.wait(60)
        copy(work, closed)

    monkeypatch.setattr(compression, "_copy", slowly)

    async def scene() -> None:
        with closing(Compressor()) as compressor:
            log = LogFile(path, max_size=10, keep=3, on_rotated=compressor.add)
            log.append(b"first one\n")
            log.append(b"second one\n")
            await until(going.is_set)
            log.append(b"third one\n")
            assert names(path) == {"", ".1", ".2", ".gz.new"}
            may_end.set()
            await until(lambda: names(path) == {"", ".1.gz", ".2.gz"})
            going.clear()
            may_end.clear()
            log.append(b"fourth one\n")
            await until(going.is_set)
            for n in range(3):
                log.append(b"%d after it\n" % n)
            may_end.set()  # its file is gone by now
            await until(lambda: names(path) == {"", ".1.gz", ".2.gz", ".3.gz"})
            log.close()

    asyncio.run(scene())
    texts = [gzip.decompress(numbered(path, n, ".gz").read_bytes()) for n in (3, 2, 1)]
    assert [*texts, path.read_bytes()] == [b"fourth one\n", b"0 after it\n", b"1 after it\n", b"2 after it\n"]


def test_a_kill_before_or_after_the_rename_is_made_up_for(path: Path) -> None:
    numbered(path, 1).write_bytes(b"one\n")
    path.with_name(f"{path.name}.gz.new").write_bytes(b"half of")
    numbered(path, 2).write_bytes(b"two\n")
    numbered(path, 2, ".gz").write_bytes(gzip.compress(b"two\n"))
    numbered(path, 3, ".gz").write_bytes(gzip.compress(b"three\n"))
    files = Predecessors(path)
    assert b"".join(files.read(2, 0)) == b"two\n"
    path.write_bytes(b"zero\n")
    files.shift(keep=4)
    assert names(path) == {".1", ".2", ".3", ".3.gz", ".4.gz", ".gz.new"}
    compress(files)
    assert names(path) == {".1.gz", ".2.gz", ".3.gz", ".4.gz"}
    assert [b"".join(files.read(n, 0)) for n in (1, 2, 3, 4, 5)] == [b"zero\n", b"one\n", b"two\n", b"three\n", b""]


def test_fewer_are_kept_from_the_next_rotation_on(path: Path) -> None:
    for number in range(1, 6):
        numbered(path, number, ".gz" if number % 2 else "").write_bytes(b"")
    path.write_bytes(b"zero\n")
    Predecessors(path).shift(keep=2)
    assert names(path) == {".1", ".2.gz"}


def test_an_offset_from_before_a_rotation_leads_into_the_compressed_file(path: Path) -> None:
    with closing(LogFile(path, max_size=20, keep=1)) as log:
        log.append(b"0123456789\n")
        offset = log.size
        log.append(b"seen no\n")
        log.append(b"new\n")
        compress(log.predecessors)
        assert names(path) == {"", ".1.gz"}
        assert b"".join(log.read_from(offset)) == b"seen no\nnew\n"
        damaged = numbered(path, 1, ".gz")
        damaged.write_bytes(damaged.read_bytes()[:-12])
        assert b"".join(log.read_from(offset)).endswith(b"new\n")


def test_the_end_of_the_daemon_does_not_wait_for_it(path: Path) -> None:
    numbered(path, 1).write_bytes(os.urandom(80_000_000))

    async def scene() -> float:
        compressor = Compressor()
        compressor.add(Predecessors(path))
        began = time.process_time()  # of the thread that compresses, too
        compressor.close()
        return time.process_time() - began

    assert asyncio.run(scene()) < 0.5
    assert names(path) == {".1"}


def test_what_cannot_be_compressed_stays_and_is_told_once(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    numbered(path, 1).write_bytes(b"one\n")
    path.with_name(f"{path.name}.gz.new").mkdir()
    files = Predecessors(path)

    async def scene() -> None:
        with closing(Compressor()) as compressor:
            compressor.add(files)
            compressor.add(files)
            await until(lambda: compressor._thread is None)

    asyncio.run(scene())
    assert numbered(path, 1).read_bytes() == b"one\n"
    assert [record.getMessage() for record in caplog.records] == [
        f"{path}.N cannot be compressed: Is a directory; it stays as it is"
    ]


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_compressed_file_belongs_to_the_owner_of_the_log(path: Path) -> None:
    with closing(LogFile(path, max_size=10, keep=2, owner=(65534, 65533))) as log:
        for n in range(3):
            log.append(b"%09d\n" % n)
        compress(log.predecessors)
    assert names(path) == {"", ".1.gz", ".2.gz"}
    for number in (1, 2):
        found = numbered(path, number, ".gz").stat()
        assert (found.st_uid, found.st_gid, oct(found.st_mode)[-3:]) == (65534, 65533, "640")
