"""The real program on a real terminal, with a real daemon: keys, sizes, what ends it, and what workers print."""

from __future__ import annotations

import os
import re
import signal
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from tests.support.fleetd_cli import Fleetd
from tests.support.live_view import LiveView, live_view
from tests.support.waiting import wait_for
from tests.support.worker_pools import SLEEPING, python, shell

pytestmark = pytest.mark.process

HOSTILE = r"""
import time
from fleetd import worker
with worker.job("\x1b]0;owned\x07\x1b[2J語🙂", queue="evil"):
    for n in range(3):
        print("out %d \x1b[2J\x1b]0;owned\x07\x9b31m\x1b[?1049l\u202e語🙂e\u0301 end %d" % (n, n), flush=True)
    time.sleep(1000)
"""


@pytest.fixture(scope="module")
def daemon() -> Iterator[Fleetd]:
    with tempfile.TemporaryDirectory(prefix="fleetd-", dir="/tmp") as directory:
        instance = Fleetd(Path(directory))
        pools: dict[str, Any] = {
            "evil": python(HOSTILE),
            "mail": {**SLEEPING, "numprocs": 2},
            "media": shell("echo said $FLEETD_SLOT; exec sleep 1000", numprocs=3),
        }
        instance.configure(pools)
        instance.start()
        yield instance
        left = instance.end()
        assert not left, f"left after `fleetd stop --now`: {left}"


def view(
    daemon: Fleetd, *arguments: str, columns: int = 100, rows: int = 30, **environment: str
) -> AbstractContextManager[LiveView]:
    return live_view("status", "-c", str(daemon.file), *arguments, environment=environment, columns=columns, rows=rows)


def test_every_screen(daemon: Fleetd) -> None:
    with view(daemon) as live:
        live.sees("evil ")
        live.press("?")
        live.sees("finishes the job in hand and ends")
        live.press("end")
        live.sees("take back one character")
        live.press("home", "escape", "e")
        live.sees("goes on with what is new")
        live.press("up", "end", "left", "right", "left", "escape", "h")
        live.sees("instance test")
        live.press("escape", "/", *"med")
        live.until(lambda shown: "media " in shown and "mail " not in shown, "the filter to hold")
        live.press("enter", "escape")
        live.sees("mail ")
        live.press("s", "s", "i")
        live.sees("by ok")
        live.press("s", "s", "s", "end", "enter")  # by name again: the last one is media
        live.sees("pool media")
        live.press("f")
        live.sees("said 0")
        live.press("q")
        assert live.ended() == (0, None)


def test_every_act(daemon: Fleetd) -> None:
    """Each is seen in the view, and at the daemon."""
    with view(daemon) as live:
        live.sees("evil ")
        live.press("end", "enter", "down")
        live.sees("▸ media:1")
        live.press("S")
        live.sees("STOP media:1?")
        asked = len(live.written)
        live.press("n")
        live.wrote("nothing was done", after=asked)
        live.press("S", "y")
        live.sees("· stopped")
        assert {worker["state"] for worker in daemon.pool("media")["workers"]} == {"running", "stopped"}
        live.press("t", "y")
        live.until(lambda shown: "stopped" not in shown.rpartition("WORKER")[2].partition(" of 3")[0], "it to start")
        wait_for(lambda: len(daemon.pids("media")) == 3, "it to run")
        before = daemon.pids("media")
        live.press("r", "y")
        wait_for(lambda: daemon.pids("media").get("media:1") not in {before["media:1"], None}, "a graceful restart")
        before = daemon.pids("media")
        live.press("R", "y")
        wait_for(lambda: daemon.pids("media").get("media:1") not in {before["media:1"], None}, "a restart at once")
        live.press("+", "enter")
        live.sees("media:3")
        assert daemon.pool("media")["numprocs"] == 4
        live.press("-", "backspace", "backspace", "3", "enter")
        live.until(lambda shown: "media:3 " not in shown, "the last one to leave")
        live.press("escape")
        live.sees("OK")
        live.press("p", "y")
        live.sees("paused")
        assert daemon.pool("media")["paused"]
        live.press("u", "y")
        wait_for(lambda: not daemon.pool("media")["paused"], "the end of the pause")
        live.press("H")
        live.sees("rollouts are a fleet's")
        live.press("q")
        assert live.ended() == (0, None)
        live.assert_left_clean()


def test_hostile_output_and_job_names(daemon: Fleetd) -> None:
    with view(daemon, columns=160, rows=40) as live:
        live.sees("evil ")
        live.press("down", "enter")
        live.sees("語")
        live.press("enter")
        shown = live.sees("end 2")
        assert re.search(r"out 1 .*\\u202e語", shown)
        live.press("escape", "escape", "e")
        live.sees("worker.started")
        live.press("q", "q")
        assert live.ended() == (0, None)
        body = live.written.partition("\x1b[?1049h")[2].rpartition("\x1b[?1049l")[0]
        assert "\x1b]" not in body
        assert "\x9b" not in body
        assert "\x1b[?1049l" not in body
        assert body.count("\x1b[2J") <= 2  # the first frame, and the terminal being taken


def test_it_survives_every_size(daemon: Fleetd) -> None:
    with view(daemon) as live:
        live.sees("evil ")
        for columns, rows in ((200, 50), (60, 15), (300, 80)):
            live.resize(columns, rows)
            live.until(lambda shown: "q quit" in shown.splitlines()[-1] and "evil " in shown, f"{columns}x{rows}")
        live.resize(50, 10)
        live.sees("too small: 50x10")
        live.resize(80, 24)
        live.sees("Enter open")
        live.press("q")
        assert live.ended() == (0, None)


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        ("ctrl-c", (130, None)),
        (signal.SIGINT, (130, None)),
        (signal.SIGTERM, (None, signal.SIGTERM)),
        (signal.SIGHUP, (None, signal.SIGHUP)),
    ],
)
def test_the_terminal_is_left_as_it_was(
    daemon: Fleetd, end: str | signal.Signals, expected: tuple[int | None, int | None]
) -> None:
    with view(daemon) as live:
        live.sees("evil ")
        assert live._modes() != live.modes
        if isinstance(end, str):
            live.press(end)
        else:
            assert live.child.pid is not None
            os.kill(live.child.pid, end)
        assert live.ended() == expected
        live.assert_left_clean()


def test_ctrl_z_gives_the_terminal_back_and_fg_takes_it_again(daemon: Fleetd) -> None:
    script = (
        f"set -m; PS1=; {Path(os.sys.executable).parent}/fleetd status -c {daemon.file}; echo stopped; fg; echo over $?"  # type: ignore[attr-defined]
    )
    with live_view("--norc", "-i", "-c", script, environment={}, command="bash") as live:
        live.sees("evil ")
        live.press("ctrl-z")
        wait_for(lambda: "stopped" in (live.read(), live.written)[1].rpartition("\x1b[?1049l")[2], "the shell")
        live.sees("evil ")
        live.press("q")
        wait_for(lambda: "over 0" in (live.read(), live.written)[1], "the end")


@pytest.mark.parametrize(
    ("environment", "never", "colour"),
    [
        ({"NO_COLOR": "1"}, r"\x1b\[(?:[0-9]+;)*(?:3|4|9|10)[0-7](?:;[0-9]+)*m", r"\x1b\[1m"),
        ({"TERM": "xterm-16color"}, r"[34]8;[25];", r"\x1b\[[0-9;]*3[1-7]"),
        ({"LANG": "C"}, r"[^\x00-\x7f]", r"=== "),
    ],
    ids=["NO_COLOR", "16 colours", "no UTF-8"],
)
def test_poor_terminals(daemon: Fleetd, environment: dict[str, str], never: str, colour: str) -> None:
    with view(daemon, **environment) as live:
        live.sees("evil ")
        live.press("q")
        assert live.ended() == (0, None)
        assert not re.search(never, live.written)
        assert re.search(colour, re.sub(r"\x1b\[0?m", "", live.written))


@pytest.mark.parametrize("arguments", [("--once",), ()], ids=["--once", "dumb"])
def test_one_table_on_a_terminal(daemon: Fleetd, arguments: tuple[str, ...]) -> None:
    environment = {} if arguments else {"TERM": "dumb"}
    with view(daemon, *arguments, **environment) as live:
        assert live.ended() == (0, None)
        assert "media:2" in live.written
        assert "\x1b[?" not in live.written


def test_watch_needs_a_terminal_that_can(daemon: Fleetd) -> None:
    with view(daemon, "--watch", TERM="dumb") as live:
        assert live.ended() == (2, None)
        assert "--watch needs a terminal that can show more than lines" in live.written
    assert "not allowed with" in daemon.run("status", "--watch", "--once", code=2).stderr


def test_targets_and_what_is_not_there(daemon: Fleetd) -> None:
    with view(daemon, "media:1", "mail") as live:
        shown = live.sees("media ")
        assert "evil " not in shown
        assert "only media:1 mail" in shown
        live.press("q")
        assert live.ended() == (0, None)
    with view(daemon, "nope") as live:
        assert live.ended() == (3, None)
        assert "\x1b[?1049" not in live.written
