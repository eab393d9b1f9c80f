"""Workers that no keeper holds are known for sure, or not taken over."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from fleetd.shell.held import Held
from fleetd.shell.notify import bound_again
from fleetd.shell.orphans import Trace, find, unrecorded
from fleetd.shell.proc import BECOMING, Table, read_process, run_of
from tests.support.waiting import wait_for

pytestmark = pytest.mark.process

RUN, OTHER, THIRD = (os.urandom(16).hex() for _ in range(3))  # others than of tests that run beside these

Launch = Callable[..., "Worker"]


class Worker:
    """A process as a keeper that is gone left it: a session of its own, and a pipe that it can read itself."""

    def __init__(self, notify: Path, run: str, *command: str, **told: str) -> None:
        read, write = os.pipe()
        both = os.open(f"/proc/self/fd/{write}", os.O_RDWR)
        os.close(write)
        self.pipe = os.fstat(read).st_ino
        self.trace = Trace(run, "meta", str(notify / run))
        address = bound_again(self.trace.notify, os.geteuid())
        assert address is not None
        os.close(address)
        mark = {"FLEETD_RUN": run, "NOTIFY_SOCKET": self.trace.notify, "FLEETD_POOL": "media", "FLEETD_SLOT": "0"}
        arguments = command or ("sh", "-c", "while :; do echo line; sleep 0.01; done")
        self.process = subprocess.Popen(
            arguments, env=os.environ | mark | told, stdin=subprocess.DEVNULL, stdout=both, stderr=both,
            start_new_session=True,
        )  # fmt: skip
        os.close(both)
        os.close(read)  # whoever read it is gone
        self.pid = self.process.pid
        wait_for(lambda: run_of(self.pid) != BECOMING, "the end of its exec")
        found = read_process(self.pid)
        assert found is not None
        self.started = found.started

    def recorded(self, **changes: int) -> Trace:
        known = {"pid": self.pid, "started": self.started, "pipe": self.pipe} | changes
        return Trace(self.trace.run, "meta", self.trace.notify, known["pid"], known["started"], known["pipe"])

    def end(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.pid, 9)
        self.process.wait(10)


@pytest.fixture
def launch(short_path: Path) -> Iterator[Launch]:
    workers: list[Worker] = []

    def start(*command: str, run: str = RUN, **told: str) -> Worker:
        workers.append(Worker(short_path, run, *command, **told))
        return workers[-1]

    yield start
    for worker in workers:
        worker.end()


def look_for(trace: Trace) -> Held | None:
    held = find(trace, Table(), Path("/none"), "none", None)
    if held is not None:
        for descriptor in held.fds:
            os.set_inheritable(descriptor, False)
    return held


def let_go(held: Held) -> None:
    for descriptor in held.fds:
        os.close(descriptor)


def can_read_lines(held: Held) -> bool:
    ready, _, _ = select.select([held.output], [], [], 30)
    return bool(ready) and b"line\n" in os.read(held.output, 65536)


def test_one_that_the_journal_knows_gives_its_output_again(launch: Launch) -> None:
    worker = launch()
    held = look_for(worker.recorded())
    assert held is not None
    assert (held.run, held.pid, held.meta, held.foreign) == (RUN, worker.pid, "meta", True)
    assert can_read_lines(held)
    assert held.notify is not None
    let_go(held)


def test_a_worker_goes_on_while_nobody_reads_it(launch: Launch) -> None:
    worker = launch("sh", "-c", "yes line")
    wait_for(lambda: "pipe" in Path(f"/proc/{worker.pid}/wchan").read_text() or blocked(worker.pid), "a full pipe")
    assert worker.process.poll() is None
    held = look_for(worker.recorded())
    assert held is not None
    assert can_read_lines(held)
    let_go(held)


def blocked(pid: int) -> bool:
    """Whether nothing of the session runs any more: it waits for a reader."""
    table = Table()
    before = {each: read_process(each) for each in table.members(pid)}
    return all(process is not None and process.state == "S" for process in before.values())


@pytest.mark.parametrize("wrong", ["start", "pid", "mark"])
def test_a_stranger_with_its_pid_is_left_alone(launch: Launch, wrong: str) -> None:
    worker, other = launch(), launch(run=OTHER)
    match wrong:
        case "start":
            trace = worker.recorded(started=worker.started - 1)
        case "pid":
            trace = worker.recorded(pid=os.getpid())
        case _:
            trace = worker.recorded(pid=other.pid, started=other.started)
    assert look_for(trace) is None
    assert worker.process.poll() is None


def test_what_its_worker_started_in_a_session_of_its_own_is_not_it(launch: Launch) -> None:
    """By the mark alone the oldest is taken: what it started has the same one, and came later."""
    worker = launch("sh", "-c", "sleep 0.1; setsid sleep 1000 & exec sleep 1000")
    (child,) = wait_for(lambda: in_sessions_of_their_own(worker.pid), "its child")
    held = look_for(worker.trace)
    assert held is not None
    assert held.pid == worker.pid
    let_go(held)
    os.kill(child, 9)


def in_sessions_of_their_own(parent: int) -> list[int]:
    """The children of a process that lead a session."""
    return [p.pid for p in Table().processes.values() if p.parent == parent and p.session == p.pid]


def test_one_that_writes_elsewhere_is_found_by_who_has_its_pipe(launch: Launch, tmp_path: Path) -> None:
    child = "(trap '' TERM; while :; do echo line; sleep 0.01; done) &"
    worker = launch("sh", "-c", f"{child} exec >{tmp_path}/own 2>&1; echo said; sleep 1000 & wait")
    wait_for(lambda: said(tmp_path / "own"), "its own log")
    held = look_for(worker.recorded())
    assert held is not None
    assert can_read_lines(held)
    let_go(held)
    unread = look_for(worker.trace)
    assert unread is not None
    assert unread.unreadable, "without the pipe's number nobody can tell which it is"
    let_go(unread)


def said(log: Path) -> bool:
    """Whether it writes there by now: when its log is made, it still has its pipe."""
    return log.exists() and log.read_text() == "said\n"


def test_one_whose_pipe_nobody_has_is_at_its_end(launch: Launch, tmp_path: Path) -> None:
    worker = launch("sh", "-c", f"exec >{tmp_path}/own 2>&1; echo said; exec sleep 1000")
    wait_for(lambda: said(tmp_path / "own"), "its own log")
    held = look_for(worker.recorded())
    assert held is not None
    assert os.read(held.output, 1) == b""
    let_go(held)


def test_of_a_zombie_the_exit_can_still_be_had(launch: Launch) -> None:
    worker = launch("sh", "-c", "exit 7")
    wait_for(lambda: (found := read_process(worker.pid)) is not None and not found.alive, "its end")
    held = look_for(worker.recorded())
    assert held is not None
    assert os.read(held.output, 1) == b""
    let_go(held)
    worker.process.wait(10)
    assert look_for(worker.recorded()) is None


def test_unrecorded_ones_are_known_by_what_they_were_told(launch: Launch, short_path: Path) -> None:
    worker, known = launch(), launch(run=OTHER)
    launch("sleep", "1000", run=THIRD, NOTIFY_SOCKET=f"/run/other/{THIRD}")
    ((trace, told),) = unrecorded(short_path, frozenset({known.trace.run}))
    assert (trace.run, trace.pid, trace.started) == (RUN, worker.pid, worker.started)
    assert (told["FLEETD_POOL"], told["FLEETD_SLOT"]) == ("media", "0")


def test_what_came_long_after_its_socket_is_not_the_worker(launch: Launch, short_path: Path) -> None:
    worker = launch()
    long_ago = time.time() - 1000
    os.utime(worker.trace.notify, (long_ago, long_ago))
    assert list(unrecorded(short_path, frozenset())) == []


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a socket to another user")
def test_another_user_cannot_slip_a_process_in(launch: Launch, short_path: Path) -> None:
    """Names of sockets can be read by all; whose worker it is, the socket's owner says."""
    worker = launch()
    os.chown(worker.trace.notify, 65534, -1)
    assert list(unrecorded(short_path, frozenset())) == []
    assert look_for(worker.trace) is None


def test_a_name_that_leads_out_of_the_folder_is_no_run(launch: Launch, short_path: Path) -> None:
    """Else anybody could have files anywhere given to him."""
    outside = short_path / "outside"
    outside.mkdir()
    folder = short_path / "notify"
    folder.mkdir()
    for run in (f"{outside}/{OTHER}", f"../outside/{OTHER}"):
        launch(run=RUN, FLEETD_RUN=run, NOTIFY_SOCKET=str(folder / run))
    assert list(unrecorded(folder, frozenset())) == []


def test_one_without_a_socket_of_its_own_is_believed_only_where_there_is_none(launch: Launch, short_path: Path) -> None:
    worker = launch()
    Path(worker.trace.notify).unlink()
    Path(worker.trace.notify).write_text("no socket")
    assert list(unrecorded(short_path, frozenset())) == []
    Path(worker.trace.notify).unlink()
    assert len(list(unrecorded(short_path, frozenset()))) == 1


@pytest.mark.root
@pytest.mark.skipif(
    os.geteuid() != 0 or subprocess.run(["unshare", "--pid", "--fork", "true"], check=False).returncode != 0,
    reason="pid namespaces are not permitted here",
)
def test_a_container_with_the_same_paths_is_another_host(launch: Launch, short_path: Path) -> None:
    unshare = shutil.which("unshare") or "unshare"
    launch(unshare, "--pid", "--fork", "--kill-child", "setsid", "sleep", "1000")
    wait_for(inside, "the container's process")
    found = [trace.pid for trace, _ in unrecorded(short_path, frozenset())]
    assert not set(found) & inside()


def inside() -> set[int]:
    """The session leaders of other pid namespaces."""
    own = Path("/proc/self/ns/pid").stat().st_ino
    return {p.pid for p in Table().processes.values() if p.session == p.pid and other_namespace(p.pid, own)}


def other_namespace(pid: int, own: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/ns/pid").stat().st_ino != own
    return False
