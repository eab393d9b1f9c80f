"""The notify socket: what messages mean, whose are accepted, and that numbered ones count once."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetd.core.events import AskedForTime, Event, JobReported, SaidAlive, SaidReady, SaidStatus, SaidStopping, Source
from fleetd.core.spec import LineMeaning
from fleetd.keeper.ends import notify_socket
from fleetd.keeper.failure import StartError
from fleetd.shell.notify import LONGEST_MESSAGE, MOST_AT_ONCE, MOST_SENDERS, NotifySocket, parse
from tests.support.listening import bound
from tests.support.requirement import need


@pytest.fixture
def path(short_path: Path) -> Path:
    return short_path / "run.sock"


@pytest.fixture
def notify(path: Path) -> Iterator[NotifySocket]:
    receiver = bound(path)
    yield receiver
    receiver.close()


@pytest.fixture
def worker() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.bind("")
        sender.settimeout(5)
        yield sender


def numbered(number: int, sender: str = "w1") -> bytes:
    return f"X_FLEETD_JOB=done\nX_FLEETD_JOB_ID={number}\nX_FLEETD_SENDER={sender}\nX_FLEETD_SEQ={number}".encode()


def ids(events: list[Event]) -> list[str | None]:
    return [event.id for event in events if isinstance(event, JobReported)]


@pytest.mark.parametrize(
    ("message", "events"),
    [
        (b"READY=1", [SaidReady("r", Source.SOCKET)]),
        (b"READY=1\nSTATUS=warm", [SaidReady("r", Source.SOCKET), SaidStatus("r", "warm")]),
        (b"STOPPING=1\n", [SaidStopping("r")]),
        (b"WATCHDOG=1", [SaidAlive("r")]),
        (b"EXTEND_TIMEOUT_USEC=2500000", [AskedForTime("r", 2.5)]),
        (b"EXTEND_TIMEOUT_USEC=soon", []),
        (b"EXTEND_TIMEOUT_USEC=-1", []),
        (b"STATUS=a\x1b[31m", [SaidStatus("r", "a\ufffd[31m")]),
        (b"STATUS=a=b", [SaidStatus("r", "a=b")]),
        (b"READY=0\nMAINPID=1\nFDSTORE=1\nBARRIER=1\nnonsense\n\xff=\xfe", []),
        (b"", []),
        (
            (
                b"X_FLEETD_JOB=started\nX_FLEETD_JOB_ID=7\nX_FLEETD_JOB_NAME=encode\nX_FLEETD_QUEUE=media\n"
                b"X_FLEETD_ENQUEUED_AT=1790000000.5"
            ),
            [JobReported("r", LineMeaning.STARTED, Source.SOCKET, "7", "encode", "media", None, 1790000000.5)],
        ),
        (b"X_FLEETD_JOB=released", [JobReported("r", LineMeaning.RELEASED, Source.SOCKET)]),
        (b"X_FLEETD_JOB=ready", []),
        (b"X_FLEETD_JOB=done\nX_FLEETD_ENQUEUED_AT=nan", [JobReported("r", LineMeaning.DONE, Source.SOCKET)]),
        (b"X_FLEETD_JOB=done\nX_FLEETD_ENQUEUED_AT=0", [JobReported("r", LineMeaning.DONE, Source.SOCKET)]),
    ],
)
def test_a_message_means_what_sd_notify_says(message: bytes, events: list[Event]) -> None:
    assert parse("r", message) == events


@given(st.binary(max_size=300))
def test_no_message_breaks_the_parser(message: bytes) -> None:
    assert isinstance(parse("r", message), list)


def test_receive_takes_what_is_there_and_never_waits(notify: NotifySocket, path: Path, worker: socket.socket) -> None:
    assert notify.receive() == []

    worker.sendto(b"READY=1", str(path))
    worker.sendto(b"STOPPING=1", str(path))

    assert notify.receive() == [SaidReady("r1", Source.SOCKET), SaidStopping("r1")]
    assert notify.receive() == []


def test_a_flood_is_taken_in_parts(notify: NotifySocket, path: Path) -> None:
    flood = f"""
import socket, sys
sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
for _ in range({3 * MOST_AT_ONCE}):
    sender.sendto(b"WATCHDOG=1", sys.argv[1])
"""
    process = subprocess.Popen([sys.executable, "-c", flood, str(path)])
    taken = 0
    while process.poll() is None or taken < 3 * MOST_AT_ONCE:
        part = notify.receive()
        assert len(part) <= MOST_AT_ONCE
        taken += len(part)

    assert taken == 3 * MOST_AT_ONCE


def test_a_numbered_message_counts_once_and_is_acknowledged_when_written_down(
    notify: NotifySocket, path: Path, worker: socket.socket
) -> None:
    for number in (1, 2, 2, 1):
        worker.sendto(numbered(number), str(path))

    assert ids(notify.receive()) == ["1", "2"]
    assert notify.seen == {"w1": 2}
    worker.setblocking(False)
    with pytest.raises(BlockingIOError):
        worker.recv(100)

    notify.acknowledge()

    assert worker.recv(100) == b"X_FLEETD_SENDER=w1\nX_FLEETD_ACK=2"
    with pytest.raises(BlockingIOError):
        worker.recv(100)


def test_a_gap_is_not_taken_but_answered_with_the_last_number(
    notify: NotifySocket, path: Path, worker: socket.socket
) -> None:
    worker.sendto(numbered(1), str(path))
    worker.sendto(numbered(3), str(path))

    assert ids(notify.receive()) == ["1"]
    notify.acknowledge()
    assert worker.recv(100) == b"X_FLEETD_SENDER=w1\nX_FLEETD_ACK=1"


def test_the_next_daemon_goes_on_where_the_last_one_wrote_down(path: Path, worker: socket.socket) -> None:
    first = bound(path)
    worker.sendto(numbered(1), str(path))
    first.receive()
    written = first.seen
    worker.sendto(numbered(2), str(path))
    first.close()

    second = bound(path, seen=written)
    for number in (1, 2, 3):
        worker.sendto(numbered(number), str(path))

    assert ids(second.receive()) == ["2", "3"]
    second.close()


def test_only_the_last_senders_are_remembered(notify: NotifySocket, path: Path, worker: socket.socket) -> None:
    for number in range(MOST_SENDERS + 5):
        worker.sendto(numbered(1, f"w{number}"), str(path))
        notify.receive()
    notify.acknowledge()

    assert len(notify.seen) == MOST_SENDERS
    assert "w0" not in notify.seen


def test_nobody_is_forgotten_before_the_answer(notify: NotifySocket, path: Path, worker: socket.socket) -> None:
    """As many children of one worker may have told that they have a job."""
    for number in (*range(MOST_SENDERS + 5), 0):
        worker.sendto(numbered(1, f"w{number}"), str(path))
        taken = notify.receive()

    assert taken == [], "the first one, who has no answer yet, says it again"


def test_a_broken_number_is_no_number(notify: NotifySocket, path: Path, worker: socket.socket) -> None:
    worker.sendto(b"READY=1\nX_FLEETD_SENDER=a b\nX_FLEETD_SEQ=1", str(path))
    worker.sendto(b"READY=1\nX_FLEETD_SENDER=w1\nX_FLEETD_SEQ=" + b"9" * 5000, str(path))

    assert notify.receive() == [SaidReady("r1", Source.SOCKET)]
    assert notify.seen == {}


def test_descriptors_that_come_along_are_closed_which_answers_a_barrier(
    notify: NotifySocket, path: Path, worker: socket.socket
) -> None:
    reading, writing = os.pipe()
    worker.connect(str(path))
    socket.send_fds(worker, [b"BARRIER=1"], [writing])
    os.close(writing)
    os.set_blocking(reading, False)
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(BlockingIOError):
        os.read(reading, 1)

    assert notify.receive() == []

    assert os.read(reading, 1) == b""
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    os.close(reading)


def test_an_oversized_message_is_dropped_and_reported(path: Path, worker: socket.socket) -> None:
    refused: list[str] = []
    notify = bound(path, on_refused=refused.append)
    worker.sendto(b"READY=1\nSTATUS=" + b"x" * LONGEST_MESSAGE, str(path))

    assert notify.receive() == []
    assert len(refused) == 1
    notify.close()


def test_a_path_that_is_too_long_is_an_error(short_path: Path) -> None:
    path = short_path / ("x" * 120)
    with pytest.raises(StartError) as refused:
        notify_socket(str(path), None)
    problem = "AF_UNIX path too long"
    assert refused.value.report == {"stage": "notify", "what": str(path), "line": None, "problem": problem}


def test_the_socket_is_the_workers_own(notify: NotifySocket, path: Path) -> None:
    assert path.stat().st_mode & 0o777 == 0o600
    assert min(notify.descriptors) >= 0


@pytest.mark.root
def test_messages_of_other_users_are_refused_and_reported_once(path: Path, worker: socket.socket) -> None:
    need(os.geteuid() == 0, "only root can send as other users")
    refused: list[str] = []
    notify = bound(path, 10001, on_refused=refused.append)

    def send_as(uid: int, message: str) -> None:
        # Root may name any user, and the kernel vouches for it.
        credentials = struct.pack("iII", os.getpid(), uid, uid)
        worker.sendmsg([message.encode()], [(socket.SOL_SOCKET, socket.SCM_CREDENTIALS, credentials)], 0, str(path))

    send_as(10001, "STATUS=of the pool")
    send_as(0, "STATUS=of root")
    send_as(10002, "STATUS=of a stranger")
    send_as(10002, "READY=1")

    assert notify.receive() == [SaidStatus("r1", "of the pool"), SaidStatus("r1", "of root")]
    assert len(refused) == 1
    assert "10002" in refused[0]
    assert path.stat().st_uid == 10001
    notify.close()


def test_an_answer_that_cannot_be_sent_is_left(notify: NotifySocket, path: Path, short_path: Path) -> None:
    """At the address that the sender had is something else now."""
    address = str(short_path / "sender")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.bind(address)
        sender.sendto(numbered(1), str(path))
    Path(address).unlink()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other:
        other.bind(address)
        other.listen()
        assert ids(notify.receive()) == ["1"]
        notify.acknowledge()
    assert notify.receive() == []
