"""That the soak sees what is lost: its own reading of logs, ledgers and exits."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.soak import verdict
from tests.soak.actions import Wish, Wishes
from tests.soak.following import Follower
from tests.soak.ledger import Entry
from tests.soak.lines import Account, Accounts
from tests.soak.verdict import Alone, Circumstances

RUN = "0123456789abcdef0123456789abcdef"
ENDED = Entry("raw", 0, RUN, pid=1, armed=1.0, begun=5, written=5, done_begun=2, done=2, failed_begun=0, failed=0,
              term_at=0.0, code=7, ended_at=9.0, child=0, dropped=0, was_cut=False, last_at=8.9, started=1)  # fmt: skip
TOLD = {"reason": "exit", "code": 7, "signal": None, "at": 9.1, "message": "raw:0: ended with code 7"}

WRITER = """
import pathlib, sys
from fleetd.shell.logfile import LogFile
log = LogFile(pathlib.Path(sys.argv[1]), max_size=60, keep=1000)
for number in range(int(sys.argv[2])):
    log.append(b"%09d\\n" % number)
"""


def around() -> Circumstances:
    return Circumstances(Wishes({"raw": Wish({1})}))


def test_a_rotated_log_is_read_once_and_in_order(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    follower = Follower(log)
    log.write_bytes(b"1\n2\n3")
    assert list(follower.lines()) == [b"1", b"2"]
    assert follower.unfinished == b"3"
    with log.open("ab") as file:
        file.write(b"\n4\n")
    log.rename(tmp_path / "a.log.1")
    log.write_bytes(b"5\n")
    assert list(follower.lines()) == [b"3", b"4", b"5"]
    log.rename(tmp_path / "a.log.2")  # two more at once
    (tmp_path / "a.log.1").rename(tmp_path / "a.log.3")
    (tmp_path / "a.log.1").write_bytes(b"6\n")
    log.write_bytes(b"7\n")
    assert list(follower.lines()) == [b"6", b"7"]
    assert list(follower.lines()) == []


def test_no_file_is_missed_while_they_are_renamed(tmp_path: Path) -> None:
    log, count = tmp_path / "raw-0.log", 480
    follower, found = Follower(log), list[bytes]()
    with subprocess.Popen([sys.executable, "-c", WRITER, log, str(count)]) as writer:
        while writer.poll() is None:
            found += follower.lines()
    found += follower.lines()
    assert found == [b"%09d" % number for number in range(count)]


@pytest.mark.parametrize("hole", [0, 1, 2, 3])
@pytest.mark.parametrize("read_before", [True, False])
def test_a_hole_in_the_numbers_hides_nothing(tmp_path: Path, hole: int, read_before: bool) -> None:
    """As it is in the middle of a shift, and stays where that was killed; at 0 the log itself is not there."""
    log = tmp_path / "a.log"
    follower = Follower(log)
    log.write_bytes(b"1\n")
    if read_before:
        assert list(follower.lines()) == [b"1"]
    log.rename(tmp_path / "a.log.4")
    for number in range(4):
        if number != hole:
            (tmp_path / (f"a.log.{number}" if number else "a.log")).write_bytes(b"%d\n" % (5 - number))
    there = [b"%d" % (5 - number) for number in (3, 2, 1, 0) if number != hole]
    assert list(follower.lines()) == ([] if read_before else [b"1"]) + there


def test_another_file_with_the_inode_of_a_removed_one_is_read(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    follower = Follower(log)
    for number in range(20):
        log.unlink(missing_ok=True)
        log.write_bytes(b"%d\n" % number)
        assert list(follower.lines()) == [b"%d" % number]


def test_a_piece_that_is_taken_back_is_not_read(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    follower = Follower(log)
    log.write_bytes(b"1\ntorn, and long")
    assert list(follower.lines()) == [b"1"]
    log.write_bytes(b"1\n2\n")
    assert list(follower.lines()) == [b"2"]
    assert follower.unfinished == b""


@pytest.mark.parametrize(
    ("log", "numbers", "wrong"),
    [
        ("raw-0.log", [1, 2, 3], []),
        ("raw-0.log", [1, 3], ["raw-0.log: after line 1 comes 3"]),
        ("raw-0.log", [1, 2, 2], ["raw-0.log: line 2 comes again after 2"]),
        ("prefix-0.log", [1, 2, 1, 2, 3], []),
        ("prefix-0.log", [2], ["prefix-0.log: after line 0 comes 2"]),
    ],
)
def test_lines_are_held_to_what_their_format_promises(
    tmp_path: Path, log: str, numbers: list[int], wrong: list[str]
) -> None:
    (tmp_path / log).write_text("".join(f"then media:0 {RUN} {number} line\n" for number in numbers))
    accounts = Accounts(tmp_path)
    accounts.read()
    account = accounts.close(RUN)
    assert (account.wrong, account.last) == (wrong, numbers[-1])
    assert accounts.strange == []


def test_a_torn_line_is_seen(tmp_path: Path) -> None:
    (tmp_path / "raw-0.log").write_text(f"{RUN} 1 line\n{RUN[:20]}{RUN} 2 line\nburst\n")
    accounts = Accounts(tmp_path)
    accounts.read()
    assert len(accounts.strange) == 2


@pytest.mark.parametrize(
    ("entry", "told", "wrong"),
    [
        ({}, {}, ""),
        ({}, {"code": 0}, "code 0"),
        ({}, {"code": None, "signal": 9}, "signal 9"),
        ({}, {"reason": "stop"}, "told as stop"),
        ({}, {"reason": "max-jobs"}, "told as max-jobs"),
        ({"term_at": 8.0, "code": 0}, {"code": 0}, "told as exit"),
        ({"was_cut": True}, {}, "nobody read"),
        ({"code": None}, {"code": None, "signal": 15, "reason": "signal"}, "signal 15"),
    ],
)
def test_an_exit_is_held_to_what_happened(entry: dict[str, object], told: dict[str, object], wrong: str) -> None:
    found = verdict.of_exit(replace(ENDED, **entry), [TOLD | told], around())  # type: ignore[arg-type]
    assert bool(found) == bool(wrong)
    assert wrong in "".join(found)


def test_an_exit_that_is_not_told_is_excused_only_where_nobody_lived() -> None:
    there = around()
    assert verdict.of_exit(ENDED, [], there) == ["its exit was never told"]
    there.alone.append(Alone(8.9, 9.1, 9.5))
    assert verdict.of_exit(ENDED, [], there) == []


def test_nobody_lives_from_the_strike_until_the_next_daemon_whenever_the_last_one_started() -> None:
    there = around()
    there.alone.append(Alone(8.0, 9.1))
    there.found(8.5)  # the one that was struck
    there.found(9.5)
    there.found(9.9)
    assert [there.was_alone(replace(ENDED, ended_at=at)) for at in (7.9, 8.2, 9.0, 9.4, 9.6)] == [
        False,
        *3 * [True],
        False,
    ]


def test_what_was_asked_for_is_a_reason() -> None:
    there = around()
    stopped = replace(ENDED, term_at=8.0, code=0)
    told = TOLD | {"reason": "stop", "code": 0}
    assert verdict.of_exit(stopped, [told], there)
    there.wishes.asked["raw", "stop"].append(8.0)
    assert not verdict.of_exit(stopped, [told], there)


def test_lines_and_jobs_are_held_to_the_ledger() -> None:
    there = around()
    assert verdict.of_lines(ENDED, Account(last=5), [TOLD], there) == []
    assert verdict.of_lines(ENDED, Account(last=4), [TOLD], there)
    assert verdict.of_lines(ENDED, Account(last=6), [TOLD], there)
    assert verdict.jobs_done(ENDED, Account(last=5, done=2), [TOLD], there) == (2, 2)
    by_socket = replace(ENDED, pool="socket")
    assert verdict.of_jobs(by_socket, [TOLD | {"jobs_done": 2, "jobs_failed": 0}], there) == []
    assert verdict.of_jobs(by_socket, [TOLD | {"jobs_done": 3, "jobs_failed": 0}], there)
