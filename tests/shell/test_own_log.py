"""The daemon's own log: never waited for, bounded, and gone on with when others move it."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from fleetd.core.spec import DaemonLogFormat
from fleetd.shell import log
from fleetd.shell.outlet import Outlet, standard_streams

DETACHED = """
import logging, os, sys
from pathlib import Path
from fleetd.core.spec import DaemonLogFormat
from fleetd.shell import log
from fleetd.shell.outlet import standard_streams
path = Path(sys.argv[1])
log.LARGEST, log.KEPT, log.LOOK_EVERY = 2000, 3, 0.0
file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
for fd in (1, 2):
    os.dup2(file, fd)
own = log.DetachedLog(path)
out, err = standard_streams()
assert out is err
log.configure("info", DaemonLogFormat.TEXT, err, own.keep_up)
logger = logging.getLogger("fleetd")
"""


@pytest.fixture
def restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.getLogger("asyncio").setLevel(logging.NOTSET)
    logging.raiseExceptions = True


def run_detached(path: Path, then: str) -> None:
    done = subprocess.run([sys.executable, "-c", DETACHED + then, str(path)], check=False, timeout=30)
    assert done.returncode == 0, path.read_text()


def test_it_is_rotated_by_size(tmp_path: Path) -> None:
    path = tmp_path / "fleetd.log"
    run_detached(path, "for n in range(400): logger.info('message %d', n)")
    files = [path.with_name(f"fleetd.log.{n}") for n in (3, 2, 1)] + [path]
    assert sorted(tmp_path.iterdir()) == sorted(files)
    assert all(2000 <= file.stat().st_size < 2200 for file in files[:-1])
    numbers = [int(line.split()[-1]) for file in files for line in file.read_text().splitlines()]
    assert numbers == list(range(numbers[0], 400))


def test_it_goes_on_where_it_was_when_others_move_or_remove_it(tmp_path: Path) -> None:
    path = tmp_path / "fleetd.log"
    run_detached(
        path,
        "logger.info('one'); path.rename(path.with_suffix('.moved')); logger.info('two'); "
        "path.unlink(); logger.info('three'); os.write(1, b'and output\\n')",
    )
    assert path.with_suffix(".moved").read_text().endswith(" one\n")
    assert path.read_text().endswith("three\nand output\n")
    assert "two" not in path.read_text()


@pytest.mark.parametrize("form", DaemonLogFormat)
@pytest.mark.usefixtures("restored")
def test_a_reader_that_is_stuck_costs_messages_and_no_time(form: DaemonLogFormat) -> None:
    reader, writer = os.pipe2(os.O_CLOEXEC)
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    with closing(Outlet(writer)) as outlet:
        log.configure("info", form, outlet)
        for n in range(200):
            logging.getLogger("fleetd").info("message %d", n)
        text = b""
        for _ in range(3):
            text += os.read(reader, 1 << 20)
            logging.getLogger("fleetd").info("read again")
        os.close(writer)
        text += os.read(reader, 1 << 20)
        os.close(reader)
    lines = text.decode().splitlines()
    if form is DaemonLogFormat.JSON:
        lines = [json.loads(line)["message"] for line in lines]
    shown = sum(line.split()[-2] == "message" for line in lines)
    (lost,) = [line for line in lines if "are lost" in line]
    assert f"{200 - shown} messages before this one are lost" in lost
    assert lines[-1].endswith("read again")


def test_output_and_errors_to_different_files_have_an_outlet_each() -> None:
    program = "from fleetd.shell.outlet import standard_streams as s; out, err = s(); assert out is not err"
    subprocess.run(
        [sys.executable, "-c", program], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=True, timeout=30
    )
    assert standard_streams()[0].fd == 1


@pytest.mark.usefixtures("restored")
@pytest.mark.parametrize(
    ("environment", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)]
)
def test_a_terminal_gets_lines_for_people(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], coloured: bool
) -> None:
    for name, value in ({"NO_COLOR": "", "TERM": "xterm"} | environment).items():
        monkeypatch.setenv(name, value)
    ours, its = os.openpty()
    try:
        with closing(Outlet(its)) as outlet:
            log.configure("info", DaemonLogFormat.TEXT, outlet)
            fields = {"kind": "worker.started", "worker": "media:0", "pool": "media"}
            logging.getLogger("fleetd").warning("media:0: started", extra={"fields": fields})
            said = os.read(ours, 1000).decode()
    finally:
        os.close(ours)
        os.close(its)
    plain = re.sub("\x1b\\[[0-9]*m", "", said)
    assert re.fullmatch(r"\d\d:\d\d:\d\d warning media:0: started\r\n", plain)
    assert ("\x1b[33mwarning\x1b[0m" in said) == coloured
    assert bool(re.search("\x1b\\[[0-9]+mmedia:0\x1b\\[0m: started", said)) == coloured
