"""docs/frameworks.md as written: a framework in TOML only, its worker, and what the page says comes of both."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.fleetd_cli import Document, Fleetd
from tests.support.redis_server import RedisServer
from tests.support.waiting import wait_for

PAGE = (Path(__file__).parents[2] / "docs" / "frameworks.md").read_text(encoding="utf-8")
FENCES = [text for _, text in re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)]
FILES = {match[1]: text for text in FENCES if (match := re.match(r"# ([\w.]+)\n", text))}
REFUSED = next(text for text in FENCES if text.startswith("refused.toml:"))

pytestmark = pytest.mark.process


@pytest.fixture
def encoder(redis_server: RedisServer, short_path: Path) -> Iterator[Fleetd]:
    """The files of the page in one directory, and fleetd started there; only where fleetd keeps its own is added."""
    python = short_path / "bin" / "python3"
    python.parent.mkdir()
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')  # the python3 that has the redis package
    python.chmod(0o755)
    path = f"{python.parent}:{os.environ['PATH']}"
    environment = {"PATH": path, "ENCODER_REDIS": redis_server.url}
    fleetd = Fleetd(short_path, "encoder", environment, inside=("env", "-C", str(short_path)))
    for name, text in FILES.items():
        (short_path / name).write_text(text)
    own = [f'{kind}-directory = "{short_path / kind}"' for kind in ("runtime", "state", "log")]
    with fleetd.file.open("a") as file:
        file.write("\n".join(["\n[daemon]", *own, ""]))
    yield fleetd
    left = fleetd.end()
    assert not left, f"left after `fleetd stop --now`: {left}"


def add(fleetd: Fleetd, first: int, count: int, *after: Path) -> None:
    command = ["python3", "add.py", "media", str(first), str(count), *map(str, after)]
    subprocess.run(command, cwd=fleetd.directory, env=fleetd.environment, check=True, timeout=60)


def workers(fleetd: Fleetd) -> list[Document]:
    found: list[Document] = fleetd.pool("media")["workers"]
    return found


def jobs(fleetd: Fleetd) -> tuple[Any, Any]:
    told = fleetd.pool("media")["jobs"]
    return told["done"], told["failed"]


def waiting(fleetd: Fleetd, jobs: int) -> Document | None:
    (queue,) = fleetd.pool("media")["queues"]
    return dict(queue) if queue["ready"] == jobs else None


@pytest.mark.redis
def test_the_example_is_counted_paused_and_drained(encoder: Fleetd) -> None:
    checked = encoder.run("check").stdout
    assert "python3 encoder.py --queue media --max-jobs=50 --quality=high" in checked
    encoder.start()
    pids = encoder.pids("media")
    assert len(pids) == 2

    add(encoder, 1, 20)
    wait_for(lambda: jobs(encoder) == (16, 4), f"16 done and 4 failed, not {jobs(encoder)}")

    gate = encoder.directory / "gate"
    add(encoder, 21, 1, gate)
    (busy,) = wait_for(lambda: [worker for worker in workers(encoder) if worker["busy"]], "a job in hand")
    assert (busy["job"]["id"], busy["job"]["name"], busy["job"]["queue"]) == ("21", "thumbnail", "media")

    restart = encoder.popen("restart", "media")
    wait_for(lambda: any(worker["state"] == "stopping" for worker in workers(encoder)), "a worker that drains")
    held = time.time() - busy["job"]["started_at"]
    gate.touch()
    assert restart.wait(timeout=60) == 0
    wait_for(lambda: jobs(encoder) == (17, 4), "the job in hand to be counted")
    assert {event["fields"]["code"] for event in encoder.events("worker.exited")} == {0}
    pids = encoder.pids("media")
    assert busy["pid"] not in pids.values()
    assert encoder.pool("media")["jobs"]["runtime_avg"] * 21 >= held

    encoder.run("pause", "media")
    add(encoder, 22, 2)
    assert encoder.pids("media") == pids, "a pause by signals keeps the workers"
    assert jobs(encoder) == (17, 4)
    queue = wait_for(lambda: waiting(encoder, 2), "the queue to be read", within=15)
    assert (queue["reserved"], queue["delayed"], queue["wait_source"]) == (0, None, "measured")
    assert 0 <= queue["oldest_age"] < 60
    encoder.run("resume", "media")
    wait_for(lambda: jobs(encoder) == (19, 4), "the jobs that waited")
    assert encoder.pids("media") == pids


def test_what_the_page_says_is_refused_is_refused_so(short_path: Path) -> None:
    (short_path / "refused.toml").write_text(FILES["refused.toml"])
    fleetd = Fleetd(short_path, "refused", inside=("env", "-C", str(short_path)))
    said = fleetd.run("check", code=2).stderr.replace(f"{short_path}/", "")
    assert said == REFUSED
    assert REFUSED.startswith("refused.toml:8: ")
    good = FILES["refused.toml"].replace(r"(?P<id>(\w+-?)+)", r"(?P<id>[\w-]+)").replace("?P<kind>", "?P<name>")
    fleetd.file.write_text(good)
    fleetd.run("check")
