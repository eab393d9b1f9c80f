"""metrics-listen as a real daemon has it: served, moved, taken, given back, over an upgrade and to the end."""

from __future__ import annotations

import contextlib
import re
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.support.fleetd_cli import Fleetd
from tests.support.ports import free_port
from tests.support.waiting import wait_for
from tests.support.worker_pools import ready_shell

pytestmark = pytest.mark.process

SLEEPING = {"command": ["sleep", "1000"], "healthy-after": 0.1}


def configure(fleetd: Fleetd, listen: str | None, **pools: Any) -> None:
    fleetd.configure(pools or {"media": SLEEPING}, daemon={} if listen is None else {"metrics-listen": listen})


def get(port: int, path: str) -> tuple[int, str]:
    """Status and body; status 0 where nobody listens."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, refused.read().decode()
    except OSError:
        return 0, ""


def value(port: int, series: str) -> float:
    _, body = get(port, "/metrics")
    (found,) = re.findall(rf"(?m)^{re.escape(series)} (\S+)$", body)
    return float(found)


@contextlib.contextmanager
def taken_port() -> Iterator[int]:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


def test_what_it_serves_is_what_it_does(fleetd: Fleetd, tmp_path: Path) -> None:
    port, fixed = free_port(), tmp_path / "fixed"
    secret = f"test -e {fixed} && echo ready && exec sleep 1000; echo PASSWORD=hunter2; exit 3"
    broken = {**ready_shell(secret), "backoff": {"first": 0.1, "max": 0.3}}
    configure(fleetd, f"127.0.0.1:{port}", media={**SLEEPING, "numprocs": 2}, broken=broken)
    fleetd.start(code=1)
    assert get(port, "/healthz") == (200, "ok\n")
    status, reasons = get(port, "/readyz")
    assert status == 503
    assert reasons.startswith("broken:0: exit code 3")
    assert "hunter2" not in reasons, "what workers print stays out of it"
    health = fleetd.run("health", "--ready", code=1)
    assert health.stderr.startswith("broken:0: exit code 3")
    assert value(port, 'fleetd_workers{pool="media",state="running"}') == 2
    assert value(port, 'fleetd_workers_memory_bytes{pool="media"}') > 100_000
    fixed.touch()
    wait_for(lambda: get(port, "/readyz") == (200, "ready\n"), "it to be ready")
    fleetd.run("health", "--ready")
    fleetd.run("restart", "media")
    assert value(port, 'fleetd_worker_starts_total{pool="media",reason="restart"}') == 2
    fleetd.run("stop")
    assert get(port, "/healthz") == (0, "")


@pytest.mark.parametrize("since", ["the start", "a reload"])
def test_what_workers_have_used_before_somebody_looks_is_told(fleetd: Fleetd, since: str) -> None:
    port = free_port()
    works = ready_shell("i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; echo ready; exec sleep 1000")
    configure(fleetd, f"127.0.0.1:{port}" if since == "the start" else None, media=works)
    fleetd.start()
    if since == "a reload":
        configure(fleetd, f"127.0.0.1:{port}", media=works)
        fleetd.run("reload")
    used = sum(psutil.Process(fleetd.pids("media")["media:0"]).cpu_times()[:2])
    assert used > 0.02
    assert value(port, 'fleetd_workers_cpu_seconds_total{pool="media"}') >= used


def test_a_daemon_that_drains_is_alive_and_not_ready(fleetd: Fleetd, tmp_path: Path) -> None:
    port, done = free_port(), tmp_path / "done"
    stubborn = {"command": ["sh", "-c", f"trap '' TERM; until test -e {done}; do sleep 0.1; done"], "stop-timeout": 60}
    configure(fleetd, f"127.0.0.1:{port}", media={**stubborn, "healthy-after": 0.1})
    fleetd.start()
    assert get(port, "/readyz")[0] == 200
    stopping = fleetd.popen("stop")
    wait_for(lambda: get(port, "/readyz") == (503, "the daemon is stopping\n"), "it to stop")
    assert get(port, "/healthz")[0] == 200
    assert value(port, "fleetd_stopping") == 1
    done.touch()
    assert stopping.wait(timeout=30) == 0


def test_a_reload_moves_it_ends_it_and_begins_it(fleetd: Fleetd) -> None:
    first, second = free_port(), free_port()
    configure(fleetd, None)
    fleetd.start()
    pids = fleetd.pids("media")
    for listen, answers in ((first, {first}), (second, {second}), (None, set())):
        configure(fleetd, None if listen is None else f"127.0.0.1:{listen}")
        fleetd.run("reload")
        assert {port for port in (first, second) if get(port, "/healthz")[0] == 200} == answers
    assert fleetd.pids("media") == pids


def test_an_address_that_is_taken_is_told_once_and_tried_again(fleetd: Fleetd) -> None:
    with taken_port() as port:
        configure(fleetd, f"127.0.0.1:{port}")
        fleetd.start()
        said = f"metrics-listen: cannot listen at 127.0.0.1:{port}: Address already in use"
        assert fleetd.daemon_log().count(said) == 1
        assert fleetd.status()["state"] == "running"
    wait_for(lambda: get(port, "/healthz")[0] == 200, "it to be had once it is free")
    assert fleetd.daemon_log().count(said) == 1


def test_over_an_upgrade_it_comes_back_and_counts_anew(fleetd: Fleetd) -> None:
    port = free_port()
    configure(fleetd, f"127.0.0.1:{port}")
    fleetd.start()
    before = value(port, "fleetd_start_time_seconds"), value(port, "process_start_time_seconds")
    pids = fleetd.pids("media")
    fleetd.run("upgrade")
    wait_for(lambda: get(port, "/readyz")[0] == 200, "the next daemon to listen")
    assert fleetd.pids("media") == pids
    assert value(port, "fleetd_start_time_seconds") != before[0]
    assert value(port, "process_start_time_seconds") == pytest.approx(before[1], abs=0.1)
    assert value(port, 'fleetd_worker_starts_total{pool="media",reason="first"}') == 0
