"""What `make run` runs, at a terminal: jobs are seen to be done, and Ctrl-C ends it all with exit 0."""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
from pathlib import Path

import pexpect
import pytest

from configs.quickstart.server import REMEDY, server_binary
from tests.support.fleetd_cli import MARK, kill, marked
from tests.support.requirement import need
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.process, pytest.mark.redis]

ROOT = Path(__file__).parents[2]
SCRIPTS = Path(sys.executable).parent


def test_quickstart_does_real_jobs_until_ctrl_c(short_path: Path) -> None:
    need(server_binary(), REMEDY)
    environment = {
        "PATH": f"{SCRIPTS}:{os.environ['PATH']}",
        "HOME": str(short_path),
        "TMPDIR": str(short_path),
        "USER": "me",
        "TERM": "xterm",
        MARK: str(short_path),
    }
    written = short_path / "fleetd-quickstart-me"
    seen = io.StringIO()
    terminal = pexpect.spawn(
        "bash", ["configs/quickstart/run.sh"], cwd=ROOT, env=environment, encoding="utf-8", timeout=60
    )
    terminal.logfile_read = seen
    try:
        terminal.expect_exact("Job OK")
        wait_for(lambda: len(list(written.glob("compressed/*.gz"))) >= 5, "five compressed files", within=60)
        terminal.sendintr()
        terminal.expect(pexpect.EOF)
        terminal.wait()
    finally:
        terminal.close(force=True)
        with suppress(AssertionError):  # what is left is told below
            wait_for(lambda: not marked(str(short_path)), "all of it to be gone", within=8)
        left = marked(str(short_path))
        for process in left:
            kill(process.pid)
    assert terminal.exitstatus == 0, seen.getvalue()
    assert not left, f"left behind: {left}"
