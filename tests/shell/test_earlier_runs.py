"""What is known of the runs of an earlier daemon."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from fleetd.core.records import RunRecord
from fleetd.shell.earlier_runs import EarlierRuns
from fleetd.shell.held import Held
from fleetd.shell.journal import Entry, Journal, News

RUN = "a" * 32


@pytest.fixture
def worker() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as process:
        yield process


def known(folder: Path, worker: subprocess.Popen[bytes]) -> RunRecord:
    """What a daemon makes of it that finds it in the journal and in /proc."""
    with closing(Journal(folder / "runs.journal", "boot")) as journal:
        journal.write(News((Entry(RunRecord(RUN, "media", 0, 0, 1.0, pid=worker.pid, healthy=True)),)))
    pidfd = os.pidfd_open(worker.pid)
    try:
        held = Held(RUN, worker.pid, "", "", pidfd, -1, None, None, None, foreign=True)
        with closing(Journal(folder / "runs.journal", "boot")) as journal:
            runs = EarlierRuns(journal, folder / "notify", lambda pool: None, keeper_is_new=False)
            return runs.known(held).record
    finally:
        os.close(pidfd)


def test_one_that_lives_is_not_over(tmp_path: Path, worker: subprocess.Popen[bytes]) -> None:
    assert not known(tmp_path, worker).ended


def test_one_that_nobody_has_reaped_is_over(tmp_path: Path, worker: subprocess.Popen[bytes]) -> None:
    """Else the one that had taken its place already would be drained as a replacement that came too early."""
    worker.kill()
    os.waitid(os.P_PID, worker.pid, os.WEXITED | os.WNOWAIT)
    assert known(tmp_path, worker).ended
