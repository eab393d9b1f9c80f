"""Writes docs/images/*.svg: the live view of three hosts with real jobs, as a terminal shows it; `make screenshots`.

Three daemons meet at a Redis of their own, RQ workers work on queues that are kept supplied, and a release is rolled.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pexpect
import pyte
import redis
from rq import Queue

from docs.terminal_svg import svg
from tests.support.fleetd_cli import COMMAND
from tests.support.real_fleet import NAME, RealFleet, real_fleet
from tests.support.redis_server import running_server
from tests.support.waiting import wait_for

IMAGES = Path(__file__).parent / "images"
HOSTS = ("media-1", "media-2", "media-3")
SIZES = ((80, 24), (120, 40), (200, 50))
TASKS = """
import random, time
def transcode(video): time.sleep(random.uniform(2, 9))
def thumbnail(video): time.sleep(random.uniform(0.3, 1.2))
def send(address):
    time.sleep(random.uniform(0.2, 0.8))
    if random.random() < 0.04: raise ConnectionError("mail.example does not answer")
"""
WORK = {"videos": "app.transcode", "thumbnails": "app.thumbnail", "mail": "app.send"}  # by queue
BUSY = {"videos": 40, "thumbnails": 6, "mail": 12}  # jobs that wait
RUN_FOR = 75.0  # seconds before the first picture: there is something to tell


def main() -> None:
    """The pictures."""
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="shots-", dir="/tmp") as directory, running_server() as server:
        home = Path(directory)
        (home / "app.py").write_text(TASKS)
        with real_fleet(home, server, server.url) as fleet, supplied(server.url, home):
            for name in HOSTS:
                fleet.host(name, pools(home, server.url), **{"max-parallel-hosts": 1}).file.open("a").write(
                    f'\n[broker.default]\nurl = "{server.url}"\n'
                )
            fleet.start()
            time.sleep(float(os.environ.get("RUN_FOR", RUN_FOR)))
            for columns, lines in SIZES:
                shoot(fleet, columns, lines, f"fleet-{columns}x{lines}")
            shoot(fleet, 120, 40, "pool-120x40", ("\r", "POOL"), ("\r", "WORKER"))
            fleet.ci("restart", "--graceful", "--label", "release 43", "--no-wait")
            wait_for(lambda: fleet.turns() == ["media-2"], "the second host to roll", within=120, every=0.5)
            shoot(fleet, 120, 40, "rollout-120x40")


def pools(home: Path, url: str) -> dict[str, Mapping[str, Any]]:
    """The same on each host."""
    scripts = f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"
    whole = {"framework": "rq", "directory": str(home), "env": {"PATH": scripts, "RQ_REDIS_URL": url}}
    return {
        "transcode": {**whole, "queues": ["videos"], "numprocs": 4},
        "thumbs": {**whole, "queues": ["thumbnails"], "numprocs": 2},
        "mail": {**whole, "queues": ["mail"], "numprocs": 2},
    }


@contextmanager
def supplied(url: str, home: Path) -> Iterator[None]:
    """Queues that are kept as full as BUSY says."""
    over = Event()

    def supply() -> None:
        with redis.Redis.from_url(url) as client:
            queues = {name: Queue(name, connection=client) for name in WORK}
            number = 0
            while not over.wait(0.5):
                for name, queue in queues.items():
                    for _ in range(BUSY[name] - queue.count):
                        number += 1
                        queue.enqueue(WORK[name], f"{home.name}-{number}", result_ttl=30)

    thread = Thread(target=supply)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def shoot(fleet: RealFleet, columns: int, lines: int, name: str, *keys: tuple[str, str]) -> None:
    """One picture, after some keys, each with what is to be seen then."""
    words = ["status", "--fleet", "--redis", fleet.url, "--fleet", NAME]
    told = {"TERM": "xterm-256color", "COLORTERM": "truecolor", "LANG": "C.UTF-8"}
    environment = {**os.environ, **told, "FLEETD_REDIS": fleet.url, "FLEETD_FLEET": NAME}
    command = pexpect.spawn(str(COMMAND), words, dimensions=(lines, columns), env=environment, encoding="utf-8")
    screen = pyte.Screen(columns, lines)
    stream = pyte.Stream(screen)
    for key, wanted in (("", HOSTS[-1]), *keys):
        command.send(key)
        wait_for(lambda: _shows(command, stream, screen, wanted), wanted)  # noqa: B023
    _shows(command, stream, screen, "", 4.0)
    (IMAGES / f"{name}.svg").write_text(svg(screen, f"fleetd status --fleet · {columns}x{lines}"))
    print(f"docs/images/{name}.svg", *(line.rstrip() for line in screen.display), sep="\n", flush=True)  # noqa: T201
    command.send("q")
    command.expect(pexpect.EOF)
    command.close()


def _shows(command: Any, stream: Any, screen: pyte.Screen, wanted: str, seconds: float = 0.5) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            stream.feed(command.read_nonblocking(65536, timeout=0.2))
        except pexpect.TIMEOUT:
            continue
    return wanted in "\n".join(screen.display)


if __name__ == "__main__":
    main()
