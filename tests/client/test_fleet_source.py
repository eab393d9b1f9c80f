"""The live view's source for a fleet: on a LocalCoordinator in virtual time, and on a real Redis with real daemons."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import aclosing
from pathlib import Path

import pytest

from fleetd.client.fleet_source import FleetSource, fleet_source
from fleetd.coordination.local import LocalCoordinator
from fleetd.coordination.local_fleet import LocalFleet
from fleetd.coordination.opening import open_fleet
from fleetd.coordination.port import Member
from fleetd.errors import FleetdError, NotFoundError, UnreachableError, UsageError
from fleetd.views.picture import Document, Picture, Request, Verb
from tests.support.real_fleet import NAME, RealFleet, real_fleet
from tests.support.redis_server import RedisServer
from tests.support.simulated_member import SimulatedMember
from tests.support.told_pictures import picture, until
from tests.support.virtual_time import run_virtually

A, B = "media-1/app", "media-2/app"
WHO = "kim@ci"


class Fragile(LocalCoordinator):
    """One that can be out of reach for whoever looks."""

    is_away = False

    async def members(self) -> list[Member]:
        if self.is_away:
            raise UnreachableError("Redis at media does not answer")
        return await super().members()


Test = Callable[[Fragile, FleetSource], Awaitable[None]]


def with_two_hosts(test: Test) -> Callable[[], None]:
    async def within() -> None:
        loop = asyncio.get_running_loop()
        coordinator = Fragile(LocalFleet(lambda: 1_790_000_000.0 + loop.time()))
        for member in (SimulatedMember(A, ("media", "mail")), SimulatedMember(B)):
            await member.beat(coordinator)
        await test(coordinator, fleet_source(coordinator, "acme", WHO))

    def run() -> None:
        run_virtually(within())

    run.__name__ = test.__name__  # type: ignore[attr-defined]
    return run


@with_two_hosts
async def test_a_picture_has_all_members_and_rollouts(coordinator: Fragile, source: FleetSource) -> None:
    async with aclosing(source.pictures()) as pictures:
        first = await anext(pictures)
        assert (first.fleet, first.trouble, first.rollouts) == ("acme", None, ())
        assert [(host["name"], host["live"], host["host"]) for host in first.hosts] == [
            (A, True, "media-1"),
            (B, True, "media-2"),
        ]
        assert await source.act(Request(Verb.RESTART, ("media",), host="media-2")) == (
            "restart of media on media-2 asked for: epoch 1790000000, 1 host(s)"
        )
        began = asyncio.get_running_loop().time()
        (rollout,) = (await anext(pictures)).rollouts
        assert asyncio.get_running_loop().time() - began == pytest.approx(1.0)  # a hint came, and it is not too soon
        assert (rollout["epoch"], rollout["who"], rollout["mode"]) == (1_790_000_000, WHO, "graceful")


@with_two_hosts
async def test_what_was_seen_last_stays_while_redis_is_away(fleet: Fragile, source: FleetSource) -> None:
    async with aclosing(source.pictures()) as pictures:
        first = await anext(pictures)
        fleet.is_away = True
        lost = await anext(pictures)
        assert lost == Picture(
            first.seen_at, first.hosts, "acme", (), "Redis at media does not answer; this is what was seen last"
        )
        fleet.is_away = False
        assert (await anext(pictures)).trouble is None


@with_two_hosts
async def test_acts(fleet: Fragile, source: FleetSource) -> None:
    said = await source.act(Request(Verb.RESTART_NOW))
    assert said == "restart of everything asked for, now: epoch 1790000000, 2 host(s)"
    assert await source.act(Request(Verb.HALT, epoch=1_790_000_000)) == (
        "rollout 1790000000 halted: no further worker is replaced"
    )
    assert await source.act(Request(Verb.GO_ON, epoch=1_790_000_000)) == "rollout 1790000000 goes on"
    assert await source.act(Request(Verb.PAUSE, ("media",))) == "pause of media asked for: 2 pool(s)"
    assert await fleet.paused() == {"pool:media"}
    assert await source.act(Request(Verb.PAUSE, (), "media-1")) == "pause of everything on media-1 asked for: 2 pool(s)"
    assert await source.act(Request(Verb.RESUME, ("media",))) == (
        "resume of media asked for: 2 pool(s); media on media-1/app stays paused by host:media-1"
    )
    assert await fleet.paused() == {"host:media-1"}


REFUSED: list[tuple[Request, type[FleetdError], str]] = [
    (Request(Verb.SCALE, ("media",), change="3"), UsageError, "scale is for one host"),
    (Request(Verb.HALT), UsageError, "halt which rollout"),
    (Request(Verb.GO_ON, epoch=7), NotFoundError, "no rollout 7 is known any more"),
    (Request(Verb.RESTART, ("media:3",)), UsageError, "media:3 is a worker of one host"),
    (Request(Verb.RESTART, ("nowhere",)), NotFoundError, "no live member has such a pool"),
    (Request(Verb.PAUSE, (), "media-9"), NotFoundError, "media-9: no live member"),
]


@pytest.mark.parametrize(("request_", "error", "says"), REFUSED)
def test_what_cannot_be(request_: Request, error: type[FleetdError], says: str) -> None:
    @with_two_hosts
    async def run(coordinator: Fragile, source: FleetSource) -> None:
        with pytest.raises(error, match=says):
            await source.act(request_)

    run()


def test_what_a_fleet_takes() -> None:
    @with_two_hosts
    async def run(coordinator: Fragile, source: FleetSource) -> None:
        assert source.can == frozenset(Verb) - {Verb.SCALE, Verb.STOP, Verb.START}

    run()


@pytest.fixture
def fleet(short_path: Path, redis_server: RedisServer) -> Iterator[RealFleet]:
    with real_fleet(short_path, redis_server, redis_server.url) as hosts:
        for name in ("media-1", "media-2"):
            hosts.host(name, {"media": {"command": ["sh", "-c", f"echo here is {name}; exec sleep 1000"]}})
        hosts.start()
        yield hosts


@pytest.mark.full
@pytest.mark.process
@pytest.mark.redis
def test_a_real_fleet_whose_redis_goes_away(fleet: RealFleet) -> None:
    async def look() -> None:
        coordinator = open_fleet(fleet.url, NAME)
        try:
            await within(fleet, fleet_source(coordinator, NAME, WHO, {A: fleet.hosts["media-1"].control}.get))
        finally:
            await coordinator.close()

    asyncio.run(look())


async def within(fleet: RealFleet, source: FleetSource) -> None:
    async with aclosing(source.pictures()) as pictures, aclosing(source.events()) as events:
        await picture(pictures, lambda each: [host["name"] for host in each.hosts] == [A, B])
        seen = await until(events, lambda event: event["host"] == "media-2" and event["kind"] == "worker.healthy")
        await lines_of_this_host_only(source)
        fleet.server.stop()
        lost = await picture(pictures, lambda each: each.trouble is not None)
        assert "this is what was seen last" in (lost.trouble or "")
        assert [host["name"] for host in lost.hosts] == [A, B]
        fleet.server.start()
        await picture(pictures, lambda each: each.trouble is None and len(each.hosts) == 2)
        said = await source.act(Request(Verb.RESTART))
        await picture(pictures, lambda each: any(rolled["state"] == "done" for rolled in each.rollouts))
        assert "2 host(s)" in said

        def is_last(event: Document) -> bool:
            return bool(event["kind"] == "worker.exited" and event["host"] == "media-2")

        seen += await until(events, is_last)
        assert len({event["id"] for event in seen}) == len(seen)


async def lines_of_this_host_only(source: FleetSource) -> None:
    async with aclosing(source.lines(f"{A}/media:0")) as lines:
        assert (await anext(lines)).endswith("here is media-1")
    async with aclosing(source.lines("media:0")) as lines:
        assert (await anext(lines)).endswith("here is media-1")
    with pytest.raises(FleetdError, match="media:0 runs on media-2: look there"):
        await anext(source.lines(f"{B}/media:0"))
    with pytest.raises(NotFoundError, match="no live member has such a worker"):
        await anext(source.lines("media:7"))
