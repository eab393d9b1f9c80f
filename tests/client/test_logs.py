from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fleetd.client.logs import Following, last_lines, lines_since

AT = 1_790_000_000


def stamped(second: int, text: str) -> str:
    return f"{datetime.fromtimestamp(AT + second, UTC).isoformat(timespec='milliseconds')} media:0 {text}\n"


def texts(path: Path, wanted: int, end: int | None = None) -> list[str]:
    return [line.text for line in last_lines(path, wanted, end)]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Lines 0 to 8 over a log and two predecessors."""
    path = tmp_path / "media-0.log"
    for number, name in enumerate(["media-0.log.2", "media-0.log.1", "media-0.log"]):
        (tmp_path / name).write_text("".join(f"line {3 * number + each}\n" for each in range(3)))
    return path


@pytest.mark.parametrize(("wanted", "first"), [(1, 8), (3, 6), (4, 5), (9, 0), (100, 0)])
def test_last_lines_go_back_over_rotation(log: Path, wanted: int, first: int) -> None:
    assert texts(log, wanted) == [f"line {number}" for number in range(first, 9)]


def test_no_lines_were_wanted(log: Path) -> None:
    assert texts(log, 0) == []


def test_last_lines_before_an_offset(log: Path) -> None:
    assert texts(log, 2, len("line 6\n")) == ["line 5", "line 6"]


def test_a_log_that_is_not_there_yet_has_no_lines(tmp_path: Path) -> None:
    assert texts(tmp_path / "none.log", 5) == []


def test_long_lines_and_blocks_meet(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    lines = [str(number) * 30_000 for number in range(10)]
    path.write_text("\n".join(lines) + "\n")
    assert texts(path, 7) == lines[3:]


def test_an_endless_line_is_read_in_part_only(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(b"x" * 10_000_000)
    (line,) = texts(path, 3)
    assert len(line) < 1_000_000


def test_lines_since_a_time(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    old = path.with_name("a.log.1")
    old.write_text(stamped(1, "old") + stamped(5, "five"))
    path.write_text(stamped(6, "six") + "no time of its own\n" + stamped(9, "nine"))
    found = [line.text.split(" ", 2)[-1] for line in lines_since(path, AT + 5)]
    assert found == ["five", "six", "of its own", "nine"]
    os.utime(old, (AT + 5, AT + 5))
    assert [line.text.split()[-1] for line in lines_since(path, AT + 8)] == ["nine"]


def test_following_sees_each_line_once_over_rotations(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text("before\n")
    following = Following(path)
    assert list(following.new_lines()) == []
    with path.open("a") as file:
        file.write("one\ntw")
    assert list(following.new_lines()) == ["one"]
    with path.open("a") as file:
        file.write("o\nthree\n")
    path.rename(path.with_name("a.log.2"))  # twice rotated before the next look
    path.with_name("a.log.1").write_text("four\n")
    path.write_text("five\n")
    assert list(following.new_lines()) == ["two", "three", "four", "five"]
    assert list(following.new_lines()) == []
    following.close()


def test_following_begins_with_a_log_that_comes_later_and_survives_its_emptying(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    following = Following(path)
    assert list(following.new_lines()) == []
    path.write_text("one, of some length\n")
    assert list(following.new_lines()) == ["one, of some length"]
    path.write_text("two\n")
    assert list(following.new_lines()) == ["two"]
    following.close()


WAITING = """
import pathlib, sys
from fleetd.client.logs import Changes

with Changes() as changes:
    changes.watch(pathlib.Path(sys.argv[1]))
    changes.watch(pathlib.Path(sys.argv[1]) / "none")
    print("waits", flush=True)
    changes.wait(30)
"""


def test_a_change_ends_the_wait(tmp_path: Path) -> None:
    """In a process of its own: the signal may go to any thread, and whoever runs the tests has others."""
    command = [sys.executable, "-c", WAITING, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as waiting:
        assert waiting.stdout is not None
        assert waiting.stdout.readline() == "waits\n"
        (tmp_path / "a.log").write_text("x\n")
        assert waiting.wait(timeout=25) == 0


# -- compressed predecessors, and logs in JSON -------------------------------------------------------------------------


def packed(path: Path) -> Path:
    """Compresses a file as the daemon does: under another name, with the time of the old one."""
    target = path.with_name(f"{path.name}.gz")
    found = path.stat()
    target.write_bytes(gzip.compress(path.read_bytes()))
    os.utime(target, ns=(found.st_atime_ns, found.st_mtime_ns))
    path.unlink()
    return target


@pytest.mark.parametrize("which", [("log.1",), ("log.2",), ("log.1", "log.2")])
@pytest.mark.parametrize(("wanted", "first"), [(3, 6), (4, 5), (6, 3), (8, 1), (100, 0)])
def test_last_lines_go_back_into_compressed_files(log: Path, wanted: int, first: int, which: tuple[str, ...]) -> None:
    for name in which:
        packed(log.with_name(f"media-0.{name}"))
    assert texts(log, wanted) == [f"line {number}" for number in range(first, 9)]


def test_a_number_that_has_both_files_counts_once(log: Path) -> None:
    for number in (1, 2):
        old = log.with_name(f"media-0.log.{number}")
        old.with_name(f"{old.name}.gz").write_bytes(gzip.compress(old.read_bytes()))
    assert texts(log, 100) == [f"line {number}" for number in range(9)]


def test_a_damaged_one_is_read_as_far_as_it_goes(log: Path) -> None:
    damaged = packed(log.with_name("media-0.log.1"))
    damaged.write_bytes(damaged.read_bytes()[:-4])
    assert texts(log, 4)[-3:] == ["line 6", "line 7", "line 8"]


def test_lines_since_a_time_in_compressed_files(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    old = path.with_name("a.log.1")
    old.write_text(stamped(1, "old") + stamped(5, "five"))
    path.write_text(stamped(9, "nine"))
    packed(old)
    assert [line.text.split()[-1] for line in lines_since(path, AT + 5)] == ["five", "nine"]
    os.utime(path.with_name("a.log.1.gz"), (AT + 5, AT + 5))
    assert [line.text.split()[-1] for line in lines_since(path, AT + 8)] == ["nine"]


def test_following_sees_each_line_once_when_its_file_is_compressed_meanwhile(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.with_name("a.log.1").write_text("older\n")
    path.write_text("before\n")
    following = Following(path)
    with path.open("a") as file:
        file.write("one\n")
    for number in (1, 0):
        (path.with_name(f"a.log.{number}") if number else path).rename(path.with_name(f"a.log.{number + 1}"))
    packed(path.with_name("a.log.2"))
    packed(path.with_name("a.log.1"))
    path.write_text("two\n")
    assert list(following.new_lines()) == ["one", "two"]
    path.rename(path.with_name("a.log.0"))  # and two rotations at once
    path.with_name("a.log.2.gz").rename(path.with_name("a.log.4.gz"))
    path.with_name("a.log.1.gz").rename(path.with_name("a.log.3.gz"))
    path.with_name("a.log.0").rename(path.with_name("a.log.2"))
    packed(path.with_name("a.log.2"))
    path.with_name("a.log.1").write_text("three\n")
    packed(path.with_name("a.log.1"))
    path.write_text("four\n")
    assert list(following.new_lines()) == ["three", "four"]
    following.close()


def test_lines_in_json_read_as_those_with_a_prefix(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    at = stamped(3, "").split()[0]
    own = json.dumps({"at": at, "worker": "media:0", "line": 'a "quoted"\tword'})
    others = ['{"at": "nothing else"}', '{"at": "cut o', '{"level": "info"}']
    path.write_text("".join(line + "\n" for line in [own, *others]))
    shown = [f'{at} media:0 a "quoted"\tword', *others]
    assert [(line.stamp, line.text) for line in last_lines(path, 9)] == [(at, text) for text in shown]
    assert [line.text for line in lines_since(path, AT + 3)] == shown
    assert list(lines_since(path, AT + 4)) == []
    following = Following(path, from_start=True)
    assert list(following.new_lines()) == shown
    following.close()
