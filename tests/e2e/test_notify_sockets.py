"""Job messages over the notify sockets of a real daemon: answered whatever else is said, and when nothing else is."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.fleetd_cli import Fleetd
from tests.support.waiting import wait_for
from tests.support.worker_pools import SLEEPING

pytestmark = pytest.mark.process

# Says that it lives as fast as it can, and never looks whether anybody hears it.
FLOOD = """
import socket, sys
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
    line.connect(sys.argv[1])
    print("flooding", flush=True)
    while True:
        line.send(b"WATCHDOG=1")
"""


def notify_path(fleetd: Fleetd, pool: str) -> str:
    (worker,) = fleetd.pool(pool)["workers"]
    (path,) = fleetd.directory.glob(f"**/notify/{worker['run']}")
    return str(path)


@contextmanager
def speaking(path: str) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.bind("")
        line.connect(path)
        line.settimeout(30)
        yield line


def tell(line: socket.socket, number: int) -> bytes:
    line.send(f"X_FLEETD_JOB=done\nX_FLEETD_JOB_ID={number}\nX_FLEETD_SENDER=w\nX_FLEETD_SEQ={number}".encode())
    return line.recv(256)


def test_an_answer_that_was_lost_is_given_again_while_nothing_else_happens(fleetd: Fleetd) -> None:
    fleetd.configure({"media": SLEEPING})
    fleetd.start()
    with speaking(notify_path(fleetd, "media")) as line:
        assert tell(line, 1) == b"X_FLEETD_SENDER=w\nX_FLEETD_ACK=1"
        assert tell(line, 1) == b"X_FLEETD_SENDER=w\nX_FLEETD_ACK=1"
    assert fleetd.pool("media")["jobs"]["done"] == 1


def test_who_floods_its_socket_keeps_no_other_from_being_answered(fleetd: Fleetd) -> None:
    fleetd.configure({"noisy": SLEEPING, "media": SLEEPING})
    fleetd.start()
    noisy, media = notify_path(fleetd, "noisy"), notify_path(fleetd, "media")
    resident = rss(fleetd)
    flood = subprocess.Popen([sys.executable, "-I", "-S", "-c", FLOOD, noisy], stdout=subprocess.PIPE)
    try:
        assert flood.stdout is not None
        assert flood.stdout.readline() == b"flooding\n"
        with speaking(media) as line:
            for number in range(1, 101):
                assert tell(line, number) == f"X_FLEETD_SENDER=w\nX_FLEETD_ACK={number}".encode()
        assert flood.poll() is None
        assert rss(fleetd) < resident + 8 * 1024
    finally:
        flood.kill()
        flood.communicate()
    wait_for(lambda: fleetd.pool("media")["jobs"]["done"] == 100, "100 jobs")


def rss(fleetd: Fleetd) -> int:
    """Of the daemon, in kilobytes."""
    status = Path(f"/proc/{fleetd.status()['pid']}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])
