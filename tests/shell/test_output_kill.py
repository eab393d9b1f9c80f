"""P3: SIGKILL of the process that reads, at any instant, and another one that goes on."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fleetd.shell.pipes import waiting
from tests.support.waiting import wait_for

pytestmark = pytest.mark.process

READER = """
import asyncio, sys
from pathlib import Path
from fleetd.core.spec import LogFormat, LogSpec
from fleetd.shell.output import Output

async def main(fd, directory, form):
    output = Output(Path(directory), on_reports=print, on_dropped=print)
    output.attach("a", int(fd), "media:0", LogSpec(format=LogFormat(form), max_size=2_000_000, keep=1000))
    print("reads", flush=True)
    await asyncio.Event().wait()

asyncio.run(main(*sys.argv[1:]))
"""
KILLS = 25
LINES = 400_000
WRITER = f"""
import os
for n in range(0, {LINES}, 40):
    os.write(1, b"".join(b"%099d\\n" % m for m in range(n, n + 40)))
"""


@pytest.mark.parametrize("form", ["raw", "prefix"])
def test_no_byte_is_lost_when_the_reader_is_killed(tmp_path: Path, form: str) -> None:
    """Raw: each byte once.  With prefixes: the chunk in hand may come twice, none is lost."""
    directory = tmp_path / "logs"
    reader, writer = os.pipe()
    worker = subprocess.Popen([sys.executable, "-c", WRITER], stdout=writer)
    os.close(writer)
    command = [sys.executable, "-c", READER, str(reader), str(directory), form]
    daemon = subprocess.Popen(command, pass_fds=[reader], stdout=subprocess.PIPE)
    try:
        for _ in range(KILLS):
            assert daemon.stdout is not None
            assert daemon.stdout.readline() == b"reads\n"
            time.sleep(random.uniform(0, 0.01))  # any instant is meant
            assert worker.poll() is None, "it was not reading when it was killed"
            daemon.kill()
            daemon.communicate()
            daemon = subprocess.Popen(command, pass_fds=[reader], stdout=subprocess.PIPE)
        wait_for(lambda: worker.poll() is not None and waiting(reader) == 0, "the pipe to be empty")
    finally:
        worker.kill()
        worker.wait()
        daemon.kill()
        daemon.communicate()
        os.close(reader)
    found = numbers(directory)
    if form == "raw":
        assert found == list(range(LINES))
    else:
        assert set(found) == set(range(LINES))


def numbers(directory: Path) -> list[int]:
    """The numbers in the logs, from the oldest to the youngest; a line that a kill cut off counts as none."""
    old = sorted(directory.glob("media-0.log.*"), key=lambda part: -int(part.suffix[1:]))
    text = b"".join(part.read_bytes() for part in (*old, *directory.glob("media-0.log")))
    last = (line.rsplit(b" ", 1)[-1] for line in text.splitlines())
    return [int(digits) for digits in last if len(digits) == 99]
