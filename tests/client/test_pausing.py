"""Pausing on a LocalCoordinator with simulated members, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from fleetd.client.contact import PATIENCE
from fleetd.client.pausing import Change, Place, pause, pending, resume, until
from fleetd.coordination.local import LocalCoordinator
from fleetd.coordination.local_fleet import LocalFleet
from fleetd.coordination.port import Member
from fleetd.errors import FleetdError, NotFoundError, UnreachableError, UsageError, WaitTimeoutError
from tests.support.simulated_member import SimulatedMember
from tests.support.virtual_time import run_virtually

Test = Callable[[LocalCoordinator], Awaitable[None]]
A, B = "media-1/app", "media-2/app"


def with_two_hosts(test: Test) -> Callable[[], None]:
    """A test with media-1 (media, mail) and media-2 (media), each of which beat once."""

    async def within() -> None:
        loop = asyncio.get_running_loop()
        coordinator = LocalCoordinator(LocalFleet(lambda: 1_790_000_000.0 + loop.time()))
        for member in (SimulatedMember(A, ("media", "mail")), SimulatedMember(B)):
            await member.beat(coordinator)
        await test(coordinator)

    def run() -> None:
        run_virtually(within())

    run.__name__ = test.__name__  # type: ignore[attr-defined]
    return run


EVERYWHERE = {(A, "media"), (B, "media")}
FIELDS = [
    (["media-1"], [], {"host:media-1"}, {(A, "media"), (A, "mail")}),
    (["media-1", "media-2"], [], {"host:media-1", "host:media-2"}, {(A, "mail"), *EVERYWHERE}),
    (["media-1"], ["ma*"], {"host:media-1:pool:mail"}, {(A, "mail")}),
    (["media-1", "media-2"], ["media"], {"host:media-1:pool:media", "host:media-2:pool:media"}, EVERYWHERE),
    ([], ["media"], {"pool:media"}, EVERYWHERE),
    ([], [], {"pool:media", "pool:mail"}, {(A, "mail"), *EVERYWHERE}),
]  # fmt: skip


@pytest.mark.parametrize(("hosts", "targets", "fields", "places"), FIELDS)
def test_fields(hosts: list[str], targets: list[str], fields: set[str], places: set[tuple[str, str]]) -> None:
    @with_two_hosts
    async def run(coordinator: LocalCoordinator) -> None:
        change = await pause(coordinator, hosts, targets)
        assert await coordinator.paused() == fields
        assert change == Change(tuple(sorted(fields)), tuple(sorted(Place(*place) for place in places)))
        assert (await resume(coordinator, hosts, targets)).kept == ()
        assert await coordinator.paused() == frozenset()

    run()


@with_two_hosts
async def test_resuming_says_what_keeps_it_paused(coordinator: LocalCoordinator) -> None:
    await coordinator.pause(("host:media-1", "pool:media", "host:media-1:pool:mail"), paused=True)
    change = await resume(coordinator, [], ["media"])
    assert change.kept == ((Place(A, "media"), "host:media-1"),)
    change = await resume(coordinator, ["media-1"], [])
    assert change.fields == ("host:media-1", "host:media-1:pool:mail")
    assert await coordinator.paused() == frozenset()


@pytest.mark.parametrize(
    ("hosts", "targets", "rest"),
    [
        (["media-2"], ["mail"], {"host:media-1:pool:mail", "pool:old"}),
        (["media-2"], ["m*"], {"host:media-1:pool:mail", "pool:old"}),
        (["media-1", "media-2"], ["mail"], {"pool:old"}),
        ([], ["old"], {"host:media-1:pool:mail", "host:media-2:pool:mail"}),
    ],
)
def test_a_pause_outlives_its_pool_and_is_lifted_all_the_same(
    hosts: list[str], targets: list[str], rest: set[str]
) -> None:
    @with_two_hosts
    async def run(coordinator: LocalCoordinator) -> None:
        await coordinator.pause(("host:media-1:pool:mail", "host:media-2:pool:mail", "pool:old"), paused=True)
        change = await resume(coordinator, hosts, targets)
        assert all(place.member == A or place.pool != "mail" for place in change.places)  # media-2 has none
        assert await coordinator.paused() == rest
        with pytest.raises(NotFoundError, match="old: no live member has such a pool"):
            await resume(coordinator, ["media-1"], ["old"])

    run()


@with_two_hosts
async def test_a_host_whose_name_begins_alike_is_another(coordinator: LocalCoordinator) -> None:
    await coordinator.pause(("host:media-1", "host:media-10:pool:mail"), paused=True)
    await resume(coordinator, ["media-1"], [])
    assert await coordinator.paused() == {"host:media-10:pool:mail"}


@with_two_hosts
async def test_a_worker_cannot_be_paused_from_afar(coordinator: LocalCoordinator) -> None:
    for change in (pause, resume):
        with pytest.raises(UsageError, match="media:0 is a worker"):
            await change(coordinator, ["media-1"], ["media:0"])


@with_two_hosts
async def test_a_failover_at_the_request_is_waited_for(coordinator: LocalCoordinator) -> None:
    class Shaky(LocalCoordinator):
        """Loses each second question."""

        asked = 0

        def _lose_some(self) -> None:
            self.asked += 1
            if self.asked % 2:
                raise UnreachableError("no answer")

        async def members(self) -> list[Member]:
            self._lose_some()
            return await coordinator.members()

        async def paused(self) -> frozenset[str]:
            self._lose_some()
            return await coordinator.paused()

        async def pause(self, fields: tuple[str, ...], *, paused: bool) -> None:
            self._lose_some()
            await coordinator.pause(fields, paused=paused)

    shaky = Shaky(LocalFleet(lambda: 0.0))
    for change in (pause, resume):
        assert (await change(shaky, ["media-1"], [])).fields == ("host:media-1",)
    assert await coordinator.paused() == frozenset()


def shown(**pool: Any) -> list[Member]:
    status = {"instance": "app", "host": "media-1", "pools": [{"name": "media", "numprocs": 1, **pool}]}
    return [Member(A, 0.0, is_live=True, pools=("media",), status=status)]


def states(*names: str) -> list[dict[str, str]]:
    return [{"name": f"media:{number}", "state": state} for number, state in enumerate(names)]


@pytest.mark.parametrize(
    ("paused", "pool", "is_so"),
    [
        (True, {"state": "paused", "paused": True, "workers": states("running")}, True),
        (True, {"state": "paused", "paused": True, "workers": states("waiting", "stopping")}, False),
        (True, {"state": "paused", "paused": True, "workers": states("waiting")}, True),
        (True, {"state": "running", "paused": False, "workers": states("running")}, False),
        (False, {"state": "running", "paused": False, "workers": states("running")}, True),
        (False, {"state": "degraded", "paused": False, "workers": states("starting")}, False),
        (False, {"state": "paused", "paused": True, "workers": states("running")}, False),
        (False, {"state": "stopped", "paused": False, "workers": states("stopped")}, True),
    ],
)
def test_when_a_host_has_done_it(paused: bool, pool: dict[str, Any], is_so: bool) -> None:
    place = Place(A, "media")
    assert pending([place], shown(**pool), paused=paused) == ([] if is_so else [place])
    assert pending([place], [Member(A, 0.0, is_live=False)], paused=paused) == [place]


@pytest.mark.parametrize("paused", [True, False])
def test_a_pool_that_was_removed_there_is_not_waited_for(paused: bool) -> None:
    gone, place = Place(A, "mail"), Place(A, "media")
    members = shown(state="running", paused=not paused, workers=states("running"))
    assert pending([gone, place], members, paused=paused) == [place]
    unread = [Member(A, 0.0, is_live=True, pools=("media",))]  # has not published yet what it has
    assert pending([gone, place], unread, paused=paused) == [gone, place]


def test_a_pool_that_fails_when_it_goes_on_is_an_error() -> None:
    members = shown(state="degraded", paused=False, workers=states("backoff"))
    with pytest.raises(FleetdError, match=r"media on media-1/app goes on, but is not healthy: media:0: backoff"):
        pending([Place(A, "media")], members, paused=False)


async def wait(coordinator: LocalCoordinator, limit: float | None, notes: list[str]) -> None:
    await until(coordinator, [Place(A, "mail")], paused=True, limit=limit, look=lambda _: None, tell=notes.append)


@with_two_hosts
async def test_a_host_that_goes_missing_ends_the_waiting(coordinator: LocalCoordinator) -> None:
    with pytest.raises(FleetdError, match=r"media-1/app went missing and did not come back"):
        await wait(coordinator, None, [])


@with_two_hosts
async def test_what_is_waited_for_is_said_once_after_a_while(coordinator: LocalCoordinator) -> None:
    notes: list[str] = []
    with pytest.raises(FleetdError, match="went missing"):
        await wait(coordinator, None, notes)
    assert notes == ["waiting for mail on media-1/app"]


@with_two_hosts
async def test_so_does_the_time(coordinator: LocalCoordinator) -> None:
    with pytest.raises(WaitTimeoutError, match=r"not finished after 3 s; .*: mail on media-1/app"):
        await wait(coordinator, 3.0, [])


@with_two_hosts
async def test_a_coordinator_that_hangs_takes_no_longer(coordinator: LocalCoordinator) -> None:
    class Hanging(LocalCoordinator):
        async def members(self) -> list[Member]:
            await asyncio.sleep(100)
            return []

    began = asyncio.get_running_loop().time()
    with pytest.raises(WaitTimeoutError, match="not finished after 3 s"):
        await wait(Hanging(LocalFleet(lambda: 0.0)), 3.0, [])
    assert asyncio.get_running_loop().time() - began == 3


@with_two_hosts
async def test_and_a_coordinator_that_stays_away(coordinator: LocalCoordinator) -> None:
    class Away(LocalCoordinator):
        async def members(self) -> list[Member]:
            raise UnreachableError("no answer")

    notes: list[str] = []
    with pytest.raises(UnreachableError, match="gave up waiting"):
        await wait(Away(LocalFleet(lambda: 0.0)), None, notes)
    assert notes == ["Redis is out of reach, waiting"]
    assert asyncio.get_running_loop().time() >= PATIENCE
