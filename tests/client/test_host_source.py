"""The live view's source for one daemon, against a real one."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from fleetd.client.control import ControlClient
from fleetd.client.host_source import host_source
from fleetd.errors import NotFoundError, UsageError
from fleetd.shell.conversation import Reply
from fleetd.views.picture import Picture, Request, Verb
from tests.support.control_server import serving
from tests.support.fleetd_cli import Fleetd
from tests.support.told_pictures import picture, until
from tests.support.waiting import wait_for

pytestmark = pytest.mark.process

TICKS = "while sleep 0.1; do n=$((n+1)); echo tick $n; done"


def pool(name: str, shown: Picture) -> dict[str, Any]:
    (host,) = shown.hosts
    return next(dict(each) for each in host["pools"] if each["name"] == name)


def workers(shown: Picture, name: str = "media") -> list[dict[str, Any]]:
    return [dict(worker) for worker in pool(name, shown)["workers"]] if shown.hosts else []


def test_pictures_are_the_status_measured_where_it_is_wanted(fleetd: Fleetd) -> None:
    fleetd.configure(
        {name: {"command": "sleep 1000", "numprocs": 2, "healthy-after": "100ms"} for name in ("media", "mail")}
    )
    fleetd.start()

    async def look() -> None:
        source = host_source(fleetd.control)
        async with aclosing(source.pictures()) as pictures:
            first = await anext(pictures)
            assert first.trouble is None
            assert {worker["rss"] for name in ("media", "mail") for worker in workers(first, name)} == {None}
            source.measure(frozenset({"media"}))
            measured = await picture(pictures, lambda each: bool(workers(each)[0]["rss"]) and all_healthy(each))
            assert {worker["rss"] for worker in workers(measured, "mail")} == {None}
            assert without_measures(measured.hosts[0]) == without_measures(fleetd.status())
            told = await source.act(Request(Verb.SCALE, ("media",), change="+1"))
            assert told == "media scaled to 3"
            grown = await picture(pictures, lambda each: sum(w["healthy"] for w in workers(each)) == 3)
            assert pool("mail", grown) is not pool("mail", measured)
            assert without_measures(grown.hosts[0]) == without_measures(fleetd.status())

    asyncio.run(look())


def all_healthy(shown: Picture) -> bool:
    return all(worker["healthy"] for name in ("media", "mail") for worker in workers(shown, name))


def without_measures(document: Any) -> Any:
    nothing = {"rss": None, "cpu": None}
    pools = [{**pool, "workers": [worker | nothing for worker in pool["workers"]]} for pool in document["pools"]]
    return {**document, "pools": pools}


@pytest.mark.full
def test_a_killed_daemon_is_told_of_and_found_again(fleetd: Fleetd) -> None:
    fleetd.configure({"media": {"command": ["sh", "-c", TICKS], "healthy-after": "100ms"}})
    fleetd.start()

    async def look() -> None:
        source = host_source(fleetd.control)
        events, lines = source.events(), source.lines("media:0")
        async with aclosing(source.pictures()) as pictures, aclosing(events), aclosing(lines):
            before = await anext(pictures)
            shown = await until(events, lambda event: event["kind"] == "worker.healthy")
            told = await until(lines, lambda line: line.endswith("tick 5"))
            os.kill(before.hosts[0]["pid"], signal.SIGKILL)
            lost = await picture(pictures, lambda each: each.trouble is not None)
            assert lost.trouble == (
                "the daemon of test does not answer (killed or stopped): looking for it again every second"
            )
            assert (lost.hosts, lost.seen_at >= before.seen_at) == (before.hosts, True)
            with pytest.raises(NotFoundError):
                await source.act(Request(Verb.PAUSE, ("media",)))
            await asyncio.to_thread(fleetd.start)
            found = await picture(pictures, lambda each: each.trouble is None)
            assert found.hosts[0]["pid"] != before.hosts[0]["pid"]
            assert workers(found)[0]["pid"] == workers(before)[0]["pid"]
            shown += await until(events, lambda event: event["kind"] == "worker.adopted")
            assert [event["kind"] for event in shown].count("daemon.started") == 2
            assert len({str(event) for event in shown}) == len(shown)
            told += await until(lines, lambda line: int(line.split()[-1]) > len(told) + 20)
            assert [int(line.split()[-1]) for line in told] == list(range(1, len(told) + 1))

    asyncio.run(look())


@pytest.mark.full
def test_a_daemon_that_is_upgraded_or_stopped_by_a_signal_is_the_same_afterwards(fleetd: Fleetd) -> None:
    fleetd.configure({"media": {"command": "sleep 1000", "healthy-after": "100ms"}})
    fleetd.start()

    async def look() -> None:
        source = host_source(fleetd.control)
        async with aclosing(source.pictures()) as pictures:
            pid = (await anext(pictures)).hosts[0]["pid"]
            began = (await anext(pictures)).hosts[0]["started_at"]
            await asyncio.to_thread(fleetd.run, "upgrade")
            seen = await until(pictures, lambda each: each.hosts[0]["started_at"] > began)
            assert [each.trouble for each in seen] == [None] * len(seen)
            os.kill(pid, signal.SIGSTOP)
            try:
                silent = await picture(pictures, lambda each: each.trouble is not None)
                assert "does not answer (stopped by a signal, or held up)" in (silent.trouble or "")
            finally:
                os.kill(pid, signal.SIGCONT)
            assert (await picture(pictures, lambda each: each.trouble is None)).hosts[0]["pid"] == pid

    asyncio.run(look())


def test_a_daemon_that_ends_does_not_wait_for_who_watches_it(fleetd: Fleetd) -> None:
    fleetd.configure({"media": {"command": "sleep 1000", "healthy-after": "100ms"}})
    fleetd.start()

    async def look() -> None:
        async with aclosing(host_source(fleetd.control).pictures()) as pictures:
            await anext(pictures)
            stopping = asyncio.create_task(asyncio.to_thread(fleetd.run, "stop"))
            told = await picture(pictures, lambda each: each.trouble is not None)
            assert told.trouble == "the daemon of test has ended: looking for it again every second"
            await stopping

    asyncio.run(look())


ACTS = [
    (Request(Verb.PAUSE, ("media",)), "media paused: no new jobs", lambda each: pool("media", each)["paused"]),
    (Request(Verb.RESUME), "everything resumed", lambda each: not pool("media", each)["paused"]),
    (Request(Verb.STOP, ("media:1",)), "stop of media:1 begun", lambda each: workers(each)[1]["state"] == "stopped"),
    (Request(Verb.START), "start of everything begun", lambda each: workers(each)[1]["healthy"]),
    (Request(Verb.RESTART, ("media:0",)), "restart of media:0 begun", lambda each: workers(each)[0]["starts"] > 1),
    (Request(Verb.RESTART_NOW), "jobs in hand are not waited for", lambda each: workers(each)[1]["starts"] > 2),
    (Request(Verb.SCALE, ("media",), change="1"), "media scaled to 1", lambda each: len(workers(each)) == 1),
]


def test_acts(fleetd: Fleetd) -> None:
    fleetd.configure({"media": {"command": "sleep 1000", "numprocs": 2, "healthy-after": "100ms"}})
    fleetd.start()
    source = host_source(fleetd.control)
    assert source.can == frozenset(Verb) - {Verb.HALT, Verb.GO_ON}

    async def act() -> None:
        for request, says, shows in ACTS:
            assert says in await source.act(request)
            await asyncio.to_thread(wait_for, lambda: shows(Picture(0.0, (fleetd.status(),))), says)  # noqa: B023
        for wrong in (Request(Verb.HALT, epoch=7), Request(Verb.SCALE, ("media",), change="x")):
            with pytest.raises(UsageError):
                await source.act(wrong)
        with pytest.raises(NotFoundError, match="nowhere"):
            await source.act(Request(Verb.STOP, ("nowhere",)))

    asyncio.run(act())


@pytest.mark.parametrize("has_file", [True, False], ids=["log file", "told by the daemon"])
def test_lines_of_a_worker(fleetd: Fleetd, has_file: bool) -> None:
    log = {} if has_file else {"log": {"to": "none"}}
    fleetd.configure({"media": {"command": ["sh", "-c", TICKS], "healthy-after": "100ms", **log}})
    fleetd.start()

    async def look() -> None:
        source = host_source(fleetd.control)
        async with aclosing(source.lines("media:0")) as lines:
            told = await until(lines, lambda line: line.endswith("tick 12"))
        assert [line.split()[-1] for line in told] == [str(n + 1) for n in range(12)]
        with pytest.raises(NotFoundError):
            await anext(source.lines("media:7"))

    asyncio.run(look())


def test_a_daemon_of_an_older_version_is_asked_for_its_status(tmp_path: Path) -> None:
    async def status(args: Mapping[str, Any], reply: Reply) -> Any:
        return {"pid": 7, "pools": []}

    async def look() -> None:
        async with aclosing(host_source(ControlClient("old", tmp_path / "control.sock")).pictures()) as pictures:
            for _ in range(2):
                assert (await anext(pictures)).hosts == ({"pid": 7, "pools": []},)

    with serving(tmp_path / "control.sock", verbs={"status": status}):
        asyncio.run(look())
