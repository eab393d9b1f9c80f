"""Reaching a keeper, and asking one that takes nothing at the moment."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from fleetd.errors import FleetdError
from fleetd.shell.keeper_link import KeeperLink


def test_a_keeper_that_takes_no_connection_is_not_waited_for(short_path: Path) -> None:
    """It is stopped, and starts that were given up stand before this one."""
    path = short_path / "keeper.sock"
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET))
        listener.bind(str(path))
        listener.listen(0)
        link = KeeperLink.find(path)
        assert link is not None
        stack.callback(link.close)
        with pytest.raises(FleetdError, match="the keeper does not answer: see"):
            KeeperLink.find(path)


def test_none_is_found_where_none_listens(short_path: Path) -> None:
    path = short_path / "keeper.sock"
    assert KeeperLink.find(path) is None
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as dead:
        dead.bind(str(path))
    assert KeeperLink.find(path) is None


@pytest.fixture
def slow_keeper(short_path: Path) -> Iterator[tuple[KeeperLink, socket.socket]]:
    """A link, and its other end, which takes what the test takes."""
    path = short_path / "keeper.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(str(path))
        listener.listen()
        link = KeeperLink.find(path)
        assert link is not None
        with closing(link), listener.accept()[0] as taker:
            taker.settimeout(10)
            yield link, taker


def test_what_waited_goes_with_the_next_request(slow_keeper: tuple[KeeperLink, socket.socket]) -> None:
    """Else the keeper has nothing to do while the daemon asks for hundreds of workers in one step."""
    link, taker = slow_keeper
    sent = 0
    while link.request({"number": sent}, []):
        sent += 1
    assert not link.request({"number": sent + 1}, [])
    taken = [json.loads(taker.recv(1000))["number"] for _ in range(sent)]
    assert taken == list(range(sent))
    assert link.request({"number": sent + 2}, [])
    taken = [json.loads(taker.recv(1000))["number"] for _ in range(3)]
    assert taken == [sent, sent + 1, sent + 2]


@pytest.mark.parametrize("waits", [False, True])
def test_a_request_takes_descriptors_along(slow_keeper: tuple[KeeperLink, socket.socket], *, waits: bool) -> None:
    """They are the caller's again at once, also when the request has to wait, and no copy is left open."""
    link, taker = slow_keeper
    before = set(Path("/proc/self/fd").iterdir())
    sent = 0
    while waits and link.request({}, []):
        sent += 1
    read, write = os.pipe()
    assert link.request({"verb": "environ", "text": "x" * 100_000}, [write]) is not waits
    os.close(write)
    for _ in range(sent):
        taker.recv(1000)
    assert link.flush()
    if waits:
        taker.recv(1000)  # the one that was refused first
    _, fds, _, _ = socket.recv_fds(taker, 1000, 2)
    os.write(fds[1], b"here")
    assert os.read(read, 10) == b"here"
    for descriptor in (read, *fds):
        os.close(descriptor)
    assert set(Path("/proc/self/fd").iterdir()) == before


CROWD = """
import os, resource, socket, sys
from pathlib import Path
from fleetd.shell.keeper_link import KeeperLink
link, (taker, _) = KeeperLink.find(Path(sys.argv[1])), socket.socket(fileno=int(sys.argv[2])).accept()
if os.geteuid() == 0:  # who has no such limit
    os.setresuid(65534, 65534, 65534)
resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))
sent = 0
while link.request({"number": sent}, [0] * 10):
    sent += 1
assert sent < 100, "no limit was met"
taken = [int(socket.recv_fds(taker, 1000, 0)[0].decode().split(":")[1].strip(" }")) for _ in range(sent)]
assert link.flush()
assert taken == list(range(sent)), taken
assert taker.recv(1000) == b'{"number":%d}' % sent
"""


def test_a_request_waits_while_too_many_descriptors_are_in_flight(short_path: Path) -> None:
    """An ordinary user may have as many on their way as open (unix(7), ETOOMANYREFS)."""
    path = short_path / "keeper.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(str(path))
        listener.listen()
        subprocess.run(
            [sys.executable, "-c", CROWD, str(path), str(listener.fileno())],
            pass_fds=[listener.fileno()],
            timeout=30,
            check=True,
        )
