"""As PID 1 of a container: orphans are collected, TERM drains, and the container ends with exit code 0."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest

from tests.support.container import check_collected, inner_pid, status_of, zombies_of
from tests.support.fleetd_cli import COMMAND, Fleetd, kill
from tests.support.waiting import wait_for
from tests.support.worker_pools import SLEEPING, shell

NAMESPACE = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]

pytestmark = [
    pytest.mark.process,
    pytest.mark.root,
    pytest.mark.skipif(
        os.geteuid() != 0 or subprocess.run([*NAMESPACE, "true"], capture_output=True, check=False).returncode != 0,
        reason="pid namespaces are not permitted here",
    ),
]


@contextmanager
def container(fleetd: Fleetd) -> Iterator[tuple[subprocess.Popen[bytes], psutil.Process]]:
    """The daemon in the foreground as PID 1, healthy: `unshare`, and the daemon as seen from outside."""
    with begun(fleetd) as outside:
        wait_for(lambda: fleetd.run("health", "--ready", code=None).returncode == 0, "the pools to be healthy")
        (daemon,) = psutil.Process(outside.pid).children()
        yield outside, daemon


@contextmanager
def begun(fleetd: Fleetd) -> Iterator[subprocess.Popen[bytes]]:
    """The same from its first moment on."""
    outside = subprocess.Popen(
        [*NAMESPACE, str(COMMAND), "start", "-c", str(fleetd.file)],
        env=fleetd._environment(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield outside
    finally:
        outside.kill()
        outside.wait(10)


def test_pid_1_reaps_orphans_drains_and_exits_0(fleetd: Fleetd) -> None:
    orphaning = shell("while :; do (setsid sh -c 'sleep 0.05' &); sleep 0.05; done")
    graceful = shell("trap 'echo drained; exit 0' TERM; while :; do sleep 0.05; done")
    fleetd.configure({"orphaning": orphaning, "graceful": graceful, "calm": SLEEPING})
    with container(fleetd) as (outside, daemon):
        assert fleetd.status()["pid"] == 1
        births = daemon.children(recursive=True)
        assert births
        check_collected(lambda: zombies_of(daemon), seconds=1)
        daemon.send_signal(signal.SIGTERM)
        assert outside.wait(20) == 0
    assert "drained" in (fleetd.log_directory / "graceful-0.log").read_text()


def test_a_term_that_comes_while_it_starts_is_not_lost(fleetd: Fleetd) -> None:
    """The kernel drops signals to PID 1 that it has no handler for, and who stops it would wait in vain."""
    with socket.create_server(("127.0.0.1", 0)) as silent:  # a Redis that is waited for
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        fleetd.configure({"calm": SLEEPING}, fleet={"name": "acme", "host": "h1", "redis": url})
        with begun(fleetd) as outside:
            wait_for((fleetd.directory / "runtime" / "test" / "keeper.sock").exists, "its keeper")
            psutil.Process(outside.pid).children()[0].send_signal(signal.SIGTERM)
            assert outside.wait(20) == 0


def test_an_orphan_whose_parent_was_no_worker_is_reaped_by_pid_1(fleetd: Fleetd) -> None:
    """As a `docker exec` leaves one: its exit must not be taken for a worker's."""
    fleetd.configure({"calm": SLEEPING})
    with container(fleetd) as (_, daemon):
        pids = fleetd.pids("calm")
        seen = fleetd.directory / "seen"
        stranger = f"(setsid sh -c 'until [ -e {seen} ]; do sleep 0.02; done; exit 3' &)"
        subprocess.run(["nsenter", "--target", str(daemon.pid), "--pid", "--mount", "sh", "-c", stranger], check=True)
        wait_for(
            lambda: any("exit 3" in " ".join(cmdline_of(p)) for p in daemon.children()), "the orphan to be PID 1's"
        )
        seen.touch()
        wait_for(lambda: not [p for p in daemon.children() if status_of(p) == psutil.STATUS_ZOMBIE
                              or "exit 3" in " ".join(cmdline_of(p))], "the orphan to be collected")  # fmt: skip
        assert fleetd.pids("calm") == pids
        assert not fleetd.events("worker.exited")


def test_the_container_goes_on_when_a_worker_is_killed(fleetd: Fleetd) -> None:
    fleetd.configure({"media": SLEEPING})
    with container(fleetd) as (_, daemon):
        inside = fleetd.pids("media")["media:0"]
        (worker,) = [p for p in daemon.children(recursive=True) if inner_pid(p.pid) == inside]
        kill(worker.pid)
        wait_for(lambda: fleetd.pids("media").get("media:0") not in {None, inside}, "its successor")


def cmdline_of(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return []
