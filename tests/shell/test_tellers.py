"""Processes that told of a job's start, and have ended."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleetd.core.events import Event, JobReported, ProcessGone
from fleetd.core.spec import LineMeaning
from fleetd.shell.notify import MOST_AT_ONCE, NotifySocket
from fleetd.shell.notify_sockets import NotifySockets
from fleetd.shell.tellers import Tellers
from tests.support.listening import Daemon, bound
from tests.support.process_world import eventually, open_descriptors
from tests.support.told_program import hear, program, tell
from tests.support.waiting import wait_for

CHILD = """
with worker.job("before", id="1"):
    pass
child = os.fork()
if child == 0:
    with worker.job("child's", id="2"):
        print(os.getpid())
        time.sleep(60)
os.waitpid(child, 0)
worker.report("done", "after", id="3")
worker.flush(5)
print("told")
sys.stdin.readline()
"""
UNNUMBERED = """
import socket
line = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
line.sendto(b"X_FLEETD_JOB=started", os.environ["NOTIFY_SOCKET"])
"""
FLOOD = f"""
import socket
line = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
line.sendto(b"X_FLEETD_JOB=started\\nX_FLEETD_SENDER=w\\nX_FLEETD_SEQ=1", os.environ["NOTIFY_SOCKET"])
for _ in range({2 * MOST_AT_ONCE}):
    line.sendto(b"WATCHDOG=1", os.environ["NOTIFY_SOCKET"])
"""


@pytest.fixture
def daemon(short_path: Path) -> Iterator[Daemon]:
    daemon = Daemon(short_path / "r1.sock")
    daemon.start()
    yield daemon
    daemon.die()


def gone(events: list[Event]) -> list[int]:
    return [event.process for event in events if isinstance(event, ProcessGone)]


def test_a_child_that_is_killed_with_a_job_is_told_of_while_its_parent_goes_on(daemon: Daemon) -> None:
    with program(CHILD, daemon.path) as parent:
        child = int(hear(parent))
        wait_for(lambda: daemon.jobs(LineMeaning.STARTED) == ["before", "child's"], "both starts")
        assert gone(daemon.work()) == []
        os.kill(child, 9)
        wait_for(lambda: gone(daemon.work()), "the end of the child")
        wait_for(lambda: daemon.jobs(LineMeaning.DONE) == ["before", "after"], "the parent to go on")
        assert gone(daemon.events) == [child]
        by = {event.name: event.process for event in daemon.events if isinstance(event, JobReported) and event.process}
        assert by == {"before": parent.pid, "child's": child}
        tell(parent, "end")
        parent.wait(10)
        assert list(daemon.written.values()) == [3], "nobody waits for the child to go on"
        wait_for(lambda: gone(daemon.work()) == [child, parent.pid], "its end, too")


def test_a_process_that_does_not_number_what_it_says_may_end_at_once(daemon: Daemon) -> None:
    """As `socat` in a script."""
    with program(UNNUMBERED, daemon.path) as process:
        process.wait(10)
        [event] = daemon.work()
    assert isinstance(event, JobReported)
    assert event.process is None
    assert gone(daemon.work()) == []


def test_a_process_is_gone_when_all_that_it_said_is_heard(daemon: Daemon) -> None:
    with program(FLOOD, daemon.path) as process:
        wait_for(lambda: daemon.work() and process.poll() is not None, "the flood")
        rounds = wait_for(lambda: gone(daemon.work()) and daemon.events, "its end")
    assert len(rounds) == 2 * MOST_AT_ONCE + 2
    assert gone(rounds[-1:]) == [process.pid]


def test_the_next_daemon_hears_of_a_process_that_ended_meanwhile(short_path: Path) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait(10)
    lives = subprocess.Popen(["sleep", "60"])

    async def test() -> None:
        heard: list[Event] = []

        def hear(one: NotifySocket) -> None:
            heard.extend(one.receive())
            sockets.listen_again()

        sockets = NotifySockets(asyncio.get_running_loop(), hear=hear, heard=lambda: None)
        receiver = bound(short_path / "r1.sock", processes=(ended.pid, lives.pid))
        sockets.add(receiver)
        await eventually(lambda: heard, "the first")
        assert heard == [ProcessGone("r1", ended.pid)]
        lives.kill()
        await eventually(lambda: heard[1:], "the second")
        assert heard[1:] == [ProcessGone("r1", lives.pid)]
        lives.wait(10)
        sockets.remove(receiver)
        receiver.close()
        sockets.close()

    before = open_descriptors(os.getpid())
    asyncio.run(test())
    assert open_descriptors(os.getpid()) == before


def test_no_more_than_so_many_are_watched() -> None:
    tellers = Tellers(1)
    assert tellers.watch(os.getpid())
    assert tellers.watch(os.getpid())
    assert not tellers.watch(os.getppid())
    tellers.close()


def test_one_that_cannot_be_watched_is_said_not_to_be() -> None:
    tellers = Tellers(2)
    assert tellers.watch(os.getpid())
    before = open_descriptors(os.getpid())
    [descriptor] = tellers.descriptors
    with Path("/dev/null").open("rb") as file:
        os.dup2(file.fileno(), descriptor)  # nothing can be registered there
    assert not tellers.watch(os.getppid())
    assert open_descriptors(os.getpid()) == before
    tellers.close()
