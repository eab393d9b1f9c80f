"""The file itself: what it refuses, how it rotates, what a full disk leaves of it."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from fleetd.shell.logfile import LONGEST_END, LOOK_BACK, LogFile
from fleetd.shell.pipes import Peephole


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "instance" / "media-0.log"


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 128 KiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=128k,mode=755", "none", place], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"cannot mount a tmpfs: {mounted.stderr.decode().strip()}")
    yield place
    subprocess.run(["umount", place], check=True)


@pytest.fixture
def peephole() -> Iterator[Peephole]:
    with closing(Peephole()) as made:
        yield made


def filled_pipe(data: bytes) -> int:
    reader, writer = os.pipe2(os.O_CLOEXEC)
    os.write(writer, data)
    os.close(writer)
    return reader


def test_directories_and_file_are_for_owner_and_group(path: Path) -> None:
    with closing(LogFile(path, max_size=0, keep=1)) as log:
        log.append(b"x\n")
    modes = [oct(place.stat().st_mode)[-3:] for place in (path, path.parent, path.parent.parent)]
    directory = "751" if os.geteuid() == 0 else "750"
    assert modes == ["640", directory, directory]


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_new_file_belongs_to_its_owner(path: Path) -> None:
    with closing(LogFile(path, max_size=10, keep=1, owner=(65534, 65534))) as log:
        log.append(b"0123456789\n")
        log.append(b"x\n")
    for file in (path, path.with_name("media-0.log.1")):
        assert (file.stat().st_uid, file.stat().st_gid) == (65534, 65534)


def test_what_is_no_plain_file_is_refused(path: Path) -> None:
    path.parent.mkdir(parents=True)
    log = LogFile(path, max_size=0, keep=1)
    path.symlink_to("/dev/null")
    with pytest.raises(OSError, match=os.strerror(errno.ELOOP)):
        log.append(b"x\n")
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(OSError, match="not a regular file"):
        log.append(b"x\n")
    path.unlink()
    path.mkdir()
    with pytest.raises(IsADirectoryError):
        log.append(b"x\n")
    path.rmdir()
    log.append(b"x\n")
    log.close()
    assert path.read_bytes() == b"x\n"


def test_a_later_daemon_goes_on_at_the_end_and_ends_a_cut_line(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(b"whole\ncut o")
    with closing(LogFile(path, max_size=0, keep=1)) as log:
        log.append(b"next\n")
    assert path.read_bytes() == b"whole\ncut o\nnext\n"


@pytest.mark.parametrize("rest", [b"torn", b"torn" * 100_000])
def test_a_torn_line_is_cut_off_before_the_next_one(path: Path, rest: bytes) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(b"first\nwhole\n" + rest)
    with closing(LogFile(path, max_size=17, keep=1)) as log:
        log.scanned = log.size
        log.is_torn = lambda before, end: (before, end) == (b"whole", rest)
        log.append(b"next\n")
        assert log.scanned == 12, "marks beyond the new end come down with it"
        assert log.size == 17, "what is cut off does not count"
        log.append(b"more\n")
    assert path.with_name("media-0.log.1").read_bytes() == b"first\nwhole\nnext\n"
    assert path.read_bytes() == b"more\n"


def test_a_torn_first_line_is_cut_off(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(b"torn")
    with closing(LogFile(path, max_size=0, keep=1)) as log:
        log.is_torn = lambda before, end: (before, end) == (b"", b"torn")
        log.append(b"next\n")
    assert path.read_bytes() == b"next\n"


def test_only_what_is_torn_is_cut_off(path: Path) -> None:
    path.parent.mkdir(parents=True)
    endless = b"whole\n" + b"x" * LOOK_BACK
    for text, ends in ((b"a\nnot torn", False), (endless, True), (b"whole\n", True)):
        path.write_bytes(text)
        with closing(LogFile(path, max_size=0, keep=1)) as log:
            log.is_torn = lambda _before, _end, ends=ends: ends  # type: ignore[misc]
            log.append(b"next\n")
        assert path.read_bytes() == text + (b"" if text.endswith(b"\n") else b"\n") + b"next\n"


def test_the_size_is_kept_and_the_oldest_go(path: Path) -> None:
    with closing(LogFile(path, max_size=30, keep=2)) as log:
        for n in range(10):
            log.append(b"%09d\n" % n)
        files = {file.name: file.read_bytes().split() for file in path.parent.iterdir()}
        assert files == {
            "media-0.log": [b"000000009"],
            "media-0.log.1": [b"%09d" % n for n in (6, 7, 8)],
            "media-0.log.2": [b"%09d" % n for n in (3, 4, 5)],
        }
        log.keep = 1
        for n in range(3):
            log.append(b"%09d\n" % n)
        assert sorted(file.name for file in path.parent.iterdir()) == ["media-0.log", "media-0.log.1"]


def test_without_old_files_to_keep_a_full_one_is_emptied(path: Path, peephole: Peephole) -> None:
    with closing(LogFile(path, max_size=30, keep=0)) as log:
        for n in range(4):
            log.append(b"%09d\n" % n)
        assert path.read_bytes() == b"000000003\n"
        assert log.size == 10
        pipe = filled_pipe(b"raw")
        assert log.move_from(pipe, peephole, 100) == 3
        os.close(pipe)
    assert path.read_bytes() == b"000000003\nraw"
    assert [file.name for file in path.parent.iterdir()] == ["media-0.log"]


def test_raw_output_is_cut_at_the_end_of_a_line(path: Path, peephole: Peephole) -> None:
    pipe = filled_pipe(b"0123456789abcdef\nnext\nlast")
    with closing(LogFile(path, max_size=10, keep=3)) as log:
        moved = [
            log.move_from(pipe, peephole, 12),
            log.move_from(pipe, peephole, 100),
            log.move_from(pipe, peephole, 100),
        ]
        assert moved == [12, 5, 9]
        assert log.move_from(pipe, peephole, 100) == 0
    os.close(pipe)
    assert path.with_name("media-0.log.1").read_bytes() == b"0123456789abcdef\n"
    assert path.read_bytes() == b"next\nlast"


def test_raw_output_is_not_cut_where_the_end_of_a_line_is_not_written_yet(path: Path, peephole: Peephole) -> None:
    reader, writer = os.pipe2(os.O_NONBLOCK)
    with closing(LogFile(path, max_size=10, keep=3)) as log:
        for part in (b"0123456789", b"abc", b"def\nnext\n"):
            os.write(writer, part)
            log.move_from(reader, peephole, 100)
        assert log.move_from(reader, peephole, 100) == len("next\n")
    os.close(reader)
    os.close(writer)
    assert path.with_name("media-0.log.1").read_bytes() == b"0123456789abcdef\n"
    assert path.read_bytes() == b"next\n"


def test_a_line_without_end_is_cut(path: Path, peephole: Peephole) -> None:
    reader, writer = os.pipe2(os.O_NONBLOCK)
    with closing(LogFile(path, max_size=10, keep=3)) as log:
        for _ in range(30):
            os.write(writer, b"x" * 10_000)
            with suppress(BlockingIOError):
                while True:
                    log.move_from(reader, peephole, 60_000)
    os.close(reader)
    os.close(writer)
    files = sorted(path.parent.iterdir())
    assert len(files) == 4
    assert all(file.stat().st_size <= LONGEST_END + 10 for file in files)


def test_a_rotation_that_fails_loses_nothing(path: Path) -> None:
    with closing(LogFile(path, max_size=10, keep=1)) as log:
        log.append(b"one line\n")
        obstacle = path.with_name("media-0.log.1")
        obstacle.mkdir()
        log.append(b"two\n")
        assert path.read_bytes() == b"one line\ntwo\n"
        obstacle.rmdir()
        log.append(b"three\n")
        assert obstacle.read_bytes() == b"one line\ntwo\n"
        assert path.read_bytes() == b"three\n"


def test_an_offset_from_before_a_rotation_leads_through_the_older_file(path: Path) -> None:
    with closing(LogFile(path, max_size=20, keep=1)) as log:
        log.append(b"0123456789\n")
        offset = log.size
        log.append(b"seen no\n")
        log.append(b"new\n")
        assert b"".join(log.read_from(offset)) == b"seen no\nnew\n"
        assert b"".join(log.read_from(0)) == b"new\n"
        assert b"".join(log.read_from(log.size)) == b""


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts")
def test_a_full_disk_keeps_whole_lines(tiny_disk: Path) -> None:
    path = tiny_disk / "media-0.log"
    line = b"x" * 999 + b"\n"
    with closing(LogFile(path, max_size=0, keep=1)) as log:
        for _ in range(14):
            log.append(line * 9)
        with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
            log.append(line * 9)
        size = log.size
        assert size == 126_000
        assert path.read_bytes() == line * (size // 1000)
        with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
            log.append(line * 40)
        assert path.stat().st_size == size  # nothing of it is left behind
        log.append(b"fits\n")
    assert path.read_bytes().endswith(line + b"fits\n")


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts")
def test_a_full_disk_leaves_in_the_pipe_what_it_did_not_take(tiny_disk: Path, peephole: Peephole) -> None:
    data = os.urandom(60_000)
    with closing(LogFile(tiny_disk / "media-0.log", max_size=0, keep=1)) as log:
        for _ in range(2):
            pipe = filled_pipe(data)
            assert log.move_from(pipe, peephole, 60_000) == 60_000
            os.close(pipe)
        pipe = filled_pipe(data)
        taken = log.move_from(pipe, peephole, 60_000)
        with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
            log.move_from(pipe, peephole, 60_000)
        assert os.read(pipe, 60_000) == data[taken:]
        os.close(pipe)
        assert (tiny_disk / "media-0.log").read_bytes() == data + data + data[:taken]
