"""P3: SIGKILL of the process that reads, at any instant, and another one that goes on."""

from __future__ import annotations

import fcntl
import gzip
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fleetd.shell.pipes import waiting
from tests.support.waiting import wait_for

pytestmark = pytest.mark.process

READER = """
import asyncio, os, sys
from pathlib import Path
from fleetd.core.spec import LogFormat, LogSpec, LogTarget
from fleetd.shell.outlet import Outlet
from fleetd.shell.output import Output
from fleetd.shell.targets import Surroundings

async def main(fd, directory, form, to, compress):
    out = os.open(Path(directory, "out"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    output = Output(Path(directory), on_reports=print, on_dropped=print, surroundings=Surroundings(Outlet(out)))
    log = LogSpec(LogTarget(to), LogFormat(form), max_size=2_000_000, keep=1000, compress=compress == "compress")
    output.attach("a", int(fd), "media:0", log)
    print("reads", os.getpid(), flush=True)
    await asyncio.Event().wait()

for _ in sys.stdin:  # a reader for each line: forked, as what it imports takes longer than the test of it
    pid = os.fork()
    if not pid:
        asyncio.run(main(*sys.argv[1:]))
    os.waitpid(pid, 0)
    print("gone", flush=True)
"""
KILLS = 25
BATCH = 40
LINE = re.compile(rb"(?m)(?:^|[ \"])(\d{99})(?:\"\})?$")  # a line that a kill cut off counts as none
WRITER = f"""
import os, signal
stopping = []
signal.signal(signal.SIGTERM, lambda *_: stopping.append(True))
n = 0
while not stopping:
    left = b"".join(b"%099d\\n" % m for m in range(n, n + {BATCH}))
    while left:
        left = left[os.write(1, left):]
    n += {BATCH}
"""
CASES = [("raw", "files"), ("prefix", "files"), ("json", "files"), ("prefix", "stdout"), ("json", "stdout")]


@pytest.mark.parametrize("compress", ["", "compress"])
@pytest.mark.parametrize(("form", "to"), CASES)
def test_no_byte_is_lost_when_the_reader_is_killed(tmp_path: Path, form: str, to: str, compress: str) -> None:
    """Raw files: each byte once.  Else the chunk in hand may come twice, none is lost; no file has a torn line."""
    directory = tmp_path / "logs"
    directory.mkdir(mode=0o755)
    reader, writer = os.pipe()
    worker = subprocess.Popen([sys.executable, "-c", WRITER], stdout=writer)
    os.close(writer)
    command = [sys.executable, "-c", READER, str(reader), str(directory), form, to, compress]
    daemons = subprocess.Popen(
        command, pass_fds=[reader], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    )
    try:
        daemon = next_reader(daemons)
        for kill in range(KILLS):
            before = written(worker)
            if kill % 2:  # between two reads; else perhaps before the first one
                wait_for_a_read(reader, worker, before)
            time.sleep(random.uniform(0, 0.01))  # any instant is meant
            os.kill(daemon, signal.SIGKILL)
            assert daemons.stdout is not None
            assert daemons.stdout.readline() == b"gone\n"
            wait_for(lambda: waiting(reader) > 0, "more to read", every=0.001)
            assert worker.poll() is None
            daemon = next_reader(daemons)
        worker.terminate()
        wait_for(lambda: worker.poll() is not None and waiting(reader) == 0, "the pipe to be empty")
    finally:
        worker.kill()
        worker.wait()
        os.killpg(daemons.pid, signal.SIGKILL)
        daemons.communicate()
        os.close(reader)
    text = written_to(directory)
    found = [int(number) for number in LINE.findall(text)]
    assert (max(found) + 1) % BATCH == 0, "the last line is there"
    if form == "raw":
        assert found == list(range(len(found)))
    else:
        assert set(found) == set(range(max(found) + 1))
    if to == "files":
        assert len(found) == text.count(b"\n"), "none is torn"


def next_reader(daemons: subprocess.Popen[bytes]) -> int:
    """The pid of another one, which reads."""
    assert daemons.stdin is not None
    assert daemons.stdout is not None
    daemons.stdin.write(b"go\n")
    daemons.stdin.flush()
    told, pid = daemons.stdout.readline().split()
    assert told == b"reads"
    return int(pid)


def written(worker: subprocess.Popen[bytes]) -> int:
    """How many bytes it has written so far."""
    counters = Path(f"/proc/{worker.pid}/io").read_text()
    return int(re.findall(r"wchar: (\d+)", counters)[0])


def wait_for_a_read(pipe: int, worker: subprocess.Popen[bytes], before: int) -> None:
    """Until somebody has read since the worker had written `before` bytes: until it has written more than fit in."""
    wait_for(lambda: written(worker) > before + fcntl.fcntl(pipe, fcntl.F_GETPIPE_SZ), "a read", every=0.001)


def written_to(directory: Path) -> bytes:
    """What is in the logs, from the oldest to the youngest."""
    parts = {int(re.findall(r"\d+", part.name)[-1]): part for part in directory.glob("media-0.log.[0-9]*")}
    files = [parts[number] for number in sorted(parts, reverse=True)] + [
        *directory.glob("media-0.log"),
        directory / "out",
    ]
    return b"".join(gzip.decompress(f.read_bytes()) if f.suffix == ".gz" else f.read_bytes() for f in files)
