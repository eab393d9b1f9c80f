"""Signals that come before the daemon is there."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator

import pytest

from tests.support.crash import kill_daemon, started_at
from tests.support.fleetd_cli import Document, Fleetd, kill
from tests.support.waiting import wait_for
from tests.support.worker_pools import SLEEPING

pytestmark = pytest.mark.process


@pytest.fixture
def slow_fleet() -> Iterator[Document]:
    """A Redis that takes connections and never answers: the daemon waits for it before it takes commands."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        yield {"name": "acme", "host": "h1", "redis": f"redis://127.0.0.1:{silent.getsockname()[1]}/0"}


def begin(fleetd: Fleetd) -> int:
    """A daemon that has only just begun to start: its pid."""
    process = fleetd.popen("start")
    wait_for((fleetd.directory / "runtime" / "test" / "keeper.sock").exists, "its keeper")
    return process.pid


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_that_comes_early_is_obeyed(fleetd: Fleetd, slow_fleet: Document, number: int) -> None:
    fleetd.configure({"media": SLEEPING}, fleet=slow_fleet)
    pid = begin(fleetd)
    kill(pid, number)
    assert fleetd.beside[0].wait(20) == 0
    fleetd.leaves_nothing()


def test_workers_that_are_being_taken_over_are_drained_by_a_stop_that_comes_early(
    fleetd: Fleetd, slow_fleet: Document
) -> None:
    fleetd.configure({"media": SLEEPING}, fleet=slow_fleet)
    fleetd.start()
    (worker,) = fleetd.pids("media").values()
    kill_daemon(fleetd)
    process = fleetd.popen("start")
    lock = fleetd.directory / "runtime" / "test" / "lock"
    wait_for(lambda: lock.read_text().strip() == str(process.pid), "the next daemon to begin")
    kill(process.pid, signal.SIGTERM)
    assert process.wait(20) == 0
    assert started_at(worker) is None
    fleetd.leaves_nothing()


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR1])
def test_other_signals_do_not_end_it(fleetd: Fleetd, slow_fleet: Document, number: int) -> None:
    fleetd.configure({"media": SLEEPING}, fleet=slow_fleet)
    pid = begin(fleetd)
    kill(pid, number)
    wait_for(lambda: fleetd.run("health", "--ready", code=None).returncode == 0, "the workers to be healthy")
    assert fleetd.status()["pid"] == pid
