"""Taking over: what is listened to once, and what is written down as it goes on."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace

from fleetd.core.effects import Spawn
from fleetd.core.events import Event, Exited, JobReported, Spawned, SpawnFailed
from fleetd.core.records import RunRecord
from fleetd.core.spec import Launch, LogFormat, LogSpec
from fleetd.shell import notify
from fleetd.shell.keeper_link import KeeperLink
from fleetd.shell.launch import Place
from fleetd.shell.live_runs import LiveRuns
from fleetd.shell.paths import Instance
from fleetd.shell.reading import Reading
from tests.support.process_world import alive, eventually, open_descriptors

RUN = "a" * 32
COUNTING = "n=0; while [ $n -lt 5 ]; do n=$((n+1)); echo line $n; sleep 0.02; done; read line < go"
RECORD = RunRecord(RUN, "media", 0, 0, 1.0)


class Bench:
    """The runs of one daemon, and what it would have its core decide about."""

    def __init__(self, folder: Path) -> None:
        self.events: list[Event] = []
        for name in ("run", "run/notify", "state", "logs"):
            (folder / name).mkdir(exist_ok=True)
        self.places = Instance("here", folder / "run", folder / "state", folder / "logs")
        self.runs = LiveRuns(
            self.places,
            Place("host", None, str(folder), self.places.notify),
            KeeperLink.reach(self.places.keeper, "here"),
            post=self.events.append,
            decide=self.flush,
            wake=lambda: None,
            tell=lambda fact: None,
            reading=lambda pool: Reading(LogSpec(format=LogFormat.RAW)),
            uid_of=lambda pool: None,
            has_slot=lambda pool, slot: True,
        )

    def flush(self) -> None:
        self.runs.flush()

    async def until(self, kind: type[Event]) -> None:
        await eventually(lambda: any(isinstance(event, kind) for event in self.events), kind.__name__)

    @property
    def log(self) -> str:
        return (self.places.logs / "media-0.log").read_text()


async def with_a_run(folder: Path, *command: str) -> Bench:
    os.mkfifo(folder / "go")
    bench = Bench(folder)
    bench.runs.begin()
    bench.runs.record(RECORD)
    launch = Launch(command=command or ("sh", "-c", COUNTING), directory=str(folder))
    bench.runs.spawn(Spawn(RUN, "media", 0, launch, None, None, None), RECORD)
    await bench.until(Spawned)
    return bench


async def taken_over_in_its_birth(folder: Path) -> Bench:
    """A run that an earlier daemon asked for, taken over when the keeper does not know yet that it was born."""
    (await with_a_run(folder)).runs.close()
    second = Bench(folder)
    second.runs.restored()
    await second.runs.clear_away()
    (held,) = second.runs.processes.held
    held.starting = True
    second.runs.begin()
    return second


def say_done(bench: Bench, number: int) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.sendto(message(number), str(bench.places.notify / RUN))


def message(number: int) -> bytes:
    return f"X_FLEETD_JOB=done\nX_FLEETD_JOB_ID={number}\nX_FLEETD_SENDER=w\nX_FLEETD_SEQ={number}".encode()


async def ended(bench: Bench) -> None:
    bench.runs.forget(RUN)
    bench.runs.flush()
    bench.runs.close()


def test_a_run_that_is_taken_over_in_its_birth_is_read_once(short_path: Path) -> None:
    async def test() -> None:
        bench = await taken_over_in_its_birth(short_path)
        descriptors = open_descriptors(os.getpid())
        (held,) = bench.runs.processes.held
        bench.runs.spawned(RUN, held.pid, held.directory, held.output, held.notify)
        assert open_descriptors(os.getpid()) == descriptors
        assert [type(event) for event in bench.events] == [Spawned]
        bench.runs.record(replace(RECORD, pid=held.pid))
        bench.flush()
        assert '"started":' in bench.places.journal.read_text(), "which tells its process from another of its pid"
        (short_path / "go").write_text("\n")
        await bench.until(Exited)
        assert bench.log == "".join(f"line {n}\n" for n in range(1, 6))
        await ended(bench)

    asyncio.run(test())


def test_of_a_birth_that_failed_after_the_takeover_nothing_is_kept_open(short_path: Path) -> None:
    async def test() -> None:
        bench = await taken_over_in_its_birth(short_path)
        descriptors = open_descriptors(os.getpid())
        bench.runs.spawn_failed(RUN, "no such program")
        assert open_descriptors(os.getpid()) <= descriptors - 2, "its pipe, its socket, and its log if that was opened"
        assert isinstance(bench.events[-1], SpawnFailed)
        await bench.runs.processes.kill(RUN)
        await ended(bench)

    asyncio.run(test())


def test_what_was_heard_of_senders_is_kept_until_they_are_heard_again(short_path: Path) -> None:
    """A flush between the takeover and `begin` must not write that nothing was heard."""

    async def test() -> None:
        first = await with_a_run(short_path)
        running = replace(RECORD, pid=first.runs.pids()[RUN])
        first.runs.record(running)
        say_done(first, 1)
        await first.until(JobReported)
        first.flush()
        first.runs.close()

        second = Bench(short_path)
        (record,) = second.runs.restored()
        second.runs.record(replace(record, healthy=True))
        second.runs.flush()
        second.runs.close()

        third = Bench(short_path)
        assert third.runs.restored()[0].healthy
        assert '"started":' in third.places.journal.read_text(), "which tells its process from another of its pid"
        await third.runs.clear_away()
        third.runs.begin()
        for number in (1, 2):
            say_done(third, number)
        await third.until(JobReported)
        assert [event.id for event in third.events if isinstance(event, JobReported)] == ["2"]
        await third.runs.processes.kill(RUN)
        await third.until(Exited)
        await ended(third)

    asyncio.run(test())


def test_a_run_of_which_only_the_intent_was_written_is_known_by_its_pid(short_path: Path) -> None:
    async def test() -> None:
        (await with_a_run(short_path)).runs.close()
        second = Bench(short_path)
        second.runs.restored()
        await second.runs.clear_away()
        second.runs.begin()
        (held,) = second.runs.processes.held
        assert second.runs.pids() == {RUN: held.pid}
        await second.runs.processes.kill(RUN)
        await second.until(Exited)
        await ended(second)

    asyncio.run(test())


SAYS_MUCH_AT_ITS_END = """
import os, socket
open("go").readline()
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
    for number in range(1, 10):
        line.sendto(b"X_FLEETD_JOB=done\\nX_FLEETD_JOB_ID=%d" % number, os.environ["NOTIFY_SOCKET"])
"""


def test_p3_all_that_a_worker_said_while_no_daemon_was_there_comes_before_its_exit(
    short_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        notify, "MOST_AT_ONCE", 4
    )  # fewer than may wait, as with 256 and systemd's net.unix.max_dgram_qlen

    async def test() -> None:
        first = await with_a_run(short_path, sys.executable, "-c", SAYS_MUCH_AT_ITS_END)
        pid = first.runs.pids()[RUN]
        first.runs.record(replace(RECORD, pid=pid))
        first.flush()
        first.runs.close()
        (short_path / "go").write_text("\n")
        await eventually(lambda: not alive(pid), "its end")

        second = Bench(short_path)
        second.runs.restored()
        await second.runs.clear_away()
        second.runs.begin()
        await second.until(Exited)
        *said, last = second.events
        assert [event.id for event in said if isinstance(event, JobReported)] == [str(n) for n in range(1, 10)]
        assert isinstance(last, Exited)
        await ended(second)

    asyncio.run(test())


def test_a_socket_that_was_removed_is_bound_again_and_who_is_connected_to_the_first_is_heard_as_well(
    short_path: Path,
) -> None:
    async def test() -> None:
        bench = await with_a_run(short_path)
        path = bench.places.notify / RUN
        bench.runs.record(replace(RECORD, pid=bench.runs.pids()[RUN]))
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as connected:
            connected.connect(str(path))
            await eventually((bench.places.logs / "media-0.log").exists, "its log")
            descriptors = open_descriptors(os.getpid())
            for number in (1, 3):
                path.unlink()
                bench.runs.furnish_again()
                assert open_descriptors(os.getpid()) == descriptors + 1
                await heard_on_both(bench, connected, number)
            bench.flush()
            bench.runs.close()

            second = Bench(short_path)
            second.runs.restored()
            await second.runs.clear_away()
            second.runs.begin()
            await heard_on_both(second, connected, 5)
        await second.runs.processes.kill(RUN)
        await second.until(Exited)
        await ended(second)

    asyncio.run(test())


async def heard_on_both(bench: Bench, connected: socket.socket, number: int) -> None:
    bench.events.clear()
    bench.flush()
    say_done(bench, number)
    await bench.until(JobReported)
    bench.flush()
    connected.send(message(number + 1))
    await eventually(lambda: len(bench.events) == 2, "the other one")
    assert [event.id for event in bench.events if isinstance(event, JobReported)] == [str(number), str(number + 1)]
