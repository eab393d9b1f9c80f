"""What is handed from one daemon to the next: with a real exec of a real server, as small as it can be."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fleetd.client.control import ControlClient
from fleetd.shell import handover
from fleetd.shell.handover import VARIABLE
from tests.support.waiting import wait_for

pytestmark = pytest.mark.process

# Each life of the process counts on from where the one before was: `flood` sends numbers for as long as it is asked to.
SERVER = """
import asyncio, os, pathlib, signal, sys
from fleetd.shell import handover
from fleetd.shell.control import ControlServer
from fleetd.shell.handover import Handover

before = handover.received()
assert "FLEETD_HANDOVER" not in os.environ
path = pathlib.Path(sys.argv[1])
life = 1 if before is None else int(before.version) + 1

async def main():
    due = asyncio.Event()
    done = path.with_name("done")

    async def replace(args, reply):
        reply.goes_on("replaced", lambda: {"from": life})
        due.set()
        await asyncio.Event().wait()

    async def replaced(args, reply):
        return {**args, "to": life}

    async def act(args, reply):
        reply.goes_on("acted", lambda: {"in": life})
        with done.open("a") as file:
            file.write("x")
        await asyncio.Event().wait()

    async def acted(args, reply):
        return {"acted": args["in"], "answered": life}

    async def numbers(args, reply):
        number = args["next"]
        def rest():
            for each in range(number, number + 5):
                reply.leave({"n": each, "life": life})
            return {"next": number + 5, "to": args["to"]}
        reply.goes_on("numbers", rest)
        while number < args["to"]:
            number += 1
            await reply.item({"n": number - 1, "life": life, "text": "x" * 1000})
        return {}

    async def answer(args, reply):
        return {"life": life, "text": "x" * args["size"]}

    verbs = {each.__name__: each for each in (replace, replaced, act, acted, numbers, answer)}
    server = ControlServer(path, verbs, patience=60.0)
    await server.open(None if before is None else before.control)
    if before is not None:
        before.listen_to_signals()
        await server.go_on(before.control)
    else:
        print("listening", flush=True)
    await due.wait()
    mask = handover.block_signals()
    await server.hold()
    lock = os.open(path.with_name("lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
    handover.give(Handover(str(life), str(path.parent), lock, False, mask, server.left()))

asyncio.run(main())
"""


@contextmanager
def server(directory: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    path = directory / "control.sock"
    program = directory / "server.py"
    program.write_text(SERVER)
    process = subprocess.Popen(
        [sys.executable, "-W", "error", str(program), str(path)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "listening\n"
        yield process, path
        assert process.poll() is None
    finally:
        process.kill()
        process.wait(timeout=10)
        process.stdout.close()


def connected(path: Path, *frames: bytes) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(30)
    connection.connect(str(path))
    for frame in frames:
        connection.sendall(frame)
    return connection


def request(verb: str, **args: object) -> bytes:
    return json.dumps({"verb": verb, "args": args}).encode() + b"\n"


def frames(connection: socket.socket) -> list[dict[str, object]]:
    with connection, connection.makefile("rb") as answer:
        return [json.loads(line) for line in answer]


def replaced(path: Path) -> dict[str, int]:
    answer: dict[str, int] = ControlClient("media", path).call("replace", timeout=60)
    return answer


def test_the_process_the_socket_and_who_asked_stay(short_path: Path) -> None:
    with server(short_path) as (process, path):
        inode = path.stat().st_ino
        assert [replaced(path) for _ in range(3)] == [{"from": n, "to": n + 1} for n in (1, 2, 3)]
        assert path.stat().st_ino == inode
        assert process.poll() is None
        assert ControlClient("media", path).call("answer", {"size": 1}) == {"life": 4, "text": "x"}


def test_what_was_decided_is_not_decided_again(short_path: Path) -> None:
    with server(short_path) as (_, path), connected(path, request("act")) as acting:
        wait_for((short_path / "done").exists, "the request to be carried out")
        replaced(path)
        assert frames(acting) == [{"result": {"acted": 1, "answered": 2}}]
        assert (short_path / "done").read_text() == "x"


def test_a_request_that_is_half_read_is_read_to_its_end(short_path: Path) -> None:
    whole = request("answer", size=3)
    with server(short_path) as (_, path):
        silent, half = connected(path), connected(path, whole[:10])
        replaced(path)
        half.sendall(whole[10:20])
        replaced(path)
        half.sendall(whole[20:])
        silent.sendall(whole)
        assert frames(half) == frames(silent) == [{"result": {"life": 3, "text": "xxx"}}]


def test_what_a_slow_reader_has_not_taken_is_sent_by_the_next_one(short_path: Path) -> None:
    """More than the kernel takes waits in the daemon; and what that had not come to comes, too, in its order."""
    with server(short_path) as (_, path):
        slow = connected(path, request("numbers", next=0, to=2000))
        large = connected(path, request("answer", size=1_000_000))
        whole = [connected(path, request("answer", size=300_000)) for _ in range(3)]
        assert slow.recv(1, socket.MSG_PEEK)
        assert all(each.recv(1, socket.MSG_PEEK) for each in (large, *whole))
        replaced(path)
        replaced(path)
        told = frames(slow)
        assert [frame["item"]["n"] for frame in told[:-1]] == list(range(2000))  # type: ignore[index]
        assert {frame["item"]["life"] for frame in told[:-1]} >= {1, 3}  # type: ignore[index]
        assert told[-1] == {"result": {}}
        for connection, size in ((large, 1_000_000), *((each, 300_000) for each in whole)):
            assert frames(connection) == [{"result": {"life": 1, "text": "x" * size}}]


def test_a_client_that_went_away_meanwhile_is_nobody(short_path: Path) -> None:
    with server(short_path) as (_, path):
        connected(path, request("numbers", next=0, to=2000)).close()
        gone = connected(path, request("act"))
        wait_for((short_path / "done").exists, "the request to be carried out")
        gone.close()
        replaced(path)
        assert ControlClient("media", path).call("answer", {"size": 0}) == {"life": 2, "text": ""}


def test_a_variable_of_another_process_is_nobodys(monkeypatch: pytest.MonkeyPatch) -> None:
    for value in (f"{os.getppid()}:0", "", "x", f"{os.getpid()}:", f"{os.getpid()}:-1"):
        monkeypatch.setenv(VARIABLE, value)
        assert handover.received() is None
        assert VARIABLE not in os.environ


BLOCKED = """
import os, signal
from fleetd.shell import handover
from fleetd.shell.handover import Handover, Listening

if handover.received() is None:
    mask = handover.block_signals()
    signal.signal(signal.SIGIO, lambda *_: None)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGIO})
    lock, listener = os.memfd_create("lock"), os.memfd_create("listener", 0)
    handover.give(Handover("1", "", lock, False, mask, Listening(listener, (0, 0))))
print(signal.valid_signals() - signal.pthread_sigmask(signal.SIG_BLOCK, ()) <= {signal.SIGKILL, signal.SIGSTOP})
"""


def test_a_signal_that_was_let_through_meanwhile_does_not_kill_who_has_no_handlers_yet() -> None:
    """A control socket that is made again while the daemon is replaced lets SIGIO through."""
    done = subprocess.run([sys.executable, "-c", BLOCKED], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout == "True\n"
