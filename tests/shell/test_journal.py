"""The journal gives back what was written, whatever moment a daemon is killed at (P3)."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fleetd.core.records import Counters, JobRecord, RunRecord
from fleetd.shell.journal import SPARE_LINES, VERSION, Entry, Journal, Line, News, _framed, boot_id

BOOT = "a-boot"


def entry(run: str, jobs: int = 0, pid: int | None = 7) -> Entry:
    in_hand = (JobRecord("j", "Transcode", "high", 1.5),)
    record = RunRecord(run, "media", 0, 2, 1.25, pid, "/srv/r1", jobs_done=jobs, jobs_in_hand=in_hand)
    return Entry(record, seen={"sender": jobs}, started=5, pipe=77)


def news(*entries: Entry, over: tuple[str, ...] = ()) -> News:
    jobs = max((each.record.jobs_done for each in entries), default=None)
    return News(entries, over, {} if jobs is None else {"media": Counters((jobs, 0))}, {"media:0": 10 * (jobs or 0)})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs.journal"


def test_what_is_told_last_counts_and_what_is_over_is_gone(path: Path) -> None:
    journal = Journal(path, BOOT)
    assert journal.open() == {}
    journal.intend(entry("a", pid=None), 0)
    journal.write(news(entry("b")))
    journal.write(news(entry("a", jobs=3), over=("b", "never there")))
    again = Journal(path, BOOT)
    assert again.open() == {"a": entry("a", jobs=3)}
    assert (again.counted, again.scanned("media:0")) == ({"media": Counters((3, 0))}, 30)
    assert again.over == ("b", "never there")


def test_counters_outlive_their_runs(path: Path) -> None:
    journal = Journal(path, BOOT)
    journal.open()
    journal.write(news(entry("a", jobs=5)))
    journal.write(News(over=("a",)))
    second = Journal(path, BOOT)
    assert second.open() == {}
    assert second.counted == {"media": Counters((5, 0))}
    assert Journal(path, BOOT).open() == {}


def test_each_queue_and_class_keeps_its_last_count(path: Path) -> None:
    journal = Journal(path, BOOT)
    journal.open()
    journal.write(News(counters={"media": Counters((1, 0), {"a": (1, 0)}, {"Encode": (1, 0)})}))
    journal.write(News(counters={"media": Counters((1, 1), {"b": (0, 1)}, {"Encode": (1, 1)})}))
    journal.write(News(counters={"mail": Counters((2, 0))}))
    again = Journal(path, BOOT)
    again.open()
    assert again.counted == {
        "media": Counters((1, 1), {"a": (1, 0), "b": (0, 1)}, {"Encode": (1, 1)}),
        "mail": Counters((2, 0)),
    }


def test_an_intent_counts_nothing_and_moves_no_mark(path: Path) -> None:
    """It is written in the middle of a turn, when jobs are counted that no line tells of yet."""
    journal = Journal(path, BOOT)
    journal.open()
    journal.intend(entry("a", pid=None), 40)
    journal.write(news(entry("a", jobs=5)))
    journal.intend(entry("b", jobs=9, pid=None), 400)
    again = Journal(path, BOOT)
    assert again.open().keys() == {"a", "b"}
    assert (again.counted, again.scanned("media:0")) == ({"media": Counters((5, 0))}, 50)


def test_an_end_that_is_asked_for_is_known_before_all_else(path: Path) -> None:
    journal = Journal(path, BOOT)
    journal.open()
    journal.write(news(entry("a", jobs=2)))
    journal.end("a", "restart")
    journal.end("never there", "stop")
    (found,) = Journal(path, BOOT).open().values()
    assert (found.record.ending, found.record.jobs_done) == ("restart", 2)


def test_an_earlier_boots_runs_are_over(path: Path) -> None:
    journal = Journal(path, BOOT)
    journal.open()
    journal.write(news(entry("a")))
    other = Journal(path, "another boot")
    assert other.open() == {}
    assert other.damage is None
    assert Journal(path, "another boot").open() == {}


@given(cut=st.integers(min_value=0, max_value=4000))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_line_that_was_cut_off_loses_no_other(path: Path, cut: int) -> None:
    path.unlink(missing_ok=True)
    journal = Journal(path, BOOT)
    journal.open()
    for number in range(5):
        journal.write(news(entry(f"run-{number}", jobs=number)))
    journal.close()
    whole = path.read_bytes()
    path.write_bytes(whole[:cut])
    again = Journal(path, BOOT)
    assert len(again.open()) == max(0, whole[:cut].count(b"\n") - 2)
    assert again.damage is None


@given(place=st.floats(min_value=0, max_value=1, exclude_max=True), bit=st.integers(min_value=0, max_value=7))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_bit_that_was_turned_is_noticed_and_nothing_false_is_told(path: Path, place: float, bit: int) -> None:
    path.unlink(missing_ok=True)
    journal = Journal(path, BOOT)
    journal.open()
    for number in range(5):
        journal.write(news(entry(f"run-{number}", jobs=number)))
    journal.close()
    whole = bytearray(path.read_bytes())
    at = int(place * (len(whole) - 1))
    whole[at] ^= 1 << bit
    path.write_bytes(whole)
    again = Journal(path, BOOT)
    found = again.open()
    assert again.damage is not None
    assert "runs.journal: line" in again.damage
    assert path.with_suffix(".damaged").read_bytes() == whole
    assert all(each == entry(run, jobs=int(run[-1])) for run, each in found.items())


def test_a_journal_of_a_newer_version_is_kept_and_not_guessed_at(path: Path) -> None:
    path.write_bytes(_framed(Line(boot=BOOT, version=VERSION + 1)) + _framed(Line(news=news(entry("a")))))
    journal = Journal(path, BOOT)
    assert journal.open() == {}
    assert journal.damage == (
        f"{path}: written by a newer fleetd (format {VERSION + 1}, this one knows {VERSION}) (kept as runs.damaged)"
    )


def test_rubbish_is_not_fatal(path: Path) -> None:
    path.write_bytes(b"\x00\xff not json\n{}\n[]\n")
    assert Journal(path, BOOT).open() == {}


def test_it_stays_small_and_private(path: Path) -> None:
    journal = Journal(path, BOOT)
    journal.open()
    for jobs in range(3 * SPARE_LINES):
        journal.write(news(entry("a", jobs=jobs)))
    assert len(path.read_bytes().splitlines()) < SPARE_LINES + 20
    assert path.stat().st_mode & 0o077 == 0
    assert Journal(path, BOOT).open() == {"a": entry("a", jobs=3 * SPARE_LINES - 1)}


def test_a_journal_that_was_removed_is_written_again(path: Path) -> None:
    journal = Journal(path, BOOT)
    journal.open()
    journal.write(news(entry("a")))
    path.unlink()
    journal.renew()
    journal.write(news(entry("b")))
    assert Journal(path, BOOT).open().keys() == {"a", "b"}


def test_the_boot_has_an_id() -> None:
    assert len(boot_id()) == 36


def test_the_counts_of_an_earlier_version_are_read(path: Path) -> None:
    journal = Journal(path, BOOT)
    journal.open()
    journal.write(News(counted={"media": (5, 1)}))
    journal.write(News(counters={"mail": Counters((2, 0))}))
    again = Journal(path, BOOT)
    again.open()
    assert again.counted == {"media": Counters((5, 1)), "mail": Counters((2, 0))}
