"""The journal gives back what was written, whatever moment a daemon is killed at (P3)."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fleetd.core.records import JobRecord, RunRecord
from fleetd.shell.journal import SPARE_LINES, Entry, Journal, boot_id

BOOT = "a-boot"


def entry(run: str, jobs: int = 0, pid: int | None = 7) -> Entry:
    in_hand = (JobRecord("j", "Transcode", "high", 1.5),)
    record = RunRecord(run, "media", 0, 2, 1.25, pid, "/srv/r1", jobs_done=jobs, jobs_in_hand=in_hand, pool_done=jobs)
    return Entry(record, offset=jobs * 10, seen={"sender": jobs})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs.journal"


def test_the_last_line_of_a_run_counts_and_what_is_over_is_gone(path: Path) -> None:
    journal = Journal(path, BOOT)
    assert journal.open() == {}
    for written in (entry("a", pid=None), entry("b"), entry("a"), entry("a", jobs=3)):
        journal.write(written)
    journal.forget("b")
    journal.forget("never there")
    again = Journal(path, BOOT)
    assert again.open() == {"a": entry("a", jobs=3)}
    assert again.counted == {"media": (3, 0)}


def test_counters_outlive_their_runs(path: Path) -> None:
    journal = Journal(path, BOOT)
    journal.open()
    journal.write(entry("a", jobs=5))
    journal.forget("a")
    second = Journal(path, BOOT)
    assert second.open() == {}
    assert second.counted == {"media": (5, 0)}
    assert Journal(path, BOOT).open() == {}


def test_an_earlier_boots_runs_are_over(path: Path) -> None:
    journal = Journal(path, BOOT)
    journal.open()
    journal.write(entry("a"))
    assert Journal(path, "another boot").open() == {}
    assert Journal(path, "another boot").open() == {}


@given(cut=st.integers(min_value=0, max_value=4000))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_line_that_was_cut_off_loses_no_other(path: Path, cut: int) -> None:
    path.unlink(missing_ok=True)
    journal = Journal(path, BOOT)
    journal.open()
    for number in range(5):
        journal.write(entry(f"run-{number}", jobs=number))
    journal.close()
    whole = path.read_bytes()
    path.write_bytes(whole[:cut])
    complete = [line for line in whole[:cut].split(b"\n")[2:] if line.endswith(b"}")]
    assert len(Journal(path, BOOT).open()) in {len(complete), max(0, len(complete) - 1)}


def test_rubbish_is_not_fatal(path: Path) -> None:
    path.write_bytes(b"\x00\xff not json\n{}\n[]\n")
    assert Journal(path, BOOT).open() == {}


def test_it_stays_small_and_private(path: Path) -> None:
    journal = Journal(path, BOOT)
    journal.open()
    for jobs in range(3 * SPARE_LINES):
        journal.write(entry("a", jobs=jobs))
    assert len(path.read_bytes().splitlines()) < SPARE_LINES + 20
    assert path.stat().st_mode & 0o077 == 0
    assert Journal(path, BOOT).open() == {"a": entry("a", jobs=3 * SPARE_LINES - 1)}


def test_a_journal_that_was_removed_is_written_again(path: Path) -> None:
    journal = Journal(path, BOOT)
    journal.open()
    journal.write(entry("a"))
    path.unlink()
    journal.renew()
    journal.write(entry("b"))
    assert Journal(path, BOOT).open().keys() == {"a", "b"}


def test_the_boot_has_an_id() -> None:
    assert len(boot_id()) == 36
